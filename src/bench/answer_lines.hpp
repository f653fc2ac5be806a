// The lines of what a control socket answers.
#pragma once

#include <algorithm>
#include <string_view>

namespace culvert {

/// Calls act(key, value) for each line KEY=VALUE.
template <class Act>
void for_each_line(std::string_view answer, const Act& act) {
  while (!answer.empty()) {
    const std::string_view line = answer.substr(0, answer.find('\n'));
    answer.remove_prefix(std::min(answer.size(), line.size() + 1));
    const std::size_t equals = std::min(line.size(), line.find('='));
    act(line.substr(0, equals), line.substr(std::min(line.size(), equals + 1)));
  }
}

}  // namespace culvert
