// One thing that the far end of a benchmark does, on a thread of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <thread>
#include <vector>

#include "culvert/bench/load_sockets.hpp"
#include "culvert/bench/role_message.hpp"
#include "culvert/bench/udp_load.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// Whom the far end works for, and where.
struct FarPlace {
  LoadAddress here;
  Address near_end;
  std::uint64_t rate_limit = 0;  ///< bits a second in each direction; 0: any
  UniqueFd sink;                 ///< of UDP, for one trial after the other: others cannot be made as large
};

/// Bytes: of payload of TCP, of packets of UDP.
struct Moved {
  double in = 0;
  double out = 0;
};

class RunningRole {
 public:
  /// `start` is within the bounds of parse_role_message(). Makes the sockets, then begins; `on_end` is called on the
  /// role's thread when it has ended. Throws std::system_error.
  /// `place` outlives it.
  RunningRole(const RoleMessage& start, const FarPlace& place, std::function<void()> on_end);
  ~RunningRole();
  RunningRole(const RunningRole&) = delete;
  RunningRole& operator=(const RunningRole&) = delete;

  [[nodiscard]] FarRole role() const noexcept { return start_.role; }
  [[nodiscard]] std::uint32_t trial() const noexcept { return start_.trial; }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  /// What a Stop says; a role that has ended takes it, too.
  void stop(std::uint64_t sent) noexcept;
  /// Beyond the time it was started for, with some patience.
  [[nodiscard]] bool is_overdue() const noexcept { return std::chrono::steady_clock::now() > deadline_; }
  [[nodiscard]] bool has_ended() const noexcept { return has_ended_.load(std::memory_order_acquire); }
  /// Since the last call; of UDP all that came to the role's port and all that left it. To be called once more after it
  /// has ended.
  [[nodiscard]] Moved take_moved();
  /// After it has ended: Done or Failed.
  [[nodiscard]] const RoleMessage& outcome() const noexcept { return outcome_; }

 private:
  void prepare();
  void take_over_sink();
  void act();
  void send_tcp_streams();
  void receive_tcp_streams();
  void send_udp_packets();
  void receive_udp_packets();
  void accept_streams();
  [[nodiscard]] Moved moved_so_far() const;

  RoleMessage start_;
  const FarPlace& place_;
  std::function<void()> on_end_;
  std::chrono::steady_clock::time_point deadline_;
  std::uint16_t port_ = 0;
  UniqueFd listener_;                    ///< or sink
  std::vector<UniqueFd> flows_;          ///< or streams
  std::atomic<bool> has_flows_ = false;  ///< from then on they stay as they are
  Traffic traffic_;                      ///< of UDP
  std::uint32_t drops_before_ = 0;
  SenderNews news_;
  RoleMessage outcome_;
  Moved taken_;
  std::atomic<bool> has_ended_ = false;
  std::stop_source stop_;
  std::jthread thread_;
};

}  // namespace culvert
