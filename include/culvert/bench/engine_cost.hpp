// What a tunnel's end uses up, and how it speaks to the kernel.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace culvert {

/// What a tunnel's end has used up since it began.
struct EngineCost {
  std::chrono::nanoseconds processor{0};
  std::uint64_t system_calls = 0;
  std::map<std::string, std::uint64_t> drops;  ///< packets, by reason

  EngineCost& operator+=(const EngineCost& other);
  EngineCost& operator-=(const EngineCost& earlier);
};

/// Which fast paths of the kernel it uses, as `culvert show` words them.
struct EnginePaths {
  std::string device, sending, receiving;
};

}  // namespace culvert
