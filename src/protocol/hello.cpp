// Reading and writing hellos.
#include "culvert/protocol/hello.hpp"

#include <cstring>

#include "culvert/protocol/envelope.hpp"
#include "culvert/protocol/limits.hpp"

namespace culvert {
namespace {

constexpr std::byte answers_flag{1};

constexpr std::size_t padding = hello_size - envelope_header_size - sizeof(WireHello);
static_assert(hello_size % limits::padding_multiple == 0 && padding <= envelope_padding_max);

}  // namespace

Verdict<HelloMessage> parse_hello(ByteView body) noexcept {
  WireHello wire;
  if (body.size() < sizeof wire) return DropReason::BadEnvelope;
  std::memcpy(&wire, body.data(), sizeof wire);
  HelloMessage hello;
  hello.answers = (wire.flags & answers_flag) != std::byte{0};
  hello.mode = static_cast<DeviceMode>(wire.mode);
  hello.suites = SuiteSet(std::uint16_t{wire.suites});
  hello.features = Features(std::uint32_t{wire.features});
  hello.largest_datagram = wire.largest_datagram;
  const bool is_known_mode = hello.mode == DeviceMode::Routed || hello.mode == DeviceMode::Switched;
  if (wire.version == std::byte{0} || !is_known_mode || hello.suites.empty() ||
      hello.largest_datagram < largest_datagram_min) {
    return DropReason::BadEnvelope;
  }
  return hello;
}

std::array<std::byte, hello_size> build_hello(const HelloMessage& hello) noexcept {
  std::array<std::byte, hello_size> plaintext{};
  write_envelope_header(plaintext.data(), EnvelopeKind::Hello, padding);
  WireHello wire{};
  wire.version = std::byte{hello_version};
  wire.flags = hello.answers ? answers_flag : std::byte{0};
  wire.mode = static_cast<std::byte>(hello.mode);
  wire.suites = hello.suites.bits();
  wire.largest_datagram = hello.largest_datagram;
  wire.features = hello.features.bits();
  copy_bytes(bytes_of(wire), ByteSpan(plaintext).subspan(envelope_header_size));
  return plaintext;
}

}  // namespace culvert
