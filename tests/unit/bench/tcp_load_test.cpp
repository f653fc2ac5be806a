// Both roles of a TCP trial over loopback.
#include "culvert/bench/tcp_load.hpp"

#include <gmock/gmock.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <future>
#include <thread>

#include "culvert/bench/load_sockets.hpp"
#include "support/expect_system_error.hpp"
#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using test::expect_system_error;
using test::in_own_namespace;
using test::output_of;
using ::testing::HasSubstr;

LoadAddress at(std::string_view address) {
  return {.address = *Address::parse(address), .device = {}};
}

struct Streams {
  std::vector<UniqueFd> sources, sinks;
  explicit Streams(unsigned count = 1) {
    const UniqueFd listener = make_tcp_listener(at("127.0.0.1"));
    for (unsigned i = 0; i < count; ++i) {
      sources.push_back(connect_tcp(at("127.0.0.1"), local_endpoint(listener.get()), 30s));
      sinks.push_back(accept_tcp(listener.get(), at("127.0.0.1").address, 30s));
    }
  }
};

TEST(TcpLoad, counts_no_more_than_was_sent_during_the_time_of_counting) {
  in_own_namespace([] {
    const Streams streams(3);
    std::stop_source stop;
    auto sending = std::async(std::launch::async, [&] { return send_tcp(streams.sources, 0, stop.get_token()); });
    const TcpReceived received = receive_tcp(streams.sinks, 10ms, 500ms, {});
    stop.request_stop();
    EXPECT_EQ(received.elapsed, 500ms);
    EXPECT_GT(received.bytes, 0U);
    // Of each stream the last segments may not be acknowledged yet.
    EXPECT_LE(received.bytes, sending.get() + (1 << 20));
  });
}

TEST(TcpLoad, does_not_count_what_comes_during_the_warm_up) {
  in_own_namespace([] {
    const Streams streams;
    ASSERT_EQ(::send(streams.sources[0].get(), "early", 5, 0), 5);
    std::stop_source stop;
    auto receiving =
        std::async(std::launch::async, [&] { return receive_tcp(streams.sinks, 1h, 1h, stop.get_token()); });
    EXPECT_EQ(receiving.wait_for(50ms), std::future_status::timeout);
    stop.request_stop();
    const TcpReceived received = receiving.get();
    EXPECT_EQ(received.bytes, 0U);
    EXPECT_EQ(received.elapsed, 0ns);
  });
}

TEST(TcpLoad, tells_what_was_delivered_rather_than_what_waits_for_that) {
  in_own_namespace([] {
    const Streams streams(2);
    std::stop_source stop;
    auto sending = std::async(std::launch::async, [&] { return send_tcp(streams.sources, 0, stop.get_token()); });
    std::this_thread::sleep_for(200ms);
    stop.request_stop();
    const std::uint64_t sent = sending.get();
    std::uint64_t delivered = 0;
    for (const UniqueFd& sink : streams.sinks) {
      int size = 0;
      ASSERT_EQ(::ioctl(sink.get(), FIONREAD, &size), 0);
      delivered += static_cast<std::uint64_t>(size);
    }
    EXPECT_GT(sent, 0U);
    EXPECT_LE(sent, delivered + streams.sinks.size()) << "each SYN counts as a byte";
  });
}

TEST(TcpLoad, keeps_to_its_highest_rate) {
  in_own_namespace([] {
    const Streams streams(2);
    std::stop_source stop;
    auto sending =
        std::async(std::launch::async, [&] { return send_tcp(streams.sources, 8'000'000, stop.get_token()); });
    const auto begin = std::chrono::steady_clock::now();
    const TcpReceived received = receive_tcp(streams.sinks, 0ms, 200ms, {});
    stop.request_stop();
    const std::uint64_t sent = sending.get();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    EXPECT_GT(received.bytes, 0U);
    // A million bytes a second, and what the first write has in advance.
    EXPECT_LE(static_cast<double>(sent), 1e6 * elapsed.count() + 10000);
  });
}

TEST(TcpLoad, of_streams_that_end_is_an_error_for_who_counts_and_the_end_for_who_sends) {
  in_own_namespace([] {
    Streams streams;
    streams.sources.clear();
    expect_system_error([&] { receive_tcp(streams.sinks, 0ms, 60s, {}); }, std::errc::connection_reset,
                        HasSubstr("ended during the trial"));
    Streams others(2);
    others.sinks.clear();
    send_tcp(others.sources, 0, {});
  });
}

TEST(TcpLoad, stops_when_told_to_though_nobody_reads_or_writes) {
  in_own_namespace([] {
    const Streams streams;
    std::stop_source stop;
    auto sending = std::async(std::launch::async, [&] { return send_tcp(streams.sources, 0, stop.get_token()); });
    EXPECT_EQ(sending.wait_for(100ms), std::future_status::timeout);
    stop.request_stop();
    EXPECT_GT(sending.get(), 0U);
    const Streams silent;
    auto receiving =
        std::async(std::launch::async, [&] { return receive_tcp(silent.sinks, 0ms, 1h, stop.get_token()); });
    EXPECT_EQ(receiving.get().bytes, 0U);
  });
}

TEST(TcpSockets, forget_what_was_not_delivered_when_they_are_closed) {
  in_own_namespace([] {
    { const Streams streams; }
    EXPECT_EQ(output_of("ss -Htan"), "");
  });
}

TEST(TcpSockets, do_not_wait_for_ever_for_a_connection) {
  in_own_namespace([] {
    output_of("ip link add dull type bridge && ip address add 10.0.0.1/24 dev dull && ip link set dull up");
    expect_system_error(
        [] {
          (void)connect_tcp(at("10.0.0.1"), {*Address::parse("10.0.0.2"), 9}, 50ms);
        },
        std::errc::timed_out, HasSubstr("cannot connect from 10.0.0.1 to 10.0.0.2:9"));
    expect_system_error(
        [] {
          (void)connect_tcp(at("127.0.0.1"), {*Address::parse("127.0.0.1"), 9}, 30s);
        },
        std::errc::connection_refused, HasSubstr("cannot connect from 127.0.0.1 to 127.0.0.1:9"));
    const UniqueFd listener = make_tcp_listener(at("127.0.0.1"));
    expect_system_error([&] { (void)accept_tcp(listener.get(), at("127.0.0.1").address, 50ms); }, std::errc::timed_out,
                        HasSubstr("no connection from 127.0.0.1"));
  });
}

TEST(TcpSockets, take_connections_from_the_one_address_only) {
  in_own_namespace([] {
    const UniqueFd listener = make_tcp_listener(at("127.0.0.1"));
    const Endpoint where = local_endpoint(listener.get());
    const UniqueFd stranger = connect_tcp(at("127.0.0.3"), where, 30s);
    const UniqueFd expected = connect_tcp(at("127.0.0.2"), where, 30s);
    const UniqueFd accepted = accept_tcp(listener.get(), at("127.0.0.2").address, 30s);
    ASSERT_EQ(::send(expected.get(), "it is me", 8, 0), 8);
    std::array<char, 16> text{};
    EXPECT_EQ(::recv(accepted.get(), text.data(), text.size(), MSG_WAITALL), 8);
    EXPECT_EQ(::recv(stranger.get(), text.data(), text.size(), 0), -1);
    EXPECT_EQ(errno, ECONNRESET);
  });
}

}  // namespace
}  // namespace culvert
