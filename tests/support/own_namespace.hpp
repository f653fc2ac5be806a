// Gives a test a network of its own, and a shell inside it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

namespace culvert::test {

namespace detail {

inline constexpr int skipped_status = 77;

inline void bring_up_loopback() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  EXPECT_EQ(::ioctl(fd, SIOCSIFFLAGS, &request), 0) << std::strerror(errno);
  ::close(fd);
}

inline void run_guarded(const std::function<void()>& body) {
  // Mounts a test makes stay its own.
  EXPECT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0) << std::strerror(errno);
  bring_up_loopback();
  try {
    body();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "threw " << error.what();
  }
}

inline int run_as_root_of_own_user_namespace(const std::function<void()>& body) {
  const auto user = std::to_string(::getuid());
  const auto group = std::to_string(::getgid());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) < 0) return skipped_status;
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << "0 " + user + " 1";
  std::ofstream("/proc/self/gid_map") << "0 " + group + " 1";
  run_guarded(body);
  if (::testing::Test::HasFailure()) return 1;
  return ::testing::Test::IsSkipped() ? skipped_status : 0;
}

}  // namespace detail

/// Runs `body` in a fresh network and mount namespace with "lo" up: on a thread of its own or, for users without
/// privilege, in a child process with a user namespace of its own. Skips the test where neither is allowed.
inline void in_own_namespace(const std::function<void()>& body) {
  int error = 0;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET | CLONE_NEWNS) < 0) {
      error = errno;
    } else {
      detail::run_guarded(body);
    }
  }).join();
  if (error == 0) return;
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    const int status = detail::run_as_root_of_own_user_namespace(body);
    std::fflush(nullptr);
    ::_exit(status);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == detail::skipped_status) {
    GTEST_SKIP() << "no network namespace of one's own here, or something in it is missing: " << std::strerror(error);
  }
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "failed in its user namespace, see above";
}

inline std::string output_of(const std::string& command);

/// The kernel makes an IPv6 address's local route from a queue of work (addrconf_dad_work in net/ipv6/addrconf.c): what
/// is sent there before is lost.
inline void wait_for_local_routes() {
  output_of(
      "for address in $(ip -6 -o address show up | awk '{sub(\"/.*\", \"\", $4); print $4}'); do tries=0; "
      "until ip -6 route show table local | grep -q \"^local $address \" || [ $((tries += 1)) -gt 200 ]; "
      "do sleep 0.01; done; done");
}

/// What a shell command prints (both streams), run in the calling thread's namespaces; expects it to succeed. IPv6
/// addresses that it added with nodad are ready for use afterwards.
inline std::string output_of(const std::string& command) {
  std::FILE* const pipe = ::popen((command + " 2>&1").c_str(), "re");
  if (pipe == nullptr) {
    ADD_FAILURE() << command << ": " << std::strerror(errno);
    return {};
  }
  std::string output;
  std::array<char, 4096> piece;
  while (const std::size_t size = std::fread(piece.data(), 1, piece.size(), pipe)) output.append(piece.data(), size);
  EXPECT_EQ(::pclose(pipe), 0) << command << ": " << output;
  if (command.find("nodad") != std::string::npos) wait_for_local_routes();
  return output;
}

}  // namespace culvert::test
