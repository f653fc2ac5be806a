// Sums and differences of costs.
#include "culvert/bench/engine_cost.hpp"

namespace culvert {

EngineCost& EngineCost::operator+=(const EngineCost& other) {
  processor += other.processor;
  system_calls += other.system_calls;
  for (const auto& [reason, packets] : other.drops) drops[reason] += packets;
  return *this;
}

EngineCost& EngineCost::operator-=(const EngineCost& earlier) {
  processor -= earlier.processor;
  system_calls -= earlier.system_calls;
  for (const auto& [reason, packets] : earlier.drops) drops[reason] -= packets;
  std::erase_if(drops, [](const auto& drop) { return drop.second == 0; });
  return *this;
}

}  // namespace culvert
