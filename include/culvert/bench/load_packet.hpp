// What is written at the start of each UDP payload of a trial.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "culvert/base/address.hpp"
#include "culvert/base/bytes.hpp"
#include "culvert/base/endian.hpp"
#include "culvert/bench/trial.hpp"

namespace culvert {

/// As it lies on the wire; the rest of the payload is zero.
struct LoadPacket {
  static constexpr std::uint16_t magic_value = 0xc77e;

  Be16 magic{magic_value};
  std::uint8_t flow = 0;      ///< from 0
  std::uint8_t reserved = 0;  ///< zero, and not looked at
  Be32 trial;                 ///< drawn by lot: packets of an earlier trial may still be on their way
  Be32 sequence;              ///< from 0, of each flow
  Be32 sent_at;               ///< microseconds of the sender's CLOCK_MONOTONIC, modulo 2^32; zero without time stamps

  /// From the start of a payload; nothing if it is shorter than that, or not of a trial.
  static std::optional<LoadPacket> parse(ByteView payload) noexcept;
};
static_assert(sizeof(LoadPacket) == 16 && alignof(LoadPacket) == 1);

/// Bytes of UDP payload in an IP packet of `packet_size` bytes, which is at least udp_packet_min.
[[nodiscard]] std::size_t udp_payload_of(std::size_t packet_size, Family family) noexcept;

}  // namespace culvert
