// Capabilities by libcap-ng, system calls by libseccomp.
#include "culvert/sandbox/isolation.hpp"

#include <cap-ng.h>
#include <linux/close_range.h>
#include <linux/magic.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <initializer_list>
#include <memory>
#include <new>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace culvert {

namespace {

// Not among them: CAP_NET_ADMIN and CAP_SYS_ADMIN, which move devices and enter namespaces; CAP_SYS_PTRACE,
// CAP_DAC_READ_SEARCH, CAP_MKNOD, CAP_SYS_RAWIO, CAP_SYS_MODULE and CAP_BPF, which lead around that.
constexpr std::array<unsigned, 9> kept_capabilities{CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID,
                                                    CAP_KILL,   CAP_SETGID,       CAP_SETUID, CAP_NET_BIND_SERVICE,
                                                    CAP_NET_RAW};

constexpr unsigned long namespace_flags = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                          CLONE_NEWPID | CLONE_NEWNET | 0x00000080 /* CLONE_NEWTIME */;

// The kernel looks at 32 bits of these arguments; a filter that compared 64 could be passed by setting others.
constexpr scmp_datum_t low_half = 0xffffffff;

struct FreeFilter {
  void operator()(void* filter) const noexcept { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, FreeFilter>;

[[noreturn]] void fail(int error, const char* what) {
  throw std::system_error(error, std::system_category(), what);
}

void check(int code, const char* what) {
  if (code < 0) fail(-code, what);
}

template <class... Comparisons>
void refuse(const Filter& filter, int error, int call, Comparisons... comparisons) {
  const std::array<scmp_arg_cmp, sizeof...(comparisons)> all{comparisons...};
  const int code = seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(static_cast<std::uint32_t>(error)), call,
                                          unsigned{all.size()}, all.data());
  // Not all architectures have all calls.
  if (code != -EDOM) check(code, "putting together a filter of system calls");
}

scmp_arg_cmp has_bit(unsigned argument, unsigned long bit) {
  return SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, bit, bit);
}

scmp_arg_cmp is(unsigned argument, unsigned long value) {
  return SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, low_half, value);
}

void add_other_architectures(const Filter& filter) {
  const auto add = [&](std::uint32_t architecture) {
    const int code = seccomp_arch_add(filter.get(), architecture);
    if (code != -EEXIST) check(code, "putting together a filter of system calls");
  };
  // Programs of an architecture that is not added are killed.
  if (seccomp_arch_native() == SCMP_ARCH_X86_64) add(SCMP_ARCH_X86), add(SCMP_ARCH_X32);
  if (seccomp_arch_native() == SCMP_ARCH_AARCH64) add(SCMP_ARCH_ARM);
}

}  // namespace

void give_up_capabilities() {
  // Whoever started this may lack some.
  if (capng_get_caps_process() != 0) fail(EPERM, "reading capabilities");
  std::vector<unsigned> kept;
  for (const unsigned capability : kept_capabilities) {
    if (capng_have_capability(CAPNG_PERMITTED, capability) != 0) kept.push_back(capability);
  }
  capng_clear(CAPNG_SELECT_ALL);
  constexpr auto sets = static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET);
  for (const unsigned capability : kept) {
    if (capng_update(CAPNG_ADD, sets, capability) != 0) fail(EINVAL, "choosing capabilities");
  }
  if (const int code = capng_apply(CAPNG_SELECT_ALL); code != 0) {
    fail(EPERM, "giving up capabilities (the kernel did not let them go)");
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail(errno, "giving up set-uid programs");
}

void forbid_system_calls() {
  const Filter filter(seccomp_init(SCMP_ACT_ALLOW));
  if (!filter) throw std::bad_alloc();
  add_other_architectures(filter);
  for (const int call : {SCMP_SYS(setns),         SCMP_SYS(mount),
                         SCMP_SYS(umount),        SCMP_SYS(umount2),
                         SCMP_SYS(pivot_root),    SCMP_SYS(chroot),
                         SCMP_SYS(fsopen),        SCMP_SYS(fsconfig),
                         SCMP_SYS(fsmount),       SCMP_SYS(fspick),
                         SCMP_SYS(move_mount),    SCMP_SYS(open_tree),
                         SCMP_SYS(mount_setattr), SCMP_SYS(open_by_handle_at),
                         SCMP_SYS(bpf),           SCMP_SYS(perf_event_open),
                         SCMP_SYS(userfaultfd),   SCMP_SYS(io_uring_setup),
                         SCMP_SYS(kexec_load),    SCMP_SYS(kexec_file_load),
                         SCMP_SYS(init_module),   SCMP_SYS(finit_module),
                         SCMP_SYS(delete_module), SCMP_SYS(add_key),
                         SCMP_SYS(request_key),   SCMP_SYS(keyctl)}) {
    refuse(filter, EPERM, call);
  }
  for (unsigned long bit = 1; bit <= namespace_flags; bit <<= 1) {
    if ((namespace_flags & bit) == 0) continue;
    refuse(filter, EPERM, SCMP_SYS(unshare), has_bit(0, bit));
    // The lowest eight bits are a signal's number: CLONE_NEWTIME is for unshare() and clone3() alone.
    if (bit > 0xff) refuse(filter, EPERM, SCMP_SYS(clone), has_bit(0, bit));
  }
  refuse(filter, ENOSYS, SCMP_SYS(clone3));
  refuse(filter, EPERM, SCMP_SYS(socket), is(0, AF_VSOCK));
  refuse(filter, EPERM, SCMP_SYS(ioctl), is(1, TIOCSTI));
  refuse(filter, EPERM, SCMP_SYS(ioctl), is(1, TIOCLINUX));
  check(seccomp_load(filter.get()), "putting a filter of system calls in force (the kernel needs seccomp)");
}

void keep_only_standard_streams() {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    struct stat status {};
    struct statfs file_system {};
    if (::fstat(stream, &status) != 0 || ::fstatfs(stream, &file_system) != 0) continue;
    if (S_ISDIR(status.st_mode) || file_system.f_type == NSFS_MAGIC) {
      throw std::runtime_error("standard stream " + std::to_string(stream) +
                               " is a folder or a namespace, which would lead out of the sandbox");
    }
  }
  if (::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0) fail(errno, "closing descriptors");
}

}  // namespace culvert
