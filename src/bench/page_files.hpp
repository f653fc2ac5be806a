// The files of src/bench/page, and Chart.js, as they are in the program.
#pragma once

#include <string_view>

namespace culvert {

struct PageFiles {
  std::string_view html, css, script, chart, chart_license;
};
[[nodiscard]] PageFiles page_files();

}  // namespace culvert
