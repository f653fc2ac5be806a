// A TUN or TAP device as the kernel gives it to a process: /dev/net/tun.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/base/bytes.hpp"
#include "culvert/base/mac_address.hpp"
#include "culvert/base/result.hpp"
#include "culvert/base/sinks.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// What frames are.
enum class DeviceLayer : std::uint8_t {
  Ip,        ///< a TUN device: IP packets
  Ethernet,  ///< a TAP device: Ethernet frames, tags in place, without a checksum behind them
};

/// What a device passes to this process in one piece, and takes from it.
struct DeviceOffloads {
  bool virtio_net_header = false;  ///< each frame has one in front; without it nothing of the rest
  bool tcp = false;                ///< TSO: TCP super-frames of either family
  bool udp = false;                ///< USO: UDP super-frames of either family (Linux 6.2)
  std::string_view missing;        ///< why there is not more; empty when there is
};

/// Owns the descriptor; the device is not persistent, so it goes when this goes (or the process is killed), with its
/// addresses and routes. Non-blocking, close-on-exec.
class TunDevice {
 public:
  /// Creates device `name` (1 to 15 bytes) in the calling thread's network namespace, which must not have it yet.
  /// Throws std::system_error saying what was being done, on what, and what to try: no /dev/net/tun, no permission,
  /// name taken.
  /// `with_offloads`: with all of DeviceOffloads that the kernel has; frames are then to be read with their header.
  /// With `queues` above 1 (128 at most) there is a TunDevice for each in queue(): the kernel spreads flows over them,
  /// and a flow stays where it is, whichever of them its answers are written to.
  static TunDevice create(const std::string& name, bool with_offloads = false, std::size_t queues = 1,
                          DeviceLayer layer = DeviceLayer::Ip);
  /// Takes over a descriptor that somebody attached to a TUN device already, with IFF_NO_PI (which cannot be checked)
  /// and without IFF_VNET_HDR. Throws std::system_error if it is none.
  static TunDevice adopt(UniqueFd fd);
  /// What another process needs to have the same device, also from another network namespace; descriptors of this one.
  [[nodiscard]] std::vector<int> descriptors() const;
  /// The device of create() in another process, whose descriptors() these are. Throws std::system_error if they are not.
  static TunDevice assemble(std::vector<UniqueFd> descriptors);

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] DeviceLayer layer() const noexcept { return layer_; }
  [[nodiscard]] std::size_t queue_count() const noexcept { return 1 + others_.size(); }
  /// Number 0 is this object itself; the others live as long as it.
  [[nodiscard]] TunDevice& queue(std::size_t number) noexcept { return number == 0 ? *this : others_[number - 1]; }
  /// The device's present name (TUNGETIFF), which users may change; the last known one when the device is gone.
  [[nodiscard]] std::string name() const;
  /// A TAP device's present address, which users may change (SIOCGIFHWADDR). An error once it is gone.
  [[nodiscard]] Result<MacAddress> mac_address() const noexcept;
  /// The network namespace the device is in at present, also after it was moved (TUNGETDEVNETNS; Linux 5.2). An error
  /// (EBADFD) once it is gone.
  [[nodiscard]] Result<UniqueFd> network_namespace() const noexcept;

  /// Reads one frame. Result: bytes read; an error of category system: would-block when there is none now, EBADFD when
  /// the device was deleted. EINTR is retried. A frame that fills
  /// `buffer` to the last byte may have been truncated by the kernel: give it at least MTU + 1 bytes.
  [[nodiscard]] Result<std::size_t> try_read(ByteSpan buffer) noexcept;
  /// The same with the frame's header, which is zero on a device without; the frame may be a super-frame of up to 65535
  /// bytes behind layer 2.
  [[nodiscard]] Result<std::size_t> try_read(VirtioNetHeader& header, ByteSpan buffer) noexcept;
  /// Writes one frame. Errors as above; EIO while the device is down, EINVAL for what the kernel does not take as a
  /// packet.
  [[nodiscard]] Result<void> try_write(ByteView frame) noexcept;
  /// Writes one frame or super-frame of at most 1023 pieces; the header is left out on a device without.
  [[nodiscard]] Result<void> try_write(const GatheredFrame& frame) noexcept;

  [[nodiscard]] const DeviceOffloads& offloads() const noexcept { return offloads_; }

 private:
  static TunDevice attach(const std::string& name, int flags);
  static TunDevice attach_queue(const std::string& name, int flags, int flags_of_first);
  TunDevice(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}
  [[nodiscard]] int writing_fd() const noexcept { return writing_.is_open() ? writing_.get() : fd_.get(); }
  UniqueFd fd_;
  UniqueFd writing_;          ///< of a device with several queues; fd_ only reads then
  mutable std::string name_;  ///< last known
  DeviceLayer layer_ = DeviceLayer::Ip;
  DeviceOffloads offloads_;
  std::vector<TunDevice> others_;  ///< queues beside this one
};

}  // namespace culvert
