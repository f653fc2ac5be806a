// Asking and answering over loopback.
#include "culvert/bench/round_trip.hpp"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <array>
#include <future>

#include "culvert/bench/load_packet.hpp"
#include "culvert/bench/load_sockets.hpp"
#include "support/expect_system_error.hpp"
#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using test::expect_system_error;
using test::in_own_namespace;
using test::output_of;
using ::testing::Each;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr std::uint32_t trial = 7;

struct Sockets {
  LoadAddress here{.address = *Address::parse("127.0.0.1"), .device = {}};
  UniqueFd answers = make_udp_sink(here);
  UniqueFd asks = std::move(make_udp_senders(here, local_endpoint(answers.get()), 1).front());
};

TEST(RoundTrips, are_measured_one_after_the_other) {
  in_own_namespace([] {
    const Sockets sockets;
    std::stop_source stop;
    auto answering =
        std::async(std::launch::async, [&] { answer_round_trips(sockets.answers.get(), trial, stop.get_token()); });
    const RoundTrips trips =
        ask_round_trips(sockets.asks.get(), {.trial = trial, .payload = 36, .interval = 5ms, .duration = 100ms}, {});
    stop.request_stop();
    answering.get();
    EXPECT_GE(trips.times.size(), 1U);
    EXPECT_LE(trips.times.size() + trips.lost, 20U);
    EXPECT_THAT(trips.times, Each(Gt(0ns)));
  });
}

TEST(RoundTrips, without_an_answer_in_time_are_lost) {
  in_own_namespace([] {
    const Sockets sockets;
    const RoundTrips trips =
        ask_round_trips(sockets.asks.get(), {.trial = trial, .payload = 36, .interval = 1ms, .duration = 1ms}, {});
    EXPECT_THAT(trips.times, SizeIs(0));
    EXPECT_EQ(trips.lost, 1U);
  });
}

TEST(RoundTrips, are_not_ended_by_answers_to_other_questions) {
  in_own_namespace([] {
    const Sockets sockets;
    std::stop_source stop;
    auto answering = std::async(std::launch::async, [&] {
      std::array<std::byte, 64> memory;
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const auto address = reinterpret_cast<sockaddr*>(&from);
      while (::recvfrom(sockets.answers.get(), memory.data(), memory.size(), 0, address, &size) < 0) {
      }
      const auto answer = [&](LoadPacket packet) {
        EXPECT_EQ(::sendto(sockets.answers.get(), &packet, sizeof packet, 0, address, size), ssize_t{sizeof packet});
      };
      LoadPacket packet = *LoadPacket::parse(memory);
      packet.sequence = 1U;
      answer(packet);
      packet = *LoadPacket::parse(memory);
      packet.trial = trial + 1;
      answer(packet);
      packet = *LoadPacket::parse(memory);
      packet.magic = 0U;
      answer(packet);
    });
    const RoundTrips trips =
        ask_round_trips(sockets.asks.get(), {.trial = trial, .payload = 36, .interval = 1ms, .duration = 1ms}, {});
    answering.get();
    EXPECT_THAT(trips.times, SizeIs(0));
    EXPECT_EQ(trips.lost, 1U);
  });
}

TEST(RoundTrips, end_when_told_to) {
  in_own_namespace([] {
    const Sockets sockets;
    std::stop_source stop;
    auto asking = std::async(std::launch::async, [&] {
      return ask_round_trips(sockets.asks.get(), {.trial = trial, .payload = 36, .interval = 1h, .duration = 2h},
                             stop.get_token());
    });
    EXPECT_EQ(asking.wait_for(20ms), std::future_status::timeout);
    stop.request_stop();
    EXPECT_EQ(asking.get().lost, 0U);
  });
}

TEST(RoundTrips, of_packets_that_are_too_large_for_the_way_are_an_error) {
  in_own_namespace([] {
    output_of("ip link set lo mtu 1500");
    const Sockets sockets;
    expect_system_error(
        [&] {
          ask_round_trips(sockets.asks.get(), {.trial = trial, .payload = 1473, .interval = 1ms, .duration = 1ms}, {});
        },
        std::errc::message_size, HasSubstr("1473 bytes of UDP payload"));
  });
}

TEST(Answers, are_given_to_questions_of_the_trial_only) {
  in_own_namespace([] {
    const Sockets sockets;
    std::stop_source stop;
    auto answering =
        std::async(std::launch::async, [&] { answer_round_trips(sockets.answers.get(), trial, stop.get_token()); });
    LoadPacket question;
    const auto ask = [&] {
      EXPECT_EQ(::send(sockets.asks.get(), &question, sizeof question, 0), ssize_t{sizeof question});
    };
    question.trial = trial + 1;
    ask();
    question.trial = trial;
    question.magic = 0U;
    ask();
    question.magic = LoadPacket::magic_value;
    question.sequence = 5U;
    ask();
    LoadPacket answer;
    while (::recv(sockets.asks.get(), &answer, sizeof answer, 0) < 0) {
    }
    EXPECT_EQ(answer.sequence, 5U) << "the first answer is to the last question";
    stop.request_stop();
    answering.get();
  });
}

}  // namespace
}  // namespace culvert
