// Configurations as text: for the eyes of wg(8), and for files that are written back.
#pragma once

#include <string>

#include "culvert/config/config_file.hpp"
#include "culvert/runtime/wiped_string.hpp"

namespace culvert {

enum class ConfigText : std::uint8_t {
  Whole,  ///< every key: read back, it is the same configuration
  ForWg,  ///< what `wg setconf` takes
};

/// As the key Endpoint takes it.
[[nodiscard]] std::string endpoint_text(const EndpointName& endpoint);

/// As the key AllowBench takes it.
[[nodiscard]] std::string bench_rate_text(const std::optional<std::uint64_t>& rate);

/// Holds keys.
[[nodiscard]] WipedString to_text(const Config& config, ConfigText kind);

/// Replaces the file at `path` as a whole, or leaves it as it is; mode 0600. Throws std::system_error.
void write_config_file(const std::string& path, const WipedString& text);

}  // namespace culvert
