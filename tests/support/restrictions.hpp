// Takes privileges and system calls away from the calling thread, for good: use on a thread that ends with the test.
#pragma once

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

namespace culvert::test {

/// Without `capability` (CAP_…) from now on.
inline void drop_capability(unsigned capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  ASSERT_EQ(::syscall(SYS_capget, &header, sets.data()), 0) << std::strerror(errno);
  auto& set = sets[capability / 32];
  const std::uint32_t others = ~(std::uint32_t{1} << (capability % 32));
  set.effective &= others;
  set.permitted &= others;
  set.inheritable &= others;
  ASSERT_EQ(::syscall(SYS_capset, &header, sets.data()), 0) << std::strerror(errno);
}

/// System call `number` fails with `error` from now on; if `value` is given, only calls with that as their first (0) or
/// other `argument`.
inline void fail_system_call(long number, int error, std::optional<std::uint32_t> value = std::nullopt,
                             std::uint32_t argument = 0) {
  // Without an argument to compare, the jump over the comparison is taken either way.
  const std::uint8_t on_other_value = value ? 1 : 0;
  std::array<sock_filter, 6> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offsetof(seccomp_data, args)) + 8 * argument),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value.value_or(0), 0, on_other_value),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0) << std::strerror(errno);
  ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0) << std::strerror(errno);
}

}  // namespace culvert::test
