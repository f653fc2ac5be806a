// Forwarding switched on and put back, compared with all settings that the kernel has.
#include "culvert/sandbox/forwarding.hpp"

#include <gmock/gmock.h>

#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;

std::string all_settings() {
  return output_of(
      "cd /proc/sys/net; grep -r . ipv4/ip_forward ipv4/conf ipv6/conf 2>/dev/null | grep -v stable_secret | sort");
}

std::vector<KernelSetting> all_before() {
  std::vector<KernelSetting> before = settings_before_forwarding(Family::V4);
  for (KernelSetting& setting : settings_before_forwarding(Family::V6)) before.push_back(std::move(setting));
  return before;
}

void switch_all_on() {
  for (const Family family : {Family::V4, Family::V6}) switch_forwarding_on(family);
}

TEST(Forwarding, is_put_back_with_all_that_the_kernel_changed) {
  in_own_namespace([] {
    output_of("ip link add v0 type veth peer name v1.5");
    output_of("cd /proc/sys/net; echo 0 > ipv4/conf/all/accept_redirects; echo 1 > ipv4/conf/v0/forwarding");
    output_of("cd /proc/sys/net; echo 1 > ipv6/conf/v1.5/forwarding; echo 1 > ipv4/conf/default/forwarding");
    const std::string settings = all_settings();
    const std::vector<KernelSetting> before = all_before();
    EXPECT_THAT(before, Contains(KernelSetting{"net/ipv6/conf/v1.5/forwarding", "1"}));
    for (const KernelSetting& setting : before) EXPECT_TRUE(is_forwarding_setting(setting.name)) << setting.name;
    switch_all_on();
    EXPECT_EQ(read_sysctl("net/ipv4/conf/v1.5/forwarding"), "1");
    EXPECT_EQ(read_sysctl("net/ipv6/conf/all/forwarding"), "1");
    restore_forwarding(before);
    EXPECT_EQ(all_settings(), settings);
  });
}

TEST(Forwarding, stays_on_where_it_was_on) {
  in_own_namespace([] {
    switch_all_on();
    EXPECT_THAT(all_before(), IsEmpty());
    restore_forwarding({});
    EXPECT_EQ(read_sysctl("net/ipv4/ip_forward"), "1");
  });
}

TEST(Forwarding, leaves_alone_what_somebody_switched_off_meanwhile_and_links_that_are_gone) {
  in_own_namespace([] {
    output_of("ip link add v0 type veth peer name v1; echo 1 > /proc/sys/net/ipv4/conf/v0/forwarding");
    const std::vector<KernelSetting> before = all_before();
    switch_all_on();
    output_of("echo 0 > /proc/sys/net/ipv4/ip_forward; ip link del v0");
    restore_forwarding(before);
    EXPECT_EQ(read_sysctl("net/ipv4/ip_forward"), "0");
    EXPECT_EQ(read_sysctl("net/ipv6/conf/all/forwarding"), "0");
    switch_all_on();
    EXPECT_NO_THROW(restore_forwarding(before));
    EXPECT_EQ(read_sysctl("net/ipv4/ip_forward"), "0");
  });
}

TEST(Forwarding, tells_families_apart) {
  const std::vector<KernelSetting> both{{"net/ipv4/ip_forward", "0"}, {"net/ipv6/conf/all/forwarding", "0"}};
  EXPECT_EQ(settings_of(both, Family::V4), std::vector{both[0]});
  EXPECT_EQ(settings_of(both, Family::V6), std::vector{both[1]});
}

TEST(Forwarding, names_are_of_nothing_else) {
  for (const char* name :
       {"net/ipv4/conf/v0/rp_filter", "net/ipv4/conf/../../../x/forwarding", "kernel/forwarding", ""}) {
    EXPECT_FALSE(is_forwarding_setting(name)) << name;
  }
}

TEST(Forwarding, would_cost_a_default_route_that_a_router_advertised) {
  in_own_namespace([] {
    output_of("ip link add v0 type veth peer name v1 && ip link set v0 addrgenmode none up && ip link set v1 up");
    output_of("ip -6 route add default via fe80::9 dev v0");
    EXPECT_FALSE(would_lose_advertised_routes()) << "it was made by hand";
    // What a router sends (RFC 4861, 4.2), from the other end.
    output_of(
        "echo 1 > /proc/sys/net/ipv6/conf/v0/accept_ra; ip addr add fe80::1/64 dev v0 nodad; ip addr add fe80::2/64 "
        "dev "
        "v1 nodad; python3 -c '\n"
        "import socket, struct\n"
        "s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)\n"
        "s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)\n"
        "s.bind((\"fe80::2\", 0, 0, socket.if_nametoindex(\"v1\")))\n"
        "s.sendto(struct.pack(\">BBHBBHII\", 134, 0, 0, 64, 0, 1800, 0, 0), (\"ff02::1\", 0, 0, "
        "socket.if_nametoindex(\"v1\")))\n"
        "'; tries=0; until ip -6 route | grep -q 'proto ra' || [ $((tries += 1)) -gt 300 ]; do sleep 0.01; done");
    ASSERT_NE(output_of("ip -6 route").find("proto ra"), std::string::npos);
    EXPECT_TRUE(would_lose_advertised_routes());
    output_of("echo 2 > /proc/sys/net/ipv6/conf/v0/accept_ra");
    EXPECT_FALSE(would_lose_advertised_routes()) << "the kernel keeps it then";
    output_of("echo 1 > /proc/sys/net/ipv6/conf/v0/accept_ra; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
    EXPECT_FALSE(would_lose_advertised_routes()) << "nothing is to be switched on";
  });
}

}  // namespace
}  // namespace culvert
