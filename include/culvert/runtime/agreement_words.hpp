// What a peer is, in words for log and status.
#pragma once

#include <string>
#include <string_view>

#include "culvert/engine/agreement.hpp"

namespace culvert {

/// "unknown", "stock", "routed" or "switched"; the latter two are culverts.
[[nodiscard]] std::string_view nature_word(const Agreement& agreement) noexcept;

/// Why nothing passes between a device of mode `ours` and the peer, and what to do about it. Empty: it does pass, or
/// the peer may yet say something.
[[nodiscard]] std::string_view mismatch_words(const Agreement& agreement, DeviceMode ours) noexcept;

}  // namespace culvert
