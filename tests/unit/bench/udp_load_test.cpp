// Both roles of a UDP trial over loopback.
#include "culvert/bench/udp_load.hpp"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <future>
#include <set>
#include <thread>

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
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr std::uint32_t trial = 0x12345678;
constexpr std::size_t payload = 36;

LoadAddress loopback() {
  return {.address = *Address::parse("127.0.0.1"), .device = {}};
}

struct Sockets {
  UniqueFd sink = make_udp_sink(loopback());
  std::vector<UniqueFd> flows;
  explicit Sockets(unsigned count = 1) : flows(make_udp_senders(loopback(), local_endpoint(sink.get()), count)) {}

  void send(const LoadPacket& packet, std::size_t size = payload, std::size_t flow = 0) const {
    std::vector<std::byte> bytes(std::max(size, sizeof packet));
    copy_bytes(bytes_of(packet), bytes);
    EXPECT_EQ(::send(flows[flow].get(), bytes.data(), size, 0), static_cast<ssize_t>(size));
  }
  void send(std::uint32_t sequence, std::uint8_t flow = 0, std::uint32_t sent_at = 0) const {
    LoadPacket packet;
    packet.trial = trial;
    packet.sequence = sequence;
    packet.flow = flow;
    packet.sent_at = sent_at;
    send(packet);
  }
  /// Counts what was sent before.
  [[nodiscard]] UdpReceived count(std::uint64_t sent, unsigned flow_count = 1) const {
    SenderNews news;
    news.ended(sent);
    return receive_udp(sink.get(), {.trial = trial, .payload = payload, .flows = flow_count}, news, {});
  }
  /// Packets that are there, until none comes for a while.
  [[nodiscard]] std::vector<LoadPacket> packets() const {
    std::vector<LoadPacket> all;
    std::array<std::byte, 2048> memory;
    for (ssize_t size = 0; (size = ::recv(sink.get(), memory.data(), memory.size(), 0)) >= 0;) {
      const auto packet = LoadPacket::parse(ByteView(memory).first(static_cast<std::size_t>(size)));
      EXPECT_TRUE(packet && static_cast<std::size_t>(size) == payload);
      if (packet) all.push_back(*packet);
    }
    return all;
  }
};

TEST(UdpReceiving, counts_packets_of_each_flow_once_in_any_order) {
  in_own_namespace([] {
    const Sockets sockets;
    for (const std::uint32_t sequence : {0U, 2U, 1U, 2U}) sockets.send(sequence, 0);
    for (const std::uint32_t sequence : {0U, 1U}) sockets.send(sequence, 1);
    const UdpReceived counted = sockets.count(100, 2);
    EXPECT_EQ(counted.received, 5U);
    EXPECT_EQ(counted.sink_drops, 0U);
  });
}

TEST(UdpReceiving, passes_over_what_is_not_of_the_trial) {
  in_own_namespace([] {
    const Sockets sockets;
    LoadPacket packet;
    packet.trial = trial + 1;
    sockets.send(packet);
    packet.trial = trial;
    sockets.send(packet, payload + 1);
    sockets.send(packet, payload - 1);
    sockets.send(packet, 3);
    sockets.send(packet, 0);
    packet.flow = 1;
    sockets.send(packet);
    packet.flow = 0;
    packet.magic = 0U;
    sockets.send(packet);
    EXPECT_EQ(sockets.count(100).received, 0U);
    sockets.send(0);
    EXPECT_EQ(sockets.count(100).received, 1U);
  });
}

TEST(UdpReceiving, ends_when_all_are_there_without_waiting_for_more) {
  in_own_namespace([] {
    const Sockets sockets;
    sockets.send(0);
    SenderNews news;
    news.ended(1);
    const UdpReceived counted =
        receive_udp(sockets.sink.get(), {.trial = trial, .payload = payload, .flows = 1, .quiet = 1h}, news, {});
    EXPECT_EQ(counted.received, 1U);
  });
}

TEST(UdpReceiving, goes_on_while_the_sender_does_and_stops_when_told_to) {
  in_own_namespace([] {
    const Sockets sockets;
    const SenderNews news;
    std::stop_source stop;
    auto counting = std::async(std::launch::async, [&] {
      return receive_udp(sockets.sink.get(), {.trial = trial, .payload = payload, .flows = 1, .quiet = 0ms}, news,
                         stop.get_token());
    });
    EXPECT_EQ(counting.wait_for(50ms), std::future_status::timeout);
    sockets.send(0);
    EXPECT_EQ(counting.wait_for(50ms), std::future_status::timeout);
    stop.request_stop();
    EXPECT_EQ(counting.get().received, 1U);
  });
}

TEST(UdpReceiving, tells_how_much_longer_the_last_packets_took_than_the_first) {
  in_own_namespace([] {
    const Sockets sockets;
    SenderNews news;
    auto counting = std::async(std::launch::async, [&] {
      return receive_udp(sockets.sink.get(), {.trial = trial, .payload = payload, .flows = 1, .quiet = 1h}, news, {});
    });
    // They say that they were sent 6 ms apart, by a clock of their own.
    for (std::uint32_t sequence = 0; sequence < 5; ++sequence) {
      sockets.send(sequence, 0, 0xffff'ff00U + sequence * 6000);
      std::this_thread::sleep_for(30ms);
    }
    news.ended(5);
    EXPECT_GE(counting.get().backlog, 2 * (30ms - 6ms));
  });
}

TEST(UdpReceiving, tells_what_its_own_socket_had_no_room_for) {
  in_own_namespace([] {
    const Sockets sockets;
    const int small = 4096;
    ASSERT_EQ(::setsockopt(sockets.sink.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    for (std::uint32_t sequence = 0; sequence < 1000; ++sequence) sockets.send(sequence);
    const UdpReceived counted = sockets.count(1000);
    EXPECT_LT(counted.received, 1000U);
    EXPECT_EQ(counted.received + counted.sink_drops, 1000U);
  });
}

TEST(UdpSending, numbers_packets_of_each_flow_and_sends_no_more_than_wanted) {
  in_own_namespace([] {
    const Sockets sockets(2);
    const UdpSent sent =
        send_udp(sockets.flows, {.trial = trial, .payload = payload, .rate = 1000, .duration = 300ms}, {});
    EXPECT_EQ(sent.wanted, 300U);
    EXPECT_LE(sent.sent, sent.wanted);
    const auto packets = sockets.packets();
    EXPECT_EQ(packets.size(), sent.sent);
    std::array<std::uint32_t, 2> next{};
    for (const LoadPacket& packet : packets) {
      EXPECT_EQ(packet.trial, trial);
      ASSERT_LT(packet.flow, 2);
      EXPECT_EQ(packet.sequence, next[packet.flow]++);
      EXPECT_NE(packet.sent_at, 0U);
    }
    EXPECT_GT(next[0], 0U);
    EXPECT_GT(next[1], 0U);
  });
}

TEST(UdpSending, spreads_flows_over_ports) {
  in_own_namespace([] {
    const Sockets sockets(64);
    std::set<std::uint16_t> ports;
    for (const UniqueFd& flow : sockets.flows) ports.insert(local_endpoint(flow.get()).port);
    EXPECT_THAT(ports, SizeIs(64));
  });
}

TEST(UdpSending, keeps_the_rate_over_its_duration) {
  in_own_namespace([] {
    const Sockets sockets;
    const UdpSent sent =
        send_udp(sockets.flows, {.trial = trial, .payload = payload, .rate = 2000, .duration = 200ms}, {});
    EXPECT_EQ(sent.wanted, 400U);
    // The last packet is due a two-thousandth before the end; a busy machine leaves some unsent, rather than late.
    EXPECT_GE(sent.elapsed, 199ms);
    EXPECT_GT(sent.sent, 0U);
  });
}

TEST(UdpSending, leaves_out_time_stamps_when_they_are_not_wanted) {
  in_own_namespace([] {
    const Sockets sockets;
    const UdpSending wish{.trial = trial, .payload = payload, .rate = 1000, .duration = 10ms, .has_timestamps = false};
    send_udp(sockets.flows, wish, {});
    const auto packets = sockets.packets();
    EXPECT_FALSE(packets.empty());
    for (const LoadPacket& packet : packets) EXPECT_EQ(packet.sent_at, 0U);
  });
}

TEST(UdpSending, floods_until_its_time_is_over_and_wants_what_it_sent) {
  in_own_namespace([] {
    const Sockets sockets;
    for (const bool has_timestamps : {true, false}) {
      const UdpSent sent = send_udp(
          sockets.flows, {.trial = trial, .payload = payload, .duration = 10ms, .has_timestamps = has_timestamps}, {});
      EXPECT_GT(sent.sent, 64U);
      EXPECT_EQ(sent.wanted, sent.sent);
      EXPECT_GE(sent.elapsed, 10ms);
    }
  });
}

TEST(UdpSending, that_is_stopped_wanted_what_was_due_by_then) {
  in_own_namespace([] {
    const Sockets sockets;
    std::stop_source stop;
    auto sending = std::async(std::launch::async, [&] {
      return send_udp(sockets.flows, {.trial = trial, .payload = payload, .rate = 1000, .duration = 1h},
                      stop.get_token());
    });
    std::this_thread::sleep_for(50ms);
    stop.request_stop();
    const UdpSent sent = sending.get();
    EXPECT_GE(sent.wanted, sent.sent);
    EXPECT_LE(static_cast<double>(sent.wanted), std::chrono::duration<double>(sent.elapsed).count() * 1000 + 1);
  });
}

TEST(UdpSending, goes_on_when_nobody_listens) {
  in_own_namespace([] {
    Sockets sockets;
    sockets.sink.reset();
    const UdpSent sent =
        send_udp(sockets.flows, {.trial = trial, .payload = payload, .rate = 1000, .duration = 20ms}, {});
    EXPECT_EQ(sent.wanted, 20U);
    EXPECT_GT(sent.sent, 0U);
  });
}

TEST(UdpSending, of_packets_that_are_too_large_for_the_way_is_an_error) {
  in_own_namespace([] {
    output_of("ip link set lo mtu 1500");
    const Sockets sockets;
    expect_system_error(
        [&] { send_udp(sockets.flows, {.trial = trial, .payload = 1473, .rate = 100, .duration = 10ms}, {}); },
        std::errc::message_size, HasSubstr("1473 bytes of UDP payload"));
    send_udp(sockets.flows, {.trial = trial, .payload = 1472, .rate = 100, .duration = 10ms}, {});
  });
}

TEST(UdpSockets, name_the_address_that_is_not_there) {
  in_own_namespace([] {
    const LoadAddress elsewhere{.address = *Address::parse("192.0.2.1"), .device = {}};
    expect_system_error([&] { (void)make_udp_sink(elsewhere); }, std::errc::address_not_available,
                        HasSubstr("192.0.2.1"));
  });
}

TEST(UdpSockets, name_the_device_that_is_not_there) {
  in_own_namespace([] {
    const LoadAddress nowhere{.address = *Address::parse("127.0.0.1"), .device = "nowhere"};
    expect_system_error([&] { (void)make_udp_sink(nowhere); }, std::errc::no_such_device, HasSubstr("'nowhere'"));
  });
}

}  // namespace
}  // namespace culvert
