// The greatest handshake timestamp sent under a key: one small file.
#include "culvert/runtime/timestamp_store.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>

#include "culvert/base/endian.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {
namespace {

constexpr std::size_t text_size = 24;  // 12 bytes in hexadecimal
constexpr std::uint32_t nanoseconds_per_second = 1'000'000'000;

std::string to_hex(ByteView bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

std::optional<Tai64n> read_text(std::string_view text) {
  if (text.size() != text_size + 1 || text.back() != '\n') return std::nullopt;
  std::array<std::byte, 12> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    unsigned value = 0;
    for (const char digit : {text[2 * i], text[2 * i + 1]}) {
      if (digit >= '0' && digit <= '9') {
        value = value * 16 + unsigned(digit - '0');
      } else if (digit >= 'a' && digit <= 'f') {
        value = value * 16 + unsigned(digit - 'a') + 10;
      } else {
        return std::nullopt;
      }
    }
    bytes[i] = std::byte(value);
  }
  // https://cr.yp.to/libtai/tai64.html: seconds of 2^63 and above are reserved. To continue there, or above a second's
  // last nanosecond, would lock us out of our peers.
  const bool is_time = bytes[0] < std::byte{0x80} && load<Be32>(&bytes[8]) < nanoseconds_per_second;
  if (!is_time) return std::nullopt;
  return Tai64n(bytes);
}

std::string state_directory_of_user() {
  const char* given = std::getenv("XDG_STATE_HOME");
  if (given && *given == '/') return std::string(given) + "/culvert";
  const char* home = std::getenv("HOME");
  return std::string(home && *home == '/' ? home : "/nonexistent") + "/.local/state/culvert";
}

}  // namespace

struct TimestampStore::State {
  std::string directory;
  std::string path;
  std::mutex mutex;
  std::optional<Tai64n> pending;
  bool has_complained = false;

  void write();
  void complain(const char* doing);
  void warn_of_loss(const char* why) const;
};

std::string state_directory() {
  // systemd sets it for StateDirectory=; with several, the first is meant.
  const char* given = std::getenv("STATE_DIRECTORY");
  if (!given || *given == '\0') return ::geteuid() == 0 ? "/var/lib/culvert" : state_directory_of_user();
  const std::string_view all = given;
  return std::string(all.substr(0, all.find(':')));
}

TimestampStore::TimestampStore(const PublicKey& own, std::string directory, std::shared_ptr<BackgroundWriter> writer)
    : owner_(own), state_(std::make_shared<State>()), writer_(std::move(writer)) {
  state_->path = directory + "/" + to_hex(own.bytes()) + ".tai64n";
  state_->directory = std::move(directory);
}

const std::string& TimestampStore::path() const noexcept {
  return state_->path;
}

std::optional<Tai64n> TimestampStore::load() const {
  const UniqueFd file(::open(state_->path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) {
    if (errno != ENOENT && errno != ENOTDIR) state_->warn_of_loss(std::strerror(errno));
    return std::nullopt;
  }
  std::array<char, text_size + 2> text{};
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  const auto found = size < 0 ? std::nullopt : read_text({text.data(), static_cast<std::size_t>(size)});
  if (!found) state_->warn_of_loss(size < 0 ? std::strerror(errno) : "is not a timestamp");
  return found;
}

void TimestampStore::save(const Tai64n& timestamp) {
  const std::lock_guard lock(state_->mutex);
  const bool is_queued = state_->pending.has_value();
  state_->pending = timestamp;
  if (!is_queued) writer_->post([state = state_] { state->write(); });
}

void TimestampStore::State::write() {
  Tai64n timestamp;
  {
    const std::lock_guard lock(mutex);
    timestamp = *pending;
    pending.reset();
  }
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return complain("creating");
  const std::string text = to_hex(timestamp.bytes()) + "\n";
  const std::string fresh = path + ".new";
  // One left by a process that was killed may have another mode, or be no file at all.
  ::unlink(fresh.c_str());
  const UniqueFd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.is_open()) return complain("opening");
  if (::write(file.get(), text.data(), text.size()) != ssize_t(text.size()) || ::fsync(file.get()) != 0 ||
      ::rename(fresh.c_str(), path.c_str()) != 0) {
    complain("writing");
  }
}

void TimestampStore::State::complain(const char* doing) {
  if (std::exchange(has_complained, true)) return;
  spdlog::warn("{} {}: {}; the last handshake timestamp will not outlive this process", doing, path,
               std::strerror(errno));
}

void TimestampStore::State::warn_of_loss(const char* why) const {
  spdlog::warn("{}: {}; if the clock was once ahead, peers refuse our handshakes until it has caught up", path, why);
}

}  // namespace culvert
