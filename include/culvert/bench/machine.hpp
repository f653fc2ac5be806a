// The machine that a benchmark runs on, as far as it explains the numbers.
#pragma once

#include <string>

#include "culvert/bench/result.hpp"

namespace culvert {

/// What it can be asked for without a privilege; what it does not tell is left empty. Without Machine::offloads.
[[nodiscard]] Machine describe_machine(const std::string& culvert_version);

}  // namespace culvert
