// News of names that `ip netns` makes and deletes.
#include "culvert/netns/namespace_monitor.hpp"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/mount.h>

#include <algorithm>

#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int patience = 30'000;

NamespaceEvent added(const std::string& name) {
  return {NamespaceEvent::Kind::Added, name};
}

NamespaceEvent deleted(const std::string& name) {
  return {NamespaceEvent::Kind::Deleted, name};
}

void with_own_run(const std::function<void()>& body) {
  in_own_namespace([&] {
    ASSERT_EQ(::mount("tmpfs", "/run", "tmpfs", 0, nullptr), 0) << std::strerror(errno);
    body();
  });
}

std::vector<NamespaceEvent> next(NamespaceMonitor& monitor) {
  pollfd news{monitor.fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&news, 1, patience), 1) << "no news";
  return monitor.take();
}

TEST(NamespaceMonitor, tells_of_names_that_ip_makes_and_deletes) {
  with_own_run([] {
    output_of("ip netns add old");
    NamespaceMonitor monitor;
    EXPECT_THAT(monitor.take(), IsEmpty());
    output_of("ip netns add blue && ip netns add red");
    EXPECT_THAT(next(monitor), ElementsAre(added("blue"), added("red")));
    output_of("ip netns delete blue && ip netns delete old");
    EXPECT_THAT(next(monitor), ElementsAre(deleted("blue"), deleted("old")));
    EXPECT_THAT(monitor.take(), IsEmpty());
  });
}

TEST(NamespaceMonitor, tells_of_names_in_a_folder_that_is_made_later_or_anew) {
  with_own_run([] {
    NamespaceMonitor monitor;
    output_of("touch /run/other && ip netns add blue");
    EXPECT_THAT(next(monitor), ElementsAre(added("blue")));
    output_of("ip netns delete blue && umount /run/netns && rmdir /run/netns && ip netns add red");
    EXPECT_THAT(next(monitor), ElementsAre(deleted("blue"), added("red")));
  });
}

TEST(NamespaceMonitor, tells_what_it_comes_to_when_the_kernel_lost_events) {
  with_own_run([] {
    output_of("ip netns add gone && ip netns add stays");
    NamespaceMonitor monitor;
    output_of(
        "most=$(cat /proc/sys/fs/inotify/max_queued_events); cd /run/netns; seq -f x%g $((most / 2 + 10)) > ../names; "
        "xargs touch < ../names; xargs rm < ../names; umount gone; rm gone; touch came");
    const auto events = next(monitor);
    std::vector<std::string> present;
    for (const auto& event : events) {
      if (event.name.starts_with("x")) continue;
      present.push_back((event.kind == NamespaceEvent::Kind::Added ? "+" : "-") + event.name);
    }
    EXPECT_THAT(present, ElementsAre("-gone", "+came"));
    // Whatever was told to be added is told to be gone again.
    EXPECT_EQ(std::ranges::count(events, NamespaceEvent::Kind::Added, &NamespaceEvent::kind),
              std::ranges::count(events, NamespaceEvent::Kind::Deleted, &NamespaceEvent::kind));
  });
}

}  // namespace
}  // namespace culvert
