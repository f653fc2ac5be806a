// Text from outside, made safe to show.
#pragma once

#include <string>
#include <string_view>

namespace culvert {

/// `text` with all but printable ASCII replaced by escapes, so that what comes from outside cannot forge lines of a log or steer
/// a terminal.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace culvert
