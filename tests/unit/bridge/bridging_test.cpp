// NICs attached and taken back, with a failure or a kill at every step, in networks of the test's own.
#include "culvert/bridge/bridging.hpp"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <iostream>
#include <optional>
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

using std::chrono::steady_clock;

constexpr auto patience = std::chrono::seconds(30);

class BridgingTest : public ::testing::Test {
 protected:
  /// `body` in a network of its own with a NIC that has addresses, routes, a rule and a neighbour of all sorts.
  void in_network(const std::function<void()>& body) {
    in_own_namespace([&] {
      output_of("ip link add nic type veth peer name far && ip link set far addrgenmode none up");
      output_of("ip link set nic addrgenmode none up");
      output_of("ip addr add 192.0.2.9/24 dev nic && ip addr add 192.0.2.10/24 dev nic label nic:1");
      output_of("ip addr add fd00::9/64 dev nic nodad && ip addr add fe80::9/64 dev nic nodad");
      output_of("ip route add default via 192.0.2.1 metric 7 && ip route add 10.1.0.0/16 dev nic table 50");
      output_of("ip -6 route add default via fd00::1 && ip -6 route add fd01::/48 via fd00::2 metric 9");
      output_of("ip rule add iif nic table 50 pref 100 && ip -6 rule add oif nic table 51 pref 101");
      output_of("ip neigh add 192.0.2.77 lladdr 02:00:00:00:00:77 dev nic nud permanent");
      body();
    });
  }

  [[nodiscard]] BridgeWish wish(std::optional<std::chrono::seconds> confirm = std::chrono::seconds(60)) const {
    return {.nic = "nic", .bridge = "br0", .tap = {}, .confirm = confirm, .has_stp = false};
  }

  BridgingOptions options() {
    BridgingOptions options;
    options.folder = directory_.file("run") + "/bridge";
    options.patience_before = std::chrono::milliseconds(0);  // Nobody is there to answer.
    return options;
  }

  /// All that attaching could change.
  std::string state() {
    return output_of(
        "ip -o -d link | sed 's/ qdisc [a-z]*//; s/ group .*//'; ip -o -d addr; ip -4 -d route show table all; ip -6 "
        "-d route show table "
        "all; ip rule; ip -6 rule; ip neigh show nud permanent; cd /proc/sys/net/ipv6/conf/nic; cat addr_gen_mode "
        "accept_ra; ls " +
        directory_.path() + "/run/bridge 2>/dev/null | grep -v -e '^lock$' -e '[.]log$' || true");
  }

  /// Waits for somebody else to make it so; returns how long that took.
  std::chrono::milliseconds await_state(const std::string& wanted) {
    const auto began = steady_clock::now();
    while (state() != wanted && steady_clock::now() - began < patience) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - began);
  }

  std::optional<BridgeJournal> journal() { return BridgeJournals(options().folder).read("nic"); }

  void await_end_of_guardian(const std::optional<BridgeJournal>& journal) {
    const auto began = steady_clock::now();
    while (journal && journal->guardian && journal->guardian->is_alive() && steady_clock::now() - began < patience) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

  std::vector<std::string> steps_of_attaching() {
    std::vector<std::string> steps;
    BridgingOptions recording = options();
    recording.before_step = [&](std::string_view what) { steps.emplace_back(what); };
    EXPECT_TRUE(attach_nic(wish(), recording));
    const auto guarded = journal();
    EXPECT_TRUE(detach_nic("nic", options()));
    await_end_of_guardian(guarded);
    return steps;
  }

  /// A process that attaches and is killed at step `fatal`.
  void attach_and_be_killed(BridgingOptions options, std::size_t fatal) {
    const pid_t child = ::fork();
    if (child == 0) {
      options.before_step = [&, at = std::size_t{0}](std::string_view) mutable {
        if (at++ == fatal) ::raise(SIGKILL);
      };
      attach_nic(wish(), options);
      ::raise(SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  }

  TemporaryDirectory directory_;
};

TEST_F(BridgingTest, moves_everything_to_the_bridge_and_back) {
  in_network([&] {
    (void)BridgeJournals(options().folder);
    const std::string before = state();
    EXPECT_TRUE(attach_nic(wish(), options()));
    EXPECT_THAT(output_of("ip -o addr show nic"), Not(HasSubstr("inet")));
    EXPECT_THAT(output_of("ip -o addr show br0"), AllOf(HasSubstr("192.0.2.9/24"), HasSubstr("secondary br0:1"),
                                                        HasSubstr("fd00::9/64"), HasSubstr("fe80::9/64")));
    EXPECT_THAT(output_of("ip route show table all | grep -v 'table local'"),
                AllOf(HasSubstr("default via 192.0.2.1 dev br0 metric 7"), HasSubstr("10.1.0.0/16 dev br0 table 50"),
                      Not(HasSubstr("dev nic"))));
    EXPECT_THAT(output_of("ip -6 route show"),
                AllOf(HasSubstr("default via fd00::1 dev br0"), HasSubstr("fd01::/48 via fd00::2 dev br0 metric 9"),
                      Not(HasSubstr("dev nic"))));
    EXPECT_THAT(output_of("ip rule; ip -6 rule"),
                AllOf(HasSubstr("iif br0 lookup 50"), HasSubstr("oif br0 lookup 51"), Not(HasSubstr("nic"))));
    EXPECT_THAT(output_of("ip neigh show nud permanent"), HasSubstr("192.0.2.77 dev br0"));
    EXPECT_THAT(output_of("ip -d link show br0"), AllOf(HasSubstr("stp_state 0"), HasSubstr("forward_delay 0")));
    const auto guarded = journal();
    ASSERT_TRUE(guarded);
    EXPECT_EQ(guarded->state, BridgeJournal::State::Applied);
    EXPECT_TRUE(guarded->is_watched());
    EXPECT_TRUE(detach_nic("nic", options()));
    EXPECT_EQ(state(), before);
    EXPECT_FALSE(detach_nic("nic", options())) << "it is not attached any more";
    await_end_of_guardian(guarded);
    EXPECT_FALSE(guarded->guardian->is_alive()) << "there is nothing to guard";
  });
}

TEST_F(BridgingTest, stays_when_confirmed_and_needs_no_guardian_then) {
  in_network([&] {
    EXPECT_THROW(confirm_nics("", options()), std::runtime_error);
    EXPECT_TRUE(attach_nic(wish(), options()));
    EXPECT_FALSE(attach_nic(wish(), options())) << "it is there already";
    EXPECT_THROW(
        attach_nic({.nic = "nic", .bridge = "br1", .tap = {}, .confirm = wish().confirm, .has_stp = false}, options()),
        BridgeRefused);
    const auto guarded = journal();
    EXPECT_THROW(confirm_nics("other", options()), std::runtime_error);
    EXPECT_THAT(confirm_nics("", options()), ElementsAre("nic"));
    await_end_of_guardian(guarded);
    EXPECT_FALSE(guarded->guardian->is_alive());
    EXPECT_EQ(journal()->state, BridgeJournal::State::Confirmed);
    EXPECT_THROW(confirm_nics("", options()), std::runtime_error);
    EXPECT_THAT(restore_nics(RestoreScope::Unconfirmed, options()), IsEmpty());
    EXPECT_FALSE(attach_nic(wish(), options()));
    EXPECT_TRUE(detach_nic("nic", options()));
  });
}

TEST_F(BridgingTest, b05_leaves_all_as_it_was_when_any_step_fails) {
  in_network([&] {
    const std::size_t count = steps_of_attaching().size();
    ASSERT_GT(count, 25u);
    const std::string before = state();
    std::chrono::milliseconds longest{0};
    for (std::size_t failing = 0; failing < count; ++failing) {
      std::string failed_step;
      steady_clock::time_point failed_at;
      BridgingOptions failing_options = options();
      failing_options.before_step = [&, at = std::size_t{0}](std::string_view what) mutable {
        if (at++ != failing) return;
        failed_step = what;
        failed_at = steady_clock::now();
        throw std::system_error(failing % 3 == 0 ? EBUSY : failing % 3 == 1 ? ENOMEM : EPERM, std::system_category());
      };
      EXPECT_THROW(attach_nic(wish(), failing_options), std::system_error);
      longest =
          std::max(longest, std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - failed_at));
      EXPECT_EQ(state(), before) << "after a failure of \"" << failed_step << "\"";
    }
    std::cout << "B-05: taken back within " << longest.count() << " ms (wanted: 1000)\n";
  });
}

TEST_F(BridgingTest, b03_is_taken_back_when_the_process_at_it_is_killed_at_any_step) {
  in_network([&] {
    const std::vector<std::string> steps = steps_of_attaching();
    const std::string before = state();
    std::chrono::milliseconds longest{0};
    for (std::size_t fatal = 0; fatal < steps.size(); ++fatal) {
      attach_and_be_killed(options(), fatal);
      // Before there is a guardian nothing has been changed; the next start removes the journal.
      const bool is_guarded = fatal > 1;
      if (!is_guarded) (void)restore_nics(RestoreScope::Unwatched, options());
      longest = std::max(longest, await_state(before));
      ASSERT_EQ(state(), before) << "after a kill at \"" << steps[fatal] << '"';
    }
    std::cout << "B-03: taken back within " << longest.count() << " ms of the kill\n";
  });
}

TEST_F(BridgingTest, b04_is_healed_by_the_next_when_the_guardian_is_killed_too_at_any_step) {
  in_network([&] {
    const std::vector<std::string> steps = steps_of_attaching();
    const std::string before = state();
    std::chrono::milliseconds longest{0};
    for (std::size_t fatal = 0;; ++fatal) {
      ASSERT_LT(fatal, 100u);
      BridgingOptions deadly = options();
      deadly.before_step_of_guardian = [&, at = std::size_t{0}](std::string_view) mutable {
        if (at++ == fatal) ::raise(SIGKILL);
      };
      attach_and_be_killed(deadly, steps.size() - 1);
      const auto left = journal();
      await_end_of_guardian(left);
      if (!journal()) break;  // It came to its end.
      const auto began = steady_clock::now();
      EXPECT_THAT(restore_nics(RestoreScope::Unwatched, options()), ElementsAre("nic"));
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - began);
      longest = std::max(longest, took);
      ASSERT_EQ(state(), before) << "after a kill at step " << fatal;
    }
    EXPECT_EQ(state(), before);
    std::cout << "B-04: healed within " << longest.count() << " ms (wanted: 2000)\n";
  });
}

TEST_F(BridgingTest, can_be_detached_again_when_detaching_was_killed_at_any_step) {
  in_network([&] {
    (void)BridgeJournals(options().folder);
    const std::string before = state();
    bool has_come_to_the_end = false;
    for (std::size_t fatal = 0; !has_come_to_the_end; ++fatal) {
      ASSERT_LT(fatal, 100u);
      ASSERT_TRUE(attach_nic(wish(), options()));
      const auto guarded = journal();
      (void)confirm_nics("", options());
      const pid_t child = ::fork();
      if (child == 0) {
        BridgingOptions deadly = options();
        deadly.before_step = [&, at = std::size_t{0}](std::string_view) mutable {
          if (at++ == fatal) ::raise(SIGKILL);
        };
        ::_exit(detach_nic("nic", deadly) ? 0 : 1);
      }
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      has_come_to_the_end = WIFEXITED(status);
      EXPECT_EQ(detach_nic("nic", options()), !has_come_to_the_end);
      ASSERT_EQ(state(), before) << "after a kill at step " << fatal;
      await_end_of_guardian(guarded);
    }
  });
}

TEST_F(BridgingTest, changes_nothing_when_refused) {
  in_network([&] {
    (void)BridgeJournals(options().folder);
    const std::string before = state();
    EXPECT_THROW(attach_nic(wish(std::nullopt), options()), BridgeRefused);
    EXPECT_THROW(attach_nic({.nic = "none", .bridge = "br0", .tap = {}, .confirm = {}, .has_stp = false}, options()),
                 BridgeRefused);
    EXPECT_EQ(state(), before);
  });
}

TEST_F(BridgingTest, brings_a_nic_up_that_was_down_and_takes_it_down_again) {
  in_network([&] {
    output_of("ip link add spare type veth peer name far2 && ip link set spare addrgenmode none");
    (void)BridgeJournals(options().folder);
    const std::string before = state();
    const BridgeWish unguarded{.nic = "spare", .bridge = "br0", .tap = {}, .confirm = {}, .has_stp = false};
    EXPECT_TRUE(attach_nic(unguarded, options()));
    EXPECT_THAT(output_of("ip link show spare"), AllOf(HasSubstr("master br0"), HasSubstr(",UP")));
    EXPECT_EQ(BridgeJournals(options().folder).read("spare")->state, BridgeJournal::State::Confirmed);
    EXPECT_TRUE(detach_nic("spare", options()));
    EXPECT_EQ(state(), before);
  });
}

TEST_F(BridgingTest, b07_keeps_mac_and_mtu_of_the_bridge_when_smaller_ports_join) {
  in_network([&] {
    EXPECT_TRUE(attach_nic(wish(), options()));
    const auto link = [] { return output_of("ip -o link show br0 | sed 's/<.*> //; s/ state [A-Z]* / /'"); };
    const std::string before = link();
    output_of(
        "ip link add low address 00:00:00:00:00:02 mtu 1400 type veth peer name far2 && ip link set low master br0 up");
    EXPECT_EQ(link(), before);
    output_of("ip link del low");
    EXPECT_TRUE(detach_nic("nic", options()));
  });
}

TEST_F(BridgingTest, leaves_a_bridge_of_others_as_it_was) {
  in_network([&] {
    output_of("ip link add spare type veth peer name far2 && ip link set spare addrgenmode none");
    output_of("ip link add br7 address 02:00:00:00:00:07 type bridge && ip addr add 198.51.100.1/24 dev br7");
    (void)BridgeJournals(options().folder);
    const std::string before = state();
    EXPECT_TRUE(attach_nic({.nic = "spare", .bridge = "br7", .tap = {}, .confirm = {}, .has_stp = false}, options()));
    EXPECT_THAT(output_of("ip link show spare"), HasSubstr("master br7"));
    EXPECT_THAT(output_of("ip link show br7"), HasSubstr("02:00:00:00:00:07"));
    EXPECT_TRUE(detach_nic("spare", options()));
    EXPECT_EQ(state(), before);
  });
}

TEST_F(BridgingTest, does_not_touch_the_network_of_a_namespace_that_is_gone) {
  in_network([&] {
    EXPECT_TRUE(attach_nic(wish(), options()));
    auto entries = *journal();
    await_end_of_guardian(std::nullopt);
    entries.where.inode += 100000;
    BridgeJournals(options().folder).write(entries);
    const std::string at_bridge = output_of("ip -o addr show br0");
    EXPECT_TRUE(detach_nic("nic", options()));
    EXPECT_EQ(output_of("ip -o addr show br0"), at_bridge);
    EXPECT_FALSE(journal());
  });
}

}  // namespace
}  // namespace culvert
