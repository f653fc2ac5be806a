// What to try when any step of anything may have failed with an error.
#pragma once

#include <exception>
#include <string>

namespace culvert {

/// To be put behind the error's words; empty for most.
[[nodiscard]] std::string hint_for(const std::exception& error);

}  // namespace culvert
