// Running an io_context for as long as a test needs.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>

namespace culvert::test {

/// Runs `io` until `is_done` says so; fails the test if that takes too long.
inline void run_until(boost::asio::io_context& io, const std::function<bool()>& is_done,
                      std::chrono::milliseconds patience = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!is_done()) {
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "did not happen within " << patience.count() << " ms";
      return;
    }
    if (io.stopped()) io.restart();
    io.run_one_for(std::chrono::milliseconds(5));
  }
}

/// Runs `io` for a while; returns how many handlers ran.
inline std::size_t run_for(boost::asio::io_context& io, std::chrono::milliseconds span) {
  if (io.stopped()) io.restart();
  return io.run_for(span);
}

}  // namespace culvert::test
