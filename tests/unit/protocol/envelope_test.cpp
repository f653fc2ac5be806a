// Envelopes: kind, padding and body.
#include "culvert/protocol/envelope.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

namespace culvert {
namespace {

/// `size` bytes of plaintext with this header and a body that counts.
std::vector<std::byte> plaintext_of(unsigned kind, unsigned padding, std::size_t size) {
  std::vector<std::byte> plaintext(size);
  for (std::size_t i = 0; i < size; ++i) plaintext[i] = static_cast<std::byte>(i);
  plaintext[0] = static_cast<std::byte>(kind);
  if (size > 1) plaintext[1] = static_cast<std::byte>(padding);
  return plaintext;
}

TEST(IsEnvelope, tells_by_the_first_nibble) {
  for (unsigned first = 0; first < 256; ++first) {
    const std::array plaintext{static_cast<std::byte>(first)};
    EXPECT_EQ(is_envelope(plaintext), first < 16) << first;
  }
  EXPECT_FALSE(is_envelope({})) << "a keepalive";
}

TEST(ParseEnvelope, cuts_off_as_much_as_is_said_to_be_padding) {
  for (unsigned kind = 1; kind <= 7; ++kind) {
    for (unsigned padding = 0; padding <= envelope_padding_max; ++padding) {
      auto plaintext = plaintext_of(kind, padding, 32);
      const auto envelope = parse_envelope(plaintext);
      ASSERT_TRUE(envelope.has_value()) << kind << ' ' << padding;
      EXPECT_EQ(envelope->kind, static_cast<EnvelopeKind>(kind));
      EXPECT_EQ(envelope->body.data(), plaintext.data() + envelope_header_size);
      EXPECT_EQ(envelope->body.size(), 30 - padding);
    }
  }
}

TEST(ParseEnvelope, refuses_other_kinds) {
  for (unsigned kind = 0; kind < 16; ++kind) {
    if (kind >= 1 && kind <= 7) continue;
    auto plaintext = plaintext_of(kind, 0, 32);
    const auto envelope = parse_envelope(plaintext);
    ASSERT_FALSE(envelope.has_value()) << kind;
    EXPECT_EQ(envelope.error(), DropReason::UnknownEnvelope) << kind;
  }
}

TEST(ParseEnvelope, refuses_padding_beyond_its_maximum_or_beyond_the_body) {
  for (const auto& [padding, size] : {std::pair{16u, std::size_t{64}},
                                      {255u, std::size_t{300}},
                                      {1u, std::size_t{2}},
                                      {15u, std::size_t{16}},
                                      {3u, std::size_t{4}}}) {
    auto plaintext = plaintext_of(2, padding, size);
    const auto envelope = parse_envelope(plaintext);
    ASSERT_FALSE(envelope.has_value()) << padding << " of " << size;
    EXPECT_EQ(envelope.error(), DropReason::BadEnvelope);
  }
  auto all_padding = plaintext_of(2, 15, 17);
  const auto envelope = parse_envelope(all_padding);
  ASSERT_TRUE(envelope.has_value());
  EXPECT_TRUE(envelope->body.empty());
}

TEST(ParseEnvelope, refuses_a_single_byte) {
  auto plaintext = plaintext_of(2, 0, 1);
  const auto envelope = parse_envelope(plaintext);
  ASSERT_FALSE(envelope.has_value());
  EXPECT_EQ(envelope.error(), DropReason::BadEnvelope);
}

TEST(WriteEnvelopeHeader, is_what_parse_reads_and_touches_nothing_else) {
  std::vector<std::byte> plaintext(32, std::byte{0xee});
  write_envelope_header(plaintext.data() + 4, EnvelopeKind::Fragment, 7);
  EXPECT_EQ(std::ranges::count(plaintext, std::byte{0xee}), 30);
  const auto envelope = parse_envelope(ByteSpan(plaintext).subspan(4));
  ASSERT_TRUE(envelope.has_value());
  EXPECT_EQ(envelope->kind, EnvelopeKind::Fragment);
  EXPECT_EQ(envelope->body.size(), 28U - 2 - 7);
}

}  // namespace
}  // namespace culvert
