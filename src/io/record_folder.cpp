// Files that one user's processes leave for each other.
#include "culvert/io/record_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>

#include "errors.hpp"

namespace culvert {

namespace {

constexpr std::string_view ending_of_records = ".journal";
constexpr std::size_t size_max = std::size_t{1} << 20;

[[noreturn]] void fail(const std::string& what) {
  throw_system_error(errno, what);
}

}  // namespace

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> open_folder(::opendir(folder.c_str()), ::closedir);
  if (!open_folder) return names;
  while (const dirent* entry = ::readdir(open_folder.get())) {
    std::string name(entry->d_name);
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  return names;
}

std::optional<std::string> read_all(const UniqueFd& file, std::size_t most) {
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t size = ::read(file.get(), piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return std::nullopt;
    if (size == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(size));
    if (text.size() > most) return std::nullopt;
  }
}

RecordFolder::RecordFolder(std::string path) : path_(std::move(path)) {
  if (::mkdir(path_.c_str(), 0700) != 0 && errno != EEXIST) fail("making folder " + path_ + " (run as root)");
  struct stat status {};
  if (::lstat(path_.c_str(), &status) != 0) fail("looking at " + path_);
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 022) != 0) {
    const bool is_roots = S_ISDIR(status.st_mode) && status.st_uid == 0 && ::geteuid() != 0;
    throw std::runtime_error(
        path_ + (is_roots ? " is root's: run as root" : " must be a folder of this user that no other can write to"));
  }
}

std::string RecordFolder::path_of(const std::string& name, std::string_view ending) const {
  return path_ + "/" + name + std::string(ending);
}

UniqueFd RecordFolder::open_lock() const {
  // No name of a device begins like this one ends, so that it cannot be taken for one.
  const std::string path = path_ + "/lock";
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.is_open()) fail("opening " + path);
  return file;
}

UniqueFd RecordFolder::lock() const {
  UniqueFd file = open_lock();
  while (::flock(file.get(), LOCK_EX) != 0) {
    if (errno != EINTR) fail("locking " + path_ + "/lock");
  }
  return file;
}

std::optional<UniqueFd> RecordFolder::try_lock_for(unsigned milliseconds) const {
  UniqueFd file = open_lock();
  for (constexpr unsigned pause = 10;; milliseconds -= pause) {
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
    if (errno != EINTR && errno != EWOULDBLOCK) fail("locking " + path_ + "/lock");
    if (milliseconds < pause) return std::nullopt;
    std::this_thread::sleep_for(std::chrono::milliseconds(pause));
  }
}

std::optional<std::string> RecordFolder::read(const std::string& name) const {
  const std::string path = path_of(name);
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.is_open()) {
    if (errno == ENOENT) return std::nullopt;
    fail("reading " + path);
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail("looking at " + path);
  // What it says is done as this user, hooks included.
  if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 022) != 0) {
    throw std::runtime_error(path + " may have been written by others and is not read; remove it by hand");
  }
  auto text = read_all(file, size_max);
  if (!text) throw std::runtime_error(path + " cannot be read or is too large to be a journal; remove it by hand");
  return text;
}

void RecordFolder::write(const std::string& name, const std::string& text) const {
  const std::string path = path_of(name);
  const std::string fresh = path_of(name, ".new");
  ::unlink(fresh.c_str());
  const UniqueFd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  const bool is_written = file.is_open() &&
                          ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                          ::fsync(file.get()) == 0 && ::rename(fresh.c_str(), path.c_str()) == 0;
  if (!is_written) fail("writing " + path);
  const UniqueFd folder(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open() || ::fsync(folder.get()) != 0) fail("writing " + path);
}

void RecordFolder::remove(const std::string& name) const {
  const std::string path = path_of(name);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail("removing " + path);
}

std::vector<std::string> RecordFolder::names() const {
  std::vector<std::string> names;
  for (const std::string& file : names_in(path_)) {
    if (file.ends_with(ending_of_records)) names.push_back(file.substr(0, file.size() - ending_of_records.size()));
  }
  return names;
}

}  // namespace culvert
