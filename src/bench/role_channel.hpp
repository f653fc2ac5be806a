// The connection over which the two ends of a benchmark speak.
#pragma once

#include <chrono>
#include <optional>

#include "culvert/bench/role_message.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// A TCP connection, with messages of a fixed size. Throws std::system_error when it breaks, std::runtime_error when
/// the other end has closed it or says what makes no sense.
class RoleChannel {
 public:
  explicit RoleChannel(UniqueFd connection);

  [[nodiscard]] int fd() const noexcept { return connection_.get(); }
  void send(ByteView bytes);
  void send(const RoleMessage& message) { send(bytes_of(to_wire(message))); }
  /// Nothing when none is complete within that time.
  [[nodiscard]] std::optional<RoleMessage> receive(std::chrono::milliseconds patience);

 private:
  UniqueFd connection_;
  WireRoleMessage wire_{};
  std::size_t received_ = 0;
};

}  // namespace culvert
