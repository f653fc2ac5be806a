// News of rules and default routes that ip(8) changes.
#include "culvert/io/policy_monitor.hpp"

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

TEST(PolicyMonitor, tells_of_rules_of_both_families_that_come_and_go) {
  in_own_namespace([] {
    PolicyMonitor monitor;
    EXPECT_NE(::fcntl(monitor.fd(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_FALSE(monitor.take());
    for (const char* change :
         {"ip -4 rule add table 7", "ip -4 rule del table 7", "ip -6 rule add table 7", "ip -6 rule del table 7"}) {
      output_of(change);
      EXPECT_TRUE(is_readable(monitor.fd())) << change;
      EXPECT_TRUE(monitor.take()) << change;
      EXPECT_FALSE(is_readable(monitor.fd()));
      EXPECT_FALSE(monitor.take());
    }
  });
}

TEST(PolicyMonitor, tells_of_default_routes_of_any_table_that_go) {
  in_own_namespace([] {
    PolicyMonitor monitor;
    for (const std::string ip : {"ip -4", "ip -6"}) {
      for (const char* table : {"main", "51820"}) {
        output_of(ip + " route add default dev lo table " + table);
        EXPECT_FALSE(monitor.take());
        output_of(ip + " route flush table " + table);
        EXPECT_TRUE(is_readable(monitor.fd()));
        EXPECT_TRUE(monitor.take()) << ip << " " << table;
        EXPECT_FALSE(monitor.take());
      }
    }
  });
}

TEST(PolicyMonitor, is_silent_about_other_routes_and_links) {
  in_own_namespace([] {
    PolicyMonitor monitor;
    output_of("ip route add 10.0.0.0/8 dev lo && ip link add v0 type veth peer name v1");
    output_of("ip -6 route add fd00::/8 dev lo && ip route del 10.0.0.0/8 && ip -6 route del fd00::/8 dev lo");
    EXPECT_FALSE(monitor.take());
  });
}

TEST(PolicyMonitor, tells_of_the_namespace_in_which_it_was_made) {
  in_own_namespace([] {
    PolicyMonitor monitor;
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    output_of("ip rule add table 7");
    EXPECT_FALSE(monitor.take());
  });
}

TEST(PolicyMonitor, says_so_when_more_happened_than_it_could_keep) {
  in_own_namespace([] {
    PolicyMonitor monitor;
    output_of("for i in $(seq 3000); do echo rule add table 7; echo rule del table 7; done | ip -batch -");
    EXPECT_TRUE(monitor.take());
    EXPECT_FALSE(monitor.take());
    output_of("ip rule add table 7");
    EXPECT_TRUE(monitor.take());
  });
}

}  // namespace
}  // namespace culvert
