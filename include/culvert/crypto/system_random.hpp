// The operating system's random numbers.
#pragma once

#include "culvert/base/random.hpp"

namespace culvert {

class SystemRandom final : public Random {
 public:
  void fill(ByteSpan out) noexcept override;
};

}  // namespace culvert
