// Messages, with descriptors if need be, between a process and its child.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// One message: what it is, text, and descriptors that came with it (close-on-exec).
struct ChannelMessage {
  char kind = 0;
  std::string text;
  std::vector<UniqueFd> descriptors;
};

/// One end of a connection that keeps messages apart (SOCK_SEQPACKET). Move-only. Two threads must not use the same
/// end at the same time.
class Channel {
 public:
  /// The most bytes of text a message may have, and the most descriptors (SCM_MAX_FD of the kernel).
  static constexpr std::size_t text_max = 64 << 10;
  static constexpr std::size_t descriptors_max = 253;

  static std::pair<Channel, Channel> make_pair();
  Channel() = default;

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// Waits for room. Longer text is cut. Throws std::system_error: EPIPE when the other end is closed.
  void send(char kind, std::string_view text = {}, std::span<const int> descriptors = {}) const;
  /// Waits for a message; nothing: the other end is closed. Throws std::system_error.
  [[nodiscard]] std::optional<ChannelMessage> receive() const;
  /// Whether receive() would not have to wait.
  [[nodiscard]] bool is_readable() const noexcept;
  [[nodiscard]] bool is_other_end_closed() const noexcept;

 private:
  explicit Channel(int fd) : fd_(fd) {}
  UniqueFd fd_;
};

}  // namespace culvert
