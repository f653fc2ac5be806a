// Namespace = NAME, made if it is missing: with a failure and a kill at every step, alone and shared.
#include "culvert/quick/namespace_setup.hpp"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <stdexcept>

#include "culvert/netns/named_namespaces.hpp"
#include "culvert/quick/setup.hpp"
#include "support/captured_log.hpp"
#include "support/crypto_ready.hpp"
#include "support/own_namespace.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* file =
    "[Interface]\nPrivateKey = YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nAddress = 10.9.0.1/24\n"
    "PostDown = true\n";

class NamespaceSetup : public ::testing::Test {
 protected:
  /// `body` with a /run of its own.
  static void in_network(const std::function<void()>& body) {
    in_own_namespace([&] {
      if (::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "/dev/net/tun cannot be used";
      output_of("mount -t tmpfs tmpfs /run && mkdir /run/wireguard");
      // The mount that names are kept in stays once there is one.
      output_of("ip netns add other");
      body();
    });
  }

  /// One that is up.
  struct Up {
    Up(const std::string& device, const std::string& lines, QuickSetup::Options options)
        : config(parse_config(file + lines, "test.conf")), setup(config, device, std::move(options)) {
      setup.prepare(config);
      const auto where = NetworkNamespace::open(config.device_namespace);
      tun.emplace(set_up_device(device, config, where, setup.setup()));
      setup.finish_up(config);
    }
    bool down() {
      setup.begin_down();
      tun.reset();
      return setup.end_down();
    }
    Config config;
    QuickSetup setup;
    std::optional<TunDevice> tun;
  };

  /// Up and down again, also when the way up fails.
  void up_and_down(const std::string& lines, const std::function<void(std::string_view)>& before_step) {
    Config config = parse_config(file + lines, "test.conf");
    QuickSetup setup(config, "quick0", options(before_step));
    std::optional<TunDevice> tun;
    std::exception_ptr failure;
    try {
      setup.prepare(config);
      tun.emplace(set_up_device("quick0", config, NetworkNamespace::open("blue"), setup.setup()));
      setup.finish_up(config);
    } catch (...) {
      failure = std::current_exception();
    }
    setup.begin_down();
    tun.reset();
    EXPECT_TRUE(setup.end_down());
    if (failure) std::rethrow_exception(failure);
  }

  [[nodiscard]] QuickSetup::Options options(std::function<void(std::string_view)> before_step = {}) const {
    QuickSetup::Options options;
    options.folder = directory_.file("journals");
    options.before_step = std::move(before_step);
    return options;
  }

  [[nodiscard]] std::string state() const {
    return output_of("ip netns list; ls /run/netns; grep -c netns /proc/self/mountinfo; ip -o addr; ls " +
                     directory_.file("journals") + " | grep -v '^lock$'; true");
  }

  test::TemporaryDirectory directory_;
};

TEST_F(NamespaceSetup, makes_what_is_missing_and_removes_it) {
  in_network([&] {
    (void)JournalFolder(directory_.file("journals"));
    const std::string before = state();
    Up up("quick0", "Namespace = blue\n", options());
    EXPECT_THAT(output_of("ip netns list"), HasSubstr("blue"));
    EXPECT_THAT(output_of("ip -n blue link show lo"), HasSubstr("LOOPBACK,UP"));
    EXPECT_THAT(output_of("ip -n blue address"), HasSubstr("10.9.0.1/24"));
    EXPECT_TRUE(up.down());
    EXPECT_EQ(state(), before);
  });
}

TEST_F(NamespaceSetup, leaves_what_was_there) {
  in_network([&] {
    (void)JournalFolder(directory_.file("journals"));
    output_of("ip netns add blue");
    const std::string before = state();
    Up up("quick0", "Namespace = blue\n", options());
    EXPECT_TRUE(up.down());
    EXPECT_EQ(state(), before);
  });
}

TEST_F(NamespaceSetup, leaves_nothing_after_a_failure_or_a_kill_at_any_step) {
  in_network([&] {
    const JournalFolder folder(directory_.file("journals"));
    const std::string before = state();
    std::vector<std::string> steps;
    up_and_down("Namespace = blue\n", [&](std::string_view what) { steps.emplace_back(what); });
    ASSERT_GT(steps.size(), 8U);
    EXPECT_EQ(state(), before);
    for (std::size_t failing = 0; failing < steps.size(); ++failing) {
      const auto at_step = [failing](const std::function<void()>& act) {
        return [failing, act, at = std::size_t{0}](std::string_view) mutable {
          if (at++ == failing) act();
        };
      };
      EXPECT_THROW(up_and_down("Namespace = blue\n", at_step([] { throw std::runtime_error("injected"); })),
                   std::runtime_error);
      EXPECT_EQ(state(), before) << "after a failure of " << steps[failing];
      const pid_t child = ::fork();
      if (child == 0) {
        up_and_down("Namespace = blue\n", at_step([] { ::raise(SIGKILL); }));
        ::_exit(0);
      }
      ASSERT_EQ(::waitpid(child, nullptr, 0), child);
      (void)clean_up_after(folder, "quick0");
      EXPECT_EQ(state(), before) << "after a kill at " << steps[failing];
    }
  });
}

TEST_F(NamespaceSetup, is_made_anew_after_a_kill) {
  in_network([&] {
    const JournalFolder folder(directory_.file("journals"));
    const std::string before = state();
    const pid_t child = ::fork();
    if (child == 0) {
      Up up("quick0", "Namespace = blue\n", options());
      ::raise(SIGKILL);
    }
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    EXPECT_THAT(output_of("ip netns list"), HasSubstr("blue"));
    Up up("quick0", "Namespace = blue\n", options());
    EXPECT_THAT(output_of("ip -n blue address"), HasSubstr("10.9.0.1/24"));
    EXPECT_TRUE(up.down());
    EXPECT_EQ(state(), before);
  });
}

TEST_F(NamespaceSetup, goes_with_the_last_that_uses_it_whichever_that_is) {
  in_network([&] {
    (void)JournalFolder(directory_.file("journals"));
    const std::string before = state();
    for (const bool maker_first : {true, false}) {
      Up maker("quick0", "Namespace = blue\n", options());
      Up user("quick1", "Namespace = other\nSocketNamespace = blue\n", options());
      Up& first = maker_first ? maker : user;
      Up& last = maker_first ? user : maker;
      EXPECT_TRUE(first.down());
      EXPECT_THAT(output_of("ip netns list"), HasSubstr("blue"));
      EXPECT_TRUE(last.down());
      EXPECT_EQ(state(), before);
    }
  });
}

TEST_F(NamespaceSetup, of_which_the_name_was_taken_away_is_told_and_passed_over) {
  in_network([&] {
    (void)JournalFolder(directory_.file("journals"));
    const std::string before = state();
    const test::CapturedLog log;
    Up up("quick0", "Namespace = blue\n", options());
    output_of("ip netns delete blue");
    EXPECT_TRUE(up.down());
    EXPECT_THAT(log.text(), HasSubstr("network namespace 'blue' was deleted"));
    EXPECT_EQ(state(), before);
  });
}

TEST_F(NamespaceSetup, does_not_take_the_name_from_another) {
  in_network([&] {
    (void)JournalFolder(directory_.file("journals"));
    Up up("quick0", "Namespace = blue\n", options());
    output_of("ip netns delete blue && ip netns add blue");
    EXPECT_TRUE(up.down());
    EXPECT_THAT(output_of("ip netns list"), HasSubstr("blue"));
  });
}

TEST_F(NamespaceSetup, makes_none_for_a_path_a_process_or_a_socket) {
  in_network([&] {
    for (const char* lines :
         {"Namespace = /run/netns/blue\n", "Namespace = pid:4194000\n", "SocketNamespace = blue\n"}) {
      const Config config = parse_config(std::string(file) + lines, "test.conf");
      EXPECT_THROW(QuickSetup(config, "quick0", options()), std::system_error) << lines;
    }
    EXPECT_THAT(output_of("ip netns list"), Not(HasSubstr("blue")));
  });
}

}  // namespace
}  // namespace culvert
