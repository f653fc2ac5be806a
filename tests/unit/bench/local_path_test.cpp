// Trials between two namespaces that a veth pair joins.
#include "culvert/bench/local_path.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <functional>
#include <stdexcept>
#include <thread>

#include "culvert/netns/veth_pair.hpp"
#include "support/expect_system_error.hpp"
#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using test::expect_system_error;
using test::in_own_namespace;
using test::output_of;
using test::wait_for_local_routes;
using ::testing::Each;
using ::testing::Gt;
using ::testing::HasSubstr;

struct Hosts {
  NetworkNamespace near_space = NetworkNamespace::create(), far_space = NetworkNamespace::create();
  VethPair link = VethPair::make({near_space, "uplink"}, {far_space, "uplink"}, 1500);
  Hosts() {
    // The first end has no carrier, and so no routes, before the second is up.
    bring_up(near_space, "1");
    bring_up(far_space, "2");
    const ScopedNamespace inside(near_space);
    wait_for_local_routes();
  }
  static void bring_up(const NetworkNamespace& space, const std::string& number) {
    const ScopedNamespace inside(space);
    output_of("ip link set uplink addrgenmode none up && ip address add 10.0.0." + number +
              "/24 dev uplink && ip address add fd00::" + number + "/64 dev uplink nodad");
  }
  LocalEnd near_end(const char* address) const { return {near_space, {*Address::parse(address), "uplink"}}; }
  LocalEnd far_end(const char* address) const { return {far_space, {*Address::parse(address), {}}}; }
};

std::ptrdiff_t entries(const char* folder) {
  return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
}

/// Calls it for IPv4 and for IPv6, and looks whether threads or sockets are left.
void over_both_families(const std::function<void(MeasuredPath&, const Hosts&)>& act) {
  in_own_namespace([&] {
    const Hosts hosts;
    for (const bool is_v6 : {false, true}) {
      LocalPath path(hosts.near_end(is_v6 ? "fd00::1" : "10.0.0.1"), hosts.far_end(is_v6 ? "fd00::2" : "10.0.0.2"));
      const auto threads = entries("/proc/self/task"), files = entries("/proc/self/fd");
      act(path, hosts);
      // A thread that was joined may be seen a moment longer.
      for (int i = 0; i < 5000 && entries("/proc/self/task") != threads; ++i) std::this_thread::sleep_for(1ms);
      EXPECT_EQ(entries("/proc/self/task"), threads);
      EXPECT_EQ(entries("/proc/self/fd"), files);
    }
  });
}

TEST(LocalPath, carries_tcp_either_way_and_both) {
  over_both_families([](MeasuredPath& path, const Hosts&) {
    for (const Direction direction : {Direction::Up, Direction::Down, Direction::Both}) {
      const TcpOutcome outcome =
          path.run(TcpTrial{.direction = direction, .streams = 2, .warm_up = 10ms, .duration = 500ms});
      EXPECT_EQ(outcome.bytes_up > 0, direction != Direction::Down);
      EXPECT_EQ(outcome.bytes_down > 0, direction != Direction::Up);
      EXPECT_EQ(outcome.elapsed, 500ms);
    }
  });
}

TEST(LocalPath, counts_udp_packets_where_they_arrive) {
  over_both_families([](MeasuredPath& path, const Hosts&) {
    for (const Direction direction : {Direction::Up, Direction::Down}) {
      const UdpOutcome outcome =
          path.run(UdpTrial{.direction = direction, .packet_size = 1500, .rate = 1000, .duration = 100ms, .flows = 3});
      EXPECT_EQ(outcome.wanted, 100U);
      EXPECT_GT(outcome.sent, 0U);
      EXPECT_EQ(outcome.received, outcome.sent) << "a wire without a queue that could be full";
    }
  });
}

TEST(LocalPath, sends_packets_of_the_wanted_size) {
  over_both_families([](MeasuredPath& path, const Hosts& hosts) {
    const auto bytes = [&] {
      const ScopedNamespace inside(hosts.near_space);
      return std::stoull(output_of("ip -s -s -o link show uplink | sed 's/.*TX:[^0-9]*\\([0-9]*\\).*/\\1/'"));
    };
    const auto before = bytes();
    const UdpOutcome outcome = path.run(UdpTrial{.packet_size = 64, .rate = 2000, .duration = 500ms});
    const auto per_packet = static_cast<double>(bytes() - before) / static_cast<double>(outcome.sent);
    // And the Ethernet header; the packet that goes ahead and neighbour discovery are few.
    EXPECT_GE(per_packet, 78);
    EXPECT_LT(per_packet, 84);
  });
}

TEST(LocalPath, floods) {
  over_both_families([](MeasuredPath& path, const Hosts&) {
    const UdpOutcome outcome = path.run(UdpTrial{.packet_size = 64, .rate = 0, .duration = 20ms});
    EXPECT_EQ(outcome.wanted, outcome.sent);
    EXPECT_GT(outcome.received, 0U);
    EXPECT_LE(outcome.received + outcome.sink_drops, outcome.sent + 1);
  });
}

TEST(LocalPath, measures_round_trips_alone_and_beside_load) {
  over_both_families([](MeasuredPath& path, const Hosts&) {
    RoundTripTrial trial{.packet_size = 64, .interval = 1ms, .duration = 50ms, .load = std::nullopt};
    const RoundTripOutcome idle = path.run(trial);
    EXPECT_GT(idle.times.size(), 0U);
    EXPECT_THAT(idle.times, Each(Gt(0ns)));
    EXPECT_FALSE(idle.load);
    trial.load = UdpTrial{.direction = Direction::Down, .packet_size = 500, .rate = 5000};
    const RoundTripOutcome loaded = path.run(trial);
    EXPECT_GT(loaded.times.size(), 0U);
    ASSERT_TRUE(loaded.load);
    EXPECT_GT(loaded.load->received, 0U);
    EXPECT_EQ(loaded.load->received, loaded.load->sent);
  });
}

TEST(LocalPath, says_when_packets_are_too_large_for_it) {
  over_both_families([](MeasuredPath& path, const Hosts&) {
    const UdpTrial large{.packet_size = 1501, .rate = 100};
    expect_system_error([&] { path.run(large); }, std::errc::message_size, HasSubstr("cannot send packets"));
    expect_system_error([&] { path.run(RoundTripTrial{.packet_size = 1501, .load = std::nullopt}); },
                        std::errc::message_size, HasSubstr("cannot send packets"));
    expect_system_error([&] { path.run(RoundTripTrial{.load = large}); }, std::errc::message_size,
                        HasSubstr("cannot send packets"));
  });
}

TEST(LocalPath, where_nothing_arrives_loses_everything) {
  over_both_families([](MeasuredPath& path, const Hosts& hosts) {
    const ScopedNamespace inside(hosts.far_space);
    output_of("nft 'add table inet t; add chain inet t c { type filter hook input priority 0; policy drop; }'");
    const UdpOutcome outcome = path.run(UdpTrial{.rate = 1000, .duration = 20ms});
    EXPECT_EQ(outcome.wanted, 20U);
    EXPECT_EQ(outcome.received, 0U);
    EXPECT_DOUBLE_EQ(outcome.loss(), 1);
    output_of("nft delete table inet t");
  });
}

TEST(LocalPath, refuses_impossible_trials) {
  over_both_families([](MeasuredPath& path, const Hosts&) {
    EXPECT_THROW(path.run(UdpTrial{.direction = Direction::Both}), std::invalid_argument);
    EXPECT_THROW(path.run(UdpTrial{.packet_size = udp_packet_min - 1}), std::invalid_argument);
    EXPECT_THROW(path.run(UdpTrial{.packet_size = 65536}), std::invalid_argument);
    EXPECT_THROW(path.run(UdpTrial{.flows = 0}), std::invalid_argument);
    EXPECT_THROW(path.run(UdpTrial{.flows = 65}), std::invalid_argument);
    EXPECT_THROW(path.run(UdpTrial{.rate = -1}), std::invalid_argument);
    EXPECT_THROW(path.run(TcpTrial{.streams = 0}), std::invalid_argument);
    EXPECT_THROW(path.run(TcpTrial{.streams = 65}), std::invalid_argument);
    EXPECT_THROW(path.run(RoundTripTrial{.packet_size = 63, .load = std::nullopt}), std::invalid_argument);
    EXPECT_THROW(path.run(RoundTripTrial{.interval = 0us, .load = std::nullopt}), std::invalid_argument);
  });
}

}  // namespace
}  // namespace culvert
