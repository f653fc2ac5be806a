// A benchmark's result as one HTML page with pictures.
#pragma once

#include <string>

#include "culvert/bench/result.hpp"

namespace culvert {

/// The page: the answer to "tun or tap?", all views as pictures with their tables, what was not measured, the machine,
/// and each cell's numbers. It needs nothing beside itself. All texts of the result are escaped.
[[nodiscard]] std::string to_page(const BenchResult& result);

}  // namespace culvert
