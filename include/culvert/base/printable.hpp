// Text from outside, made safe to show.
#pragma once

#include <string>
#include <string_view>

namespace culvert {

/// `text` with all but printable ASCII replaced by escapes, so that what comes from outside cannot forge lines of a log or steer
/// a terminal.
[[nodiscard]] std::string printable(std::string_view text);
/// The same, but for letters and signs of all languages in well-formed UTF-8 (RFC 3629). What does not show itself, or
/// changes the order of what does, is escaped.
[[nodiscard]] std::string printable_utf8(std::string_view text);

}  // namespace culvert
