// Locks that end with their process.
#include "culvert/io/claimed_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "culvert/io/record_folder.hpp"
#include "errors.hpp"

namespace culvert {

namespace {

constexpr std::size_t size_max = 64 << 10;

bool fill(const UniqueFd& file, std::string_view text) noexcept {
  return ::flock(file.get(), LOCK_EX | LOCK_NB) == 0 &&
         ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool is_same(const UniqueFd& file, const std::string& path) noexcept {
  struct stat here {};
  struct stat there {};
  return ::fstat(file.get(), &here) == 0 && ::lstat(path.c_str(), &there) == 0 && here.st_dev == there.st_dev &&
         here.st_ino == there.st_ino;
}

}  // namespace

Result<UniqueFd> make_claimed_file(const std::string& path, std::string_view text, mode_t mode) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  UniqueFd file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
  if (file.is_open()) {
    const std::string nameless = "/proc/self/fd/" + std::to_string(file.get());
    const bool is_made =
        fill(file, text) && ::linkat(AT_FDCWD, nameless.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0;
    if (is_made) return file;
    return last_error();
  }
  if (errno != EOPNOTSUPP && errno != EISDIR) return last_error();
  file.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (file.is_open() && fill(file, text)) return file;
  const auto error = last_error();
  if (file.is_open()) ::unlink(path.c_str());
  return error;
}

std::optional<DesertedFile> take_deserted_file(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat status {};
  if (!file.is_open() || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  // Between opening and locking another may have removed it, and a third made one of the same name.
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0 || !is_same(file, path)) return std::nullopt;
  auto text = read_all(file, size_max);
  if (!text) return std::nullopt;
  return DesertedFile{std::move(file), *std::move(text)};
}

}  // namespace culvert
