// What the near end makes of what the far end says, and when the far end is told to stop.
#include "../../../src/bench/far_end.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>

#include "culvert/bench/trial.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using Kind = RoleMessage::Kind;

RoleMessage message_of(Kind kind, FarRole role, std::uint32_t trial) {
  RoleMessage message;
  message.kind = kind;
  message.role = role;
  message.trial = trial;
  message.duration = 100ms;
  message.payload = 100;
  return message;
}

class FarEndTest : public testing::Test {
 protected:
  void say(Kind kind, FarRole role, std::uint32_t trial, std::uint16_t number = 0) {
    RoleMessage message = message_of(kind, role, trial);
    message.port = number;
    message.numbers[0] = number;
    message.text = "too hot";
    there_->send(message);
  }
  RoleMessage heard() { return there_->receive(5s).value(); }
  static RoleMessage start(FarRole role, std::uint32_t trial) { return message_of(Kind::Start, role, trial); }
  std::string loss(std::uint32_t trial) {
    try {
      const FarEnd::Role role(far_, start(FarRole::TcpSend, trial));
    } catch (const PathLost& lost) {
      return lost.what();
    }
    return "none";
  }

  static std::array<int, 2> pair() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) throw std::runtime_error("socketpair");
    return ends;
  }
  std::array<int, 2> ends_ = pair();
  FarEnd far_{UniqueFd(ends_[0]), 500ms};
  std::optional<RoleChannel> there_{UniqueFd(ends_[1])};
};

TEST_F(FarEndTest, passes_over_what_is_said_of_other_trials) {
  say(Kind::Done, FarRole::UdpReceive, 1, 11);
  say(Kind::Failed, FarRole::UdpReceive, 1);
  say(Kind::Started, FarRole::UdpReceive, 1, 101);
  say(Kind::Started, FarRole::UdpReceive, 2, 102);
  FarEnd::Role role(far_, start(FarRole::UdpReceive, 2));
  EXPECT_EQ(role.port(), 102);
  say(Kind::Done, FarRole::UdpReceive, 1, 11);
  say(Kind::Done, FarRole::UdpSend, 2, 13);
  say(Kind::Done, FarRole::UdpReceive, 2, 12);
  EXPECT_EQ(role.finish(0ms).numbers[0], 12U);
}

TEST_F(FarEndTest, is_told_to_stop_what_nobody_waits_for_any_more) {
  say(Kind::Started, FarRole::TcpSend, 1);
  try {
    const FarEnd::Role role(far_, start(FarRole::TcpSend, 1));
    throw std::invalid_argument("no room here");
  } catch (const std::invalid_argument&) {
  }
  EXPECT_EQ(heard().kind, Kind::Start);
  const RoleMessage stop = heard();
  EXPECT_EQ(stop.kind, Kind::Stop);
  EXPECT_EQ(stop.role, FarRole::TcpSend);
  EXPECT_EQ(stop.trial, 1U);
  // That it failed then is of no interest, and the next one begins behind it.
  say(Kind::Failed, FarRole::TcpSend, 1);
  say(Kind::Started, FarRole::TcpSend, 2, 7);
  say(Kind::Done, FarRole::TcpSend, 2);
  FarEnd::Role next(far_, start(FarRole::TcpSend, 2));
  EXPECT_EQ(next.port(), 7);
  (void)next.finish(0ms);
}

TEST_F(FarEndTest, is_not_told_to_stop_what_has_ended) {
  say(Kind::Started, FarRole::TcpSend, 1);
  say(Kind::Done, FarRole::TcpSend, 1);
  {
    FarEnd::Role role(far_, start(FarRole::TcpSend, 1));
    (void)role.finish(0ms);
  }
  EXPECT_EQ(heard().kind, Kind::Start);
  EXPECT_FALSE(there_->receive(0ms));
}

TEST_F(FarEndTest, says_at_once_what_failed_beside_that_which_is_waited_for) {
  say(Kind::Started, FarRole::UdpSend, 1);
  const FarEnd::Role load(far_, start(FarRole::UdpSend, 1));
  say(Kind::Started, FarRole::AnswerRoundTrips, 2);
  FarEnd::Role answers(far_, start(FarRole::AnswerRoundTrips, 2));
  say(Kind::Failed, FarRole::UdpSend, 1);
  try {
    (void)answers.finish(0ms);
    FAIL();
  } catch (const PathLost&) {
    FAIL() << "others may go on";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "at the other end: too hot");
  }
}

TEST_F(FarEndTest, that_has_gone_is_lost_for_good) {
  there_.reset();
  const std::string why = loss(1);
  EXPECT_NE(why, "none");
  EXPECT_EQ(loss(2), why);
}

TEST_F(FarEndTest, that_keeps_silent_is_waited_for_only_once) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_NE(loss(1).find("does not answer any more"), std::string::npos);
  const auto once = std::chrono::steady_clock::now() - begin;
  for (std::uint32_t trial = 2; trial < 5; ++trial) EXPECT_NE(loss(trial).find("does not answer"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2 * once);
}

TEST_F(FarEndTest, that_ends_it_says_why) {
  say(Kind::Ended, FarRole::TcpSend, 0);
  EXPECT_EQ(loss(1), "the other end has ended the benchmark: too hot");
  EXPECT_EQ(loss(2), "the other end has ended the benchmark: too hot");
}

}  // namespace
}  // namespace culvert
