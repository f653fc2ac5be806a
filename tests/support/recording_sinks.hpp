// Sinks that keep what the engine hands over.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#include "culvert/base/sinks.hpp"

namespace culvert {

using Bytes = std::vector<std::byte>;

struct SentDatagram {
  Path path;
  std::uint8_t traffic_class = 0;
  Bytes bytes;
  bool is_probe = false;
};

/// Keeps each committed datagram in memory of exactly its size, so that AddressSanitizer sees a write beyond it.
/// Holding the contract against the engine as well: a commit without a reservation ends the process.
class RecordingDatagramSink final : public DatagramSink {
 public:
  ByteSpan reserve(const Path& path, std::uint8_t traffic_class, std::size_t size) noexcept override {
    if (is_full) return {};
    open_ = {path, traffic_class, Bytes(size, std::byte{0xa5})};
    is_open_ = true;
    return open_.bytes;
  }

  ByteSpan reserve_probe(const Path& path, std::uint8_t traffic_class, std::size_t size) noexcept override {
    const ByteSpan memory = reserve(path, traffic_class, size);
    open_.is_probe = true;
    return memory;
  }

  void commit() noexcept override {
    if (!std::exchange(is_open_, false)) std::abort();
    sent.push_back(std::exchange(open_, {}));
  }

  /// What was sent since the last call.
  std::vector<SentDatagram> take() { return std::exchange(sent, {}); }

  [[nodiscard]] std::size_t sent_bytes() const noexcept {
    std::size_t sum = 0;
    for (const SentDatagram& datagram : sent) sum += datagram.bytes.size();
    return sum;
  }

  std::vector<SentDatagram> sent;
  bool is_full = false;  ///< refuses every reservation

 private:
  SentDatagram open_;
  bool is_open_ = false;
};

/// Copies each frame.
class RecordingFrameSink final : public FrameSink {
 public:
  void put(ByteSpan frame) noexcept override { frames.emplace_back(frame.begin(), frame.end()); }

  /// What arrived since the last call.
  std::vector<Bytes> take() { return std::exchange(frames, {}); }

  std::vector<Bytes> frames;
};

}  // namespace culvert
