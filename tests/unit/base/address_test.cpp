// Reading, writing and matching addresses and prefixes.
#include "culvert/base/address.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "culvert/base/endian.hpp"
#include "support/hex.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

Address address(std::string_view text) {
  return Address::parse(text).value();
}
Prefix prefix(std::string_view text) {
  return Prefix::parse(text).value();
}

TEST(Address, is_ipv4_unspecified_unless_told) {
  EXPECT_TRUE(Address().is_v4());
  EXPECT_TRUE(Address().is_unspecified());
  EXPECT_EQ(Address().to_string(), "0.0.0.0");
}

TEST(Address, reads_ipv4_in_network_order) {
  const Address read = address("192.0.2.1");
  EXPECT_EQ(read.family(), Family::V4);
  EXPECT_EQ(read.bits(), 32U);
  EXPECT_EQ(to_hex(read.bytes()), "c0000201");
}

TEST(Address, reads_ipv6_in_network_order) {
  const Address read = address("2001:DB8::1");
  EXPECT_EQ(read.family(), Family::V6);
  EXPECT_EQ(read.bits(), 128U);
  EXPECT_EQ(to_hex(read.bytes()), "20010db8000000000000000000000001");
}

TEST(Address, writes_the_canonical_form_of_rfc_5952) {
  EXPECT_EQ(address("0:0:0:0:0:0:0:0").to_string(), "::");
  EXPECT_EQ(address("2001:0DB8:0:0:1:0:0:1").to_string(), "2001:db8::1:0:0:1");
  EXPECT_EQ(address("2001:db8:0:1:1:1:1:1").to_string(), "2001:db8:0:1:1:1:1:1");
  EXPECT_EQ(address("2001:0:0:1:0:0:0:1").to_string(), "2001:0:0:1::1");
  EXPECT_EQ(address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").to_string(), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  EXPECT_EQ(address("::ffff:c000:201").to_string(), "::ffff:192.0.2.1");
  EXPECT_EQ(address("::1:2").to_string(), "::1:2");
  EXPECT_EQ(address("1::").to_string(), "1::");
  EXPECT_EQ(address("0:0:1:0:0:0:0:0").to_string(), "0:0:1::");
  EXPECT_EQ(address("1:0:0:2:0:0:3:4").to_string(), "1::2:0:0:3:4");
  EXPECT_EQ(address("255.255.255.255").to_string(), "255.255.255.255");
}

TEST(Address, text_that_is_no_address_is_refused) {
  constexpr std::string_view refused[] = {
      "",
      " ",
      "localhost",
      "1",
      "1.2.3",
      "1.2.3.4.5",
      "256.0.0.1",
      "1.2.3.-4",
      "+1.2.3.4",
      "01.2.3.4",
      "1.2.3.00",
      "0x1.2.3.4",
      " 1.2.3.4",
      "1.2.3.4 ",
      "1.2.3.4/32",
      "1.2.3.4:80",
      "1.2..4",
      "[::1]",
      "::1/128",
      "fe80::1%1",
      "fe80::1%eth0",
      ":",
      ":::",
      "1::2::3",
      "12345::",
      "g::",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "::1.2.3.04",
      "::1.2.3",
      "1:2:3:4:5:6:7:8::",
      "::1:2:3:4:5:6:7:8",
      "1::2:3:4:5:6:7:8",
      ":1::",
      "1::2:",
      ":1:2:3:4:5:6:7:8",
      "1:2:3:4:5:6:7:8:",
      "1.2.3.4::",
      "1.2.3.4:1::",
      "::1.2.3.4:1",
      "1:2:3:4:5:6:7:1.2.3.4",
      "1.2.3.4:2:3:4:5:6:7",
      "1:2:3:4:5:1.2.3.4",
      "::-1",
      "::+1",
      "::0x1",
      "::00001",
      "1.2.3.4.",
      ".1.2.3.4",
  };
  for (const std::string_view text : refused) EXPECT_FALSE(Address::parse(text)) << '"' << text << '"';
}

TEST(Address, reads_every_place_of_the_gap) {
  EXPECT_EQ(to_hex(address("::2:3:4:5:6:7:8").bytes()), "00000002000300040005000600070008");
  EXPECT_EQ(to_hex(address("1:2:3::5:6:7:8").bytes()), "00010002000300000005000600070008");
  EXPECT_EQ(to_hex(address("1:2:3:4:5:6:7::").bytes()), "00010002000300040005000600070000");
  EXPECT_EQ(to_hex(address("1::").bytes()), "00010000000000000000000000000000");
  EXPECT_EQ(to_hex(address("1:2:3:4:5:6:192.0.2.1").bytes()), "000100020003000400050006c0000201");
  EXPECT_EQ(to_hex(address("64:ff9b::192.0.2.1").bytes()), "0064ff9b0000000000000000c0000201");
}

/// What the system's own reader makes of `text`.
std::optional<Address> read_by_system(const std::string& text) {
  std::array<std::byte, 16> bytes{};
  if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return Address::from_bytes(Family::V4, bytes);
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return Address::from_bytes(Family::V6, bytes);
  return std::nullopt;
}

TEST(Address, reads_text_as_the_system_does) {
  constexpr std::string_view characters = ":::..0129afg ";
  const std::string starts[] = {"192.0.2.1",       "2001:db8::1", "::ffff:192.0.2.1",
                                "1:2:3:4:5:6:7:8", "::",          "fe80::a:0:0:1"};
  SeededRandom random(1);
  for (int round = 0; round < 50'000; ++round) {
    std::string text = starts[random.next_u32() % std::size(starts)];
    for (std::uint32_t edits = random.next_u32() % 4; edits != 0; --edits) {
      const std::size_t place = random.next_u32() % (text.size() + 1);
      const char character = characters[random.next_u32() % characters.size()];
      switch (random.next_u32() % 3) {
        case 0:
          text.insert(place, 1, character);
          break;
        case 1:
          text.erase(place, 1);
          break;
        default:
          if (place < text.size()) text[place] = character;
      }
    }
    ASSERT_EQ(Address::parse(text), read_by_system(text)) << text;
  }
}

TEST(Address, writes_as_the_system_does_and_reads_it_back) {
  SeededRandom random(2);
  for (int round = 0; round < 20'000; ++round) {
    std::array<std::byte, 16> bytes;
    random.fill(bytes);
    const std::uint32_t zeros = random.next_u32();  // one bit for each group
    for (std::size_t i = 0; i < 8; ++i) {
      if ((zeros >> i & 1) != 0) store<Be16>(bytes.data() + 2 * i, std::uint16_t{0});
    }
    if (load<Be32>(bytes.data()) == 0 && load<Be64>(bytes.data() + 4) == 0) continue;  // glibc writes ::192.0.2.1
    const Address written = Address::from_bytes(round % 2 == 0 ? Family::V4 : Family::V6, bytes);
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(written.is_v4() ? AF_INET : AF_INET6, bytes.data(), text.data(), text.size());
    ASSERT_EQ(written.to_string(), text.data());
    ASSERT_EQ(Address::parse(text.data()), written) << text.data();
  }
}

TEST(Address, a_zero_byte_does_not_end_the_text) {
  using namespace std::string_view_literals;
  EXPECT_FALSE(Address::parse("192.0.2.1\0"sv));
  EXPECT_FALSE(Address::parse("192.0.2.1\0.example.org"sv));
  EXPECT_FALSE(Address::parse("::1\0junk"sv));
}

TEST(Address, text_longer_than_any_address_is_refused) {
  EXPECT_TRUE(Address::parse("0000:0000:0000:0000:0000:ffff:255.255.255.255"));
  EXPECT_FALSE(Address::parse("0000:0000:0000:0000:0000:ffff:255.255.255.2550"));
  EXPECT_FALSE(Address::parse("192.0.2.1" + std::string(100'000, '1')));
}

TEST(Address, text_need_not_be_terminated) {
  EXPECT_EQ(Address::parse(std::string_view("192.0.2.123").substr(0, 9)), address("192.0.2.1"));
}

TEST(Address, takes_as_many_bytes_as_its_family_has) {
  const auto bytes = from_hex("c0000201 ffffffff ffffffff ffffffff");
  EXPECT_EQ(Address::from_bytes(Family::V4, bytes), address("192.0.2.1"));
  EXPECT_EQ(Address::from_bytes(Family::V6, bytes), address("c000:201:ffff:ffff:ffff:ffff:ffff:ffff"));
}

TEST(Address, those_of_different_families_differ) {
  EXPECT_NE(address("0.0.0.0"), address("::"));
  EXPECT_NE(address("192.0.2.1"), address("::ffff:192.0.2.1"));
  EXPECT_TRUE(address("::").is_unspecified());
  EXPECT_FALSE(address("::1").is_unspecified());
  EXPECT_FALSE(address("0.0.0.1").is_unspecified());
}

TEST(Address, hash_follows_equality) {
  const std::hash<Address> hash;
  EXPECT_EQ(hash(address("192.0.2.1")), hash(address("192.0.2.1")));
  EXPECT_NE(hash(address("192.0.2.1")), hash(address("192.0.2.2")));
  EXPECT_NE(hash(address("2001:db8::1")), hash(address("2001:db8::2")));
  EXPECT_NE(hash(address("0.0.0.0")), hash(address("::")));
}

TEST(Prefix, keeps_host_bits_until_masked) {
  EXPECT_EQ(prefix("192.0.2.77/24").to_string(), "192.0.2.77/24");
  EXPECT_EQ(prefix("192.0.2.77/24").masked(), prefix("192.0.2.0/24"));
  EXPECT_EQ(prefix("2001:db8:ffff::1/36").masked(), prefix("2001:db8:f000::/36"));
}

TEST(Prefix, masks_at_every_length) {
  for (unsigned length = 0; length <= 128; ++length) {
    const Prefix ones{address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), static_cast<std::uint8_t>(length)};
    unsigned kept = 0;
    bool ended = false;
    const Prefix masked = ones.masked();
    for (const std::byte byte : masked.address.bytes()) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        const bool set = ((byte << bit) & std::byte{0x80}) != std::byte{0};
        EXPECT_FALSE(set && ended) << length;
        ended = ended || !set;
        kept += set ? 1 : 0;
      }
    }
    EXPECT_EQ(kept, length);
  }
}

TEST(Prefix, an_address_alone_is_a_single_host) {
  EXPECT_EQ(prefix("192.0.2.1"), prefix("192.0.2.1/32"));
  EXPECT_EQ(prefix("::1"), prefix("::1/128"));
}

TEST(Prefix, a_length_that_does_not_fit_is_refused) {
  for (const std::string_view text :
       {"192.0.2.0/33", "192.0.2.0/", "192.0.2.0/-1", "192.0.2.0/+8", "192.0.2.0/08", "192.0.2.0/ 8", "192.0.2.0/8 ",
        "192.0.2.0/8/8", "192.0.2.0/255.255.255.0", "192.0.2.0/288", "::/129", "::/384", "/24", "", "/", "x/8"}) {
    EXPECT_FALSE(Prefix::parse(text)) << '"' << text << '"';
  }
  EXPECT_TRUE(Prefix::parse("0.0.0.0/0"));
  EXPECT_TRUE(Prefix::parse("192.0.2.1/32"));
  EXPECT_TRUE(Prefix::parse("::/0"));
  EXPECT_TRUE(Prefix::parse("::/128"));
}

TEST(Prefix, contains_what_shares_its_leading_bits) {
  EXPECT_TRUE(prefix("192.0.2.0/25").contains(address("192.0.2.127")));
  EXPECT_FALSE(prefix("192.0.2.0/25").contains(address("192.0.2.128")));
  EXPECT_TRUE(prefix("192.0.2.77/24").contains(address("192.0.2.1")));
  EXPECT_FALSE(prefix("192.0.2.0/24").contains(address("192.0.3.0")));
  EXPECT_TRUE(prefix("0.0.0.0/0").contains(address("255.255.255.255")));
  EXPECT_FALSE(prefix("192.0.2.1/32").contains(address("192.0.2.0")));
  EXPECT_TRUE(prefix("2001:db8::/33").contains(address("2001:db8:7fff::")));
  EXPECT_FALSE(prefix("2001:db8::/33").contains(address("2001:db8:8000::")));
}

TEST(Prefix, contains_nothing_of_the_other_family) {
  EXPECT_FALSE(prefix("0.0.0.0/0").contains(address("::")));
  EXPECT_FALSE(prefix("::/0").contains(address("0.0.0.0")));
}

}  // namespace
}  // namespace culvert
