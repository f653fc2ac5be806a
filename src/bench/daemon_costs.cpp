// Reading costs out of answers.
#include "daemon_costs.hpp"

#include <utility>

#include "answer_lines.hpp"
#include "culvert/base/fields.hpp"
#include "culvert/bench/processor_time.hpp"

namespace culvert {

std::optional<EngineCost> DaemonCosts::take(std::string_view answer) {
  constexpr std::string_view drop = "culvert_drop_";
  EngineCost cost;
  std::uint32_t number = 0;
  for_each_line(answer, [&](std::string_view key, std::string_view value) {
    const std::uint64_t count = number_from<std::uint64_t>(value).value_or(0);
    if (key == "culvert_system_calls") cost.system_calls = count;
    if (key == "culvert_pid") number = number_from<std::uint32_t>(value).value_or(0);
    if (key.starts_with(drop)) cost.drops[std::string(key.substr(drop.size()))] = count;
  });
  const auto process = static_cast<pid_t>(number);
  const auto time = process > 0 ? processor_time_of(process) : std::nullopt;
  if (!time) return std::nullopt;
  cost.processor = *time;
  const bool is_another = process_ != 0 && (process != process_ || cost.system_calls < last_.system_calls ||
                                            cost.processor < last_.processor);
  process_ = process;
  last_ = cost;
  if (is_another) return std::nullopt;
  return cost;
}

}  // namespace culvert
