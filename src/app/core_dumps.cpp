// The limit on core files.
#include "core_dumps.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>

namespace culvert {
namespace {

rlimit before{};

}  // namespace

void forbid_core_dumps() noexcept {
  ::getrlimit(RLIMIT_CORE, &before);
  const rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_CORE, &none);
  // A program that core files are piped to asks for no limit (core(5)).
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void forbid_core_dumps_for_good() noexcept {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

void restore_core_limit() noexcept {
  ::setrlimit(RLIMIT_CORE, &before);
}

}  // namespace culvert
