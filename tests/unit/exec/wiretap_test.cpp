// Probes are sent everywhere, and heard wherever they pass.
#include "culvert/exec/wiretap.hpp"

#include <gmock/gmock.h>

#include "culvert/exec/probes.hpp"
#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

Address address(const char* text) {
  return *Address::parse(text);
}

void with_uplink(const std::function<void()>& body) {
  in_own_namespace([&] {
    output_of("ip link add up0 type veth peer name up1 && ip link set up0 up && ip link set up1 up");
    output_of(
        "ip addr add 192.0.2.9/24 dev up0 && ip -6 addr add fe80::9/64 dev up0 nodad && ip neigh add 192.0.2.1 lladdr "
        "02:00:00:00:00:01 dev up0");
    body();
  });
}

TEST(Wiretap, hears_a_probe_on_each_link_it_passes) {
  with_uplink([] {
    Wiretap tap(NetworkNamespace::current(), {"marker", "another"});
    EXPECT_GT(send_probes("the marker.", {address("192.0.2.1")}), 0U);
    tap.take();
    EXPECT_THAT(tap.seen(0), AllOf(Contains("up0"), Contains("up1")));
    EXPECT_THAT(tap.seen(1), IsEmpty());
    EXPECT_GT(tap.frames(), 0U);
    EXPECT_EQ(tap.missed(), 0U);
  });
}

TEST(Wiretap, hears_nothing_of_another_namespace) {
  with_uplink([] {
    const NetworkNamespace here = NetworkNamespace::current();
    Wiretap tap(here, {"marker"});
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    test::detail::bring_up_loopback();
    EXPECT_GT(send_probes("marker", {address("127.0.0.1")}), 0U);
    tap.take();
    EXPECT_THAT(tap.seen(0), IsEmpty());
  });
}

TEST(Probes, go_to_broadcast_and_multicast_by_each_link) {
  with_uplink([] {
    for (const char* to : {"255.255.255.255", "224.0.0.251", "ff02::fb"}) {
      Wiretap tap(NetworkNamespace::current(), {"marker"});
      send_probes("marker", {address(to)});
      tap.take();
      EXPECT_THAT(tap.seen(0), Contains("up0")) << to;
    }
  });
}

TEST(Probes, are_aimed_at_whatever_a_route_outside_leads_to) {
  with_uplink([] {
    output_of("ip route add 10.77.0.0/16 via 192.0.2.1 && ip route add 198.51.100.0/24 dev up0 table 99");
    Config config;
    config.peers.emplace_back().allowed_ips.push_back(*Prefix::parse("10.8.0.0/16"));
    const auto chosen = addresses_to_probe(config, NetworkNamespace::current());
    for (const char* expected : {"10.8.0.1", "10.77.0.1", "198.51.100.1", "192.0.2.9", "192.0.2.8", "192.0.2.255",
                                 "255.255.255.255", "224.0.0.251", "ff02::fb", "2001:db8::1"}) {
      EXPECT_THAT(chosen, Contains(address(expected))) << expected;
    }
  });
}

}  // namespace
}  // namespace culvert
