// What is found out about the open files of another process.
#include "culvert/netns/open_files.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "culvert/netns/netlink_with_its_owner.hpp"
#include "support/own_namespace.hpp"
#include "support/restrictions.hpp"

namespace culvert {
namespace {

/// A process that has opened things by the time the constructor returns, and lives as long as this.
class Child {
 public:
  explicit Child(void (*open_things)()) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      open_things();
      ::write(ends[1], "", 1) == 1 ? ::pause() : 0;
      ::_exit(0);
    }
    ::close(ends[1]);
    char ready = 1;
    EXPECT_EQ(::read(ends[0], &ready, 1), 1);
    ::close(ends[0]);
  }
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

void open_tun() {
  const int fd = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  ifreq request{};
  std::strcpy(request.ifr_name, "test-tun");
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (::ioctl(fd, TUNSETIFF, &request) != 0) ::_exit(1);
}

TEST(OpenFiles, a_tun_device_is_found_with_its_namespace_and_holder) {
  test::in_own_namespace([] {
    const Child child([] {
      open_tun();
      if (::unshare(CLONE_NEWNET) != 0) ::_exit(1);
    });
    const OpenFiles files = open_files();
    const auto found = std::ranges::find(files.devices, child.pid(), &HeldDevice::holder);
    ASSERT_NE(found, files.devices.end());
    EXPECT_EQ(found->name, "test-tun");
    const auto home = home_of(*found);
    ASSERT_TRUE(home);
    EXPECT_EQ(home->identity(), NetworkNamespace::current().identity());
  });
}

TEST(OpenFiles, a_namespace_that_is_open_is_found_and_can_be_opened) {
  test::in_own_namespace([] {
    const Child child([] {
      if (::unshare(CLONE_NEWNET) != 0) ::_exit(1);
      for (int twice = 0; twice < 2; ++twice) ::open("/proc/thread-self/ns/net", O_RDONLY);
      if (::unshare(CLONE_NEWNET) != 0) ::_exit(1);
    });
    const OpenFiles files = open_files();
    const auto found = std::ranges::find_if(files.namespaces, [&](const auto& each) {
      return std::ranges::any_of(each.second, [&](const HeldNamespace& held) { return held.holder == child.pid(); });
    });
    ASSERT_NE(found, files.namespaces.end());
    EXPECT_EQ(std::ranges::count(found->second, child.pid(), &HeldNamespace::holder), 1);
    const auto space = open_held(found->second.front());
    ASSERT_TRUE(space);
    EXPECT_EQ(space->identity().inode, found->first);
    EXPECT_NE(space->identity(), NetworkNamespace::current().identity());
  });
}

TEST(OpenFiles, a_udp_socket_is_found_by_its_port) {
  test::in_own_namespace([] {
    const Child child([] {
      const int fd = ::socket(AF_INET6, SOCK_DGRAM, 0);
      sockaddr_in6 address{};
      address.sin6_family = AF_INET6;
      address.sin6_port = htons(51820);
      if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) ::_exit(1);
      if (::unshare(CLONE_NEWNET) != 0) ::_exit(1);
    });
    const auto home = home_of_udp_socket(child.pid(), 51820);
    ASSERT_TRUE(home);
    EXPECT_EQ(home->identity(), NetworkNamespace::current().identity());
    EXPECT_FALSE(home_of_udp_socket(child.pid(), 51821));
  });
}

TEST(OpenFiles, what_is_gone_is_nothing) {
  EXPECT_FALSE(open_held({1 << 30, 3}));
  EXPECT_FALSE(home_of({1 << 30, 3, "tun0"}));
  EXPECT_FALSE(home_of_udp_socket(1 << 30, 1));
  EXPECT_EQ(name_of_process(1 << 30), "");
  EXPECT_FALSE(has_program(1 << 30));
  EXPECT_TRUE(has_program(::getpid()));
}

TEST(NetlinkWithItsOwner, looks_into_a_namespace_of_another_user_namespace) {
  test::in_own_namespace([] {
    const Child child([] {
      if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) ::_exit(1);
    });
    const auto space = NetworkNamespace::open("pid:" + std::to_string(child.pid()));
    EXPECT_NE(space.identity(), NetworkNamespace::current().identity());
    Netlink netlink = netlink_with_its_owner(space);
    const std::vector<Link> links = netlink.links();
    ASSERT_EQ(links.size(), 1U);
    EXPECT_FALSE(links[0].is_up) << "own loopback is up, the other one is not";
  });
}

TEST(NetlinkWithItsOwner, is_refused_where_the_owner_is_another) {
  std::thread([] {
    if (::unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "needs root";
    const NetworkNamespace there = NetworkNamespace::current();
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    test::drop_capability(CAP_SYS_ADMIN);
    try {
      static_cast<void>(netlink_with_its_owner(there));
      FAIL() << "entered";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code().value(), EPERM);
    }
  }).join();
}

}  // namespace
}  // namespace culvert
