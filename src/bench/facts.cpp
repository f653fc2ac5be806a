// The run and the machine in words.
#include <cmath>

#include "culvert/bench/figure_text.hpp"
#include "culvert/bench/view.hpp"

namespace culvert {

std::vector<std::pair<std::string, std::string>> facts_about(const BenchResult& result) {
  std::vector<std::pair<std::string, std::string>> facts;
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) facts.emplace_back(one_line(name), one_line(value));
  };
  const Machine& machine = result.machine;
  add("run", result.kind + ", " + counted(result.rounds, "round") + ", " +
                 std::to_string(std::llround(result.seconds)) + " s, seed " + std::to_string(result.seed));
  add("culvert", machine.culvert);
  add("kernel", machine.kernel);
  add("processor", machine.cpu + (machine.cpus == 0 ? "" : " (" + std::to_string(machine.cpus) + " usable)"));
  if (machine.memory != 0) {
    add("memory", short_number(static_cast<double>(machine.memory) / (1 << 30)) + " GiB");
  }
  add("virtualization", machine.virtualization);
  for (const auto& [name, value] : machine.versions) add(name, value);
  for (const auto& [name, value] : machine.offloads) add("offloads, " + name, value);
  if (const auto found = result.generator.find("timestamps");
      found != result.generator.end() && !found->second.rounds.empty()) {
    add("load generator",
        "its timestamps take " + with_spread(found->second, 0.01) + " % of its processor time per packet");
  }
  return facts;
}

}  // namespace culvert
