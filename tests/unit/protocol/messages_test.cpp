// Messages are told apart by type and exact length.
#include "culvert/protocol/messages.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace culvert {
namespace {

std::vector<std::byte> datagram_of(std::uint32_t type, std::size_t size) {
  std::vector<std::byte> datagram(size);
  for (std::size_t i = 0; i < size; ++i) datagram[i] = static_cast<std::byte>(i);
  store<Le32>(datagram.data(), type);
  return datagram;
}

/// Why `datagram` is refused; nothing when it is not.
std::optional<DropReason> refusal(ByteSpan datagram) {
  const auto message = parse_message(datagram);
  return message ? std::nullopt : std::optional(message.error());
}

struct FixedSize {
  std::uint32_t type;
  std::size_t size;
};

class FixedSizeMessage : public testing::TestWithParam<FixedSize> {};

TEST_P(FixedSizeMessage, is_recognized_at_its_exact_length_only) {
  const auto [type, size] = GetParam();
  auto datagram = datagram_of(type, size);
  const auto message = parse_message(datagram);
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(message->index(), type - 1);

  for (const std::size_t wrong : {std::size_t{4}, size - 1, size + 1, std::size_t{1500}}) {
    auto other = datagram_of(type, wrong);
    EXPECT_EQ(refusal(other), DropReason::DatagramLength) << wrong;
  }
}

TEST_P(FixedSizeMessage, is_copied_whole) {
  const auto [type, size] = GetParam();
  auto datagram = datagram_of(type, size);
  const auto message = parse_message(datagram);
  ASSERT_TRUE(message.has_value());
  std::visit(
      [&](const auto& wire) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(wire)>, MessageData>) {
          const ByteView copy = bytes_of(wire);
          EXPECT_TRUE(std::equal(copy.begin(), copy.end(), datagram.begin(), datagram.end()));
        }
      },
      *message);
}

INSTANTIATE_TEST_SUITE_P(Types, FixedSizeMessage,
                         testing::Values(FixedSize{1, 148}, FixedSize{2, 92}, FixedSize{3, 64}));

TEST(ParseMessage, takes_data_from_32_bytes_on) {
  auto short_one = datagram_of(4, 31);
  EXPECT_EQ(refusal(short_one), DropReason::DatagramLength);
  for (const std::size_t size : {std::size_t{32}, std::size_t{33}, std::size_t{65507}}) {
    auto datagram = datagram_of(4, size);
    const auto message = parse_message(datagram);
    ASSERT_TRUE(message.has_value()) << size;
    EXPECT_TRUE(std::holds_alternative<MessageData>(*message));
  }
}

TEST(ParseMessage, reads_the_data_header_and_leaves_the_rest_in_place) {
  auto datagram = datagram_of(4, 48);
  const auto message = parse_message(datagram);
  ASSERT_TRUE(message.has_value());
  const auto& data = std::get<MessageData>(*message);
  EXPECT_EQ(data.receiver.value(), 0x07060504u);
  EXPECT_EQ(data.counter, 0x0f0e0d0c0b0a0908u);
  EXPECT_EQ(data.sealed.data(), datagram.data() + 16);
  EXPECT_EQ(data.sealed.size(), 32u);
}

TEST(ParseMessage, takes_data_of_other_suites_under_types_of_their_own) {
  for (const CipherSuite suite : all_cipher_suites) {
    const auto type = std::uint32_t(data_type_of(suite));
    auto datagram = datagram_of(type, 48);
    const auto message = parse_message(datagram);
    ASSERT_TRUE(message.has_value()) << type;
    const auto& data = std::get<MessageData>(*message);
    EXPECT_EQ(data.suite, suite);
    EXPECT_EQ(data.counter, 0x0f0e0d0c0b0a0908u);
    EXPECT_EQ(data.sealed.size(), 32u);
    auto short_one = datagram_of(type, 31);
    EXPECT_EQ(refusal(short_one), DropReason::DatagramLength);
    datagram[1] = std::byte{1};
    EXPECT_EQ(refusal(datagram), DropReason::MessageType) << "reserved bytes";
  }
  EXPECT_EQ(data_type_of(CipherSuite::ChaCha20Poly1305), MessageType::Data);
  EXPECT_EQ(std::uint32_t(data_type_of(CipherSuite::Aes256Gcm)), 0xc1u);
  EXPECT_EQ(std::uint32_t(data_type_of(CipherSuite::None)), 0xc2u);
}

TEST(ParseMessage, reads_indices_in_little_endian_order) {
  auto response = datagram_of(2, 92);
  const auto parsed_response = parse_message(response);
  ASSERT_TRUE(parsed_response.has_value());
  EXPECT_EQ(std::get<MessageResponse>(*parsed_response).sender, 0x07060504u);
  EXPECT_EQ(std::get<MessageResponse>(*parsed_response).receiver, 0x0b0a0908u);
  auto cookie = datagram_of(3, 64);
  const auto parsed_cookie = parse_message(cookie);
  ASSERT_TRUE(parsed_cookie.has_value());
  EXPECT_EQ(std::get<MessageCookieReply>(*parsed_cookie).receiver, 0x07060504u);
}

TEST(ParseMessage, refuses_unknown_types) {
  for (const std::uint32_t type : {0u, 5u, 0xc0u, 0xc3u, 0xffu, 0xffffffffu}) {
    auto datagram = datagram_of(type, 148);
    EXPECT_EQ(refusal(datagram), DropReason::MessageType) << type;
  }
}

TEST(ParseMessage, refuses_reserved_bytes_that_are_not_zero) {
  const std::size_t sizes[] = {148, 92, 64, 48};
  for (std::uint32_t type = 1; type <= 4; ++type) {
    for (std::size_t reserved = 1; reserved <= 3; ++reserved) {
      auto datagram = datagram_of(type, sizes[type - 1]);
      datagram[reserved] = std::byte{1};
      EXPECT_EQ(refusal(datagram), DropReason::MessageType) << type << ' ' << reserved;
    }
  }
}

TEST(ParseMessage, refuses_datagrams_without_a_whole_type) {
  for (std::size_t size = 0; size < 4; ++size) {
    std::vector<std::byte> datagram(size, std::byte{1});
    EXPECT_EQ(refusal(datagram), DropReason::DatagramLength) << size;
  }
}

TEST(ParseMessage, takes_the_length_from_the_type_not_the_other_way_round) {
  auto datagram = datagram_of(1, 92);
  EXPECT_EQ(refusal(datagram), DropReason::DatagramLength);
}

}  // namespace
}  // namespace culvert
