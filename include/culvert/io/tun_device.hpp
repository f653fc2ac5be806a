// A TUN device (layer 3) as the kernel gives it to a process: /dev/net/tun.
#pragma once

#include <cstdint>
#include <string>

#include "culvert/base/bytes.hpp"
#include "culvert/base/result.hpp"
#include "culvert/base/sinks.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// Owns the descriptor; the device is not persistent, so it goes when this goes (or the process is killed), with its
/// addresses and routes. Non-blocking, close-on-exec.
class TunDevice {
 public:
  /// Creates device `name` (1 to 15 bytes) in the calling thread's network namespace, which must not have it yet.
  /// Throws std::system_error saying what was being done, on what, and what to try: no /dev/net/tun, no permission,
  /// name taken.
  static TunDevice create(const std::string& name);
  /// Takes over a descriptor that somebody attached to a TUN device already, with IFF_NO_PI (which cannot be checked)
  /// and without IFF_VNET_HDR. Throws std::system_error if it is none.
  static TunDevice adopt(UniqueFd fd);

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// The device's present name (TUNGETIFF), which users may change; the last known one when the device is gone.
  [[nodiscard]] std::string name() const;
  /// The network namespace the device is in at present, also after it was moved (TUNGETDEVNETNS; Linux 5.2). An error
  /// (EBADFD) once it is gone.
  [[nodiscard]] Result<UniqueFd> network_namespace() const noexcept;

  /// Reads one frame. Result: bytes read; an error of category system: would-block when there is none now, EBADFD when
  /// the device was deleted. EINTR is retried. A frame that fills
  /// `buffer` to the last byte may have been truncated by the kernel: give it at least MTU + 1 bytes.
  [[nodiscard]] Result<std::size_t> try_read(ByteSpan buffer) noexcept;
  /// Writes one frame. Errors as above; EIO while the device is down, EINVAL for what the kernel does not take as a
  /// packet.
  [[nodiscard]] Result<void> try_write(ByteView frame) noexcept;

 private:
  TunDevice(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}
  UniqueFd fd_;
  mutable std::string name_;  ///< last known
};

}  // namespace culvert
