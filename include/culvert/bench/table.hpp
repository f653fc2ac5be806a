// A benchmark's result as text for a terminal.
#pragma once

#include <cstddef>
#include <string>

#include "culvert/bench/result.hpp"

namespace culvert {

struct TableStyle {
  std::size_t width = 80;  ///< columns; below 80 is as 80
  bool has_color = false;  ///< headings are bold
};

/// Three lines that answer "tun or tap?", then all views as tables of "median (least–most)", then what was not
/// measured, and the machine. UTF-8. Where there is no room for a column's spread it shows medians alone.
[[nodiscard]] std::string to_table(const BenchResult& result, TableStyle style = {});

}  // namespace culvert
