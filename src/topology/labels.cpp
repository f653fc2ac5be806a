// What people call things.
#include <string>

#include "culvert/base/printable.hpp"
#include "culvert/topology/topology.hpp"

namespace culvert::topology {

std::string label_of(const Process& process) {
  return printable(process.name) + " (" + std::to_string(process.pid) + ")";
}

std::string label_of(const ForeignPin& pin) {
  return printable(pin.path) + " of " + label_of(pin.seen_by);
}

std::string label_of(const Peer& peer) {
  constexpr std::size_t shown = 8;
  if (!peer.name.empty()) return printable(peer.name);
  return printable(std::string_view(peer.public_key).substr(0, shown)) + "...";
}

std::string label_of(const Namespace& space) {
  if (!space.names.empty()) return printable(space.names.front());
  if (!space.pins.empty()) return printable(space.pins.front());
  if (space.is_own) return "your namespace";
  if (!space.foreign_pins.empty()) return label_of(space.foreign_pins.front());
  if (!space.processes.empty()) return label_of(space.processes.front());
  if (!space.keepers.empty()) return "kept by " + label_of(space.keepers.front());
  return "net:[" + std::to_string(space.inode) + "]";
}

std::string age_text(std::uint64_t seconds) {
  const auto ago = [](std::uint64_t count, const char* unit) { return std::to_string(count) + " " + unit + " ago"; };
  if (seconds < 120) return ago(seconds, "s");
  if (seconds < 7200) return ago(seconds / 60, "min");
  if (seconds < 172800) return ago(seconds / 3600, "h");
  return ago(seconds / 86400, "days");
}

std::string label_of(const Topology& topology, Place place) {
  const std::string space = label_of(topology.namespaces[place.space]);
  if (place.index == 0) return space;
  const Link* const link = topology.find(place);
  return (link == nullptr ? "link " + std::to_string(place.index) : printable(link->name)) + " in " + space;
}

std::string label_of_lower(const Topology& topology, std::size_t space, const Link& link) {
  if (link.lower == 0) return "";
  if (!link.lower_at) {
    return "link " + std::to_string(link.lower) + (link.lower_id ? " in a namespace that was not found" : "");
  }
  const Link* const lower = topology.find(*link.lower_at);
  return lower != nullptr && link.lower_at->space == space ? printable(lower->name)
                                                           : label_of(topology, *link.lower_at);
}

}  // namespace culvert::topology
