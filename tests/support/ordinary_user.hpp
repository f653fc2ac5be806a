// Runs part of a test as somebody without any privilege.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <functional>

namespace culvert::test {

inline constexpr unsigned nobody = 65534;

/// Runs `body` in a child process that, where this one is root's, belongs to "nobody" and has no capability. Its
/// failures are this test's.
inline void as_ordinary_user(const std::function<void()>& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && (::setresgid(nobody, nobody, nobody) != 0 || ::setresuid(nobody, nobody, nobody) != 0)) {
      ::_exit(1);
    }
    try {
      body();
    } catch (const std::exception& error) {
      ADD_FAILURE() << "threw " << error.what();
    }
    std::fflush(nullptr);
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "failed as an ordinary user, see above";
}

}  // namespace culvert::test
