// Random bytes by libsodium, which asks getrandom(2) and ends the process rather than return poor ones.
#include "culvert/crypto/system_random.hpp"

#include <sodium.h>

namespace culvert {

void SystemRandom::fill(ByteSpan out) noexcept {
  if (!out.empty()) randombytes_buf(out.data(), out.size());
}

}  // namespace culvert
