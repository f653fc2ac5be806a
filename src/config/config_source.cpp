// Where files and device names come from: the only part of config that asks the system.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <system_error>

#include "culvert/base/printable.hpp"
#include "culvert/config/config_file.hpp"
#include "ini_reader.hpp"

namespace culvert {

namespace {

/// Where else a file given by name only was looked for.
std::string other_places(const std::string& path) {
  const std::string first = std::string(config_folders.front()) + "/";
  if (!path.starts_with(first)) return {};
  std::string places;
  for (const std::string_view folder : std::span(config_folders).subspan(1)) {
    const std::string other = std::string(folder) + "/" + path.substr(first.size());
    if (::access(other.c_str(), F_OK) != 0) places += " (nor is there " + printable(other) + ")";
  }
  return places;
}

std::system_error last_error(const std::string& path) {
  const int error = errno;
  return {error, std::generic_category(),
          "cannot read " + printable(path) + (error == ENOENT ? other_places(path) : "")};
}

class FileToRead {
 public:
  explicit FileToRead(const std::string& path) : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) throw last_error(path_);
  }
  ~FileToRead() { ::close(fd_); }
  FileToRead(const FileToRead&) = delete;
  FileToRead& operator=(const FileToRead&) = delete;

  /// Zero at the end of the file.
  std::size_t read(ByteSpan out) {
    for (;;) {
      const ssize_t count = ::read(fd_, out.data(), out.size());
      if (count >= 0) return static_cast<std::size_t>(count);
      if (errno != EINTR) throw last_error(path_);
    }
  }

 private:
  const std::string& path_;
  int fd_;
};

/// Room for the largest file, given memory by the kernel only as it is written to. What was written is kept out of
/// swap, as far as the process may lock memory, and out of core dumps, and is wiped at the end.
class PrivateText {
 public:
  explicit PrivateText(const std::string& path)
      : memory_(::mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (memory_ == MAP_FAILED) throw last_error(path);
    ::madvise(memory_, capacity, MADV_DONTDUMP);
  }
  ~PrivateText() {
    wipe({start(), size_});
    ::munmap(memory_, capacity);
  }
  PrivateText(const PrivateText&) = delete;
  PrivateText& operator=(const PrivateText&) = delete;

  /// Stops when full, which is more than a file may have.
  void fill_from(FileToRead& file) {
    while (size_ < capacity) {
      const std::size_t room = std::min(step, capacity - size_);
      ::mlock(start() + size_, room);
      const std::size_t count = file.read({start() + size_, room});
      if (count == 0) return;
      size_ += count;
    }
  }
  [[nodiscard]] std::string_view text() const noexcept { return {static_cast<const char*>(memory_), size_}; }

 private:
  static constexpr std::size_t capacity = config_size_max + 1;
  static constexpr std::size_t step = 65536;

  [[nodiscard]] std::byte* start() const noexcept { return static_cast<std::byte*>(memory_); }

  void* memory_;
  std::size_t size_ = 0;
};

constexpr std::string_view suffix = ".conf";

}  // namespace

Config read_config_file(const std::string& path) {
  PrivateText text(path);
  FileToRead file(path);
  text.fill_from(file);
  return parse_config(text.text(), path);
}

std::string device_name_of(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  if (!is_interface_name(name)) {
    throw ConfigError(path, 0, 0,
                      "the file's name is not fit for a network interface: expected 1 to 15 letters, digits and _=+.-");
  }
  return name;
}

std::string config_path_of(std::string_view file_or_name, std::span<const std::string_view> folders) {
  if (file_or_name.find('/') != std::string_view::npos || file_or_name.ends_with(suffix)) {
    return std::string(file_or_name);
  }
  const auto in = [&](std::string_view folder) {
    return std::string(folder).append("/").append(file_or_name).append(suffix);
  };
  for (const std::string_view folder : folders) {
    std::string path = in(folder);
    if (::access(path.c_str(), F_OK) == 0) return path;
  }
  return in(folders.front());
}

}  // namespace culvert
