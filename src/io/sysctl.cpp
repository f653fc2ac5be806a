// Reading and writing settings under /proc/sys.
#include "culvert/io/sysctl.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <system_error>

#include "culvert/io/unique_fd.hpp"

namespace culvert {

namespace {

// /proc/sys/net shows the network namespace of the thread that looks at it.
std::string path_of(const std::string& name) {
  return "/proc/sys/" + name;
}

}  // namespace

std::string read_sysctl(const std::string& name) {
  const UniqueFd file(::open(path_of(name).c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 256> text{};
  const ssize_t size = file.is_open() ? ::read(file.get(), text.data(), text.size()) : -1;
  if (size < 0) throw std::system_error(errno, std::system_category(), "reading " + path_of(name));
  std::string value(text.data(), static_cast<std::size_t>(size));
  while (value.ends_with('\n')) value.pop_back();
  return value;
}

bool has_ipv6(const std::string& device) noexcept {
  try {
    // The setting of a device that is made later is that of "default".
    const std::string folder = "net/ipv6/conf/";
    const bool is_there = ::access(path_of(folder + device).c_str(), F_OK) == 0;
    return read_sysctl(folder + (is_there ? device : "default") + "/disable_ipv6") == "0";
  } catch (const std::exception&) {
    return false;
  }
}

void write_sysctl(const std::string& name, const std::string& value) {
  const UniqueFd file(::open(path_of(name).c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.is_open() || ::write(file.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
    throw std::system_error(errno, std::system_category(), "setting " + path_of(name) + " to " + value);
  }
}

}  // namespace culvert
