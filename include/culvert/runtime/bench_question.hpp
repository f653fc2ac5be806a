// Asking a peer whether this end may measure the tunnel, and why not.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <string>

#include "culvert/runtime/device.hpp"

namespace culvert {

struct BenchReply {
  std::optional<BenchAnswer> granted;
  std::string error;  ///< otherwise: a printable line
};

/// One question at a time. On the thread that runs `io`.
class BenchQuestion {
 public:
  /// Both outlive it.
  BenchQuestion(boost::asio::io_context& io, Device& device) : device_(device), timer_(io) {}

  /// Waits for an answer, limits::bench_request_time at most. This object outlives it, or the io_context has stopped.
  [[nodiscard]] boost::asio::awaitable<BenchReply> ask(PublicKey peer);
  /// After EventKind::BenchAnswered.
  void answered() { timer_.cancel(); }

 private:
  [[nodiscard]] std::string explain(const BenchAnswer& answer, const PublicKey& peer);
  /// Why no answer will come; empty: it may.
  [[nodiscard]] std::string hopeless(PeerId peer);

  Device& device_;
  boost::asio::steady_timer timer_;
  bool is_asking_ = false;
};

}  // namespace culvert
