// Asking and answering over loopback.
#include "culvert/bench/round_trip.hpp"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <future>
#include <thread>
#include <tuple>

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

TEST(RoundTrips, are_measured_and_no_more_than_fit_into_the_time) {
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

/// Answers each question as often as that says.
auto answering_some(int socket, std::stop_token stop, std::function<unsigned(std::uint32_t)> times) {
  return std::async(std::launch::async, [=] {
    std::array<std::byte, 64> memory;
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const auto address = reinterpret_cast<sockaddr*>(&from);
    while (!stop.stop_requested()) {
      const ssize_t length = ::recvfrom(socket, memory.data(), memory.size(), 0, address, &size);
      if (length < 0) continue;
      for (unsigned left = times(LoadPacket::parse(memory)->sequence); left > 0; --left) {
        ::sendto(socket, memory.data(), static_cast<std::size_t>(length), 0, address, size);
      }
    }
  });
}

TEST(RoundTrips, that_are_lost_do_not_hold_up_the_others) {
  in_own_namespace([] {
    const Sockets sockets;
    std::stop_source stop;
    const auto answering = answering_some(sockets.answers.get(), stop.get_token(),
                                          [](std::uint32_t sequence) { return sequence % 2 == 0 ? 0 : 1; });
    const RoundTrips trips =
        ask_round_trips(sockets.asks.get(), {.trial = trial, .payload = 36, .interval = 1ms, .duration = 300ms}, {});
    stop.request_stop();
    EXPECT_GE(trips.times.size(), 2U);
    EXPECT_GE(trips.lost, trips.times.size()) << "each other one, from the first on";
    EXPECT_LE(trips.lost, 151U);
  });
}

TEST(RoundTrips, are_asked_for_before_earlier_ones_are_answered) {
  in_own_namespace([] {
    const Sockets sockets;
    std::stop_source stop;
    const auto answering = answering_some(sockets.answers.get(), stop.get_token(), [](std::uint32_t) {
      std::this_thread::sleep_for(20ms);
      return 1;
    });
    const RoundTrips trips =
        ask_round_trips(sockets.asks.get(), {.trial = trial, .payload = 36, .interval = 1ms, .duration = 100ms}, {});
    stop.request_stop();
    // One after the other no more than five would go.
    EXPECT_GT(trips.times.size() + trips.lost, 6U);
    ASSERT_GE(trips.times.size(), 2U);
    EXPECT_GT(trips.times[1], 30ms) << "it waited behind the first";
  });
}

TEST(RoundTrips, that_are_answered_twice_count_once) {
  in_own_namespace([] {
    const Sockets sockets;
    std::stop_source stop;
    const auto answering = answering_some(sockets.answers.get(), stop.get_token(), [](std::uint32_t) { return 2; });
    const RoundTrips trips =
        ask_round_trips(sockets.asks.get(), {.trial = trial, .payload = 36, .interval = 2ms, .duration = 40ms}, {});
    stop.request_stop();
    EXPECT_GE(trips.times.size(), 1U);
    EXPECT_LE(trips.times.size() + trips.lost, 20U);
  });
}

TEST(RoundTrips, are_a_tenth_of_the_load_beside_them_and_part_of_it) {
  RoundTripTrial round_trips{.packet_size = 64, .interval = 125us, .load = std::nullopt};
  EXPECT_EQ(interval_of(round_trips), 125us);
  for (const auto& [rate, interval, left] :
       {std::tuple(1000.0, 10000us, 900.0), std::tuple(80000.0, 125us, 72000.0), std::tuple(1e6, 125us, 992000.0)}) {
    round_trips.load = UdpTrial{.rate = rate};
    EXPECT_EQ(interval_of(round_trips), interval);
    EXPECT_DOUBLE_EQ(load_beside(round_trips, interval).rate, left);
  }
  round_trips.load->rate = 0;
  EXPECT_EQ(interval_of(round_trips), 125us);
  EXPECT_EQ(load_beside(round_trips, 125us).rate, 0) << "a flood";
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
