// Outgoing datagrams collected in one piece of memory and sent with few system calls.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "culvert/base/sinks.hpp"
#include "culvert/io/udp_socket.hpp"

namespace culvert {

/// What became of the datagrams of one batch.
struct SendCounters {
  std::uint64_t sent = 0;              ///< datagrams
  std::uint64_t messages = 0;          ///< what they were to the kernel: one or many of them in each
  std::uint64_t refused = 0;           ///< by the kernel: unreachable, too large, no memory, no such family
  std::uint64_t source_forgotten = 0;  ///< sent after all, but not from the address asked for, which is gone
  std::uint64_t calls = 0;             ///< of the kernel
};

/// A DatagramSink over a UdpSocketPair. When full, a reserve flushes first. Sends with sendmmsg, sticky source address
/// and traffic class in control messages. Datagrams of one size along one path, one after the other, and a shorter one
/// at their end, are one message to the kernel (UDP_SEGMENT) where it takes that: what it refuses as one is sent one by
/// one, and for a while or, where the interface cannot compute checksums (EIO), for good, no more are put together. A
/// datagram the kernel refuses (ENETUNREACH, EMSGSIZE, EPERM, …) costs that datagram only; when its sticky source may
/// be what is wrong (EINVAL, EADDRNOTAVAIL, ENETDOWN, E{NET,HOST}UNREACH, ENODEV), it is sent once more without.
/// ENOBUFS and EAGAIN: the rest of its family's datagrams is dropped, as the kernel would. Never blocks. Not
/// thread-safe.
///
/// The local address of a path becomes the source; its interface only when that address is link-local. Otherwise
/// routing chooses the interface, as in kernel WireGuard, so that a changed route takes effect at once.
class DatagramBatch final : public DatagramSink {
 public:
  /// `sockets` outlives the batch.
  explicit DatagramBatch(UdpSocketPair& sockets, std::size_t datagrams = 64, std::size_t bytes = std::size_t{1} << 18);
  ~DatagramBatch();

  /// Empty for a size of 0 or above 65507, the most a UDP datagram over IPv4 can carry.
  ByteSpan reserve(const Path& path, std::uint8_t traffic_class, std::size_t size) noexcept override;
  /// Leaves with Don't Fragment, alone; path MTUs that the kernel learned do not count. Larger than the interface's MTU
  /// it vanishes uncounted, as on any other link that is too small for it.
  ByteSpan reserve_probe(const Path& path, std::uint8_t traffic_class, std::size_t size) noexcept override;
  void commit() noexcept override;
  /// Sends all that was committed; gives up an open reservation.
  void flush() noexcept;

  /// Bytes committed and not yet sent.
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] const SendCounters& counters() const noexcept;
  /// Why no datagrams are put together any more, although the sockets could; empty: they are.
  [[nodiscard]] std::string_view refusal() const noexcept;

 private:
  struct Storage;
  std::unique_ptr<Storage> storage_;
};

}  // namespace culvert
