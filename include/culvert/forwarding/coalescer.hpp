// Merges frames of one flow into super-frames before they are written to the device (GRO in user space).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "culvert/base/bytes.hpp"
#include "culvert/base/sinks.hpp"
#include "culvert/base/virtio_net_header.hpp"

namespace culvert {

/// Which frames a Coalescer may merge: what the device takes.
struct CoalescerSettings {
  bool tcp4 = true;
  bool tcp6 = true;
  bool udp = true;           ///< both families; needs Linux 6.2 (TUN_F_USO4, TUN_F_USO6)
  bool is_ethernet = false;  ///< an Ethernet header, tagged or not, stands in front of IP: on a TAP device
};

/// Keeps the frames of one batch of arrivals and passes them on at flush(). Frames that can be segments of one packet,
/// by rules no wider than those of the kernel's GRO except that IDs of IPv4 packets that must not be fragmented count
/// for nothing (RFC 6864), leave as one write; the others leave as they came, with a zero header. Writes leave in the
/// order in which their first frames came; frames of one flow never change their order, and one that comes out of
/// order is merged with none before it. A frame whose ports cannot be read (a fragment, an extension header) counts to
/// every flow between its addresses.
/// About 20 KB, allocates nothing. Called on the worker's thread only.
class Coalescer final : public FrameSink {
 public:
  /// Frames kept; the next one flushes by itself.
  static constexpr std::size_t max_frames = 256;
  /// Pieces of one write: well below the 1024 of IOV_MAX, and enough for 64 KB in segments of 536 bytes.
  static constexpr std::size_t max_pieces = 128;
  /// UDP_MAX_SEGMENTS (include/linux/udp.h), which older kernels have at 64.
  static constexpr std::size_t max_udp_segments = 64;

  /// `out` outlives this object.
  Coalescer(const CoalescerSettings& settings, GatheredFrameSink& out) noexcept;
  Coalescer(const Coalescer&) = delete;
  Coalescer& operator=(const Coalescer&) = delete;

  /// The memory of `frame` stays the caller's, and as it is until flush(), which changes headers in it. A frame that is
  /// no IP packet passes as it is.
  void put(ByteSpan frame) noexcept override;

  /// Hands everything to the sink; afterwards the memory of the frames is no longer looked at.
  void flush() noexcept;

 private:
  static constexpr std::size_t max_flows = 64;
  static constexpr std::uint16_t none = 0xffff;

  /// What put() reads of a frame.
  struct Facts {
    bool is_ip = false;
    bool is_v4 = false;
    bool has_ports = false;     ///< TCP or UDP with both ports at `transport`
    bool is_mergeable = false;  ///< fits all rules that concern a single frame; the rest is set only then
    bool is_tcp = false;
    bool is_pushed = false;
    std::uint16_t ip = 0;
    std::uint16_t transport = 0;
    std::uint16_t payload = 0;
    std::uint16_t payload_size = 0;
  };

  /// Frames that leave as one write.
  struct Group {
    ByteSpan head;
    Facts facts;               ///< of the head
    std::uint32_t length = 0;  ///< of the head and all payload behind it
    std::uint16_t segments = 1;
    bool is_verified = false;  ///< the head's checksums were found right
    bool is_pushed = false;    ///< the last frame has PSH
    std::uint16_t first_tail = none;
    std::uint16_t last_tail = none;
  };

  /// The payload of a frame that follows others.
  struct Tail {
    ByteView payload;
    std::uint16_t next = none;
  };

  [[nodiscard]] Facts facts_of(ByteView frame) const noexcept;
  void read_transport(ByteView frame, std::uint8_t protocol, Facts& facts) const noexcept;
  [[nodiscard]] static ByteView addresses_of(ByteView frame, const Facts& facts) noexcept;
  [[nodiscard]] static std::size_t flow_hash(ByteView frame, const Facts& facts) noexcept;
  [[nodiscard]] static bool is_next_of(const Group& group, ByteView frame, const Facts& facts) noexcept;
  [[nodiscard]] static bool has_equal_ip(const Group& group, ByteView frame) noexcept;
  [[nodiscard]] static bool has_equal_tcp(const Group& group, ByteView frame) noexcept;
  [[nodiscard]] static bool has_right_checksums(ByteView frame, const Facts& facts) noexcept;
  [[nodiscard]] bool try_append(Group& group, ByteView frame, const Facts& facts) noexcept;
  void close_flows_between(ByteView addresses) noexcept;
  [[nodiscard]] static VirtioNetHeader unite_headers(const Group& group) noexcept;

  const CoalescerSettings settings_;
  GatheredFrameSink& out_;
  std::size_t group_count_ = 0;
  std::size_t tail_count_ = 0;
  std::array<Group, max_frames> groups_;
  std::array<Tail, max_frames> tails_;
  /// By hash of the flow, the group that may grow. Of two flows with one hash only the one seen last has one.
  std::array<std::uint16_t, max_flows> open_;
  std::array<ByteView, max_pieces> pieces_;
};

}  // namespace culvert
