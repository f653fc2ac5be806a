// The bytes of a request for a benchmark and of its answer.
#include "culvert/protocol/bench_consent.hpp"

#include <algorithm>

#include "culvert/protocol/limits.hpp"

namespace culvert {

static_assert(bench_request_size % limits::padding_multiple == 0);
static_assert(bench_answer_size % limits::padding_multiple == 0 && bench_answer_padding <= envelope_padding_max);

Verdict<BenchNumber> parse_bench_request(ByteView body) noexcept {
  if (body.size() < sizeof(WireBenchRequest)) return DropReason::BadBench;
  const auto wire = load<WireBenchRequest>(body.data());
  if (wire.version == std::byte{0}) return DropReason::BadBench;
  return wire.number;
}

std::array<std::byte, bench_request_size> build_bench_request(const BenchNumber& number) noexcept {
  WireBenchRequest wire{};
  wire.version = std::byte{bench_version};
  wire.number = number;
  std::array<std::byte, bench_request_size> plaintext{};
  write_envelope_header(plaintext.data(), EnvelopeKind::BenchRequest, 0);
  copy_bytes(bytes_of(wire), ByteSpan(plaintext).subspan(envelope_header_size));
  return plaintext;
}

Verdict<BenchAnswer> parse_bench_answer(ByteView body) noexcept {
  if (body.size() < sizeof(WireBenchAnswer)) return DropReason::BadBench;
  auto wire = load<WireBenchAnswer>(body.data());
  BenchAnswer answer;
  copy_bytes(wire.token, answer.token.writable_bytes());
  wipe(wire.token);
  answer.number = wire.number;
  answer.verdict = static_cast<BenchVerdict>(wire.verdict);
  answer.port = wire.port;
  answer.mtu = wire.mtu;
  answer.seconds = wire.seconds;
  answer.rate = wire.rate;
  answer.v4 = Address::from_bytes(Family::V4, wire.v4);
  answer.v6 = Address::from_bytes(Family::V6, wire.v6);
  const bool is_nowhere = answer.port == 0 || (answer.v4.is_unspecified() && answer.v6.is_unspecified());
  if (wire.version == std::byte{0} || answer.verdict > BenchVerdict::Failed ||
      (answer.verdict == BenchVerdict::Granted && is_nowhere)) {
    return DropReason::BadBench;
  }
  return answer;
}

void write_bench_answer(std::span<std::byte, bench_answer_size> plaintext, const BenchAnswer& answer) noexcept {
  WireBenchAnswer wire{};
  wire.version = std::byte{bench_version};
  wire.verdict = static_cast<std::byte>(answer.verdict);
  wire.port = answer.port;
  wire.mtu = answer.mtu;
  wire.seconds = answer.seconds;
  wire.rate = answer.rate;
  wire.number = answer.number;
  copy_bytes(answer.token.bytes(), wire.token);
  copy_bytes(answer.v4.bytes(), wire.v4);
  copy_bytes(answer.v6.bytes(), wire.v6);
  std::ranges::fill(plaintext, std::byte{0});
  write_envelope_header(plaintext.data(), EnvelopeKind::BenchAnswer, bench_answer_padding);
  copy_bytes(bytes_of(wire), plaintext.subspan(envelope_header_size));
  wipe(wire.token);
}

}  // namespace culvert
