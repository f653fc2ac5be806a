// Frames that arrive at one link and are received at another.
#include "culvert/io/ingress_redirect.hpp"

#include <gtest/gtest.h>
#include <net/if.h>

#include <cstdint>
#include <functional>
#include <string>

#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;

/// Runs `body` with the indices of v0, whose other end is v1, and of another pair's end w0; all are up.
void with_links(const std::function<void(std::uint32_t v0, std::uint32_t w0)>& body) {
  in_own_namespace([&] {
    output_of("ip link add v0 type veth peer name v1 && ip link add w0 type veth peer name w1");
    output_of("for link in v0 v1 w0 w1; do ip link set $link addrgenmode none up; done");
    body(::if_nametoindex("v0"), ::if_nametoindex("w0"));
  });
}

unsigned long frames_received_by_ip() {
  return std::stoul(output_of("awk '/^Ip: [0-9]/ {print $4}' /proc/net/snmp"));
}

/// One datagram to the MAC address of w0, by v1.
void send_to_w0() {
  output_of(
      "ip addr replace 192.0.2.2/24 dev v1; ip neigh replace 192.0.2.9 lladdr $(ip -o link show w0 | sed 's/.*ether "
      "\\([^ ]*\\).*/\\1/') dev v1; ping -c 1 -W 0.1 -I v1 192.0.2.9 >/dev/null 2>&1 || true");
}

TEST(IngressRedirect, leads_to_the_other_link_for_as_long_as_it_lives) {
  with_links([](std::uint32_t v0, std::uint32_t w0) {
    const unsigned long before = frames_received_by_ip();
    send_to_w0();
    EXPECT_EQ(frames_received_by_ip(), before) << "v0 took what is for w0";
    {
      const auto redirect = IngressRedirect::begin(v0, w0);
      if (!redirect) GTEST_SKIP() << "this kernel or user has no tcx: " << redirect.error().message();
      send_to_w0();
      EXPECT_GT(frames_received_by_ip(), before);
    }
    const unsigned long after = frames_received_by_ip();
    send_to_w0();
    EXPECT_EQ(frames_received_by_ip(), after);
  });
}

TEST(IngressRedirect, of_a_link_that_is_not_there_is_an_error) {
  with_links([](std::uint32_t, std::uint32_t w0) { EXPECT_FALSE(IngressRedirect::begin(4242, w0)); });
}

}  // namespace
}  // namespace culvert
