// What a thread that gave things up can do no more; each on a thread that ends with the test.
#include "culvert/sandbox/isolation.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;

std::string status_line(const std::string& name) {
  std::ifstream status("/proc/thread-self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
  }
  return "";
}

unsigned long mask(const std::string& name) {
  return std::stoul(status_line(name), nullptr, 16);
}

bool is_refused(long result, int error = EPERM) {
  return result == -1 && errno == error;
}

TEST(Isolation, takes_capabilities_for_good) {
  in_own_namespace([] {
    ASSERT_NE(mask("CapEff") & (1UL << CAP_NET_ADMIN), 0U) << "there is something to give up";
    give_up_capabilities();
    for (const char* set : {"CapEff", "CapPrm", "CapBnd"}) {
      for (const int capability : {CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_MKNOD,
                                   CAP_SETPCAP, CAP_SYS_CHROOT}) {
        EXPECT_EQ(mask(set) & (1UL << capability), 0U) << set << ' ' << capability;
      }
      EXPECT_NE(mask(set) & (1UL << CAP_CHOWN), 0U) << set;
    }
    EXPECT_EQ(mask("CapAmb"), 0U);
    EXPECT_EQ(mask("CapInh"), 0U);
    EXPECT_EQ(status_line("NoNewPrivs"), "1");
  });
}

TEST(Isolation, refuses_every_way_to_other_namespaces) {
  in_own_namespace([] {
    forbid_system_calls();
    const int own = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    EXPECT_TRUE(is_refused(::setns(own, CLONE_NEWNET))) << "not even to its own";
    ::close(own);
    constexpr int new_time = 0x80;
    for (const int kind : {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID,
                           CLONE_NEWNET, new_time, CLONE_NEWUSER | CLONE_NEWNET}) {
      EXPECT_TRUE(is_refused(::unshare(kind))) << kind;
      if (kind != new_time) {
        EXPECT_TRUE(is_refused(::syscall(SYS_clone, kind | SIGCHLD, nullptr, nullptr, nullptr, nullptr))) << kind;
      }
    }
    EXPECT_TRUE(is_refused(::syscall(SYS_clone3, nullptr, 0), ENOSYS));
    EXPECT_TRUE(is_refused(::mount("none", "/tmp", "tmpfs", 0, nullptr)));
    EXPECT_TRUE(is_refused(::umount2("/proc", 0)));
    EXPECT_TRUE(is_refused(::syscall(SYS_pivot_root, ".", ".")));
    EXPECT_TRUE(is_refused(::syscall(SYS_open_tree, AT_FDCWD, "/", 0)));
    EXPECT_TRUE(is_refused(::syscall(SYS_move_mount, -1, "", -1, "", 0)));
    EXPECT_TRUE(is_refused(::syscall(SYS_open_by_handle_at, AT_FDCWD, nullptr, 0)));
    EXPECT_TRUE(is_refused(::syscall(SYS_keyctl, 0, 0, 0, 0, 0)));
    EXPECT_TRUE(is_refused(::syscall(SYS_bpf, 0, nullptr, 0)));
    EXPECT_TRUE(is_refused(::syscall(SYS_io_uring_setup, 1, nullptr)));
    EXPECT_TRUE(is_refused(::chroot("/")));
  });
}

TEST(Isolation, lets_no_high_bits_hide_what_the_kernel_does_not_look_at) {
  in_own_namespace([] {
    forbid_system_calls();
    constexpr unsigned long high = 1UL << 32;
    EXPECT_TRUE(is_refused(::syscall(SYS_ioctl, 0, high | TIOCSTI, "x")));
    EXPECT_TRUE(is_refused(::syscall(SYS_ioctl, 0, TIOCLINUX, nullptr)));
    EXPECT_TRUE(is_refused(::syscall(SYS_socket, high | AF_VSOCK, SOCK_STREAM, 0)));
    EXPECT_TRUE(is_refused(::syscall(SYS_unshare, high | CLONE_NEWUSER)));
  });
}

TEST(Isolation, leaves_ordinary_life_alone) {
  in_own_namespace([] {
    forbid_system_calls();
    EXPECT_EQ(::unshare(CLONE_FS), 0);
    EXPECT_EQ(test::output_of("echo started | cat"), "started\n");
    std::thread([] {}).join();
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_GE(socket, 0);
    ::close(socket);
  });
}

/// What keep_only_standard_streams() says in a process with such a standard input; empty when it is content.
std::string complaint_about(const char* input) {
  std::array<int, 2> pipe{};
  if (::pipe(pipe.data()) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(::open(input, O_RDONLY), STDIN_FILENO);
    try {
      keep_only_standard_streams();
      const bool is_closed_on_exec = (::fcntl(pipe[1], F_GETFD) & FD_CLOEXEC) != 0;
      if (!is_closed_on_exec) (void)!::write(pipe[1], "open", 4);
    } catch (const std::runtime_error& error) {
      (void)!::write(pipe[1], error.what(), std::string(error.what()).size());
    }
    ::_exit(0);
  }
  ::close(pipe[1]);
  std::array<char, 1000> text{};
  const ssize_t size = ::read(pipe[0], text.data(), text.size());
  ::close(pipe[0]);
  ::waitpid(child, nullptr, 0);
  return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

TEST(Isolation, hands_on_no_descriptor_that_leads_out) {
  EXPECT_EQ(complaint_about("/dev/null"), "");
  EXPECT_NE(complaint_about("/"), "");
  EXPECT_NE(complaint_about("/proc/self/ns/net"), "");
}

}  // namespace
}  // namespace culvert
