// What is allowed but bites people.
#pragma once

#include <string>
#include <vector>

#include "culvert/config/config_file.hpp"

namespace culvert {

/// Warnings about a file, each one line that begins with its path: a file others can read, a prefix at two peers, an
/// endpoint inside the tunnel, an MTU too large for the way. Asks the system, changes nothing.
[[nodiscard]] std::vector<std::string> advice_on(const Config& config);

}  // namespace culvert
