// What a daemon that runs for others uses up.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>

#include "culvert/bench/engine_cost.hpp"

namespace culvert {

/// From one answer of its control socket to the next.
class DaemonCosts {
 public:
  /// Of an answer to get=1. Nothing when another daemon has begun since the last one, or its process is not to be seen
  /// from here: what is not known is no zero.
  [[nodiscard]] std::optional<EngineCost> take(std::string_view answer);

 private:
  pid_t process_ = 0;
  EngineCost last_;
};

}  // namespace culvert
