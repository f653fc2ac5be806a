// Any plaintext through parse_envelope and parse_hello: bodies lie inside, and what was read can be said again.
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "culvert/protocol/bench_consent.hpp"
#include "culvert/protocol/envelope.hpp"
#include "culvert/protocol/hello.hpp"
#include "require.hpp"

namespace culvert {
namespace {

void check_hello(ByteView body) {
  const auto hello = parse_hello(body);
  if (hello.has_error()) {
    require(hello.error() == DropReason::BadEnvelope, "there is one reason");
    return;
  }
  require(body.size() >= sizeof(WireHello), "no field is made up");
  require(hello->largest_datagram >= largest_datagram_min, "every link carries it");
  require(!hello->suites.empty(), "there is a suite");
  auto said_again = build_hello(*hello);
  const auto envelope = parse_envelope(said_again);
  require(envelope.has_value() && envelope->kind == EnvelopeKind::Hello, "it is a hello");
  require(parse_hello(envelope->body).value() == *hello, "it is the same one");
}

void check_bench_request(ByteView body) {
  const auto number = parse_bench_request(body);
  require(number.has_value() || number.error() == DropReason::BadBench, "there is one reason");
  if (!number) return;
  auto said_again = build_bench_request(*number);
  const auto envelope = parse_envelope(said_again);
  require(envelope.has_value() && envelope->kind == EnvelopeKind::BenchRequest, "it is a request");
  require(parse_bench_request(envelope->body).value() == *number, "it is the same one");
}

void check_bench_answer(ByteView body) {
  const auto answer = parse_bench_answer(body);
  require(answer.has_value() || answer.error() == DropReason::BadBench, "there is one reason");
  if (!answer) return;
  std::array<std::byte, bench_answer_size> plaintext;
  write_bench_answer(plaintext, *answer);
  const auto envelope = parse_envelope(plaintext);
  require(envelope.has_value() && envelope->kind == EnvelopeKind::BenchAnswer, "it is an answer");
  require(envelope->body.size() == sizeof(WireBenchAnswer), "what is padding is said");
  // The version may have been a later one.
  require(std::ranges::equal(envelope->body.subspan(1), body.first(envelope->body.size()).subspan(1)),
          "every field is said again");
}

void run(ByteSpan plaintext) {
  if (!is_envelope(plaintext)) return;
  const auto envelope = parse_envelope(plaintext);
  if (envelope.has_error()) {
    const DropReason reason = envelope.error();
    require(reason == DropReason::UnknownEnvelope || reason == DropReason::BadEnvelope, "the reason is one of two");
    return;
  }
  require(envelope->body.data() == plaintext.data() + envelope_header_size, "the body stays where it is");
  const std::size_t rest = plaintext.size() - envelope_header_size - envelope->body.size();
  require(envelope->body.size() + envelope_header_size <= plaintext.size() && rest <= envelope_padding_max,
          "what is cut off is padding");
  if (envelope->kind == EnvelopeKind::Hello) check_hello(envelope->body);
  if (envelope->kind == EnvelopeKind::BenchRequest) check_bench_request(envelope->body);
  if (envelope->kind == EnvelopeKind::BenchAnswer) check_bench_answer(envelope->body);
}

}  // namespace
}  // namespace culvert

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A block of exactly this size, so that AddressSanitizer sees each byte read beyond.
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> plaintext(bytes, bytes + size);
  culvert::run(plaintext);
  return 0;
}
