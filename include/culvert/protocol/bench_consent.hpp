// May we measure? Yes, there: what one culvert asks another and is answered, in a session (docs/protocol.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "culvert/base/address.hpp"
#include "culvert/base/bytes.hpp"
#include "culvert/base/endian.hpp"
#include "culvert/base/result.hpp"
#include "culvert/crypto/keys.hpp"
#include "culvert/protocol/envelope.hpp"

namespace culvert {

/// Drawn by whoever asks; an answer repeats it.
using BenchNumber = std::array<std::byte, 16>;

enum class BenchVerdict : std::uint8_t {
  Granted = 0,
  NotAllowed = 1,  ///< AllowBench of this peer is "no"
  Busy = 2,        ///< another benchmark goes through the device
  NoAddress = 3,   ///< the device, or the bridge that it is a port of, has no address to be measured at
  Failed = 4,      ///< the other end could not begin; its log says why
};

struct BenchAnswer {
  BenchNumber number{};
  BenchVerdict verdict = BenchVerdict::Failed;
  // Of a grant only:
  std::uint16_t port = 0;     ///< TCP
  std::uint16_t mtu = 0;      ///< of the device
  std::uint16_t seconds = 0;  ///< after which it ends at the latest
  std::uint64_t rate = 0;     ///< bits a second that may go in each direction; 0: any
  BenchToken token;
  Address v4;  ///< of the device; unspecified: has none. One of the two is there.
  Address v6{Address::from_bytes(Family::V6, std::array<std::byte, 16>{})};
};

/// The bodies of the envelopes. Later versions keep these fields and append.
struct WireBenchRequest {
  std::byte version;
  std::array<std::byte, 13> reserved;
  BenchNumber number;
};
struct WireBenchAnswer {
  std::byte version;
  std::byte verdict;
  Le16 port;
  Le16 mtu;
  Le16 seconds;
  Le64 rate;
  BenchNumber number;
  std::array<std::byte, key_size> token;
  std::array<std::byte, 4> v4;
  std::array<std::byte, 16> v6;
};
static_assert(sizeof(WireBenchRequest) == 30 && alignof(WireBenchRequest) == 1);
static_assert(sizeof(WireBenchAnswer) == 84 && alignof(WireBenchAnswer) == 1);

inline constexpr std::uint8_t bench_version = 1;
/// Whole plaintexts, with padding.
inline constexpr std::size_t bench_request_size = envelope_header_size + sizeof(WireBenchRequest);
inline constexpr std::size_t bench_answer_padding = 10;
inline constexpr std::size_t bench_answer_size = envelope_header_size + sizeof(WireBenchAnswer) + bench_answer_padding;

/// Reads the body of a `bench-request`. BadBench when it is too short or of version 0.
[[nodiscard]] Verdict<BenchNumber> parse_bench_request(ByteView body) noexcept;
[[nodiscard]] std::array<std::byte, bench_request_size> build_bench_request(const BenchNumber& number) noexcept;

/// Reads the body of a `bench-answer`, which holds a secret: wiping it is the caller's business. BadBench when it is
/// too short, of version 0 or of an unknown verdict, or grants no port or no address.
[[nodiscard]] Verdict<BenchAnswer> parse_bench_answer(ByteView body) noexcept;
/// Fills `plaintext`, which holds a secret then.
void write_bench_answer(std::span<std::byte, bench_answer_size> plaintext, const BenchAnswer& answer) noexcept;

}  // namespace culvert
