// The UDP sockets of a tunnel: one for IPv4 and one for IPv6 on the same port, never connected.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "culvert/base/bytes.hpp"
#include "culvert/base/endpoint.hpp"
#include "culvert/base/result.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// A datagram that arrived, or several of one sender that the kernel hands over as one (UDP_GRO), in memory of its
/// ReceiveBatch.
struct ReceivedDatagram {
  ByteSpan bytes;                  ///< of several that came one after the other, all of segment_size bytes but the last
  std::size_t segment_size = 0;    ///< bytes.size() for a single one
  Path path;                       ///< from where, and at which local address and interface
  std::uint8_t traffic_class = 0;  ///< of the IP header it came in
  bool is_truncated = false;       ///< was larger than the buffer; must be dropped
};

/// Memory for one recvmmsg call, reused call after call.
class ReceiveBatch {
 public:
  /// `slots` datagrams of up to `slot_size` bytes each.
  explicit ReceiveBatch(std::size_t slots = 16, std::size_t slot_size = 65536);
  ~ReceiveBatch();
  ReceiveBatch(const ReceiveBatch&) = delete;
  ReceiveBatch& operator=(const ReceiveBatch&) = delete;
  /// A call that receives less has left nothing behind.
  [[nodiscard]] std::size_t slots() const noexcept;

 private:
  friend class UdpSocket;
  struct Storage;
  std::unique_ptr<Storage> storage_;
};

/// One family's socket. Non-blocking, close-on-exec; reports local address, interface and traffic class of what
/// arrives.
class UdpSocket {
 public:
  /// Binds to `port` (0: any) on all addresses in the calling thread's network namespace. IPv6 sockets take IPv6 only.
  /// Throws std::system_error with context. Asks for large buffers and, `with_offloads`, for datagrams to be handed
  /// over several at a time, and takes what it gets. `is_shared`: others of the same user may bind to the port, too,
  /// and each peer's datagrams come to one of them (SO_REUSEPORT).
  static UdpSocket bind(Family family, std::uint16_t port, std::uint32_t firewall_mark, bool with_offloads = true,
                        bool is_shared = false);

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] Family family() const noexcept { return family_; }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  /// Whether the kernel merges what arrives (UDP_GRO), and may be given several datagrams at once (UDP_SEGMENT).
  [[nodiscard]] bool merges() const noexcept { return merges_; }
  [[nodiscard]] bool segments() const noexcept { return segments_; }
  /// SO_MARK; needs CAP_NET_ADMIN or CAP_NET_RAW.
  [[nodiscard]] Result<void> set_firewall_mark(std::uint32_t mark) noexcept;

  /// Receives what is there, at most one batch. Empty span: nothing there now. Errors that concern the socket only
  /// (pending ICMP errors, EINTR) are swallowed; ENOMEM, ENOBUFS are returned and mean: try again later.
  [[nodiscard]] Result<std::span<const ReceivedDatagram>> try_receive(ReceiveBatch& batch) noexcept;

 private:
  friend class DatagramBatch;
  /// Whether IP may cut datagrams that leave from now on: at first, and but for probes, it may.
  void set_fragmenting(bool may_fragment) const noexcept;
  UdpSocket(UniqueFd fd, Family family, std::uint16_t port) : fd_(std::move(fd)), family_(family), port_(port) {}
  UniqueFd fd_;
  Family family_;
  std::uint16_t port_;
  bool merges_ = false;
  bool segments_ = false;
};

/// Both families on one port. IPv6 (or IPv4) may be missing on a system that has it switched off; not both.
struct UdpSocketPair {
  std::unique_ptr<UdpSocket> v4;
  std::unique_ptr<UdpSocket> v6;

  /// Port 0: picks one that is free for both families (at most 100 tries). Throws std::system_error.
  static UdpSocketPair bind(std::uint16_t port, std::uint32_t firewall_mark, bool with_offloads = true);
  /// `count` pairs on one port that nobody else has, for as many workers.
  static std::vector<UdpSocketPair> bind_group(std::size_t count, std::uint16_t port, std::uint32_t firewall_mark,
                                               bool with_offloads = true);
  [[nodiscard]] std::uint16_t port() const noexcept { return v4 ? v4->port() : v6->port(); }
};

}  // namespace culvert
