// Source addresses that follow routes which ip(8) changes.
#include "culvert/runtime/route_follower.hpp"

#include <gmock/gmock.h>
#include <net/if.h>

#include <deque>

#include "culvert/io/clock.hpp"
#include "support/io_loop.hpp"
#include "support/own_namespace.hpp"
#include "support/peer_pair.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using test::in_own_namespace;
using test::output_of;
using test::run_for;
using test::run_until;

/// Longer than changes are waited for, and than their peers are asked for.
constexpr auto pause = 600ms;

/// A host with two links and its default routes by the first.
struct Host {
  Host() {
    output_of(
        "for each in first second; do ip link add $each type veth peer name $each-end && ip link set $each up"
        " && ip link set $each-end up; done"
        " && ip address add 10.0.1.1/24 dev first && ip address add 10.0.2.1/24 dev second"
        " && ip address add fd01::1/64 dev first nodad && ip address add fd02::1/64 dev second nodad"
        " && ip route add default dev first && ip -6 route add default dev first metric 10");
    initialize_crypto();
    SecretKey secret = generate_secret_key(random);
    key = public_key_of(secret);
    engine.take()->set_private_key(std::move(secret));
    follower.emplace(io, engine, network, mark);
    run_for(io, pause);
  }
  void introduce(EngineNode& other) {
    const PeerId here = other.engine.ensure_peer(key)->id;
    other.engine.add_allowed_ip(here, {inner, 32});
    other.engine.set_endpoint(here, *Endpoint::parse("10.0.1.1:9"));
    const PeerId there = engine.take()->ensure_peer(other.public_key)->id;
    engine.take()->add_allowed_ip(there, {other.inner, 32});
  }
  /// A packet of `other` comes to `local` at link `name`, after a handshake if there is need for one.
  void hear(EngineNode& other, const char* local, const char* name) {
    const Endpoint remote = *Endpoint::parse(Address::parse(local)->is_v4() ? "192.0.2.1:9" : "[2001:db8::1]:9");
    const Path path{remote, Address::parse(local), ::if_nametoindex(name)};
    const Bytes frame = PacketBuilder{other.inner, inner}.udp_of_size(100);
    other.engine.on_frame(frame, now, other.out);
    for (auto sent = other.out.take(); !sent.empty(); sent = other.out.take()) {
      for (SentDatagram& each : sent) engine.take()->on_datagram(path, 0, each.bytes, now, frames, out);
      for (const SentDatagram& each : out.take()) other.receive(remote, each.bytes, now);
    }
  }
  void hear(const char* local, const char* name) { hear(peer, local, name); }
  /// How many peers are spoken to from a certain address.
  [[nodiscard]] std::size_t held() {
    std::size_t count = 0;
    const auto count_held = [&](const Peer& each) { count += each.path && each.path->local ? 1U : 0U; };
    engine.take()->peers().for_each(count_held);
    return count;
  }
  void expect_freed() {
    run_until(io, [this] { return held() == 0; });
    now.time += 30s;  // The engine keeps it free for a while.
  }
  void expect_kept() {
    run_for(io, pause);
    EXPECT_EQ(held(), 1U);
  }

  boost::asio::io_context io;
  NetworkNamespace network = NetworkNamespace::current();
  std::uint32_t mark = 0;
  SeededRandom random{7};
  SharedEngine engine{random, limits::default_mtu};
  PublicKey key;
  Address inner = *Address::parse("10.9.0.1");
  Now now = read_clocks();
  RecordingDatagramSink out;
  RecordingFrameSink frames;
  EngineNode peer{8, limits::default_mtu, *Endpoint::parse("192.0.2.1:9"), *Address::parse("10.9.0.2")};
  std::optional<RouteFollower> follower;
};

TEST(RouteFollower, leaves_the_source_to_routing_when_the_way_moves_to_another_link) {
  in_own_namespace([] {
    Host host;
    host.introduce(host.peer);
    host.hear("10.0.1.1", "first");
    output_of("ip route replace default dev second");
    host.expect_freed();
  });
}

TEST(RouteFollower, follows_ipv6_as_well) {
  in_own_namespace([] {
    Host host;
    host.introduce(host.peer);
    host.hear("fd01::1", "first");
    output_of("ip -6 route add default dev second metric 5");
    host.expect_freed();
  });
}

TEST(RouteFollower, keeps_the_source_while_the_way_stays) {
  in_own_namespace([] {
    Host host;
    host.introduce(host.peer);
    for (const char* local : {"10.0.1.1", "fd01::1"}) {
      host.hear(local, "first");
      output_of("ip route add 10.9.0.0/16 dev second && ip -6 route add fd09::/64 dev second");
      output_of("ip address add 10.0.2.2/24 dev second && ip link set second mtu 1400");
      host.expect_kept();
      output_of("ip route del 10.9.0.0/16 && ip -6 route del fd09::/64 && ip address del 10.0.2.2/24 dev second");
      host.expect_kept();
    }
  });
}

TEST(RouteFollower, leaves_the_source_to_routing_when_the_address_is_gone) {
  in_own_namespace([] {
    Host host;
    host.introduce(host.peer);
    output_of("ip address add 10.0.1.3/32 dev first");
    for (const auto& [local, other] :
         {std::pair("10.0.1.3", "ip address del 10.0.1.3/32"), std::pair("fd01::1", "ip address del fd01::1/64")}) {
      host.hear(local, "first");
      host.expect_kept();
      output_of(std::string(other) + " dev first");
      host.expect_freed();
    }
  });
}

TEST(RouteFollower, asks_for_packets_with_the_mark_of_the_sockets) {
  in_own_namespace([] {
    Host host;
    host.mark = 7;
    host.introduce(host.peer);
    host.hear("10.0.1.1", "first");
    output_of("ip route add default dev second table 77 && ip rule add fwmark 8 table 77");
    host.expect_kept();
    output_of("ip rule add fwmark 7 table 77");
    host.expect_freed();
  });
}

TEST(RouteFollower, asks_for_packets_from_the_address_in_use) {
  in_own_namespace([] {
    Host host;
    host.introduce(host.peer);
    output_of("ip route add default dev second table 77 && ip rule add from 10.0.2.1 table 77");
    host.hear("10.0.2.1", "second");
    output_of("ip route add 10.9.0.0/16 dev second");
    host.expect_kept();
  });
}

TEST(RouteFollower, lets_answers_leave_by_another_link_than_questions_come_after_it_has_tried_once) {
  in_own_namespace([] {
    Host host;
    host.introduce(host.peer);
    host.hear("10.0.2.1", "second");
    output_of("ip route add 10.9.0.0/16 dev first");
    host.expect_freed();
    host.hear("10.0.2.1", "second");
    ASSERT_EQ(host.held(), 1U);
    output_of("ip route add 10.10.0.0/16 dev first");
    host.expect_kept();
    output_of("ip address del 10.0.2.1/24 dev second");
    host.expect_freed();
  });
}

TEST(RouteFollower, sees_to_all_of_many_peers) {
  in_own_namespace([] {
    Host host;
    std::deque<EngineNode> others;
    for (std::uint64_t i = 0; i < 50; ++i) {
      EngineNode& other = others.emplace_back(1000 + i, limits::default_mtu, *Endpoint::parse("192.0.2.1:9"),
                                              *Address::parse("10.1.0." + std::to_string(i)));
      host.introduce(other);
      host.hear(other, "10.0.1.1", "first");
    }
    EXPECT_EQ(host.held(), 50U);
    output_of("ip route replace default dev second");
    host.expect_freed();
  });
}

TEST(RouteFollower, may_go_while_it_waits) {
  in_own_namespace([] {
    Host host;
    host.introduce(host.peer);
    host.hear("10.0.1.1", "first");
    output_of("ip route replace default dev second");
    run_for(host.io, 20ms);
    host.follower.reset();
    host.expect_kept();
  });
}

TEST(RouteFollower, watches_the_namespace_of_the_sockets) {
  in_own_namespace([] {
    Host host;
    host.introduce(host.peer);
    host.hear("10.0.1.1", "first");
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    output_of("ip link set lo up && ip route add default dev lo");
    host.expect_kept();
    {
      const ScopedNamespace inside(host.network);
      output_of("ip route replace default dev second");
    }
    host.expect_freed();
  });
}

TEST(RouteFollower, starts_over_where_the_sockets_went) {
  in_own_namespace([] {
    Host host;
    host.introduce(host.peer);
    host.hear("10.0.1.1", "first");
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    host.network = NetworkNamespace::current();
    host.follower->start_over();
    host.expect_freed();
    output_of(
        "ip link set lo up && ip address add 10.0.1.1/24 dev lo && ip route add default dev lo"
        " && ip link add second type veth peer name end && ip link set second up && ip link set end up");
    run_for(host.io, pause);
    host.hear("10.0.1.1", "lo");
    host.expect_kept();
    output_of("ip route replace default dev second");
    host.expect_freed();
  });
}

}  // namespace
}  // namespace culvert
