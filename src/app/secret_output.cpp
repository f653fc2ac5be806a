// Writing keys to standard output.
#include "secret_output.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace culvert {

void write_secret(std::span<const char> text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw std::system_error(errno, std::system_category(), "writing the key to standard output");
    text = text.subspan(static_cast<std::size_t>(written));
  }
}

void warn_if_others_can_read_output() {
  struct stat status {};
  if (::fstat(STDOUT_FILENO, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & S_IRWXO) != 0) {
    std::fputs("culvert: warning: others can read the file the key is written to; use umask 077\n", stderr);
  }
}

}  // namespace culvert
