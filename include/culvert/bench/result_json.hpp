// A benchmark's result as JSON, both ways; docs/bench.md tells what each field means.
#pragma once

#include <string>
#include <string_view>

#include "culvert/bench/result.hpp"

namespace culvert {

inline constexpr std::string_view result_schema = "culvert-bench";
inline constexpr unsigned result_schema_version = 1;

/// All of it, one cell a line, with a line feed at the end. Rounds that are no finite numbers are left out.
[[nodiscard]] std::string to_json(const BenchResult& result);

/// What to_json wrote; fields and figures that are not known are passed over, medians and bounds computed anew. Throws
/// std::runtime_error with `source`, the place in the text and the reason.
[[nodiscard]] BenchResult result_of_json(std::string_view text, const std::string& source);

/// The same of a file of at most 64 MiB.
[[nodiscard]] BenchResult read_result(const std::string& path);

}  // namespace culvert
