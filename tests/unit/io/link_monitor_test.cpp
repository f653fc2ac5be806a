// News of links that ip(8) changes.
#include "culvert/io/link_monitor.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <net/if.h>
#include <poll.h>

#include <algorithm>

#include "culvert/io/netlink.hpp"
#include "culvert/io/unique_fd.hpp"
#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;
using ::testing::Contains;
using ::testing::Field;
using ::testing::Not;

std::vector<LinkEvent> take(LinkMonitor& monitor) {
  bool is_overrun = true;
  auto events = monitor.take(is_overrun);
  EXPECT_FALSE(is_overrun);
  return events;
}

// What was heard last of interface `index`.
std::optional<LinkEvent> last_of(const std::vector<LinkEvent>& events, std::uint32_t index) {
  const auto found =
      std::find_if(events.rbegin(), events.rend(), [&](const auto& each) { return each.index == index; });
  return found == events.rend() ? std::nullopt : std::optional(*found);
}

bool is_readable(int fd) {
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, 0) == 1;
}

TEST(LinkMonitor, is_silent_while_nothing_changes) {
  in_own_namespace([] {
    output_of("ip link add v0 type veth peer name v1");
    LinkMonitor monitor;
    EXPECT_FALSE(is_readable(monitor.fd()));
    EXPECT_TRUE(take(monitor).empty());
  });
}

TEST(LinkMonitor, descriptor_is_readable_until_the_events_are_taken) {
  in_own_namespace([] {
    LinkMonitor monitor;
    EXPECT_NE(::fcntl(monitor.fd(), F_GETFD) & FD_CLOEXEC, 0);
    output_of("ip link add v0 type veth peer name v1");
    EXPECT_TRUE(is_readable(monitor.fd()));
    EXPECT_FALSE(take(monitor).empty());
    EXPECT_FALSE(is_readable(monitor.fd()));
    EXPECT_TRUE(take(monitor).empty());
  });
}

TEST(LinkMonitor, tells_state_mtu_and_name_after_each_change) {
  in_own_namespace([] {
    output_of("ip link add v0 type veth peer name v1");
    const auto index = ::if_nametoindex("v0");
    LinkMonitor monitor;

    output_of("ip link set v0 up");
    auto event = last_of(take(monitor), index);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->name, "v0");
    EXPECT_EQ(event->mtu, 1500U);
    EXPECT_TRUE(event->is_up);
    EXPECT_FALSE(event->is_gone);

    output_of("ip link set v0 mtu 1400");
    event = last_of(take(monitor), index);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->mtu, 1400U);

    output_of("ip link set v0 down");
    event = last_of(take(monitor), index);
    ASSERT_TRUE(event);
    EXPECT_FALSE(event->is_up);

    output_of("ip link set v0 name renamed");
    event = last_of(take(monitor), index);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->name, "renamed");
  });
}

TEST(LinkMonitor, tells_of_a_deleted_link) {
  in_own_namespace([] {
    output_of("ip link add v0 type veth peer name v1");
    const auto index = ::if_nametoindex("v0");
    LinkMonitor monitor;
    output_of("ip link del v0");
    const auto event = last_of(take(monitor), index);
    ASSERT_TRUE(event);
    EXPECT_TRUE(event->is_gone);
    EXPECT_EQ(event->name, "v0");
  });
}

TEST(LinkMonitor, tells_of_a_link_that_moved_away) {
  in_own_namespace([] {
    output_of("ip link add v0 type veth peer name v1");
    const auto index = ::if_nametoindex("v0");
    LinkMonitor monitor;
    const UniqueFd home(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    LinkMonitor monitor_away;
    const UniqueFd away(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::setns(home.get(), CLONE_NEWNET), 0);
    output_of("ip link set v0 netns /proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(away.get()));
    const auto event = last_of(take(monitor), index);
    ASSERT_TRUE(event);
    EXPECT_TRUE(event->is_gone);
    EXPECT_THAT(take(monitor_away), Contains(Field(&LinkEvent::name, "v0")));
  });
}

TEST(LinkMonitor, does_not_take_a_port_that_left_its_bridge_for_gone) {
  in_own_namespace([] {
    output_of("ip link add v0 type veth peer name v1 && ip link add br0 type bridge && ip link set v0 master br0");
    LinkMonitor monitor;
    output_of("ip link set v0 nomaster");
    const auto events = take(monitor);
    EXPECT_FALSE(events.empty());
    EXPECT_THAT(events, Not(Contains(Field(&LinkEvent::is_gone, true))));
  });
}

TEST(LinkMonitor, says_when_it_missed_something_and_then_goes_on) {
  in_own_namespace([] {
    output_of("ip link add v0 type veth peer name v1");
    const auto index = ::if_nametoindex("v0");
    LinkMonitor monitor;
    Netlink netlink;
    for (std::uint32_t i = 0; i < 4000; ++i) netlink.set_mtu(index, 1400 + i % 2);
    bool is_overrun = false;
    EXPECT_FALSE(monitor.take(is_overrun).empty());
    EXPECT_TRUE(is_overrun);
    netlink.set_mtu(index, 1300);
    const auto event = last_of(take(monitor), index);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->mtu, 1300U);
  });
}

TEST(LinkMonitor, can_be_moved) {
  in_own_namespace([] {
    LinkMonitor first;
    LinkMonitor second(std::move(first));
    output_of("ip link add v0 type veth peer name v1");
    EXPECT_FALSE(take(second).empty());
  });
}

}  // namespace
}  // namespace culvert
