// Children in namespaces of their own, started by root and by an ordinary user.
#include "culvert/unshare/child.hpp"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "support/expect_system_error.hpp"
#include "support/ordinary_user.hpp"
#include "support/restrictions.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using test::as_ordinary_user;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kind_word = 'w';

NewNamespaces as_permitted(IdMap otherwise = IdMap::Root) {
  NewNamespaces namespaces;
  namespaces.ids = id_map_if_needed(otherwise);
  return namespaces;
}

std::string link_of(const std::string& kind) {
  std::string target(64, '\0');
  const ssize_t size = ::readlink(("/proc/self/ns/" + kind).c_str(), target.data(), target.size());
  target.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return target;
}

/// What a child in such namespaces says.
std::string word_of(const NewNamespaces& namespaces, const std::function<std::string()>& word) {
  UnsharedChild child = UnsharedChild::start(namespaces, [&](Channel& parent) {
    parent.send(kind_word, word());
    return 0;
  });
  return child.await(kind_word).text;
}

std::string capabilities() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("CapEff:")) return line.substr(line.find_last_of("\t ") + 1);
  }
  return "";
}

TEST(UnsharedChild, is_in_the_namespaces_that_were_asked_for_and_in_no_others) {
  const NewNamespaces all{.host_name = true, .ipc = true, .ids = as_permitted().ids};
  for (const char* kind : {"net", "mnt", "pid", "uts", "ipc"}) {
    EXPECT_NE(word_of(all, [&] { return link_of(kind); }), link_of(kind)) << kind;
  }
  const NewNamespaces few{.network = false, .mounts = false, .processes = false, .ids = as_permitted().ids};
  for (const char* kind : {"net", "mnt", "pid", "uts", "ipc"}) {
    EXPECT_EQ(word_of(few, [&] { return link_of(kind); }), link_of(kind)) << kind;
  }
}

TEST(UnsharedChild, needs_a_user_namespace_where_capabilities_do_not_count_for_the_network) {
  const auto map_after = [](int flags) {
    const pid_t child = ::fork();
    if (child == 0) {
      const bool is_made = ::unshare(flags) == 0;
      ::_exit(!is_made ? 99 : id_map_if_needed(IdMap::Own) == IdMap::None ? 1 : 2);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
  };
  const int elsewhere = map_after(CLONE_NEWUSER);
  if (elsewhere == 99) GTEST_SKIP() << "no user namespaces here";
  EXPECT_EQ(elsewhere, 2);
  EXPECT_EQ(map_after(CLONE_NEWUSER | CLONE_NEWNET), 1);
}

TEST(UnsharedChild, is_the_first_process_of_its_namespace) {
  EXPECT_EQ(word_of(as_permitted(), [] { return std::to_string(::getpid()); }), "1");
}

TEST(UnsharedChild, keeps_the_number_of_an_ordinary_user) {
  as_ordinary_user([] {
    const auto who = [] { return std::to_string(::getuid()) + " " + std::to_string(::getgid()); };
    EXPECT_EQ(word_of(as_permitted(IdMap::Own), who), who());
    EXPECT_EQ(word_of(as_permitted(IdMap::Root), who), "0 0");
  });
}

TEST(UnsharedChild, of_an_ordinary_user_may_change_its_own_namespaces) {
  as_ordinary_user([] { EXPECT_NE(word_of(as_permitted(IdMap::Own), capabilities), std::string(16, '0')); });
}

TEST(UnsharedChild, may_be_looked_into_no_more_than_its_parent) {
  as_ordinary_user([] {
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    EXPECT_EQ(word_of(as_permitted(IdMap::Own), [] { return std::to_string(::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)); }),
              "0");
  });
}

TEST(UnsharedChild, tells_its_parent_what_went_wrong) {
  UnsharedChild child =
      UnsharedChild::start(as_permitted(), [](Channel&) -> int { throw std::runtime_error("no luck"); });
  try {
    (void)child.await(kind_word);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "no luck");
  }
  EXPECT_EQ(child.wait(), UnsharedChild::status_failed);
}

TEST(UnsharedChild, that_ends_without_a_word_is_an_error_for_who_waits_for_one) {
  UnsharedChild child = UnsharedChild::start(as_permitted(), [](Channel&) { return 3; });
  EXPECT_THROW((void)child.await(kind_word), std::runtime_error);
  EXPECT_EQ(child.wait(), 3);
  EXPECT_EQ(child.wait(), 3) << "once more";
}

TEST(UnsharedChild, ends_with_its_owner) {
  pid_t pid = 0;
  {
    UnsharedChild child = UnsharedChild::start(as_permitted(), [](Channel& parent) {
      parent.send(kind_word);
      return ::pause();
    });
    (void)child.await(kind_word);
    pid = child.pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST(UnsharedChild, ends_when_its_parent_is_killed_and_with_it_all_it_started) {
  auto [here, there] = Channel::make_pair();
  const pid_t parent = ::fork();
  if (parent == 0) {
    UnsharedChild child = UnsharedChild::start(as_permitted(), [&there = there](Channel&) {
      if (::fork() == 0) ::setsid();
      there.send(kind_word);
      return ::pause();
    });
    ::pause();
    ::_exit(0);
  }
  there = Channel();
  for (int process = 0; process < 2; ++process) ASSERT_TRUE(here.receive());
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  EXPECT_FALSE(here.receive()) << "the last of them holds the other end until it ends";
}

TEST(UnsharedChild, that_is_forbidden_says_what_forbids_it) {
  std::thread([] {
    test::fail_system_call(SYS_clone, EPERM);
    test::expect_system_error([] { (void)UnsharedChild::start(as_permitted(), [](Channel&) { return 0; }); },
                              std::errc::operation_not_permitted,
                              AllOf(HasSubstr("cannot make new namespaces"), HasSubstr("as root")));
  }).join();
}

class NamespaceHint : public ::testing::Test {
 protected:
  std::string hint(int error) const { return hint_for_namespaces(error, directory_.path()); }
  void set(const std::string& name, const std::string& value) {
    ::mkdir((directory_.path() + "/" + name.substr(0, name.find('/'))).c_str(), 0755);
    std::ofstream(directory_.path() + "/" + name) << value << "\n";
  }
  test::TemporaryDirectory directory_;
};

TEST_F(NamespaceHint, names_the_setting_that_forbids_user_namespaces) {
  set("kernel/unprivileged_userns_clone", "0");
  EXPECT_THAT(hint(EPERM), HasSubstr("sysctl kernel.unprivileged_userns_clone=1"));
  set("kernel/unprivileged_userns_clone", "1");
  EXPECT_THAT(hint(EPERM), Not(HasSubstr("unprivileged_userns_clone")));
}

TEST_F(NamespaceHint, names_what_apparmor_forbids) {
  set("kernel/apparmor_restrict_unprivileged_userns", "1");
  EXPECT_THAT(hint(EACCES), HasSubstr("AppArmor"));
  EXPECT_THAT(hint(ENOSPC), Not(HasSubstr("AppArmor")));
  set("kernel/apparmor_restrict_unprivileged_userns", "0");
  EXPECT_THAT(hint(EACCES), Not(HasSubstr("AppArmor")));
}

TEST_F(NamespaceHint, names_the_limit_that_is_nought) {
  set("user/max_user_namespaces", "100");
  set("user/max_net_namespaces", "0");
  EXPECT_THAT(hint(ENOSPC), HasSubstr("sysctl user.max_net_namespaces"));
  set("user/max_net_namespaces", "100");
  EXPECT_THAT(hint(ENOSPC), HasSubstr("as many namespaces as may be"));
}

TEST_F(NamespaceHint, is_silent_about_other_errors) {
  EXPECT_EQ(hint(ENOENT), "");
  EXPECT_THAT(hint(EPERM), HasSubstr("container"));
  EXPECT_THAT(hint(EINVAL), HasSubstr("kernel"));
}

}  // namespace
}  // namespace culvert
