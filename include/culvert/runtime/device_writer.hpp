// Frames on their way into a TUN device.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "culvert/base/sinks.hpp"
#include "culvert/forwarding/coalescer.hpp"
#include "culvert/io/tun_device.hpp"

namespace culvert {

/// A FrameSink that merges the frames of one burst where the device takes super-frames, and writes each frame at once
/// where it does not. A super-frame that the kernel does not take is written frame by frame; when it takes those, no
/// more are merged for this device. A frame that it does not take is lost and counted; nothing else is. Not
/// thread-safe.
class DeviceWriter final : public FrameSink, private GatheredFrameSink {
 public:
  DeviceWriter() = default;
  DeviceWriter(const DeviceWriter&) = delete;
  DeviceWriter& operator=(const DeviceWriter&) = delete;

  /// Requires that nothing waits for flush(). `device` may be null (frames are then lost), and outlives the writer or
  /// is replaced.
  void set_device(TunDevice* device);

  /// `frame` stays as it is until flush(), which may change headers in it.
  void put(ByteSpan frame) noexcept override;
  void flush() noexcept;

  /// Frames lost so far.
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }
  /// Writes so far, of frames and super-frames.
  [[nodiscard]] std::uint64_t writes() const noexcept { return writes_; }
  /// Why frames are not merged any more although the device had agreed to it; empty: they are.
  [[nodiscard]] std::string_view refusal() const noexcept;

 private:
  void put(const GatheredFrame& frame) noexcept override;
  /// Whether the kernel took any of the frames; those it did not take besides are counted.
  [[nodiscard]] bool write_split(const GatheredFrame& frame) noexcept;

  TunDevice* device_ = nullptr;
  std::optional<Coalescer> coalescer_;
  std::unique_ptr<std::byte[]> scratch_;  ///< for a super-frame that is to be cut again
  bool was_refused_ = false;
  std::uint64_t refused_ = 0;
  std::uint64_t writes_ = 0;
};

}  // namespace culvert
