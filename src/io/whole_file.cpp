// Temporary files beside those that are wanted.
#include "culvert/io/whole_file.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "culvert/io/unique_fd.hpp"
#include "errors.hpp"

namespace culvert {
namespace {

/// No signal ends the program while this lives, so that what is half done can be undone.
class SignalsWait {
 public:
  SignalsWait() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsWait() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsWait(const SignalsWait&) = delete;
  SignalsWait& operator=(const SignalsWait&) = delete;

 private:
  sigset_t before_{};
};

/// A new file beside `path` that goes when this does, unless it was renamed.
class FileBeside {
 public:
  explicit FileBeside(const std::string& path) : name_(path + ".XXXXXX"), file_(::mkostemp(name_.data(), O_CLOEXEC)) {}
  ~FileBeside() {
    if (file_.is_open() && !is_renamed_) ::unlink(name_.c_str());
  }
  FileBeside(const FileBeside&) = delete;
  FileBeside& operator=(const FileBeside&) = delete;

  [[nodiscard]] const UniqueFd& file() const { return file_; }
  bool rename_to(const std::string& path) {
    is_renamed_ = ::rename(name_.c_str(), path.c_str()) == 0;
    return is_renamed_;
  }

 private:
  std::string name_;
  UniqueFd file_;
  bool is_renamed_ = false;
};

bool write_all(const UniqueFd& file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(file.get(), text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

mode_t usual_mode() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666 & ~mask;
}

}  // namespace

WholeFile::WholeFile(std::string path, std::string what)
    : path_(std::move(path)), what_(std::move(what) + " to " + path_) {
  struct stat status {};
  if (::stat(path_.c_str(), &status) == 0) {
    std::error_code error;
    const std::filesystem::path real = std::filesystem::canonical(path_, error);
    if (!error) path_ = real.string();
    is_regular_ = S_ISREG(status.st_mode);
  }
  if (!is_regular_) {
    if (S_ISDIR(status.st_mode)) throw_system_error(EISDIR, what_);
    if (::access(path_.c_str(), W_OK) != 0) throw_system_error(errno, what_);
    return;
  }
  const SignalsWait wait;
  const FileBeside trial(path_);
  if (!trial.file().is_open()) throw_system_error(errno, what_);
}

void WholeFile::write(std::string_view text) {
  if (!is_regular_) {
    const UniqueFd file(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file.is_open() || !write_all(file, text)) throw_system_error(errno, what_);
    return;
  }
  const SignalsWait wait;
  struct stat status {};
  const mode_t mode = ::stat(path_.c_str(), &status) == 0 ? status.st_mode & 07777 : usual_mode();
  FileBeside fresh(path_);
  if (!fresh.file().is_open() || !write_all(fresh.file(), text) || ::fchmod(fresh.file().get(), mode) != 0 ||
      ::fsync(fresh.file().get()) != 0 || !fresh.rename_to(path_)) {
    throw_system_error(errno, what_);
  }
}

}  // namespace culvert
