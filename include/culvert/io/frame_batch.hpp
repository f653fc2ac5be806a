// Frames on their way into a TUN device.
#pragma once

#include <cstdint>

#include "culvert/base/sinks.hpp"
#include "culvert/io/tun_device.hpp"

namespace culvert {

/// A FrameSink that writes each frame at once. A frame that the kernel does not take is lost and counted; nothing else
/// is. Not thread-safe.
class FrameBatch final : public FrameSink {
 public:
  /// `device` may be null (frames are then lost), and outlives the batch or is replaced.
  void set_device(TunDevice* device) noexcept { device_ = device; }
  void put(ByteSpan frame) noexcept override {
    if (!device_ || !device_->try_write(frame)) ++refused_;
  }
  /// Frames lost so far.
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }

 private:
  TunDevice* device_ = nullptr;
  std::uint64_t refused_ = 0;
};

}  // namespace culvert
