// The far end of a benchmark, as the near end sees it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "culvert/bench/role_message.hpp"
#include "culvert/crypto/keys.hpp"
#include "role_channel.hpp"

namespace culvert {

/// What is heard of trials that are over is passed over. All throw PathLost when the connection is broken, the far end
/// keeps silent for too long, or has ended the benchmark: then at once, and whatever is called afterwards, too; and
/// std::runtime_error for what one role could not do. On one thread.
class FarEnd {
 public:
  /// `patience`: for an answer, beyond the time that the far end is busy.
  explicit FarEnd(UniqueFd connection, std::chrono::milliseconds patience = std::chrono::seconds(10))
      : channel_(std::move(connection)), patience_(patience) {}

  void greet(const BenchToken& token);

  /// One thing that the far end does. Told to stop when this object goes and it is not finished.
  class Role {
   public:
    /// `start` has a trial that no earlier one of this role had. Waits for the end of those that were told to stop.
    Role(FarEnd& far, RoleMessage start);
    ~Role() { far_.abandon(key_); }
    Role(const Role&) = delete;
    Role& operator=(const Role&) = delete;

    /// Where it listens, if it does.
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    /// `sent`: to UdpReceive.
    void stop(std::uint64_t sent = 0) { far_.say_stop(key_, sent); }
    /// What came of it, within that time and some.
    [[nodiscard]] RoleMessage finish(std::chrono::milliseconds time);

   private:
    using Key = std::pair<FarRole, std::uint32_t>;
    Role(FarEnd& far, const Key& key) : far_(far), key_(key) {}

    FarEnd& far_;
    Key key_;
    std::uint16_t port_ = 0;
  };

 private:
  using Key = std::pair<FarRole, std::uint32_t>;
  struct State {
    bool is_abandoned = false;
    std::optional<RoleMessage> started, done;
  };

  void send(const RoleMessage& message);
  void say_stop(const Key& key, std::uint64_t sent);
  void abandon(const Key& key) noexcept;
  template <class IsEnough>
  void hear_until(const IsEnough& is_enough, std::chrono::milliseconds time);
  RoleMessage hear(std::chrono::milliseconds time);
  void take(RoleMessage&& message);
  [[noreturn]] void lose(std::string why);

  RoleChannel channel_;
  std::chrono::milliseconds patience_;
  std::map<Key, State> roles_;  ///< until they have ended
  std::string lost_;            ///< why, once it is
};

}  // namespace culvert
