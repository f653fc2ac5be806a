// Looking for leaks for a while: probes and looks inside, ears outside.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "culvert/base/address.hpp"
#include "culvert/exec/wiretap.hpp"
#include "culvert/netns/network_namespace.hpp"

namespace culvert {

/// What the process inside is asked to do in one round, and what it answers; both as text for a Channel.
struct ProbeOrder {
  std::string device;
  std::string resolv_conf;
  NamespaceIdentity outside;
  std::string marker;
  std::vector<Address> addresses;
};
[[nodiscard]] std::string to_text(const ProbeOrder& order);
/// Carries the order out and returns the answer. Throws std::exception.
[[nodiscard]] std::string carry_out(const std::string& order);

/// The part of the process outside. Lives on the thread that runs `io`, and ends before it.
class Verification {
 public:
  struct Settings {
    std::chrono::milliseconds length{0};
    std::function<void(const std::string&)> say;
    std::function<void(const std::string& order)> tell_inside;
    std::function<void(bool is_tight)> done;
  };
  /// `order` without its marker; listens in each of `outside`.
  Verification(boost::asio::io_context& io, Settings settings, ProbeOrder order, std::vector<NetworkNamespace> outside);
  ~Verification();
  Verification(const Verification&) = delete;
  Verification& operator=(const Verification&) = delete;

  /// Tells done() when it is over.
  void begin();
  /// What the process inside answered.
  void on_answer(const std::string& answer);

 private:
  struct Ear;

  void listen(const NetworkNamespace& where);
  void await_frames(Ear& ear);
  void ask();
  void wait_before(std::chrono::milliseconds pause, void (Verification::*next)());
  void judge();

  Settings settings_;
  ProbeOrder order_;
  std::string control_;
  std::vector<NetworkNamespace> outside_;
  boost::asio::io_context& io_;
  boost::asio::steady_timer timer_;
  std::chrono::steady_clock::time_point end_;
  std::vector<std::unique_ptr<Ear>> ears_;
  std::string why_deaf_;
  std::set<std::string> complaints_;
  unsigned rounds_ = 0;
  std::size_t sent_ = 0;
};

}  // namespace culvert
