// Hellos: what is said is what is read, what cannot be is refused, and what may come later is passed over.
#include "culvert/protocol/hello.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#include "culvert/protocol/envelope.hpp"

namespace culvert {
namespace {

HelloMessage full_hello() {
  HelloMessage hello;
  hello.answers = true;
  hello.mode = DeviceMode::Switched;
  hello.suites = {CipherSuite::ChaCha20Poly1305, CipherSuite::Aes256Gcm};
  hello.features = {Feature::Ethernet, Feature::Fragments, Feature::PathMtuProbes};
  hello.largest_datagram = 9000;
  return hello;
}

std::vector<std::byte> body_of(const HelloMessage& hello) {
  auto plaintext = build_hello(hello);
  const auto envelope = parse_envelope(plaintext);
  EXPECT_TRUE(envelope.has_value() && envelope->kind == EnvelopeKind::Hello);
  return {envelope->body.begin(), envelope->body.end()};
}

void expect_refused(ByteView body) {
  const auto hello = parse_hello(body);
  ASSERT_FALSE(hello.has_value());
  EXPECT_EQ(hello.error(), DropReason::BadEnvelope);
}

/// A field's byte in the body, as docs/protocol.md has it.
enum Offset : std::size_t { version = 0, flags = 1, mode = 2, reserved = 3, suites = 4, largest = 6, features = 8 };

TEST(Hello, is_read_as_it_was_built) {
  for (const bool answers : {false, true}) {
    for (const DeviceMode carried : {DeviceMode::Routed, DeviceMode::Switched}) {
      HelloMessage hello = full_hello();
      hello.answers = answers;
      hello.mode = carried;
      EXPECT_EQ(parse_hello(body_of(hello)).value(), hello);
    }
  }
  EXPECT_EQ(parse_hello(body_of({})).value(), HelloMessage());
}

TEST(Hello, lies_on_the_wire_as_specified) {
  const auto plaintext = build_hello(full_hello());
  const std::array<unsigned, hello_size> expected{0x01, 2, 1, 1, 1, 0, 3, 0, 0x28, 0x23, 7, 0, 0, 0, 0, 0};
  for (std::size_t i = 0; i < hello_size; ++i) EXPECT_EQ(std::to_integer<unsigned>(plaintext[i]), expected[i]) << i;
}

TEST(Hello, cut_short_anywhere_is_refused) {
  const auto body = body_of(full_hello());
  ASSERT_EQ(body.size(), sizeof(WireHello));
  for (std::size_t size = 0; size < body.size(); ++size) expect_refused(ByteView(body).first(size));
}

TEST(Hello, of_version_zero_is_refused_and_of_a_later_one_read) {
  auto body = body_of(full_hello());
  body[version] = std::byte{0};
  expect_refused(body);
  for (const unsigned later : {2u, 255u}) {
    body[version] = static_cast<std::byte>(later);
    EXPECT_EQ(parse_hello(body).value(), full_hello());
  }
}

TEST(Hello, of_an_unknown_mode_is_refused) {
  auto body = body_of(full_hello());
  for (const unsigned unknown : {2u, 0x80u, 255u}) {
    body[mode] = static_cast<std::byte>(unknown);
    expect_refused(body);
  }
}

TEST(Hello, without_a_suite_is_refused_and_unknown_suites_are_passed_over) {
  auto body = body_of(full_hello());
  body[suites] = std::byte{0};
  expect_refused(body);
  body[suites + 1] = std::byte{0x80};
  const auto hello = parse_hello(body);
  ASSERT_TRUE(hello.has_value());
  for (const CipherSuite suite : all_cipher_suites) EXPECT_FALSE(hello->suites.has(suite));
}

TEST(Hello, accepting_less_than_every_link_carries_is_refused) {
  HelloMessage hello = full_hello();
  hello.largest_datagram = largest_datagram_min;
  EXPECT_TRUE(parse_hello(body_of(hello)).has_value());
  hello.largest_datagram = largest_datagram_min - 1;
  expect_refused(body_of(hello));
  hello.largest_datagram = 0;
  expect_refused(body_of(hello));
}

TEST(Hello, passes_over_what_comes_later) {
  auto body = body_of(full_hello());
  body[flags] |= std::byte{0xfe};
  body[reserved] = std::byte{0xff};
  body[features + 3] = std::byte{0xff};
  body.resize(body.size() + 100, std::byte{0xaa});
  const auto hello = parse_hello(body);
  ASSERT_TRUE(hello.has_value());
  EXPECT_TRUE(hello->answers);
  EXPECT_TRUE(hello->features.has(Feature::Ethernet));
  EXPECT_EQ(hello->largest_datagram, 9000);
  body[flags] = std::byte{0xfe};
  EXPECT_FALSE(parse_hello(body)->answers);
}

TEST(Sets, have_what_they_were_given) {
  for (const CipherSuite suite : all_cipher_suites) {
    for (const CipherSuite other : all_cipher_suites) EXPECT_EQ(SuiteSet{suite}.has(other), suite == other);
  }
  EXPECT_FALSE(Features{Feature::Ethernet}.has(Feature::Fragments));
  EXPECT_TRUE(Features{Feature::PathMtuProbes}.has(Feature::PathMtuProbes));
  EXPECT_FALSE(Features().has(Feature::Ethernet));
}

}  // namespace
}  // namespace culvert
