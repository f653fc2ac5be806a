// Files put in force and taken back, with a failure or a kill at every step, in networks of the test's own.
#include "culvert/quick/setup.hpp"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <system_error>

#include "support/captured_log.hpp"
#include "support/crypto_ready.hpp"
#include "support/own_namespace.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using test::CapturedLog;
using test::in_own_namespace;
using test::output_of;
using test::TemporaryDirectory;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* peer_section =
    "\n[Peer]\nPublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\nEndpoint = 192.0.2.1:51820\nAllowedIPs = ";

class QuickSetupTest : public ::testing::Test {
 protected:
  /// `body` in a network of its own that has an uplink with a default route.
  void in_network(const std::function<void()>& body) {
    in_own_namespace([&] {
      if (::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "/dev/net/tun cannot be used";
      output_of("ip link add up0 mtu 1400 type veth peer name up1 && ip link set up0 addrgenmode none");
      output_of("ip link set up0 up && ip addr add 192.0.2.9/24 dev up0 && ip route add default via 192.0.2.1");
      output_of("mount -t tmpfs tmpfs /run && mkdir /run/wireguard");
      body();
    });
  }

  Config config_of(const std::string& interface_lines, const std::string& allowed_ips = "10.2.0.0/16, fd02::/64") {
    return parse_config("[Interface]\nPrivateKey = YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n" + interface_lines +
                            peer_section + allowed_ips + "\n",
                        "test.conf");
  }

  /// A file with everything in it: a default route of each family, DNS and hooks of each kind that change something.
  Config full_config() {
    const auto hook = [&](const char* key, const std::string& line) { return std::string(key) + " = " + line + "\n"; };
    const std::string marks = directory_.file("mark-");
    return config_of(
        "Address = 10.9.0.1/24, fd09::1/64\nDNS = 10.9.0.53, example.org\n" + hook("PreUp", "touch " + marks + "%i-1") +
            hook("PreUp", "touch " + marks + "%i-2") + hook("PostUp", "ip route add 10.77.0.0/16 dev up0") +
            hook("PreDown", "ip route del 10.77.0.0/16 dev up0 || true") + hook("PostDown", "rm -f " + marks + "%i-*"),
        "0.0.0.0/0, ::/0, 10.2.0.0/16, fd02::/64");
  }

  /// A resolvconf that keeps a file for each interface.
  DnsPrograms fake_dns() {
    const std::string path = directory_.file("resolvconf");
    std::ofstream(path) << "#!/bin/sh\ncase $1 in -a) cat > " << directory_.file("dns-$2") << ";; -d) rm -f "
                        << directory_.file("dns-$2") << ";; esac\n";
    ::chmod(path.c_str(), 0755);
    DnsPrograms programs;
    programs.resolvconf = {path};
    programs.interface_order = "/nowhere";
    return programs;
  }

  QuickSetup::Options options() {
    QuickSetup::Options options;
    options.folder = directory_.file("journals");
    options.dns = fake_dns();
    return options;
  }

  /// All that a set-up could change.
  std::string state() {
    return output_of(
        "ip -o addr; ip -4 route show table all; ip -6 route show table all; ip -4 rule; ip -6 rule; nft list ruleset; "
        "cat /proc/sys/net/ipv4/conf/all/src_valid_mark; ls " +
        directory_.path() + " /run/wireguard " + directory_.file("journals") + " | grep -v '^lock$'");
  }

  /// Up and, unless that throws, down again after `while_up`.
  void up_and_down(
      Config config, QuickSetup::Options options, const std::function<void()>& while_up = [] {}) {
    QuickSetup setup(config, "quick0", std::move(options));
    std::optional<TunDevice> tun;
    std::exception_ptr failure;
    try {
      setup.prepare(config);
      tun.emplace(set_up_device("quick0", config, NetworkNamespace::current(), setup.setup()));
      setup.finish_up(config);
      while_up();
    } catch (...) {
      failure = std::current_exception();
    }
    setup.begin_down();
    tun.reset();
    is_all_undone_ = setup.end_down();
    if (failure) std::rethrow_exception(failure);
  }

  std::vector<std::string> steps_of(Config config) {
    std::vector<std::string> steps;
    QuickSetup::Options recording = options();
    recording.before_step = [&](std::string_view what) { steps.emplace_back(what); };
    up_and_down(std::move(config), recording);
    return steps;
  }

  TemporaryDirectory directory_;
  bool is_all_undone_ = false;
};

TEST_F(QuickSetupTest, undoes_everything) {
  in_network([&] {
    (void)JournalFolder(directory_.file("journals"));
    const QuickSetup::Options with_dns = options();
    const std::string before = state();
    up_and_down(full_config(), with_dns, [&] {
      EXPECT_THAT(state(), AllOf(HasSubstr("10.9.0.1/24"), HasSubstr("fwmark 0xca6c lookup 51820"),
                                 HasSubstr("culvert-quick0"), HasSubstr("10.77.0.0/16"), HasSubstr("mark-quick0-2"),
                                 HasSubstr("dns-quick0"), HasSubstr("quick0.journal")));
    });
    EXPECT_TRUE(is_all_undone_);
    EXPECT_EQ(state(), before);
  });
}

TEST_F(QuickSetupTest, undoes_everything_when_any_step_fails) {
  in_network([&] {
    (void)JournalFolder(directory_.file("journals"));
    const QuickSetup::Options with_dns = options();
    const std::string before = state();
    const std::size_t count = steps_of(full_config()).size();
    ASSERT_GT(count, 20u);
    for (std::size_t failing = 0; failing < count; ++failing) {
      std::string failed_step;
      QuickSetup::Options failing_options = with_dns;
      failing_options.before_step = [&, at = std::size_t{0}](std::string_view what) mutable {
        if (at++ != failing) return;
        failed_step = what;
        throw std::runtime_error("injected");
      };
      EXPECT_THROW(up_and_down(full_config(), failing_options), std::runtime_error);
      EXPECT_EQ(state(), before) << "after a failure of \"" << failed_step << "\"";
      EXPECT_TRUE(is_all_undone_) << failed_step;
    }
  });
}

TEST_F(QuickSetupTest, lets_the_next_undo_everything_when_killed_at_any_step) {
  in_network([&] {
    const JournalFolder folder(directory_.file("journals"));
    const QuickSetup::Options with_dns = options();
    const std::string before = state();
    const std::vector<std::string> steps = steps_of(full_config());
    for (std::size_t fatal = 0; fatal <= steps.size(); ++fatal) {
      const pid_t child = ::fork();
      if (child == 0) {
        QuickSetup::Options fatal_options = with_dns;
        fatal_options.before_step = [&, at = std::size_t{0}](std::string_view) mutable {
          if (at++ == fatal) ::raise(SIGKILL);
        };
        up_and_down(full_config(), fatal_options, [] { ::raise(SIGKILL); });
        ::_exit(0);
      }
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
      (void)clean_up_after(folder, "quick0", with_dns.dns);
      EXPECT_EQ(state(), before) << "after a kill at step " << fatal << ", "
                                 << (fatal < steps.size() ? steps[fatal] : "up");
    }
  });
}

TEST_F(QuickSetupTest, undoes_a_bridge_when_any_step_fails_and_after_a_kill) {
  in_network([&] {
    output_of("ip link add spare type veth peer name far && ip link set spare addrgenmode none");
    const JournalFolder folder(directory_.file("journals"));
    const auto config = [&] {
      return config_of("Mode = tap\nBridge = br9\nBridgePort = spare\nPostUp = ip addr add 10.4.0.1/24 dev br9\n");
    };
    const QuickSetup::Options plain = options();
    const auto links = [&] { return state() + output_of("ip -o -d link | sed 's/ qdisc [a-z]*//'"); };
    const std::string before = links();
    std::size_t steps = 0;
    QuickSetup::Options counting = plain;
    counting.before_step = [&](std::string_view) { ++steps; };
    up_and_down(config(), counting, [] {
      EXPECT_THAT(output_of("ip -o link show master br9"), AllOf(HasSubstr("spare"), HasSubstr("quick0")));
    });
    EXPECT_EQ(links(), before);
    for (std::size_t failing = 0; failing < steps; ++failing) {
      QuickSetup::Options failing_options = plain;
      failing_options.before_step = [&, at = std::size_t{0}](std::string_view) mutable {
        if (at++ == failing) throw std::runtime_error("injected");
      };
      EXPECT_THROW(up_and_down(config(), failing_options), std::runtime_error);
      EXPECT_EQ(links(), before) << "after a failure of step " << failing;
      const pid_t child = ::fork();
      if (child == 0) {
        failing_options.before_step = [&, at = std::size_t{0}](std::string_view) mutable {
          if (at++ == failing) ::raise(SIGKILL);
        };
        up_and_down(config(), failing_options);
        ::_exit(0);
      }
      ASSERT_EQ(::waitpid(child, nullptr, 0), child);
      (void)clean_up_after(folder, "quick0", plain.dns);
      EXPECT_EQ(links(), before) << "after a kill at step " << failing;
    }
  });
}

// - another file, while up

/// Numbers in front of lines, of devices and of rules, which may differ where nothing else does.
std::string without_numbers(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  std::string all;
  while (std::getline(lines, line)) {
    const std::size_t end = line.find_first_not_of("0123456789");
    const bool is_numbered = end != 0 && end != std::string::npos && line[end] == ':';
    all += (is_numbered ? line.substr(end) : line) + '\n';
  }
  return all;
}

/// What the caller of a reload does with a tunnel that is up.
void change_while_up(QuickSetup& setup, const Config& before, Config& wanted) {
  setup.complete(before, wanted);
  setup.change(before, wanted);
}

class QuickSetupChangeTest : public QuickSetupTest {
 protected:
  /// Up with `before`, then `act`, then down.
  void while_up_with(Config before, QuickSetup::Options options,
                     const std::function<void(QuickSetup&, const Config&)>& act) {
    QuickSetup setup(before, "quick0", std::move(options));
    setup.prepare(before);
    std::optional<TunDevice> tun(set_up_device("quick0", before, NetworkNamespace::current(), setup.setup()));
    setup.finish_up(before);
    act(setup, before);
    setup.begin_down();
    tun.reset();
    EXPECT_TRUE(setup.end_down());
  }

  Config plain_config() { return config_of("Address = 10.9.0.1/24, 10.9.1.1/24\nMTU = 1380\n", "10.3.0.0/16"); }
};

TEST_F(QuickSetupChangeTest, makes_of_one_file_what_coming_up_with_the_other_makes) {
  in_network([&] {
    const QuickSetup::Options with_dns = options();
    const auto network = [this] {
      return output_of(
          "ip -o addr show quick0 | grep -v ' fe80'; ip -4 route show table all | grep quick0; "
          "ip -6 route show table all | grep quick0 | grep -v fe80; ip rule; ip -6 rule; nft list ruleset; "
          "cat /proc/sys/net/ipv4/conf/all/src_valid_mark; cat " +
          directory_.file("dns-quick0") + " || true");
    };
    const auto up_with = [&](Config config) {
      std::string seen;
      while_up_with(std::move(config), with_dns, [&](QuickSetup&, const Config&) { seen = network(); });
      return without_numbers(seen);
    };
    const auto change = [&](Config from, Config to) {
      std::string seen;
      while_up_with(std::move(from), with_dns, [&](QuickSetup& setup, const Config& before) {
        change_while_up(setup, before, to);
        seen = network();
      });
      return without_numbers(seen);
    };
    EXPECT_EQ(change(plain_config(), full_config()), up_with(full_config()));
    EXPECT_EQ(change(full_config(), plain_config()), up_with(plain_config()));
  });
}

TEST_F(QuickSetupChangeTest, chooses_a_mark_itself_once_the_file_names_none_and_keeps_to_it) {
  in_network([&] {
    const auto named = [this] { return config_of("Address = 10.9.0.1/24\nFwMark = 0x77\n", "0.0.0.0/0"); };
    const auto nameless = [this] { return config_of("Address = 10.9.0.1/24\n", "0.0.0.0/0"); };
    while_up_with(named(), options(), [&](QuickSetup& setup, const Config& first) {
      Config last;
      const Config* before = &first;
      const auto change_to = [&](Config wanted) {
        change_while_up(setup, *before, wanted);
        setup.end_change(true);
        last = std::move(wanted);
        before = &last;
      };
      for (int times = 0; times < 2; ++times) {
        change_to(nameless());
        EXPECT_THAT(output_of("ip rule"), AllOf(HasSubstr("fwmark 0xca6c lookup 51820"), Not(HasSubstr("0x77"))));
        EXPECT_THAT(output_of("ip route show table 51820"), HasSubstr("default dev quick0"));
      }
      Config refused = named();
      setup.complete(*before, refused);
      setup.end_change(false);
      change_to(nameless());
      EXPECT_THAT(output_of("ip rule"), HasSubstr("fwmark 0xca6c lookup 51820"));
      change_to(named());
      EXPECT_THAT(output_of("ip rule"), AllOf(HasSubstr("fwmark 0x77 lookup 119"), Not(HasSubstr("0xca6c"))));
    });
  });
}

TEST_F(QuickSetupChangeTest, makes_removed_rules_and_default_routes_again_but_no_other_route) {
  in_network([&] {
    while_up_with(
        config_of("Address = 10.9.0.1/24\n", "0.0.0.0/0, ::/0, 10.2.0.0/16"), options(),
        [&](QuickSetup& setup, const Config& completed) {
          const auto network = [] {
            return output_of("ip -4 rule; ip -6 rule; ip -4 route show table all; ip -6 route show table all");
          };
          const std::string was = network();
          EXPECT_EQ(setup.restore_policy(completed), 0u);
          output_of("ip rule del unreachable && ip -6 rule del table 51820");
          output_of("ip route flush table 51820 && ip -6 route flush table 51820");
          EXPECT_EQ(setup.restore_policy(completed), 4u);
          EXPECT_EQ(network(), was);
          output_of("ip route del 10.2.0.0/16");
          EXPECT_EQ(setup.restore_policy(completed), 0u);
          output_of("ip link set quick0 down");
          EXPECT_EQ(setup.restore_policy(completed), 0u) << "no route goes through what is down";
        });
  });
}

TEST_F(QuickSetupChangeTest, leaves_all_as_it_was_when_any_step_fails) {
  in_network([&] {
    const QuickSetup::Options with_dns = options();
    for (const bool to_full : {true, false}) {
      bool has_come_to_the_end = false;
      for (std::size_t failing = 0; !has_come_to_the_end; ++failing) {
        ASSERT_LT(failing, 50u);
        std::optional<std::size_t> left;
        QuickSetup::Options failing_options = with_dns;
        failing_options.before_step = [&](std::string_view) {
          if (left && (*left)-- == 0) {
            left.reset();
            throw std::runtime_error("injected");
          }
        };
        Config wanted = to_full ? full_config() : plain_config();
        while_up_with(to_full ? plain_config() : full_config(), failing_options,
                      [&](QuickSetup& setup, const Config& before) {
                        // Only the order of rules counts.
                        const auto state_now = [this] { return without_numbers(state()); };
                        const std::string was = state_now();
                        setup.complete(before, wanted);
                        left = failing;
                        try {
                          setup.change(before, wanted);
                          has_come_to_the_end = true;
                        } catch (const std::runtime_error&) {
                          EXPECT_EQ(state_now(), was) << "after a failure at step " << failing;
                        }
                        left.reset();
                      });
      }
    }
  });
}

TEST_F(QuickSetupChangeTest, is_undone_by_the_next_when_killed_at_any_step) {
  in_network([&] {
    const JournalFolder folder(directory_.file("journals"));
    const QuickSetup::Options with_dns = options();
    const std::string before_all = state();
    for (const bool to_full : {true, false}) {
      bool has_come_to_the_end = false;
      for (std::size_t fatal = 0; !has_come_to_the_end; ++fatal) {
        ASSERT_LT(fatal, 50u);
        const pid_t child = ::fork();
        if (child == 0) {
          std::optional<std::size_t> left;
          QuickSetup::Options fatal_options = with_dns;
          fatal_options.before_step = [&](std::string_view) {
            if (left && (*left)-- == 0) ::raise(SIGKILL);
          };
          while_up_with(to_full ? plain_config() : full_config(), fatal_options,
                        [&](QuickSetup& setup, const Config& before) {
                          Config wanted = to_full ? full_config() : plain_config();
                          setup.complete(before, wanted);
                          left = fatal;
                          setup.change(before, wanted);
                          ::raise(SIGTERM);
                        });
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status));
        has_come_to_the_end = WTERMSIG(status) == SIGTERM;
        (void)clean_up_after(folder, "quick0", with_dns.dns);
        // A hook of PostUp that only PreDown takes back is not the tunnel's to undo once the new file has no PreDown.
        output_of("ip route del 10.77.0.0/16 dev up0 2>/dev/null; rm -f " + directory_.file("mark-") + "*");
        EXPECT_EQ(state(), before_all) << "after a kill at step " << fatal;
      }
    }
  });
}

TEST_F(QuickSetupChangeTest, needs_a_socket_namespace_that_is_there) {
  in_network([&] {
    while_up_with(plain_config(), options(), [&](QuickSetup& setup, const Config& before) {
      Config wanted = plain_config();
      wanted.socket_namespace = "pid:4194000";
      EXPECT_THROW(setup.complete(before, wanted), std::system_error);
    });
  });
}

TEST_F(QuickSetupChangeTest, needs_a_new_start_for_another_namespace) {
  in_network([&] {
    while_up_with(plain_config(), options(), [&](QuickSetup& setup, const Config& before) {
      Config wanted = plain_config();
      wanted.device_namespace = "pid:1";
      EXPECT_THROW(setup.complete(before, wanted), ConfigError);
      wanted = plain_config();
      wanted.mode = DeviceMode::Switched;
      EXPECT_THROW(setup.complete(before, wanted), ConfigError);
    });
  });
}

TEST_F(QuickSetupTest, starts_where_a_killed_one_left_something) {
  in_network([&] {
    (void)JournalFolder(directory_.file("journals"));
    const QuickSetup::Options with_dns = options();
    const std::string before = state();
    const pid_t child = ::fork();
    if (child == 0) up_and_down(full_config(), with_dns, [] { ::raise(SIGKILL); });
    ::waitpid(child, nullptr, 0);
    EXPECT_NE(state(), before);
    CapturedLog log;
    up_and_down(full_config(), with_dns);
    EXPECT_THAT(log.text(), HasSubstr("undoing what process " + std::to_string(child) + " left"));
    EXPECT_EQ(state(), before);
  });
}

TEST_F(QuickSetupTest, leaves_a_living_one_alone) {
  in_network([&] {
    up_and_down(full_config(), options(), [&] {
      const std::string up = state();
      Config config = full_config();
      QuickSetup second(config, "quick0", options());
      try {
        second.prepare(config);
        ADD_FAILURE() << "a second one of the same name came up";
      } catch (const std::runtime_error& error) {
        EXPECT_THAT(error.what(), HasSubstr("is up already (process " + std::to_string(::getpid()) + ")"));
      }
      second.begin_down();
      EXPECT_TRUE(second.end_down());
      EXPECT_EQ(state(), up);
      EXPECT_THROW((void)clean_up_after(JournalFolder(directory_.file("journals")), "quick0"), std::runtime_error);
      EXPECT_EQ(state(), up);
    });
  });
}

TEST_F(QuickSetupTest, leaves_a_device_of_somebody_else_alone_and_runs_no_hook) {
  in_network([&] {
    output_of("ip link add quick0 type veth peer name quick1");
    const QuickSetup::Options with_dns = options();
    (void)JournalFolder(directory_.file("journals"));
    const std::string before = state();
    EXPECT_THROW(up_and_down(full_config(), with_dns), std::runtime_error);
    EXPECT_EQ(state(), before);
  });
}

TEST_F(QuickSetupTest, makes_the_routes_and_rules_that_wg_quick_makes_and_one_for_what_finds_no_route) {
  in_network([&] {
    up_and_down(config_of("Address = 10.9.0.1/24\n", "0.0.0.0/0, ::/0"), options(), [&] {
      EXPECT_THAT(output_of("ip route show table 51820"), HasSubstr("default dev quick0 scope link"));
      EXPECT_THAT(output_of("ip -6 route show table 51820"), HasSubstr("default dev quick0"));
      for (const char* ip : {"ip -4 rule", "ip -6 rule"}) {
        EXPECT_THAT(output_of(ip), AllOf(HasSubstr("32763:\tfrom all lookup main suppress_prefixlength 0"),
                                         HasSubstr("32764:\tnot from all fwmark 0xca6c lookup 51820"),
                                         HasSubstr("32765:\tnot from all fwmark 0xca6c unreachable")));
      }
      EXPECT_THAT(output_of("cat /proc/sys/net/ipv4/conf/all/src_valid_mark"), "1\n");
    });
  });
}

TEST_F(QuickSetupTest, uses_rules_of_the_family_of_the_default_route_only) {
  in_network([&] {
    const std::string before = output_of("ip -6 rule");
    up_and_down(config_of("Address = 10.9.0.1/24\n", "0.0.0.0/0"), options(), [&] {
      EXPECT_EQ(output_of("ip -6 rule"), before);
      EXPECT_THAT(output_of("nft list ruleset"), AllOf(HasSubstr("table ip culvert"), Not(HasSubstr("table ip6"))));
    });
    up_and_down(config_of("Address = fd09::1/64\n", "::/0"), options(), [&] {
      EXPECT_THAT(output_of("ip -4 rule"), Not(HasSubstr("fwmark")));
      EXPECT_THAT(output_of("cat /proc/sys/net/ipv4/conf/all/src_valid_mark"), "0\n");
    });
  });
}

TEST_F(QuickSetupTest, takes_the_mark_of_the_file_for_its_table) {
  in_network([&] {
    up_and_down(config_of("Address = 10.9.0.1/24\nFwMark = 0x77\n", "0.0.0.0/0"), options(), [] {
      EXPECT_THAT(output_of("ip rule"), HasSubstr("not from all fwmark 0x77 lookup 119"));
      EXPECT_THAT(output_of("ip route show table 119"), HasSubstr("default dev quick0"));
    });
  });
}

TEST_F(QuickSetupTest, takes_the_first_table_that_nobody_uses) {
  in_network([&] {
    output_of("ip route add 10.3.0.0/16 dev up0 table 51820 && ip -6 route add fd03::/64 dev up0 table 51821");
    output_of("ip rule add from 10.4.0.0/16 table 51822");
    JournalFolder folder(directory_.file("journals"));
    folder.write({.name = "other",
                  .owner = ProcessIdentity::self(),
                  .where = NetworkNamespace::current().identity(),
                  .where_name = {},
                  .table = 51823,
                  .undos = {},
                  .failures = {}});
    up_and_down(config_of("Address = 10.9.0.1/24\n", "0.0.0.0/0"), options(),
                [] { EXPECT_THAT(output_of("ip rule"), HasSubstr("lookup 51824")); });
    Config taken = config_of("Address = 10.9.0.1/24\nFwMark = 51823\n", "0.0.0.0/0");
    EXPECT_THROW(up_and_down(std::move(taken), options()), std::runtime_error);
  });
}

TEST_F(QuickSetupTest, puts_no_rules_where_table_is_off_or_a_number) {
  in_network([&] {
    const std::string before = output_of("ip rule; nft list ruleset");
    up_and_down(config_of("Address = 10.9.0.1/24\nTable = off\n", "0.0.0.0/0, 10.2.0.0/16"), options(), [&] {
      EXPECT_EQ(output_of("ip rule; nft list ruleset"), before);
      EXPECT_THAT(output_of("ip route show table all dev quick0 proto boot"), IsEmpty());
    });
    up_and_down(config_of("Address = 10.9.0.1/24\nTable = 77\n", "0.0.0.0/0, 10.2.0.0/16"), options(), [&] {
      EXPECT_EQ(output_of("ip rule; nft list ruleset"), before);
      EXPECT_THAT(output_of("ip route show table 77"),
                  AllOf(HasSubstr("default dev quick0"), HasSubstr("10.2.0.0/16")));
    });
  });
}

TEST_F(QuickSetupTest, keeps_the_kernel_switch_of_another_tunnel_and_the_last_one_restores_it) {
  in_network([&] {
    const Undo restore = RestoreSourceValidMark{"0"};
    JournalFolder folder(directory_.file("journals"));
    JournalEntries other{.name = "other",
                         .owner = ProcessIdentity::self(),
                         .where = NetworkNamespace::current().identity(),
                         .where_name = {},
                         .table = 0,
                         .undos = {restore},
                         .failures = {}};
    const auto value = [] { return output_of("cat /proc/sys/net/ipv4/conf/all/src_valid_mark"); };
    folder.write(other);
    output_of("echo 1 > /proc/sys/net/ipv4/conf/all/src_valid_mark");
    up_and_down(config_of("Address = 10.9.0.1/24\n", "0.0.0.0/0"), options(), [&] { folder.write(other); });
    EXPECT_EQ(value(), "1\n") << "the other one needs it";
    up_and_down(config_of("Address = 10.9.0.1/24\n", "0.0.0.0/0"), options(), [&] { folder.remove("other"); });
    EXPECT_EQ(value(), "0\n") << "nobody needs it";
  });
}

TEST_F(QuickSetupTest, finds_the_mtu_on_the_way_to_the_endpoint) {
  in_network([&] {
    up_and_down(config_of("Address = 10.9.0.1/24\n"), options(),
                [] { EXPECT_THAT(output_of("ip link show quick0"), HasSubstr("mtu 1320 ")); });
    output_of("ip route add 192.0.2.1/32 dev up0 mtu 1300");
    up_and_down(config_of("Address = 10.9.0.1/24\n", "10.2.0.0/16"), options(),
                [] { EXPECT_THAT(output_of("ip link show quick0"), HasSubstr("mtu 1220 ")); });
    up_and_down(config_of("Address = 10.9.0.1/24\n", "10.2.0.0/16, fd02::/64"), options(),
                [] { EXPECT_THAT(output_of("ip link show quick0"), HasSubstr("mtu 1280 ")) << "IPv6 needs as much"; });
    up_and_down(config_of("Address = 10.9.0.1/24, fd09::1/64\n"), options(),
                [] { EXPECT_THAT(output_of("ip link show quick0"), HasSubstr("mtu 1280 ")) << "IPv6 needs as much"; });
    up_and_down(config_of("Address = 10.9.0.1/24\nMTU = 1234\n", "10.2.0.0/16"), options(),
                [] { EXPECT_THAT(output_of("ip link show quick0"), HasSubstr("mtu 1234 ")); });
  });
}

TEST_F(QuickSetupTest, takes_the_mtu_of_the_default_route_or_a_usual_one_when_no_endpoint_is_known) {
  in_network([&] {
    Config config = config_of("Address = 10.9.0.1/24\n");
    config.peers[0].endpoint.reset();
    up_and_down(std::move(config), options(),
                [] { EXPECT_THAT(output_of("ip link show quick0"), HasSubstr("mtu 1320 ")); });
    output_of("ip route del default");
    config = config_of("Address = 10.9.0.1/24\n");
    config.peers[0].endpoint.reset();
    up_and_down(std::move(config), options(),
                [] { EXPECT_THAT(output_of("ip link show quick0"), HasSubstr("mtu 1420 ")); });
  });
}

TEST_F(QuickSetupTest, gives_a_tap_the_mtu_of_ethernet_whatever_the_way_carries) {
  in_network([&] {
    up_and_down(config_of("Address = 10.9.0.1/24\nMode = tap\n"), options(), [] {
      const std::string link = output_of("ip link show quick0");
      EXPECT_THAT(link, HasSubstr("mtu 1500 "));
      EXPECT_THAT(link, HasSubstr("link/ether"));
    });
  });
}

TEST_F(QuickSetupTest, takes_the_smallest_mtu_of_several_endpoints) {
  in_network([&] {
    output_of("ip route add 198.51.100.1/32 via 192.0.2.1 mtu 1290");
    Config config = config_of("Address = 10.9.0.1/24\n", "10.2.0.0/16");
    PeerConfig& other = config.peers.emplace_back();
    other.endpoint = EndpointName{"198.51.100.1", 1, Endpoint::parse("198.51.100.1:1")};
    std::swap(config.peers[0], config.peers[1]);
    up_and_down(std::move(config), options(),
                [] { EXPECT_THAT(output_of("ip link show quick0"), HasSubstr("mtu 1210 ")); });
  });
}

TEST_F(QuickSetupTest, comes_up_without_ipv6_where_that_is_switched_off) {
  in_network([&] {
    output_of("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
    const std::string before = output_of("ip -6 rule; ip -6 route show table all");
    CapturedLog log;
    up_and_down(config_of("Address = 10.9.0.1/24, fd09::1/64\n", "0.0.0.0/0, ::/0, fd02::/64"), options(), [&] {
      EXPECT_THAT(output_of("ip rule; ip addr"), AllOf(HasSubstr("lookup 51820"), HasSubstr("10.9.0.1/24")));
      EXPECT_EQ(output_of("ip -6 rule; ip -6 route show table all"), before);
    });
    EXPECT_EQ(log.count("IPv6 is switched off here"), 1u);
  });
}

TEST_F(QuickSetupTest, names_the_hook_that_failed_but_no_key_in_it) {
  in_network([&] {
    const std::string key = "YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
    CapturedLog log;
    try {
      up_and_down(config_of("PostUp = exit 3; echo " + key + "\n"), options());
      ADD_FAILURE() << "a failing hook was no failure";
    } catch (const std::exception& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("test.conf: PostUp = exit 3; echo (hidden)"), HasSubstr("status 3")));
    }
    EXPECT_THAT(log.text(), Not(HasSubstr(key.substr(0, 20))));
  });
}

TEST_F(QuickSetupTest, runs_postdown_only_when_a_hook_of_the_way_up_had_begun) {
  in_network([&] {
    const std::string mark = directory_.file("down");
    Config config = config_of("Address = 10.9.0.1/24\nPostDown = touch " + mark + "\n");
    config.addresses.push_back(config.addresses.front());
    EXPECT_THROW(up_and_down(std::move(config), options()), std::system_error);
    EXPECT_NE(::access(mark.c_str(), F_OK), 0);
    EXPECT_THROW(up_and_down(config_of("PreUp = false\nPostDown = touch " + mark + "\n"), options()),
                 std::runtime_error);
    EXPECT_EQ(::access(mark.c_str(), F_OK), 0);
    ::unlink(mark.c_str());
    up_and_down(config_of("PostDown = touch " + mark + "\n"), options());
    EXPECT_EQ(::access(mark.c_str(), F_OK), 0);
  });
}

TEST_F(QuickSetupTest, goes_on_undoing_when_something_cannot_be_undone_and_says_so) {
  in_network([&] {
    const std::string mark = directory_.file("down");
    const QuickSetup::Options with_dns = options();
    CapturedLog log;
    up_and_down(config_of("PreDown = exit 4\nPostDown = touch " + mark + "\n", "0.0.0.0/0"), with_dns);
    EXPECT_FALSE(is_all_undone_);
    EXPECT_THAT(log.text(), HasSubstr("quick0: PreDown = exit 4: ended with status 4"));
    EXPECT_EQ(::access(mark.c_str(), F_OK), 0);
    EXPECT_THAT(output_of("ip rule; nft list ruleset"), Not(HasSubstr("quick0")));
    EXPECT_EQ(JournalFolder(with_dns.folder).read("quick0"), std::nullopt);
  });
}

TEST_F(QuickSetupTest, leaves_word_of_what_could_not_be_undone_if_asked_to) {
  in_network([&] {
    QuickSetup::Options keeping = options();
    keeping.keep_failures = true;
    up_and_down(config_of("PostDown = exit 4\n"), keeping);
    const JournalFolder folder(keeping.folder);
    auto left = folder.read("quick0");
    ASSERT_TRUE(left);
    EXPECT_THAT(left->undos, IsEmpty());
    EXPECT_THAT(left->failures, ::testing::ElementsAre(HasSubstr("PostDown = exit 4")));
    left->owner.start_time += 1;  // Dead by now.
    folder.write(*left);
    CapturedLog log;
    EXPECT_EQ(clean_up_after(folder, "quick0"), false);
    EXPECT_THAT(log.text(), HasSubstr("PostDown = exit 4"));
    EXPECT_EQ(clean_up_after(folder, "quick0"), std::nullopt);
  });
}

TEST_F(QuickSetupTest, needs_something_that_sets_dns_and_says_what) {
  in_network([&] {
    QuickSetup::Options without = options();
    without.dns.resolvconf = {"/nowhere"};
    without.dns.resolvectl = {"/nowhere"};
    try {
      up_and_down(config_of("DNS = 10.9.0.53, example.org\n"), without);
      ADD_FAILURE() << "DNS was left out silently";
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("test.conf: DNS = 10.9.0.53, example.org"), HasSubstr("openresolv")));
    }
  });
}

TEST_F(QuickSetupTest, refuses_dns_for_a_device_in_another_namespace) {
  in_network([&] {
    const NetworkNamespace other = NetworkNamespace::current();
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    const std::string there = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(other.fd());
    const Config config = config_of("DNS = 10.9.0.53\nNamespace = " + there + "\n");
    EXPECT_THROW(QuickSetup(config, "quick0", options()), ConfigError);
  });
}

TEST_F(QuickSetupTest, routes_everything_plainly_where_the_device_is_apart_from_the_sockets) {
  in_network([&] {
    const NetworkNamespace sockets = NetworkNamespace::current();
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    const std::string there = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(sockets.fd());
    const std::string rules = output_of("ip rule; nft list ruleset");
    up_and_down(config_of("Address = 10.9.0.1/24\nSocketNamespace = " + there + "\n", "0.0.0.0/0"), options(), [&] {
      EXPECT_THAT(output_of("ip route"), HasSubstr("default dev quick0"));
      EXPECT_EQ(output_of("ip rule; nft list ruleset"), rules);
      EXPECT_THAT(output_of("ip link show quick0"), HasSubstr("mtu 1320 ")) << "of the way the datagrams take";
    });
  });
}

TEST_F(QuickSetupTest, takes_no_further_step_once_interrupted) {
  in_network([&] {
    Config config = config_of("Address = 10.9.0.1/24\n", "0.0.0.0/0");
    std::vector<std::string> steps;
    QuickSetup::Options watched = options();
    QuickSetup* running = nullptr;
    watched.before_step = [&](std::string_view what) {
      steps.emplace_back(what);
      if (what == "add packet filter rules") running->interrupt();
    };
    QuickSetup setup(config, "quick0", watched);
    running = &setup;
    setup.prepare(config);
    std::optional<TunDevice> tun(set_up_device("quick0", config, NetworkNamespace::current(), setup.setup()));
    EXPECT_THROW(setup.finish_up(config), std::runtime_error);
    EXPECT_EQ(steps.back(), "add packet filter rules");
    EXPECT_THAT(output_of("nft list ruleset"), IsEmpty());
    setup.begin_down();
    tun.reset();
    EXPECT_TRUE(setup.end_down());
  });
}

TEST_F(QuickSetupTest, ends_a_hook_that_is_interrupted_and_undoes_all) {
  in_network([&] {
    (void)JournalFolder(directory_.file("journals"));
    const QuickSetup::Options with_dns = options();
    const std::string before = state();
    Config config = config_of("Address = 10.9.0.1/24\nPostUp = sleep 60\n", "0.0.0.0/0");
    QuickSetup::Options watched = with_dns;
    QuickSetup* running = nullptr;
    std::thread interrupter;
    watched.before_step = [&](std::string_view what) {
      if (!what.starts_with("PostUp")) return;
      interrupter = std::thread([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        running->interrupt();
      });
    };
    QuickSetup setup(config, "quick0", watched);
    running = &setup;
    setup.prepare(config);
    std::optional<TunDevice> tun(set_up_device("quick0", config, NetworkNamespace::current(), setup.setup()));
    EXPECT_THROW(setup.finish_up(config), std::runtime_error);
    interrupter.join();
    setup.begin_down();
    tun.reset();
    EXPECT_TRUE(setup.end_down());
    EXPECT_EQ(state(), before);
  });
}

}  // namespace
}  // namespace culvert
