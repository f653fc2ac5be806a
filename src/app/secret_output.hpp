// Keys on standard output.
#pragma once

#include <span>

namespace culvert {

/// Writes without buffers, so that no copy of a secret stays in those of stdio. Throws std::system_error.
void write_secret(std::span<const char> text);
/// Says so if standard output is a file that others can read.
void warn_if_others_can_read_output();

}  // namespace culvert
