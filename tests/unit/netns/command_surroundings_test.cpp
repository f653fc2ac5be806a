// What a command finds in a namespace, and that nobody else does.
#include "culvert/netns/command_surroundings.hpp"

#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <fstream>
#include <stdexcept>
#include <thread>

#include "culvert/netns/named_namespaces.hpp"
#include "support/expect_system_error.hpp"
#include "support/own_etc.hpp"
#include "support/own_namespace.hpp"
#include "support/restrictions.hpp"

namespace culvert {
namespace {

using test::expect_system_error;
using test::in_own_namespace;
using test::output_of;
using test::replace_in_etc;
using ::testing::AllOf;
using ::testing::HasSubstr;

// With a namespace "blue" that has files of its own.
void with_blue(const std::function<void()>& body) {
  in_own_namespace([&] {
    ASSERT_EQ(::mount("tmpfs", "/run", "tmpfs", 0, nullptr), 0) << std::strerror(errno);
    replace_in_etc("hosts", "127.0.0.1 localhost\n");
    replace_in_etc("hostname", "here\n");
    output_of("mkdir -p /etc/netns/blue");
    std::ofstream("/etc/netns/blue/hosts") << "10.1.1.1 blue\n";
    std::ofstream("/etc/netns/blue/hostname") << "blue\n";
    add_namespace("blue");
    body();
  });
}

// On a thread that may go where it likes and shares no mounts with the test.
void elsewhere(const std::function<void()>& body) {
  std::thread(body).join();
}

std::string outside() {
  return output_of("cat /proc/thread-self/mountinfo /etc/hosts /etc/hostname; ls /sys/class/net; ip -o link");
}

TEST(CommandSurroundings, are_sys_of_the_namespace_and_files_under_its_name) {
  with_blue([] {
    const std::string before = outside();
    elsewhere([] {
      enter_for_command(NetworkNamespace::open("blue"));
      EXPECT_EQ(output_of("cat /etc/hosts /etc/hostname"), "10.1.1.1 blue\nblue\n");
      output_of("ip link add only-here type bridge");
      EXPECT_EQ(output_of("ls /sys/class/net"), "lo\nonly-here\n");
    });
    EXPECT_EQ(outside(), before);
  });
}

TEST(CommandSurroundings, files_belong_to_the_name_and_to_nothing_else) {
  with_blue([] {
    elsewhere([] {
      enter_for_command(NetworkNamespace::open("/run/netns/blue"));
      EXPECT_THAT(output_of("cat /etc/hosts"), ::testing::Not(HasSubstr("blue")));
      EXPECT_EQ(output_of("ls /sys/class/net"), "lo\n");
    });
  });
}

TEST(CommandSurroundings, a_failure_at_any_step_is_seen_by_nobody_else) {
  with_blue([] {
    const std::string before = outside();
    constexpr std::size_t steps = 5;
    for (std::size_t failing = 0; failing <= steps; ++failing) {
      std::size_t at = 0;
      bool has_failed = false;
      elsewhere([&] {
        try {
          enter_for_command(NetworkNamespace::open("blue"), [&](std::string_view) {
            if (at++ == failing) throw std::runtime_error("injected");
          });
        } catch (const std::runtime_error&) {
          has_failed = true;
        }
      });
      EXPECT_EQ(has_failed, failing < steps) << at << " steps";
      EXPECT_EQ(outside(), before) << "after a failure of step " << failing;
    }
  });
}

TEST(CommandSurroundings, a_file_that_lies_over_nothing_is_refused_and_named) {
  with_blue([] {
    std::ofstream("/etc/netns/blue/novel") << "x";
    elsewhere([] {
      expect_system_error([] { enter_for_command(NetworkNamespace::open("blue")); },
                          std::errc::no_such_file_or_directory,
                          AllOf(HasSubstr("'blue'"), HasSubstr("/etc/netns/blue/novel"), HasSubstr("/etc/novel")));
    });
  });
}

TEST(CommandSurroundings, need_permission) {
  with_blue([] {
    elsewhere([] {
      test::drop_capability(CAP_SYS_ADMIN);
      expect_system_error([] { enter_for_command(NetworkNamespace::open("blue")); }, std::errc::operation_not_permitted,
                          AllOf(HasSubstr("'blue'"), HasSubstr("needs root")));
    });
  });
}

}  // namespace
}  // namespace culvert
