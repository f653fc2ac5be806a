// Being measured by a peer: who may, and the process that he measures against.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "culvert/io/tun_device.hpp"
#include "culvert/runtime/device.hpp"

namespace culvert {

/// At most one benchmark at a time, and a peer that was granted one but did not begin it may ask anew. It is run by a process of its own, in the device's network namespace, which lives
/// no longer than this object. On the thread that runs `io`.
class BenchHost {
 public:
  /// Both outlive it.
  BenchHost(boost::asio::io_context& io, Device& device) : io_(io), device_(device) {}
  ~BenchHost();
  BenchHost(const BenchHost&) = delete;
  BenchHost& operator=(const BenchHost&) = delete;

  /// Who may, and how many bits a second in each direction; 0: any. A benchmark of who may not any more, or at another
  /// rate, ends.
  void allow(std::unordered_map<PublicKey, std::uint64_t> rates);
  /// After EventKind::BenchAsked: answers. Null: there is no device at present.
  void asked(PeerId peer, const TunDevice* tun);

 private:
  struct Serving;
  [[nodiscard]] BenchAnswer decide(const PublicKey& peer, const BenchNumber& number, const TunDevice* tun);
  [[nodiscard]] BenchAnswer begin(const PublicKey& peer, std::uint64_t rate, const TunDevice& tun);
  void end() noexcept;

  boost::asio::io_context& io_;
  Device& device_;
  std::unordered_map<PublicKey, std::uint64_t> rates_;
  std::shared_ptr<Serving> serving_;
  LogLimit log_{3, std::chrono::seconds(60)};
};

}  // namespace culvert
