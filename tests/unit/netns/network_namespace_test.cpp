// Naming, opening and entering network namespaces.
#include "culvert/netns/network_namespace.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <net/if.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "support/expect_system_error.hpp"
#include "support/own_namespace.hpp"
#include "support/restrictions.hpp"

namespace culvert {
namespace {

using test::expect_system_error;
using test::in_own_namespace;
using test::output_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

NamespaceIdentity identity_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path << ": " << std::strerror(errno);
  return {status.st_dev, status.st_ino};
}

NamespaceIdentity present() {
  return identity_of("/proc/thread-self/ns/net");
}

// Another namespace than the present one.
NetworkNamespace make_other() {
  const UniqueFd home(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(::unshare(CLONE_NEWNET), 0) << std::strerror(errno);
  NetworkNamespace other = NetworkNamespace::current();
  EXPECT_EQ(::setns(home.get(), CLONE_NEWNET), 0) << std::strerror(errno);
  return other;
}

// Gives the test a /run of its own, where it may keep names.
void with_own_names(const std::function<void()>& body) {
  in_own_namespace([&] {
    ASSERT_EQ(::mount("tmpfs", "/run", "tmpfs", 0, nullptr), 0) << std::strerror(errno);
    ASSERT_EQ(::mkdir("/run/netns", 0755), 0);
    body();
  });
}

void expect_invalid(const std::function<void()>& call, const ::testing::Matcher<const std::string&>& text) {
  try {
    call();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(std::string(error.what()), text);
  }
}

TEST(NetworkNamespace, current_is_that_of_the_calling_thread) {
  in_own_namespace([] {
    EXPECT_EQ(NetworkNamespace::current().identity(), present());
    EXPECT_NE(NetworkNamespace::current().identity(), make_other().identity());
    NamespaceIdentity of_other_thread;
    std::thread([&] {
      ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
      of_other_thread = NetworkNamespace::current().identity();
    }).join();
    EXPECT_NE(of_other_thread, present());
  });
}

TEST(NetworkNamespace, descriptors_are_not_inherited) {
  in_own_namespace([] {
    EXPECT_NE(::fcntl(NetworkNamespace::current().fd(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(::fcntl(NetworkNamespace::open("/proc/self/ns/net").fd(), F_GETFD) & FD_CLOEXEC, 0);
  });
}

TEST(NetworkNamespace, opens_by_the_name_that_ip_netns_gave) {
  with_own_names([] {
    output_of("ip netns add blue && ip netns add 'with space'");
    EXPECT_EQ(NetworkNamespace::open("blue").identity(), identity_of("/run/netns/blue"));
    EXPECT_EQ(NetworkNamespace::open("with space").identity(), identity_of("/run/netns/with space"));
    EXPECT_NE(NetworkNamespace::open("blue").identity(), present());
  });
}

TEST(NetworkNamespace, opens_by_path) {
  in_own_namespace([] { EXPECT_EQ(NetworkNamespace::open("/proc/thread-self/ns/net").identity(), present()); });
}

TEST(NetworkNamespace, opens_that_of_a_process) {
  in_own_namespace([] {
    const pid_t child = ::fork();
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
    EXPECT_EQ(NetworkNamespace::open("pid:" + std::to_string(child)).identity(), present());
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    expect_system_error([&] { NetworkNamespace::open("pid:" + std::to_string(child)); },
                        std::errc::no_such_file_or_directory,
                        AllOf(HasSubstr("pid:" + std::to_string(child)), HasSubstr("no such process")));
  });
}

TEST(NetworkNamespace, refuses_words_that_cannot_be_names) {
  const std::string long_name(256, 'n');
  for (const std::string& name : {std::string(), std::string("."), std::string("..")}) {
    expect_invalid([&] { NetworkNamespace::open(name); },
                   AllOf(HasSubstr(std::string("'").append(name).append("'")), HasSubstr("cannot be a name")));
  }
  for (const char* name : {"a/b", "../proc/self/ns/net", "./x"}) {
    expect_invalid([&] { NetworkNamespace::open(name); }, AllOf(HasSubstr(name), HasSubstr("holds no '/'")));
  }
  expect_invalid([&] { NetworkNamespace::open(long_name); }, HasSubstr("at most 255 bytes"));
  expect_invalid([] { NetworkNamespace::open(std::string_view("lo\0ng", 5)); }, HasSubstr("network namespace"));
  expect_invalid([] { NetworkNamespace::open(std::string_view("/proc/self/ns/net\0x", 19)); },
                 HasSubstr("network namespace"));
}

TEST(NetworkNamespace, takes_a_name_of_255_bytes) {
  with_own_names([] {
    const std::string name(255, 'n');
    std::ofstream("/run/netns/" + name);
    ASSERT_EQ(::mount("/proc/thread-self/ns/net", ("/run/netns/" + name).c_str(), nullptr, MS_BIND, nullptr), 0);
    EXPECT_EQ(NetworkNamespace::open(name).identity(), present());
  });
}

TEST(NetworkNamespace, refuses_process_numbers_that_are_none) {
  for (const char* word : {"pid:", "pid:0", "pid:01", "pid:-1", "pid:+1", "pid:1x", "pid: 1", "pid:self",
                           "pid:1/../../1", "pid:12345678901"}) {
    expect_invalid([&] { NetworkNamespace::open(word); }, AllOf(HasSubstr(word), HasSubstr("number of a process")));
  }
}

TEST(NetworkNamespace, says_which_name_there_is_none_of_and_what_to_do) {
  with_own_names([] {
    expect_system_error([] { NetworkNamespace::open("red"); }, std::errc::no_such_file_or_directory,
                        AllOf(HasSubstr("'red'"), HasSubstr("/run/netns/red"), HasSubstr("culvert netns add")));
    expect_system_error([] { NetworkNamespace::open("/nowhere/red"); }, std::errc::no_such_file_or_directory,
                        AllOf(HasSubstr("'/nowhere/red'")));
  });
}

TEST(NetworkNamespace, says_when_permission_is_missing) {
  with_own_names([] {
    output_of("ip netns add blue && mkdir /run/hidden && touch /run/hidden/blue && chmod 0 /run/hidden/blue");
    test::drop_capability(CAP_DAC_OVERRIDE);
    test::drop_capability(CAP_DAC_READ_SEARCH);
    expect_system_error([] { NetworkNamespace::open("/run/hidden/blue"); }, std::errc::permission_denied,
                        HasSubstr("/run/hidden/blue"));
  });
}

TEST(NetworkNamespace, refuses_namespaces_of_other_kinds) {
  for (const char* kind : {"mnt", "uts", "pid", "ipc", "user"}) {
    const std::string path = std::string("/proc/self/ns/") + kind;
    expect_invalid([&] { NetworkNamespace::open(path); }, AllOf(HasSubstr(path), HasSubstr("not a network namespace")));
    expect_invalid([&] { NetworkNamespace::adopt(UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC))); },
                   HasSubstr("not a network namespace"));
  }
}

TEST(NetworkNamespace, refuses_files_that_are_no_namespace) {
  with_own_names([] {
    std::ofstream("/run/netns/stale");
    ASSERT_EQ(::mkfifo("/run/netns/pipe", 0600), 0);
    for (const char* word : {"stale", "pipe", "/proc/self/status", "/dev/null", "/run"}) {
      expect_invalid([&] { NetworkNamespace::open(word); }, AllOf(HasSubstr(word), HasSubstr("is no namespace")));
    }
    expect_invalid([&] { NetworkNamespace::adopt(UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC))); },
                   HasSubstr("is no namespace"));
  });
}

TEST(NetworkNamespace, adopts_a_descriptor) {
  in_own_namespace([] {
    UniqueFd fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    const int number = fd.get();
    const auto adopted = NetworkNamespace::adopt(std::move(fd));
    EXPECT_EQ(adopted.fd(), number);
    EXPECT_EQ(adopted.identity(), present());
    EXPECT_THROW(NetworkNamespace::adopt(UniqueFd()), std::system_error);
  });
}

TEST(ScopedNamespace, the_thread_is_there_for_a_while_and_then_back) {
  in_own_namespace([] {
    const auto home = present();
    const auto one = make_other();
    const auto two = make_other();
    {
      const ScopedNamespace outer(one);
      EXPECT_EQ(present(), one.identity());
      {
        const ScopedNamespace inner(two);
        EXPECT_EQ(present(), two.identity());
        const ScopedNamespace innermost(one);
        EXPECT_EQ(present(), one.identity());
      }
      EXPECT_EQ(present(), one.identity());
    }
    EXPECT_EQ(present(), home);
  });
}

TEST(ScopedNamespace, comes_back_when_an_exception_passes) {
  in_own_namespace([] {
    const auto home = present();
    const auto other = make_other();
    try {
      const ScopedNamespace scope(other);
      throw std::runtime_error("passes");
    } catch (const std::runtime_error&) {
    }
    EXPECT_EQ(present(), home);
  });
}

TEST(ScopedNamespace, does_not_move_other_threads) {
  in_own_namespace([] {
    const auto home = present();
    const auto other = make_other();
    NamespaceIdentity seen;
    std::thread watcher;
    // Started before the scope: a thread made inside would begin where its maker is.
    std::atomic<bool> is_inside = false;
    watcher = std::thread([&] {
      is_inside.wait(false);
      seen = present();
    });
    {
      const ScopedNamespace scope(other);
      is_inside = true;
      is_inside.notify_one();
      watcher.join();
    }
    EXPECT_EQ(seen, home);
  });
}

TEST(ScopedNamespace, sockets_made_inside_belong_there) {
  in_own_namespace([] {
    output_of("ip link add v0 type veth peer name v1");
    const auto other = make_other();
    EXPECT_NE(::if_nametoindex("v0"), 0U);
    const ScopedNamespace scope(other);
    EXPECT_EQ(::if_nametoindex("v0"), 0U);
  });
}

TEST(ScopedNamespace, says_what_entering_needs_and_stays_where_it_was) {
  in_own_namespace([] {
    const auto home = present();
    const auto other = make_other();
    test::drop_capability(CAP_SYS_ADMIN);
    expect_system_error([&] { const ScopedNamespace scope(other); }, std::errc::operation_not_permitted,
                        HasSubstr("CAP_SYS_ADMIN"));
    EXPECT_EQ(present(), home);
  });
}

TEST(ScopedNamespace, needs_nothing_where_the_thread_is_already) {
  in_own_namespace([] {
    const auto home = present();
    test::drop_capability(CAP_SYS_ADMIN);
    EXPECT_NO_THROW({ const ScopedNamespace scope(NetworkNamespace::current()); });
    EXPECT_EQ(present(), home);
  });
}

TEST(ScopedNamespace, the_process_ends_rather_than_go_on_in_the_wrong_namespace) {
  in_own_namespace([] {
    const auto other = make_other();
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
      const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
      ::dup2(null, STDERR_FILENO);
      {
        const ScopedNamespace scope(other);
        test::drop_capability(CAP_SYS_ADMIN);
      }
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) << status;
  });
}

TEST(FindNamespace, finds_the_own_one_one_by_name_and_that_of_a_process) {
  in_own_namespace([] {
    const NetworkNamespace first = NetworkNamespace::current();
    const NamespaceIdentity identity = first.identity();
    EXPECT_TRUE(find_namespace(identity, ""));
    const pid_t child = ::fork();
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    const auto of_process = find_namespace(identity, "");
    ASSERT_TRUE(of_process);
    EXPECT_EQ(of_process->identity(), identity);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const std::string path = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(first.fd());
    EXPECT_TRUE(find_namespace(identity, path));
    EXPECT_FALSE(find_namespace({identity.device, identity.inode + 100000}, path));
  });
}

}  // namespace
}  // namespace culvert
