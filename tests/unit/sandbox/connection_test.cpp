// A sandbox's link made and taken back, with a failure or a kill at every step, in networks of the test's own.
#include "culvert/sandbox/connection.hpp"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "support/own_namespace.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;
using test::TemporaryDirectory;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Way = ConnectionWish::Way;

Prefix prefix(const char* text) {
  return *Prefix::parse(text);
}

ConnectionWish wish_for(Way way) {
  ConnectionWish wish;
  wish.way = way;
  if (way == Way::Bridge) {
    wish.bridge = "br0";
    wish.addresses.inside = {prefix("10.5.0.2/24")};
    wish.gateways = {prefix("10.5.0.254").address};
  }
  return completed(std::move(wish));
}

class ConnectionTest : public ::testing::Test {
 protected:
  ConnectionOptions options() {
    ConnectionOptions options;
    options.folder = directory_.file("run") + "/sandbox";
    options.say = [this](const std::string& text) { said_ += text + "\n"; };
    return options;
  }

  /// All that a connection could change, without what counts itself up.
  std::string state() {
    return output_of(
        "ip -o link | sed 's/^[0-9]*: //; s/@if[0-9]*//'; ip -o addr | sed 's/^[0-9]*: //'; ip -4 route show table "
        "all; "
        "ip -6 route show table all; nft list ruleset; cd /proc/sys/net; grep -r . ipv4/ip_forward ipv4/conf ipv6/conf "
        "2>/dev/null | grep -v stable_secret | sort | md5sum; grep . ipv4/ip_forward; ls " +
        directory_.path() + "/run/sandbox 2>/dev/null | grep -v '^lock$' || true");
  }

  /// Namespaces of processes that are gone, and links into them, go a moment later.
  std::string await_state(const std::string& wanted) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (state() != wanted && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return state();
  }

  std::vector<std::string> steps_of(const ConnectionWish& wish) {
    std::vector<std::string> steps;
    ConnectionOptions recording = options();
    recording.before_step = [&](std::string_view what) { steps.emplace_back(what); };
    const NetworkNamespace inside = NetworkNamespace::create();
    const Connection connection(wish, inside, recording);
    return steps;
  }

  static std::string inside_output(const NetworkNamespace& inside, const std::string& command) {
    const ScopedNamespace there(inside);
    return output_of(command);
  }

  TemporaryDirectory directory_;
  std::string said_;
};

TEST_F(ConnectionTest, reaches_the_host_and_nothing_behind_it) {
  in_own_namespace([&] {
    const std::string before = state();
    const NetworkNamespace inside = NetworkNamespace::create();
    {
      const Connection connection(wish_for(Way::Host), inside, options());
      EXPECT_EQ(connection.outer_link(), "sandbox0");
      EXPECT_EQ(connection.addresses(), default_addresses(0));
      EXPECT_THAT(inside_output(inside, "ip -o addr show eth0; ip route; ip -6 route"),
                  AllOf(HasSubstr("10.213.0.2/30"), HasSubstr("fd63:756c:7665::2/64"), Not(HasSubstr("default"))));
      inside_output(inside, "ping -c1 -W5 10.213.0.1 && ping -c1 -W5 fd63:756c:7665::1");
      output_of("ping -c1 -W5 10.213.0.2 && ping -c1 -W5 fd63:756c:7665::2");
      // Somebody else makes a router of the host, and the sandbox a gateway of it.
      output_of(
          "echo 1 > /proc/sys/net/ipv4/ip_forward; ip link add d0 type veth peer name d1; ip link set d1 up; ip addr "
          "add 192.0.2.1/24 dev d0; ip "
          "link set d0 up");
      inside_output(inside, "ip route add default via 10.213.0.1");
      inside_output(inside, "ping -c2 -i0.2 -W1 192.0.2.9 >/dev/null || true");
      EXPECT_EQ(output_of("ip neigh show 192.0.2.9"), "") << "the host was about to forward";
      output_of("echo 0 > /proc/sys/net/ipv4/ip_forward; ip link del d0");
    }
    EXPECT_EQ(await_state(before), before);
    EXPECT_THAT(said_, IsEmpty());
  });
}

TEST_F(ConnectionTest, takes_the_first_number_whose_networks_are_free) {
  in_own_namespace([&] {
    output_of(
        "ip link add d0 type veth peer name d1; ip link set d1 up; ip link set d0 up; ip addr add 10.213.0.6/32 dev "
        "d0; ip route add 10.0.0.0/8 dev "
        "d0");
    output_of("ip route add 10.213.0.8/30 dev d0; ip link add sandbox3 type veth peer name d3");
    const NetworkNamespace first = NetworkNamespace::create();
    const NetworkNamespace second = NetworkNamespace::create();
    const Connection one(wish_for(Way::Host), first, options());
    EXPECT_EQ(one.outer_link(), "sandbox0") << "a route to all of 10.0.0.0/8 does not count";
    const Connection two(wish_for(Way::Host), second, options());
    EXPECT_EQ(two.outer_link(), "sandbox4");
    EXPECT_THAT(inside_output(second, "ip -o addr show eth0"), HasSubstr("10.213.0.18/30"));
  });
}

TEST_F(ConnectionTest, puts_forwarding_back_when_the_last_that_needs_it_ends) {
  in_own_namespace([&] {
    output_of("echo 0 > /proc/sys/net/ipv4/conf/all/accept_redirects");
    const std::string before = state();
    const NetworkNamespace first = NetworkNamespace::create();
    const NetworkNamespace second = NetworkNamespace::create();
    {
      std::optional<Connection> one;
      one.emplace(wish_for(Way::Nat), first, options());
      EXPECT_THAT(inside_output(first, "ip route; ip -6 route"),
                  AllOf(HasSubstr("default via 10.213.0.1"), HasSubstr("default via fd63:756c:7665::1")));
      // One process is at both here; a journal is one process's.
      const pid_t child = ::fork();
      if (child == 0) {
        { const Connection two(wish_for(Way::Nat), second, options()); }
        ::_exit(read_sysctl("net/ipv4/ip_forward") == "1" ? 0 : 1);
      }
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0) << "the other one has ended, and this one still needs it";
      EXPECT_EQ(read_sysctl("net/ipv6/conf/all/forwarding"), "1");
    }
    EXPECT_EQ(await_state(before), before);
  });
}

TEST_F(ConnectionTest, is_a_port_of_a_bridge_that_is_there_or_made) {
  in_own_namespace([&] {
    const std::string before = state();
    const NetworkNamespace first = NetworkNamespace::create();
    {
      const Connection made(wish_for(Way::Bridge), first, options());
      EXPECT_THAT(output_of("ip link show master br0"), HasSubstr("sandbox0"));
      EXPECT_THAT(inside_output(first, "ip -o addr show eth0; ip route"),
                  AllOf(HasSubstr("10.5.0.2/24"), HasSubstr("default via 10.5.0.254")));
      EXPECT_THAT(output_of("nft list ruleset"), IsEmpty());
    }
    EXPECT_EQ(await_state(before), before);
    output_of("ip link add br0 type bridge && ip link set br0 up");
    {
      const Connection joined(wish_for(Way::Bridge), first, options());
      EXPECT_THAT(output_of("ip link show master br0"), HasSubstr("sandbox0"));
    }
    EXPECT_THAT(output_of("ip link"), HasSubstr("br0")) << "it is not ours";
    output_of("ip link set br0 down");
    {
      const Connection silent(wish_for(Way::Bridge), first, options());
      EXPECT_THAT(said_, HasSubstr("br0 is down"));
    }
    output_of("ip link del br0 && ip link add br0 type veth peer name br1");
    const std::string with_dummy = state();
    EXPECT_THROW(Connection(wish_for(Way::Bridge), first, options()), std::invalid_argument);
    EXPECT_EQ(await_state(with_dummy), with_dummy);
  });
}

TEST_F(ConnectionTest, leaves_a_bridge_that_others_have_joined) {
  in_own_namespace([&] {
    const NetworkNamespace first = NetworkNamespace::create();
    {
      const Connection made(wish_for(Way::Bridge), first, options());
      output_of("ip link add d0 type veth peer name d1 && ip link set d0 master br0");
    }
    EXPECT_THAT(output_of("ip link show master br0"), AllOf(HasSubstr("d0"), Not(HasSubstr("sandbox0"))));
  });
}

TEST_F(ConnectionTest, leaves_all_as_it_was_when_any_step_fails) {
  in_own_namespace([&] {
    (void)SandboxJournals(options().folder);
    for (const Way way : {Way::Host, Way::Nat, Way::Bridge}) {
      const std::string before = state();
      const std::vector<std::string> steps = steps_of(wish_for(way));
      ASSERT_GT(steps.size(), 6U);
      ASSERT_EQ(await_state(before), before);
      for (std::size_t failing = 0; failing < steps.size(); ++failing) {
        ConnectionOptions failing_options = options();
        failing_options.before_step = [&, at = std::size_t{0}](std::string_view) mutable {
          if (at++ == failing) throw std::system_error(EBUSY, std::system_category());
        };
        const NetworkNamespace inside = NetworkNamespace::create();
        EXPECT_THROW(Connection(wish_for(way), inside, failing_options), std::system_error);
        EXPECT_EQ(await_state(before), before) << "after a failure of \"" << steps[failing] << "\"";
        EXPECT_THAT(inside_output(inside, "ip -o link"), Not(HasSubstr("eth0")));
      }
    }
    EXPECT_THAT(said_, IsEmpty());
  });
}

TEST_F(ConnectionTest, is_taken_back_by_the_next_when_its_process_was_killed_at_any_step) {
  in_own_namespace([&] {
    (void)SandboxJournals(options().folder);
    for (const Way way : {Way::Host, Way::Nat, Way::Bridge}) {
      const std::string before = state();
      const std::vector<std::string> steps = steps_of(wish_for(way));
      ASSERT_EQ(await_state(before), before);
      for (std::size_t fatal = 0; fatal <= steps.size(); ++fatal) {
        const pid_t child = ::fork();
        if (child == 0) {
          ConnectionOptions deadly = options();
          deadly.before_step = [&, at = std::size_t{0}](std::string_view) mutable {
            if (at++ == fatal) ::raise(SIGKILL);
          };
          const NetworkNamespace inside = NetworkNamespace::create();
          const Connection connection(wish_for(way), inside, deadly);
          ::raise(SIGKILL);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        take_back_leftovers(options());
        ASSERT_EQ(await_state(before), before)
            << "after a kill at \"" << (fatal < steps.size() ? steps[fatal] : "the end") << '"';
      }
    }
  });
}

TEST_F(ConnectionTest, does_not_take_back_what_a_living_process_has) {
  in_own_namespace([&] {
    const NetworkNamespace inside = NetworkNamespace::create();
    const Connection connection(wish_for(Way::Nat), inside, options());
    const std::string with = state();
    take_back_leftovers(options());
    EXPECT_EQ(state(), with);
  });
}

TEST_F(ConnectionTest, does_not_wait_for_who_keeps_the_lock_when_there_are_leftovers) {
  in_own_namespace([&] {
    const SandboxJournals journals(options().folder);
    SandboxJournal dead;
    dead.owner = {999999, 1};
    dead.process_space = own_process_space();
    dead.where = NetworkNamespace::current().identity();
    dead.link = {4242, "sandbox9"};
    journals.write(dead);
    {
      const UniqueFd lock = journals.lock();
      take_back_leftovers(options());
      EXPECT_EQ(journals.others({}, {}).size(), 1U);
    }
    take_back_leftovers(options());
    EXPECT_EQ(journals.others({}, {}).size(), 0U);
  });
}

TEST_F(ConnectionTest, does_not_take_the_table_of_a_link_that_has_its_name_now) {
  in_own_namespace([&] {
    const NetworkNamespace inside = NetworkNamespace::create();
    const Connection connection(wish_for(Way::Nat), inside, options());
    const SandboxJournals journals(options().folder);
    SandboxJournal dead;
    dead.owner = {999999, 1};
    dead.process_space = own_process_space();
    dead.where = NetworkNamespace::current().identity();
    dead.link = {4242, connection.outer_link()};
    dead.settings.push_back({"net/ipv4/ip_forward", "0"});
    journals.write(dead);
    take_back_leftovers(options());
    EXPECT_THAT(output_of("nft list ruleset"), HasSubstr("masquerade"));
    EXPECT_EQ(read_sysctl("net/ipv4/ip_forward"), "1");
    EXPECT_EQ(journals.others({}, {}).size(), 1U) << "the living one's";
    dead.process_space = own_process_space() + 1;
    dead.link = {4242, "sandbox9"};
    journals.write(dead);
    take_back_leftovers(options());
    EXPECT_EQ(journals.others({}, {}).size(), 2U) << "nobody here knows whether it is dead";
  });
}

TEST(ConnectionWish, finds_the_other_addresses) {
  ConnectionWish wish;
  EXPECT_EQ(completed(wish), wish);
  wish.addresses.inside = {prefix("10.5.0.2/24"), prefix("fd00::5/64")};
  EXPECT_THAT(completed(wish).addresses.outside, ElementsAre(prefix("10.5.0.1/24"), prefix("fd00::1/64")));
  wish.addresses.outside = {prefix("10.5.0.9/24")};
  EXPECT_THAT(completed(wish).addresses.outside, ElementsAre(prefix("10.5.0.9/24"), prefix("fd00::1/64")));
}

TEST(ConnectionWish, is_refused_when_it_contradicts_itself) {
  const auto why = [](const ConnectionWish& wish) -> std::string {
    try {
      (void)completed(wish);
      return "";
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
  };
  ConnectionWish wish;
  wish.addresses.inside = {prefix("10.5.0.2/32")};
  EXPECT_THAT(why(wish), HasSubstr("10.5.0.2/32"));
  wish.addresses = {.inside = {}, .outside = {prefix("10.5.0.1/24")}};
  EXPECT_THAT(why(wish), HasSubstr("--host-address"));
  wish.addresses = {.inside = {prefix("10.5.0.1/24")}, .outside = {prefix("10.5.0.1/24")}};
  EXPECT_THAT(why(wish), HasSubstr("both ends"));
  wish = {};
  wish.gateways = {prefix("10.5.0.1").address};
  EXPECT_THAT(why(wish), HasSubstr("--gateway"));
  wish = wish_for(Way::Bridge);
  wish.addresses.outside = {prefix("10.5.0.1/24")};
  EXPECT_THAT(why(wish), HasSubstr("--host-address"));
  wish = wish_for(Way::Bridge);
  wish.gateways = {prefix("10.6.0.1").address};
  EXPECT_THAT(why(wish), HasSubstr("10.6.0.1"));
}

}  // namespace
}  // namespace culvert
