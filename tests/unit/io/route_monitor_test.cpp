// News of what ip(8) changes about ways.
#include "culvert/io/route_monitor.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sched.h>

#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;

bool is_readable(int fd) {
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, 0) == 1;
}

TEST(RouteMonitor, tells_of_links_addresses_routes_and_rules_of_both_families) {
  in_own_namespace([] {
    RouteMonitor monitor;
    EXPECT_NE(::fcntl(monitor.fd(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_FALSE(monitor.take());
    for (const char* change : {"ip link add v0 type veth peer name v1", "ip address add 10.0.0.1/32 dev lo",
                               "ip address add fd00::1/128 dev lo nodad", "ip route add 10.1.0.0/24 dev lo",
                               "ip -6 route add fd01::/64 dev lo", "ip route del 10.1.0.0/24 dev lo",
                               "ip rule add table 7", "ip -6 rule add table 7", "ip address del 10.0.0.1/32 dev lo"}) {
      output_of(change);
      EXPECT_TRUE(is_readable(monitor.fd())) << change;
      EXPECT_TRUE(monitor.take()) << change;
      EXPECT_FALSE(is_readable(monitor.fd()));
      EXPECT_FALSE(monitor.take());
    }
  });
}

TEST(RouteMonitor, tells_of_the_namespace_in_which_it_was_made) {
  in_own_namespace([] {
    RouteMonitor monitor;
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    output_of("ip link set lo up");
    EXPECT_FALSE(monitor.take());
  });
}

TEST(RouteMonitor, says_so_when_more_happened_than_it_could_keep) {
  in_own_namespace([] {
    RouteMonitor monitor;
    output_of(
        "for i in $(seq 3000); do echo route add 10.0.0.0/8 dev lo; echo route del 10.0.0.0/8; done | ip -batch -");
    EXPECT_TRUE(monitor.take());
    EXPECT_FALSE(monitor.take());
    output_of("ip route add 10.0.0.0/8 dev lo");
    EXPECT_TRUE(monitor.take());
  });
}

TEST(RouteMonitor, can_be_moved) {
  in_own_namespace([] {
    RouteMonitor first;
    RouteMonitor second(std::move(first));
    output_of("ip route add 10.0.0.0/8 dev lo");
    EXPECT_TRUE(second.take());
  });
}

}  // namespace
}  // namespace culvert
