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
};

class RunningRole {
 public:
  /// `start` is within the bounds of parse_role_message(). Makes the sockets, then begins; `on_end` is called on the
  /// role's thread when it has ended. Throws std::system_error.
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
  /// Whether what it received since the last call is what the limit allows, with some tolerance and for whoever has to
  /// catch up. To be called several times a second, and once after it has ended.
  [[nodiscard]] bool keeps_to_limit();
  /// After it has ended: Done or Failed.
  [[nodiscard]] const RoleMessage& outcome() const noexcept { return outcome_; }

 private:
  void prepare();
  void act();
  void send_tcp_streams();
  void receive_tcp_streams();
  void send_udp_packets();
  void receive_udp_packets();
  void accept_streams();
  /// Bytes of payload of TCP, of packets of UDP, from any thread.
  [[nodiscard]] double received_so_far() const;

  RoleMessage start_;
  FarPlace place_;
  std::function<void()> on_end_;
  std::chrono::steady_clock::time_point deadline_;
  std::uint16_t port_ = 0;
  UniqueFd listener_;                    ///< or sink
  std::vector<UniqueFd> flows_;          ///< or streams
  std::atomic<bool> has_flows_ = false;  ///< from then on they stay as they are
  std::atomic<std::uint64_t> packets_ = 0;
  SenderNews news_;
  RoleMessage outcome_;
  std::chrono::steady_clock::time_point watched_at_;
  double watched_bytes_ = 0;
  double credit_;  ///< bytes that it may still receive at once
  std::atomic<bool> has_ended_ = false;
  std::stop_source stop_;
  std::jthread thread_;
};

}  // namespace culvert
