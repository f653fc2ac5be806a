// Commands behind tunnels, with a failure or a kill at every step.
#include "culvert/exec/behind_tunnel.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <set>
#include <stdexcept>

#include "culvert/io/unique_fd.hpp"
#include "support/crypto_ready.hpp"
#include "support/own_namespace.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class BehindTunnel : public ::testing::Test {
 protected:
  static Config config_of(const std::string& interface_lines = "Address = 10.9.0.1/24, fd09::1/64\nDNS = 10.9.0.53\n") {
    return parse_config("[Interface]\nPrivateKey = YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n" + interface_lines +
                            "\n[Peer]\nPublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\nEndpoint = "
                            "192.0.2.1:51820\nAllowedIPs = 0.0.0.0/0, ::/0\n",
                        "test.conf");
  }

  /// `body` in a network of its own that has an uplink, and with a state directory of its own.
  void in_network(const std::function<void()>& body) {
    ::setenv("STATE_DIRECTORY", directory_.path().c_str(), 1);
    in_own_namespace([&] {
      if (::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "/dev/net/tun cannot be used";
      output_of("ip link add up0 type veth peer name up1 && ip link set up0 up && ip addr add 192.0.2.9/24 dev up0");
      body();
    });
    ::unsetenv("STATE_DIRECTORY");
  }

  /// Steps are taken in two processes.
  void record(std::string_view what) const { std::ofstream(directory_.file("steps"), std::ios::app) << what << "\n"; }

  int run(const std::vector<std::string>& command, BehindTunnelOptions options = {}) {
    Config config = config_of();
    (void)adapt_to_own_namespace(config);
    return run_behind_tunnel(std::move(config), "tunnel0", command, options);
  }

  std::set<std::string> all_steps() {
    BehindTunnelOptions options;
    options.before_step = [this](std::string_view what) { record(what); };
    EXPECT_EQ(run({"true"}, options), 0);
    std::set<std::string> steps;
    std::ifstream file(directory_.file("steps"));
    for (std::string line; std::getline(file, line);) steps.insert(line);
    return steps;
  }

  /// All that a command behind a tunnel could change outside.
  static std::string state() {
    return output_of(
        "ip -o addr; ip -4 route show table all; ip -6 route show table all; ip rule; cat "
        "/proc/self/mountinfo; cat /etc/resolv.conf; ip netns list");
  }

  test::TemporaryDirectory directory_;
};

TEST_F(BehindTunnel, leaves_everything_as_it_was) {
  in_network([&] {
    const std::string before = state();
    EXPECT_EQ(run({"sh", "-c", "ip link show tunnel0 > /dev/null && exit 7"}), 7);
    EXPECT_EQ(state(), before);
  });
}

TEST_F(BehindTunnel, leaves_everything_as_it_was_when_any_step_fails) {
  in_network([&] {
    const std::string before = state();
    const auto steps = all_steps();
    EXPECT_GE(steps.size(), 12U);
    for (const std::string& failing : steps) {
      BehindTunnelOptions options;
      options.before_step = [&](std::string_view what) {
        if (what == failing) throw std::runtime_error("injected at " + failing);
      };
      const std::string ran = directory_.file("ran");
      try {
        (void)run({"touch", ran}, options);
        ADD_FAILURE() << "nothing was thrown at " << failing;
      } catch (const std::exception& error) {
        EXPECT_THAT(error.what(), HasSubstr("injected at " + failing));
      }
      EXPECT_NE(::access(ran.c_str(), F_OK), 0) << "the command ran in spite of a failure at " << failing;
      EXPECT_EQ(state(), before) << failing;
      EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left after " << failing;
    }
  });
}

TEST_F(BehindTunnel, leaves_everything_as_it_was_when_either_process_is_killed_at_any_step) {
  in_network([&] {
    const std::string before = state();
    for (const std::string& deadly : all_steps()) {
      std::array<int, 2> ends{};
      ASSERT_EQ(::pipe(ends.data()), 0);
      const UniqueFd all_gone(ends[0]);
      const pid_t parent = ::fork();
      if (parent == 0) {
        BehindTunnelOptions options;
        options.before_step = [&](std::string_view what) {
          if (what == deadly) ::kill(::getpid() == 1 ? -1 : ::getpid(), SIGKILL);
          // Process 1 cannot kill itself: its end is as sudden.
          if (what == deadly) ::_exit(1);
        };
        try {
          (void)run({"sleep", "1000"}, options);
        } catch (const std::exception&) {
        }
        ::_exit(0);
      }
      ::close(ends[1]);
      ::waitpid(parent, nullptr, 0);
      char byte = 0;
      EXPECT_EQ(::read(all_gone.get(), &byte, 1), 0) << "somebody outlives a kill at " << deadly;
      EXPECT_EQ(state(), before) << deadly;
    }
  });
}

TEST_F(BehindTunnel, verifies_without_a_command) {
  in_network([&] {
    std::vector<std::string> said;
    BehindTunnelOptions options;
    options.verify = std::chrono::milliseconds(200);
    options.say = [&](const std::string& line) { said.push_back(line); };
    EXPECT_EQ(run({}, options), 0);
    EXPECT_THAT(said, ElementsAre(HasSubstr("verified from inside"), HasSubstr("verified from outside")));
  });
}

TEST_F(BehindTunnel, takes_no_hooks_tables_or_saving_from_a_file_for_the_host) {
  in_network([&] {
    Config config = config_of("PostUp = touch /run/hook\nTable = off\nSaveConfig = true\nFwMark = 7\n");
    const auto warnings = adapt_to_own_namespace(config);
    EXPECT_THAT(warnings, ::testing::Contains(HasSubstr("PostUp")));
    EXPECT_THAT(config.post_up, IsEmpty());
    EXPECT_EQ(config.table, RouteTable());
    EXPECT_FALSE(config.save_config);
    EXPECT_EQ(config.mtu, 1420);
  });
}

TEST_F(BehindTunnel, refuses_what_would_lead_elsewhere) {
  for (const char* line : {"Namespace = blue\n", "Mode = tap\nBridge = br0\n"}) {
    Config config = config_of(line);
    EXPECT_THROW((void)adapt_to_own_namespace(config), ConfigError) << line;
  }
}

}  // namespace
}  // namespace culvert
