// Links made as a whole or not at all: a failure at every step, and the system compared with what it was.
#include "culvert/netns/link_setup.hpp"

#include <gmock/gmock.h>
#include <net/if.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <stdexcept>

#include "culvert/netns/unfinished_links.hpp"
#include "support/expect_system_error.hpp"
#include "support/own_namespace.hpp"
#include "support/restrictions.hpp"

namespace culvert {
namespace {

using test::expect_system_error;
using test::in_own_namespace;
using test::output_of;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string output_in(const NetworkNamespace& space, const std::string& command) {
  const ScopedNamespace inside(space);
  return output_of(command);
}

Prefix prefix(const std::string& text) {
  return *Prefix::parse(text);
}

void expect_refused(const std::function<void()>& call, const ::testing::Matcher<const std::string&>& text) {
  try {
    call();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const std::exception& error) {
    EXPECT_THAT(std::string(error.what()), text);
  }
}

class LinkSetup : public ::testing::Test {
 protected:
  void in_two_namespaces(const std::function<void()>& body) {
    in_own_namespace([&] {
      ASSERT_EQ(::mount("tmpfs", "/run", "tmpfs", 0, nullptr), 0) << std::strerror(errno);
      here_.emplace(NetworkNamespace::current());
      there_.emplace(NetworkNamespace::create());
      // IPv6 addresses of their own accord would come when they like.
      for (const auto* space : {&*here_, &*there_}) {
        output_in(*space, "for key in all default; do echo 1 > /proc/sys/net/ipv6/conf/$key/addr_gen_mode; done");
      }
      body();
      there_.reset();
      here_.reset();
    });
  }

  [[nodiscard]] std::string state() const {
    const std::string command =
        "ip -o -d address show | sed 's/ *valid_lft.*//; s/state [A-Z]*//'; ip -o -d link show | sed "
        "'s/qdisc [a-z]* //; s/state [A-Z]*//; s/gc_timer *[0-9.]*//; s/hello_timer *[0-9.]*//; s/tso_max_size "
        "*[0-9]*//'; ip route show table "
        "all";
    return output_in(*here_, command) + output_in(*there_, command);
  }

  /// Lets each step of `act` fail once, and expects everything to be as it was; then none.
  std::vector<std::string> expect_all_or_nothing(const std::function<void(const StepHook&)>& act) const {
    const std::string before = state();
    for (std::size_t failing = 0;; ++failing) {
      std::vector<std::string> seen;
      const auto hook = [&](std::string_view what) {
        if (seen.size() == failing) throw std::runtime_error("injected before: " + std::string(what));
        seen.emplace_back(what);
      };
      try {
        act(hook);
      } catch (const std::runtime_error& error) {
        EXPECT_THAT(error.what(), HasSubstr("injected"));
        EXPECT_EQ(state(), before) << error.what();
        continue;
      }
      return seen;
    }
  }

  /// Kills a process that does `act` before each of its steps, and expects that the next one finds everything as it
  /// was; but not while it lives.
  void expect_kills_to_be_healed(const std::function<void(const StepHook&)>& act) const {
    const std::string before = state();
    for (std::size_t fatal = 0;; ++fatal) {
      const pid_t child = ::fork();
      if (child == 0) {
        std::size_t at = 0;
        try {
          act([&](std::string_view) {
            if (at++ == fatal) ::raise(SIGSTOP);
          });
        } catch (...) {
          ::_exit(2);
        }
        ::_exit(0);
      }
      int status = 0;
      ::waitpid(child, &status, WUNTRACED);
      if (!WIFSTOPPED(status)) {
        EXPECT_EQ(status, 0);
        EXPECT_GT(fatal, 1U);
        break;
      }
      const std::string meanwhile = state();
      remove_unfinished_links();
      EXPECT_EQ(state(), meanwhile) << "somebody's who lives, at step " << fatal;
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      remove_unfinished_links();
      EXPECT_EQ(state(), before) << "killed before step " << fatal;
      EXPECT_EQ(output_of("ls /run/culvert/links"), "");
    }
    const std::string after = state();
    remove_unfinished_links();
    EXPECT_EQ(state(), after) << "what is finished stays";
    EXPECT_NE(after, before);
    EXPECT_EQ(output_of("ls /run/culvert/links; ip -d link show group 0 | grep -c mtu"),
              output_of("ip -d link | grep -c mtu"));
  }

  std::optional<NetworkNamespace> here_, there_;
};

TEST_F(LinkSetup, a_veth_pair_with_addresses_is_made_whole_or_not_at_all) {
  in_two_namespaces([&] {
    const NewVeth wish{.left = {*here_, "left"},
                       .right = {*there_, "right"},
                       .left_addresses = {prefix("10.0.0.1/24"), prefix("fd00::1/64")},
                       .right_addresses = {prefix("10.0.0.2/24")},
                       .mtu = 1400,
                       .is_up = true};
    const auto steps = expect_all_or_nothing([&](const StepHook& hook) { make_veth(wish, hook).keep(); });
    EXPECT_EQ(steps.size(), 6U);
    output_of("ping -c 1 -W 30 10.0.0.2");
    EXPECT_THAT(output_of("ip address show left"), AllOf(HasSubstr("fd00::1/64"), HasSubstr("mtu 1400")));
  });
}

TEST_F(LinkSetup, a_record_stays_whose_namespace_is_not_seen_and_keeps_no_other_from_being_healed) {
  in_two_namespaces([&] {
    const auto leave_record_of = [](const NetworkNamespace& space) {
      const pid_t child = ::fork();
      if (child == 0) {
        const UnfinishedLink unfinished(space, {});
        ::raise(SIGKILL);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
    };
    {
      const NetworkNamespace gone = NetworkNamespace::create();
      leave_record_of(gone);
    }
    const std::string unseen = output_of("ls /run/culvert/links");
    EXPECT_THAT(unseen, HasSubstr(".journal"));
    leave_record_of(*here_);
    EXPECT_NE(output_of("ls /run/culvert/links"), unseen);
    remove_unfinished_links();
    EXPECT_EQ(output_of("ls /run/culvert/links"), unseen);
  });
}

TEST_F(LinkSetup, a_veth_pair_that_somebody_was_killed_while_making_goes) {
  in_two_namespaces([&] {
    const NewVeth wish{.left = {*here_, "left"},
                       .right = {*there_, "right"},
                       .left_addresses = {prefix("10.0.0.1/24"), prefix("fd00::1/64")},
                       .right_addresses = {prefix("10.0.0.2/24")},
                       .mtu = 1400,
                       .is_up = true};
    expect_kills_to_be_healed([&](const StepHook& hook) { make_veth(wish, hook).keep(); });
  });
}

TEST_F(LinkSetup, a_bridge_that_somebody_was_killed_while_making_goes) {
  in_two_namespaces([&] {
    output_of("ip link add p1 type veth peer name q1 && ip link add p2 type veth peer name q2 && ip link set p2 up");
    const NewBridge wish{.name = "br0",
                         .ports = {"p1", "p2"},
                         .addresses = {prefix("10.0.0.254/24")},
                         .mtu = 1500,
                         .has_stp = false,
                         .is_up = true};
    expect_kills_to_be_healed([&](const StepHook& hook) { make_bridge(*here_, wish, hook); });
  });
}

TEST_F(LinkSetup, who_cannot_write_down_what_he_makes_makes_it_nevertheless) {
  in_two_namespaces([&] {
    std::ofstream("/run/culvert") << "no folder";
    make_veth({.left = {*here_, "left"},
               .right = {*there_, "right"},
               .left_addresses = {prefix("10.0.0.1/24")},
               .right_addresses = {},
               .mtu = {},
               .is_up = true})
        .keep();
    EXPECT_THAT(output_of("ip address show left"), HasSubstr("10.0.0.1/24"));
  });
}

TEST_F(LinkSetup, an_address_that_is_refused_takes_the_pair_back) {
  in_two_namespaces([&] {
    const std::string before = state();
    const NewVeth twice{.left = {*here_, "left"},
                        .right = {*there_, "right"},
                        .left_addresses = {},
                        .right_addresses = {prefix("10.0.0.2/24"), prefix("10.0.0.2/24")},
                        .mtu = {},
                        .is_up = true};
    expect_refused([&] { make_veth(twice).keep(); }, AllOf(HasSubstr("10.0.0.2/24"), HasSubstr("right")));
    EXPECT_EQ(state(), before);
    const NewVeth too_large{.left = {*here_, "left"},
                            .right = {*there_, "right"},
                            .left_addresses = {},
                            .right_addresses = {},
                            .mtu = 1 << 20,
                            .is_up = true};
    expect_refused([&] { make_veth(too_large).keep(); }, HasSubstr("left"));
    EXPECT_EQ(state(), before);
  });
}

TEST_F(LinkSetup, a_bridge_with_ports_is_made_whole_or_not_at_all) {
  in_two_namespaces([&] {
    output_of("ip link add p1 type veth peer name q1 && ip link add p2 type veth peer name q2 && ip link set p2 up");
    const NewBridge wish{.name = "br0",
                         .ports = {"p1", "p2"},
                         .addresses = {prefix("10.0.0.254/24")},
                         .mtu = 1500,
                         .has_stp = false,
                         .is_up = true};
    const auto steps = expect_all_or_nothing([&](const StepHook& hook) { make_bridge(*here_, wish, hook); });
    EXPECT_THAT(steps, ElementsAre("make bridge br0", "add address 10.0.0.254/24", "put p1 into br0", "put p2 into br0",
                                   "bring up p1", "bring up br0"));
    EXPECT_THAT(output_of("bridge link"), AllOf(HasSubstr("p1"), HasSubstr("p2"), HasSubstr("master br0")));
    EXPECT_THAT(output_of("ip address show br0"), AllOf(HasSubstr("10.0.0.254/24"), HasSubstr(",UP")));
    remove_bridge(*here_, "br0");
    EXPECT_EQ(::if_nametoindex("br0"), 0U);
    EXPECT_NE(::if_nametoindex("p1"), 0U);
  });
}

TEST_F(LinkSetup, a_port_that_goes_in_the_middle_takes_the_bridge_back) {
  in_two_namespaces([&] {
    output_of("ip link add p1 type veth peer name q1");
    const std::string before = state();
    output_of("ip link add p2 type veth peer name q2");
    const NewBridge wish{.name = "br0", .ports = {"p1", "p2"}, .addresses = {}, .is_up = true};
    const auto pull = [](std::string_view what) {
      if (what == "put p1 into br0") output_of("ip link delete p2");
    };
    expect_system_error([&] { make_bridge(*here_, wish, pull); }, std::errc::no_such_device, HasSubstr("'p2'"));
    EXPECT_EQ(state(), before);
  });
}

TEST_F(LinkSetup, an_end_that_goes_in_the_middle_leaves_nothing_of_the_pair) {
  in_two_namespaces([&] {
    const std::string before = state();
    const NewVeth wish{.left = {*here_, "left"},
                       .right = {*there_, "right"},
                       .left_addresses = {prefix("10.0.0.1/24")},
                       .right_addresses = {},
                       .mtu = {},
                       .is_up = true};
    const auto pull = [](std::string_view what) {
      if (what == "bring up left") output_of("ip link delete left");
    };
    expect_refused([&] { make_veth(wish, pull).keep(); }, HasSubstr("no such interface"));
    EXPECT_EQ(state(), before);
  });
}

TEST_F(LinkSetup, ports_come_and_go_all_together) {
  in_two_namespaces([&] {
    // Without an address of its own a bridge has that of its lowest port, and none when the last one has left.
    output_of("ip link add br0 address 02:00:00:00:00:01 type bridge && ip link add p1 type veth peer name q1");
    output_of("ip link add p2 type veth peer name q2");
    const std::vector<std::string> ports{"p1", "p2"};
    EXPECT_EQ(expect_all_or_nothing([&](const StepHook& hook) { add_ports(*here_, "br0", ports, hook); }).size(), 2U);
    // Who is in is in.
    EXPECT_EQ(expect_all_or_nothing([&](const StepHook& hook) { add_ports(*here_, "br0", ports, hook); }).size(), 0U);
    EXPECT_THAT(output_of("bridge link"), AllOf(HasSubstr("p1"), HasSubstr("p2")));
    EXPECT_EQ(expect_all_or_nothing([&](const StepHook& hook) { remove_ports(*here_, "br0", ports, hook); }).size(),
              2U);
    EXPECT_EQ(output_of("bridge link"), "");
    expect_refused([&] { remove_ports(*here_, "br0", {"p1"}); }, AllOf(HasSubstr("'p1'"), HasSubstr("no port of br0")));
    expect_refused([&] { remove_ports(*here_, "", {"p1"}); }, HasSubstr("no port of a bridge"));
  });
}

TEST_F(LinkSetup, refuses_what_cannot_or_should_not_be_a_port) {
  in_two_namespaces([&] {
    output_of("ip link add br0 type bridge && ip link add br1 type bridge && ip link add p1 type veth peer name q1");
    output_of("ip address add 10.0.0.1/24 dev p1 && ip link set q1 master br1 && ip tuntap add t0 mode tun");
    const std::string before = state();
    for (const auto& [name, why] : {std::pair("lo", "loopback"), std::pair("br1", "a bridge in a bridge"),
                                    std::pair("q1", "a port of br1 already"), std::pair("t0", "net.ipv4.ip_forward"),
                                    std::pair("p1", "culvert bridge attach")}) {
      expect_refused([&] { add_ports(*here_, "br0", {name}); }, AllOf(HasSubstr(name), HasSubstr(why)));
      expect_refused([&] { make_bridge(*here_, {.name = "br2", .ports = {name}, .addresses = {}}); }, HasSubstr(why));
    }
    expect_refused([&] { add_ports(*here_, "q1", {"p1"}); }, AllOf(HasSubstr("'q1'"), HasSubstr("is no bridge")));
    expect_refused([&] { make_bridge(*here_, {.name = "br1", .ports = {}, .addresses = {}}); },
                   AllOf(HasSubstr("'br1'"), HasSubstr("already")));
    expect_refused([&] { remove_bridge(*here_, "p1"); }, HasSubstr("is no bridge"));
    EXPECT_EQ(state(), before);
  });
}

TEST_F(LinkSetup, moves_an_interface_and_tells_where_it_is) {
  in_two_namespaces([&] {
    output_of("ip link add p1 type veth peer name q1");
    const Interface moved = move_interface(*here_, "p1", *there_, "renamed");
    EXPECT_EQ(moved.home, there_->identity());
    EXPECT_EQ(::if_nametoindex("p1"), 0U);
    EXPECT_THAT(output_in(*there_, "ip -o link"), HasSubstr(std::to_string(moved.index) + ": renamed"));
    // Where it is already is where it stays.
    EXPECT_EQ(move_interface(*there_, "renamed", *there_), moved);
    EXPECT_EQ(move_interface(*there_, "renamed", *there_, "again").index, moved.index);
  });
}

TEST_F(LinkSetup, refuses_moves_that_cannot_be_and_moves_nothing) {
  in_two_namespaces([&] {
    output_of("ip link add p1 type veth peer name q1 && ip link add br0 type bridge");
    output_in(*there_, "ip link add p1 type bridge");
    const std::string before = state();
    expect_system_error([&] { move_interface(*here_, "none", *there_); }, std::errc::no_such_device,
                        HasSubstr("'none'"));
    expect_system_error([&] { move_interface(*here_, "p1", *there_); }, std::errc::file_exists, HasSubstr("'p1'"));
    expect_refused([&] { move_interface(*here_, "lo", *there_, "other"); },
                   AllOf(HasSubstr("'lo'"), HasSubstr("loopback and bridges stay")));
    expect_refused([&] { move_interface(*here_, "br0", *there_); },
                   AllOf(HasSubstr("'br0'"), HasSubstr("loopback and bridges stay")));
    expect_refused([&] { move_interface(*here_, "p1", *there_, "a/b"); }, HasSubstr("a/b"));
    EXPECT_EQ(state(), before);
  });
}

TEST_F(LinkSetup, addresses_and_states_change_for_all_or_none) {
  in_two_namespaces([&] {
    output_of("ip link add p1 type veth peer name q1 && sysctl -qw net.ipv4.conf.all.promote_secondaries=1");
    const std::vector<Prefix> addresses{prefix("10.0.0.1/24"), prefix("10.0.1.1/24")};
    EXPECT_EQ(expect_all_or_nothing([&](const StepHook& hook) { add_addresses(*here_, "p1", addresses, hook); }).size(),
              2U);
    EXPECT_EQ(expect_all_or_nothing([&](const StepHook& hook) {
                set_interfaces_up(*here_, {"p1", "q1"}, true, hook);
              }).size(),
              2U);
    EXPECT_THAT(output_of("ip address show p1"), AllOf(HasSubstr("10.0.0.1/24"), HasSubstr("10.0.1.1/24")));
    const auto steps = expect_all_or_nothing([&](const StepHook& hook) {
      // In the order in which the kernel will list them again.
      remove_addresses(*here_, "p1", {addresses[1], addresses[0]}, hook);
    });
    EXPECT_EQ(steps.size(), 2U);
    expect_refused([&] { remove_addresses(*here_, "p1", addresses); },
                   AllOf(HasSubstr("10.0.0.1/24"), HasSubstr("p1")));
    set_interfaces_up(*here_, {"p1", "q1"}, false);
    EXPECT_THAT(output_of("ip link show p1"), ::testing::Not(HasSubstr(",UP")));
  });
}

TEST_F(LinkSetup, says_what_permission_is_missing) {
  in_two_namespaces([&] {
    output_of("ip link add p1 type veth peer name q1");
    test::drop_capability(CAP_NET_ADMIN);
    for (const std::function<void()>& call : std::vector<std::function<void()>>{
             [&] { make_bridge(*here_, {.name = "br0", .ports = {}, .addresses = {}}); },
             [&] { add_addresses(*here_, "p1", {prefix("10.0.0.1/24")}); },
             [&] { set_interfaces_up(*here_, {"p1"}, true); },
             [&] { move_interface(*here_, "p1", *there_, "p2"); },
         }) {
      expect_refused(call, HasSubstr("CAP_NET_ADMIN"));
    }
  });
}

}  // namespace
}  // namespace culvert
