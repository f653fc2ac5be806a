// Messages between the two ends of a benchmark: read as they were written, and nothing beyond the bounds.
#include "culvert/bench/role_message.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <random>

namespace culvert {
namespace {

using namespace std::chrono_literals;
using Kind = RoleMessage::Kind;

RoleMessage start_of(FarRole role) {
  RoleMessage message;
  message.kind = Kind::Start;
  message.role = role;
  message.trial = 0x01020304;
  message.payload = 1000;
  message.flows = 7;
  message.has_timestamps = true;
  message.port = 4711;
  message.warm_up = 50ms;
  message.duration = 250ms;
  message.rate = 123'456'789;
  return message;
}

TEST(RoleMessage, is_read_as_it_was_written) {
  for (unsigned role = 0; role < far_role_count; ++role) {
    const RoleMessage message = start_of(static_cast<FarRole>(role));
    EXPECT_EQ(parse_role_message(to_wire(message)), message) << role;
  }
  RoleMessage done;
  done.kind = Kind::Done;
  done.role = FarRole::UdpReceive;
  done.numbers = {1, 2, 3, 4, UINT64_MAX};
  EXPECT_EQ(parse_role_message(to_wire(done)), done);
  RoleMessage failed;
  failed.kind = Kind::Failed;
  failed.text = "no room: try later";
  EXPECT_EQ(parse_role_message(to_wire(failed)), failed);
}

TEST(RoleMessage, cuts_text_that_is_too_long) {
  RoleMessage failed;
  failed.kind = Kind::Failed;
  failed.text = std::string(1000, 'x');
  const auto read = parse_role_message(to_wire(failed));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->text, std::string(184, 'x'));
}

TEST(RoleMessage, of_an_unknown_kind_or_role_is_refused) {
  WireRoleMessage wire = to_wire(RoleMessage());
  wire.kind = std::byte{7};
  EXPECT_FALSE(parse_role_message(wire));
  wire = to_wire(RoleMessage());
  wire.role = std::byte{far_role_count};
  EXPECT_FALSE(parse_role_message(wire));
}

TEST(RoleMessage, with_text_that_is_none_is_neither_said_nor_heard) {
  RoleMessage failed;
  failed.kind = Kind::Failed;
  for (const char wrong : {'\n', '\x1b', '\0', '\x7f', '\xc3'}) {
    failed.text = std::string("a") + wrong;
    WireRoleMessage wire = to_wire(failed);
    ASSERT_TRUE(parse_role_message(wire)) << int{wrong};
    EXPECT_EQ(parse_role_message(wire)->text, "a?");
    wire.text[1] = wrong;
    EXPECT_FALSE(parse_role_message(wire)) << int{wrong};
  }
  failed.text = "fine";
  WireRoleMessage wire = to_wire(failed);
  wire.text_size = std::byte{185};
  EXPECT_FALSE(parse_role_message(wire)) << "beyond what there is room for";
}

TEST(RoleMessage, starts_nothing_beyond_the_bounds) {
  const auto refused = [](FarRole role, const std::function<void(RoleMessage&)>& change) {
    RoleMessage message = start_of(role);
    change(message);
    return !parse_role_message(to_wire(message));
  };
  for (unsigned number = 0; number < far_role_count; ++number) {
    const auto role = static_cast<FarRole>(number);
    EXPECT_TRUE(refused(role, [](RoleMessage& m) { m.flows = 0; }));
    EXPECT_FALSE(refused(role, [](RoleMessage& m) { m.flows = 64; }));
    EXPECT_TRUE(refused(role, [](RoleMessage& m) { m.flows = 65; }));
    EXPECT_TRUE(refused(role, [](RoleMessage& m) { m.duration = 0ms; }));
    EXPECT_FALSE(refused(role, [](RoleMessage& m) { m.duration = far_duration_max; }));
    EXPECT_TRUE(refused(role, [](RoleMessage& m) { m.duration = far_duration_max + 1ms; }));
    EXPECT_TRUE(refused(role, [](RoleMessage& m) { m.warm_up = far_duration_max + 1ms; }));
    const bool is_udp = role != FarRole::TcpSend && role != FarRole::TcpReceive;
    EXPECT_EQ(refused(role, [](RoleMessage& m) { m.payload = 15; }), is_udp) << "no room for what is written there";
    EXPECT_FALSE(refused(role, [](RoleMessage& m) { m.payload = 16; }));
    EXPECT_EQ(refused(role, [](RoleMessage& m) { m.payload = 65528; }), is_udp);
    EXPECT_EQ(refused(role, [](RoleMessage& m) { m.rate = far_packet_rate_max + 1; }), role == FarRole::UdpSend);
    EXPECT_EQ(refused(role, [](RoleMessage& m) { m.port = 0; }), role == FarRole::UdpSend) << "nowhere to send to";
  }
}

TEST(RoleMessage, takes_any_bytes) {
  std::mt19937 random(1);
  unsigned read = 0;
  for (int i = 0; i < 20'000; ++i) {
    WireRoleMessage wire;
    for (std::byte& byte : std::as_writable_bytes(std::span(&wire, 1))) byte = static_cast<std::byte>(random());
    wire.kind = static_cast<std::byte>(random() % 8);
    wire.role = static_cast<std::byte>(random() % 6);
    wire.text_size = static_cast<std::byte>(random() % 3);
    const auto message = parse_role_message(wire);
    read += message.has_value();
    if (message) {
      EXPECT_EQ(parse_role_message(to_wire(*message)), message);
    }
  }
  EXPECT_GT(read, 0U);
}

}  // namespace
}  // namespace culvert
