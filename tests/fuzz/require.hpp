// What a fuzz target says about its result; unlike assert, in every build.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace culvert {

/// Ends the process with a message when `holds` is false, so that the fuzzer keeps the input.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

}  // namespace culvert
