// Names under /run/netns, made and seen by culvert and by `ip netns` alike.
#include "culvert/netns/named_namespaces.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "culvert/netns/pinned_namespace.hpp"
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
using ::testing::IsEmpty;

// Gives the test a /run of its own, without a folder for names.
void with_own_run(const std::function<void()>& body) {
  in_own_namespace([&] {
    ASSERT_EQ(::mount("tmpfs", "/run", "tmpfs", 0, nullptr), 0) << std::strerror(errno);
    body();
  });
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const NamedNamespace& named : named_namespaces()) all.push_back(named.name);
  return all;
}

// Mounts and files, as one text.
std::string state() {
  return output_of("cat /proc/thread-self/mountinfo; ls -lRi /run 2>/dev/null | grep -v ^total");
}

TEST(NamedNamespaces, a_new_one_has_only_lo_and_the_maker_stays_where_he_is) {
  with_own_run([] {
    const auto home = NetworkNamespace::current().identity();
    add_namespace("blue");
    EXPECT_EQ(NetworkNamespace::current().identity(), home);
    EXPECT_NE(NetworkNamespace::open("blue").identity(), home);
    EXPECT_EQ(output_of("ip netns list"), "blue\n");
    const std::string links = output_of("ip -n blue -o link");
    EXPECT_THAT(links, HasSubstr("1: lo: <LOOPBACK> "));
    EXPECT_EQ(std::ranges::count(links, '\n'), 1);
  });
}

TEST(NamedNamespaces, the_folder_is_one_shared_mount_however_many_there_are) {
  with_own_run([] {
    add_namespace("one");
    add_namespace("two");
    output_of("ip netns add three");
    EXPECT_EQ(output_of("awk '$5 == \"/run/netns\"' /proc/thread-self/mountinfo | grep -c shared:"), "1\n");
    EXPECT_EQ(output_of("grep -c ' /run/netns/' /proc/thread-self/mountinfo"), "3\n");
  });
}

TEST(NamedNamespaces, a_name_taken_away_in_one_mount_namespace_is_gone_in_others) {
  with_own_run([] {
    add_namespace("one");
    output_of("unshare --mount --propagation unchanged ip netns delete one");
    EXPECT_EQ(output_of("grep -c ' /run/netns/' /proc/thread-self/mountinfo || true"), "0\n");
    EXPECT_THAT(names(), IsEmpty());
  });
}

TEST(NamedNamespaces, lists_in_the_order_of_the_alphabet_what_ip_and_culvert_made_and_what_is_stale) {
  with_own_run([] {
    EXPECT_THAT(named_namespaces(), IsEmpty());
    output_of("ip netns add red");
    add_namespace("blue");
    std::ofstream("/run/netns/stale");
    const auto all = named_namespaces();
    ASSERT_EQ(all.size(), 3U);
    EXPECT_THAT(names(), ElementsAre("blue", "red", "stale"));
    EXPECT_EQ(all[1].identity, NetworkNamespace::open("red").identity());
    EXPECT_FALSE(all[2].identity);
  });
}

TEST(NamedNamespaces, tells_all_names_of_one) {
  with_own_run([] {
    output_of("ip netns add red && ip netns attach crimson $$ && touch /run/netns/also");
    ASSERT_EQ(::mount("/run/netns/red", "/run/netns/also", nullptr, MS_BIND, nullptr), 0);
    EXPECT_THAT(names_of(NetworkNamespace::open("red").identity()), ElementsAre("also", "red"));
    EXPECT_THAT(names_of(NetworkNamespace::current().identity()), ElementsAre("crimson"));
  });
}

TEST(NamedNamespaces, each_deletes_what_the_other_made) {
  with_own_run([] {
    output_of("ip netns add red");
    add_namespace("blue");
    delete_namespace("red");
    output_of("ip netns delete blue");
    EXPECT_THAT(names(), IsEmpty());
    EXPECT_EQ(output_of("ip netns list"), "");
  });
}

TEST(NamedNamespaces, a_deleted_one_lives_on_while_something_refers_to_it) {
  with_own_run([] {
    add_namespace("blue");
    const auto blue = NetworkNamespace::open("blue");
    delete_namespace("blue");
    EXPECT_THAT(names(), IsEmpty());
    const ScopedNamespace inside(blue);
    EXPECT_THAT(output_of("ip -o link"), HasSubstr("lo"));
  });
}

TEST(NamedNamespaces, deletes_what_is_stale_or_bound_twice) {
  with_own_run([] {
    add_namespace("blue");
    std::ofstream("/run/netns/stale");
    ASSERT_EQ(::mount("/proc/thread-self/ns/net", "/run/netns/blue", nullptr, MS_BIND, nullptr), 0);
    delete_namespace("stale");
    delete_namespace("blue");
    EXPECT_THAT(names(), IsEmpty());
  });
}

TEST(NamedNamespaces, refuses_a_name_that_is_taken) {
  with_own_run([] {
    output_of("ip netns add blue");
    const auto before = NetworkNamespace::open("blue").identity();
    expect_system_error([] { add_namespace("blue"); }, std::errc::file_exists,
                        AllOf(HasSubstr("'blue'"), HasSubstr("the name is taken")));
    expect_system_error([] { PinnedNamespace::named("blue", NetworkNamespace::create()); }, std::errc::file_exists,
                        AllOf(HasSubstr("/run/netns/blue"), HasSubstr("the name is taken")));
    EXPECT_EQ(NetworkNamespace::open("blue").identity(), before);
    // As a process leaves it that is killed at the wrong moment.
    std::ofstream("/run/netns/stale");
    expect_system_error([] { add_namespace("stale"); }, std::errc::file_exists,
                        AllOf(HasSubstr("'stale'"), HasSubstr("culvert netns delete")));
  });
}

TEST(NamedNamespaces, refuses_what_cannot_be_a_name_and_makes_nothing) {
  with_own_run([] {
    for (const std::string& name :
         {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("/a"),
          std::string(256, 'n'), std::string("pid:1"), std::string("a\0b", 3)}) {
      EXPECT_THROW(add_namespace(name), std::invalid_argument) << name;
      EXPECT_THROW(delete_namespace(name), std::invalid_argument) << name;
    }
    EXPECT_FALSE(std::filesystem::exists("/run/netns"));
    add_namespace(std::string(255, 'n'));
    EXPECT_THAT(names(), ElementsAre(std::string(255, 'n')));
  });
}

TEST(NamedNamespaces, says_that_there_is_none_to_delete) {
  with_own_run([] {
    expect_system_error([] { delete_namespace("red"); }, std::errc::no_such_file_or_directory,
                        AllOf(HasSubstr("'red'"), HasSubstr("/run/netns/red")));
  });
}

TEST(NamedNamespaces, says_what_permission_is_missing_and_leaves_nothing) {
  with_own_run([] {
    add_namespace("blue");
    const std::string before = state();
    test::drop_capability(CAP_SYS_ADMIN);
    expect_system_error([] { add_namespace("red"); }, std::errc::operation_not_permitted, HasSubstr("needs root"));
    expect_system_error([] { delete_namespace("blue"); }, std::errc::operation_not_permitted,
                        AllOf(HasSubstr("/run/netns/blue"), HasSubstr("needs root")));
    EXPECT_EQ(state(), before);
  });
}

// Lets each step fail once, and expects everything to be as it was.
void expect_nothing_left(const std::function<void(const StepHook&)>& act, std::size_t steps) {
  std::vector<std::string> seen;
  const std::string before = state();
  for (std::size_t failing = 0; failing < steps; ++failing) {
    std::size_t at = 0;
    const auto fail = [&](std::string_view what) {
      if (at++ == failing) throw std::runtime_error("injected before: " + std::string(what));
    };
    EXPECT_THROW(act(fail), std::runtime_error) << failing;
    EXPECT_EQ(state(), before) << "after a failure of step " << failing;
  }
  act([&](std::string_view what) { seen.emplace_back(what); });
  EXPECT_EQ(seen.size(), steps);
}

/// Stops a process before the given step of `act`; kill_stopped() ends it there. False if it came to its end.
pid_t stopped_before(std::size_t step, const std::function<void(const StepHook&)>& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::size_t at = 0;
    try {
      act([&](std::string_view) {
        if (at++ == step) ::raise(SIGSTOP);
      });
    } catch (...) {
      ::_exit(2);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, WUNTRACED);
  EXPECT_TRUE(WIFSTOPPED(status)) << step;
  return child;
}

void kill_stopped(pid_t child) {
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST(NamedNamespaces, names_that_somebody_was_killed_while_making_go_and_no_others) {
  with_own_run([] {
    add_namespace("green");
    output_of("ip netns add plain; touch /run/netns/empty; echo mine > /run/netns/mine");
    const std::string before = state();
    for (std::size_t step = 0; step < 3; ++step) {
      const pid_t child = stopped_before(step, [](const StepHook& hook) { add_namespace("blue", hook); });
      const std::string meanwhile = state();
      remove_abandoned_names();
      EXPECT_EQ(state(), meanwhile) << "somebody's who lives, at step " << step;
      kill_stopped(child);
      remove_abandoned_names();
      EXPECT_EQ(state(), before) << "killed before step " << step;
    }
    kill_stopped(stopped_before(2, [](const StepHook& hook) { add_namespace("blue", hook); }));
    EXPECT_NE(state(), before) << "something is left that the next one has to remove";
    add_namespace("blue");
    EXPECT_THAT(names(), ElementsAre("blue", "empty", "green", "mine", "plain"));
    // Where the mounts are not seen the files are.
    ASSERT_EQ(::umount2("/run/netns/blue", MNT_DETACH), 0);
    remove_abandoned_names();
    EXPECT_TRUE(std::filesystem::exists("/run/netns/blue"));
  });
}

TEST(NamedNamespaces, a_name_goes_with_its_mounts_at_once_also_where_others_see_them_alone) {
  with_own_run([] {
    add_namespace("blue");
    output_of("mount --bind /proc/self/ns/net /run/netns/blue");
    const pid_t other = ::fork();
    if (other == 0) {
      ::unshare(CLONE_NEWNS);
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
      ::raise(SIGSTOP);
      ::_exit(output_of("ls /run/netns; grep /run/netns/ /proc/self/mountinfo; true").empty() ? 0 : 1);
    }
    int status = 0;
    ::waitpid(other, &status, WUNTRACED);
    delete_namespace("blue");
    EXPECT_EQ(output_of("grep /run/netns/ /proc/thread-self/mountinfo; ls /run/netns"), "");
    ::kill(other, SIGCONT);
    ::waitpid(other, &status, 0);
    EXPECT_EQ(status, 0);
  });
}

TEST(NamedNamespaces, adding_and_deleting_leave_all_as_it_was_when_any_step_fails) {
  with_own_run([] {
    add_namespace("green");
    expect_nothing_left([](const StepHook& hook) { add_namespace("blue", hook); }, 3);
    const auto identity = NetworkNamespace::open("blue").identity();
    EXPECT_THROW(delete_namespace("blue", [](std::string_view) { throw std::runtime_error("injected"); }),
                 std::runtime_error);
    EXPECT_EQ(NetworkNamespace::open("blue").identity(), identity);
    EXPECT_EQ(output_of("grep -c ' /run/netns/' /proc/thread-self/mountinfo"), "2\n");
    delete_namespace("blue");
    EXPECT_THAT(names(), ElementsAre("green"));
  });
}

TEST(NamedNamespaces, a_refused_mount_leaves_no_file) {
  with_own_run([] {
    add_namespace("green");
    const std::string before = state();
    test::fail_system_call(SYS_mount, ENOSPC, MS_BIND, 3);
    expect_system_error([] { add_namespace("blue"); }, std::errc::no_space_on_device, HasSubstr("/run/netns/blue"));
    EXPECT_EQ(state(), before);
  });
}

TEST(PinnedNamespace, keeps_a_namespace_at_any_path_for_as_long_as_it_lives) {
  with_own_run([] {
    const std::string before = state();
    NamespaceIdentity identity;
    {
      const auto pin = PinnedNamespace::at("/run/pin", NetworkNamespace::create());
      identity = pin.space().identity();
      EXPECT_EQ(pin.path(), "/run/pin");
      EXPECT_EQ(NetworkNamespace::open("/run/pin").identity(), identity);
      output_of("nsenter --net=/run/pin ip link set lo up");
    }
    EXPECT_EQ(state(), before);
  });
}

TEST(PinnedNamespace, is_entered_from_the_file_by_inode) {
  with_own_run([] {
    const auto home = NetworkNamespace::current().identity();
    PinnedNamespace::at("/run/pin", NetworkNamespace::current()).keep();
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    ASSERT_NE(NetworkNamespace::current().identity(), home);
    const ScopedNamespace back(NetworkNamespace::open("/run/pin"));
    EXPECT_EQ(NetworkNamespace::current().identity(), home);
  });
}

TEST(PinnedNamespace, a_process_that_ends_meanwhile_takes_nothing_away) {
  with_own_run([] {
    const auto other = NetworkNamespace::create();
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
      ::setns(other.fd(), CLONE_NEWNET);
      for (;;) ::pause();
    }
    const std::string process = "pid:" + std::to_string(child);
    while (NetworkNamespace::open(process).identity() != other.identity()) ::usleep(1000);
    const auto end = [&](std::string_view what) {
      if (!what.starts_with("bind")) return;
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    };
    PinnedNamespace::named("blue", NetworkNamespace::open(process), end).keep();
    EXPECT_EQ(identity_at("/run/netns/blue"), other.identity());
    EXPECT_THROW(NetworkNamespace::open(process), std::system_error);
  });
}

TEST(PinnedNamespace, moves_and_is_kept) {
  with_own_run([] {
    auto first = PinnedNamespace::at("/run/pin", NetworkNamespace::create());
    auto second = std::move(first);
    { const auto third = PinnedNamespace(std::move(first)); }
    EXPECT_TRUE(std::filesystem::exists("/run/pin"));
    second.keep();
    { const auto last = std::move(second); }
    EXPECT_TRUE(identity_at("/run/pin"));
  });
}

TEST(PinnedNamespace, leaves_a_file_that_has_become_anothers) {
  with_own_run([] {
    {
      const auto pin = PinnedNamespace::at("/run/pin", NetworkNamespace::create());
      remove_pin("/run/pin");
      PinnedNamespace::at("/run/pin", NetworkNamespace::current()).keep();
    }
    EXPECT_EQ(identity_at("/run/pin"), NetworkNamespace::current().identity());
  });
}

TEST(PinnedNamespace, a_relative_path_stays_what_it_was_meant_as) {
  with_own_run([] {
    // The working folder is one with the mount namespace of the thread.
    ASSERT_EQ(::chdir("/run"), 0);
    {
      const auto pin = PinnedNamespace::at("pin", NetworkNamespace::create());
      EXPECT_EQ(pin.path(), "/run/pin");
      ASSERT_EQ(::chdir("/"), 0);
    }
    EXPECT_FALSE(std::filesystem::exists("/run/pin"));
  });
}

TEST(PinnedNamespace, refuses_a_file_that_is_there_and_a_folder_that_is_not) {
  with_own_run([] {
    std::ofstream("/run/pin") << "precious";
    expect_system_error([] { PinnedNamespace::at("/run/pin", NetworkNamespace::create()); }, std::errc::file_exists,
                        AllOf(HasSubstr("/run/pin"), HasSubstr("taken")));
    EXPECT_EQ(output_of("cat /run/pin"), "precious");
    expect_system_error([] { PinnedNamespace::at("/run/nowhere/pin", NetworkNamespace::create()); },
                        std::errc::no_such_file_or_directory, HasSubstr("/run/nowhere/pin"));
  });
}

TEST(PinnedNamespace, takes_the_place_of_one_that_somebody_was_killed_while_making) {
  with_own_run([] {
    const auto pin = [](const StepHook& hook) {
      PinnedNamespace::at("/run/pin", NetworkNamespace::create(), hook).keep();
    };
    const pid_t child = stopped_before(1, pin);
    expect_system_error([&] { pin({}); }, std::errc::file_exists, HasSubstr("/run/pin"));
    kill_stopped(child);
    EXPECT_TRUE(std::filesystem::exists("/run/pin"));
    pin({});
    EXPECT_NE(identity_at("/run/pin"), std::nullopt);
    EXPECT_EQ(NetworkNamespace::open("/run/pin").identity(), identity_at("/run/pin"));
  });
}

TEST(PinnedNamespace, leaves_nothing_when_any_step_fails) {
  with_own_run([] {
    const auto other = NetworkNamespace::create();
    expect_nothing_left(
        [](const StepHook& hook) { PinnedNamespace::at("/run/pin", NetworkNamespace::create(), hook).keep(); }, 2);
  });
}

}  // namespace
}  // namespace culvert
