// Commands in namespaces of their own, with a failure at every step of parent and child.
#include "culvert/sandbox/container.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "culvert/io/unique_fd.hpp"
#include "support/own_namespace.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;
using test::TemporaryDirectory;
using ::testing::AllOf;
using ::testing::HasSubstr;

class ContainerTest : public ::testing::Test {
 protected:
  ContainerOptions options() {
    ContainerOptions options;
    options.connection.folder = directory_.file("run") + "/sandbox";
    return options;
  }

  /// Its output goes to a file, which an isolated one may write.
  ContainerWish wish(const std::string& script, bool is_isolated = false) {
    ContainerWish wish;
    wish.command = {"sh", "-c", "exec >" + directory_.file("said") + "; " + script};
    wish.is_isolated = is_isolated;
    wish.ids = id_map_if_needed(IdMap::Root);
    if (wish.ids == IdMap::None) wish.connection = ConnectionWish{};
    return wish;
  }

  std::string said() {
    std::ostringstream text;
    text << std::ifstream(directory_.file("said")).rdbuf();
    return text.str();
  }

  static std::string state() {
    return output_of("ip -o link | sed 's/^[0-9]*: //'; ip -o addr | sed 's/^[0-9]*: //'; nft list ruleset; hostname");
  }

  TemporaryDirectory directory_;
};

TEST_F(ContainerTest, is_process_1_under_a_name_of_its_own) {
  in_own_namespace([&] {
    const std::string before = state();
    ContainerWish named = wish("echo $$; hostname; ls /sys/class/net; exit 7");
    named.host_name = "somebody";
    EXPECT_EQ(run_container(named, options()), 7);
    EXPECT_THAT(said(), AllOf(HasSubstr("1\nsomebody\n"), HasSubstr("lo\n")));
    EXPECT_EQ(state(), before);
  });
}

TEST_F(ContainerTest, tells_of_its_link_and_what_the_command_gets_last) {
  in_own_namespace([&] {
    const ContainerWish connected = wish("echo $SAID");
    if (!connected.connection) GTEST_SKIP() << "without root there is no link";
    ContainerOptions telling = options();
    std::string link;
    telling.on_connection = [&](const Connection& connection) { link = connection.outer_link(); };
    telling.before_exec = [] { ::setenv("SAID", "last", 1); };
    EXPECT_EQ(run_container(connected, telling), 0);
    EXPECT_EQ(link, "sandbox0");
    EXPECT_EQ(said(), "last\n");
  });
}

TEST_F(ContainerTest, leaves_all_as_it_was_when_any_step_of_parent_or_child_fails) {
  in_own_namespace([&] {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
    const UniqueFd in(ends[0]), out(ends[1]);
    ContainerOptions recording = options();
    recording.connection.before_step = [&](std::string_view what) {
      const std::string line = std::string(what) + "\n";
      ASSERT_EQ(::write(out.get(), line.data(), line.size()), static_cast<ssize_t>(line.size()));
    };
    const std::string before = state();
    EXPECT_EQ(run_container(wish("exit 0", true), recording), 0);
    std::array<char, 4096> text{};
    const ssize_t size = ::read(in.get(), text.data(), text.size());
    ASSERT_GT(size, 0);
    std::istringstream steps(std::string(text.data(), static_cast<std::size_t>(size)));
    int count = 0;
    for (std::string step; std::getline(steps, step); ++count) {
      ContainerOptions failing = options();
      failing.connection.before_step = [&](std::string_view what) {
        if (what == step) throw std::runtime_error("no " + step);
      };
      try {
        (void)run_container(wish("touch " + directory_.file("ran"), true), failing);
        ADD_FAILURE() << "went on after \"" << step << '"';
      } catch (const std::runtime_error& error) {
        EXPECT_EQ(error.what(), "no " + step);
      }
      EXPECT_EQ(state(), before) << "after a failure of \"" << step << '"';
      EXPECT_NE(::access(directory_.file("ran").c_str(), F_OK), 0) << "the command ran after \"" << step << '"';
    }
    EXPECT_GE(count, 7);
  });
}

TEST_F(ContainerTest, says_what_it_cannot_be_given) {
  in_own_namespace([&] {
    ContainerWish named = wish("true");
    named.host_name = std::string(65, 'x');
    try {
      (void)run_container(named, options());
      ADD_FAILURE() << "was given a name that is too long";
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), HasSubstr("host name"));
    }
    ContainerWish absent = wish("true");
    absent.command = {"/no/such/program"};
    EXPECT_EQ(run_container(absent, options()), 127);
    absent.command = {"/"};
    EXPECT_EQ(run_container(absent, options()), 126);
  });
}

}  // namespace
}  // namespace culvert
