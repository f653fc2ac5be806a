// The short phrases about namespaces, links and tunnels.
#include "wording.hpp"

#include <algorithm>

#include "culvert/base/printable.hpp"

namespace culvert::topology {

namespace {

std::string listed(const std::vector<Process>& processes, std::size_t count) {
  constexpr std::size_t most = 3;
  std::string text;
  const std::size_t shown = std::min(most, processes.size());
  for (std::size_t i = 0; i < shown; ++i) text += (i == 0 ? "" : ", ") + label_of(processes[i]);
  return count > shown ? text + ", ..." : text;
}

}  // namespace

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::vector<std::string> lines_of(const std::vector<std::string>& words, std::size_t width) {
  constexpr std::string_view gap = "  ";
  std::vector<std::string> lines;
  for (const std::string& word : words) {
    if (!lines.empty() && columns_of(lines.back()) + gap.size() + columns_of(word) <= width) {
      lines.back().append(gap).append(word);
    } else {
      lines.push_back(word);
    }
  }
  return lines;
}

std::vector<std::string> words_about(const Namespace& space) {
  std::vector<std::string> words;
  const std::string label = label_of(space);
  if (const std::string identity = "net:[" + std::to_string(space.inode) + "]"; identity != label) {
    words.push_back(identity);
  }
  if (space.is_own && !(space.names.empty() && space.pins.empty())) words.emplace_back("your namespace");
  for (std::size_t i = 1; i < space.names.size(); ++i) words.push_back("also " + printable(space.names[i]));
  for (std::size_t i = space.names.empty() ? 1 : 0; i < space.pins.size(); ++i) {
    words.push_back("pinned at " + printable(space.pins[i]));
  }
  for (const ForeignPin& pin : space.foreign_pins) {
    if (const std::string text = label_of(pin); text != label) words.push_back("pinned at " + text);
  }
  if (space.process_count == 0) {
    words.emplace_back("no process");
  } else {
    const std::string count = std::to_string(space.process_count);
    words.push_back(count + (space.process_count == 1 ? " process: " : " processes: ") +
                    listed(space.processes, space.process_count));
  }
  if (!space.keepers.empty()) words.push_back("kept open by " + listed(space.keepers, space.keepers.size()));
  return words;
}

std::vector<std::string> words_about(const Topology& topology, std::size_t space, const Link& link, bool knows_lower,
                                     std::string_view arrow) {
  std::vector<std::string> words;
  if (!link.port_state.empty()) words.push_back(link.port_state);
  if (link.lower != 0 && !knows_lower) {
    const std::string lower = label_of_lower(topology, space, link);
    words.push_back(std::string(link.kind == "veth" ? arrow : "on") + " " + lower);
  }
  if (!link.detail.empty()) words.push_back(printable(link.detail));
  for (const std::string& address : link.addresses) words.push_back(printable(address));
  if (!link.mac.empty()) words.push_back(link.mac);
  if (link.can_be_held && link.holders.empty()) words.emplace_back("nobody is seen to hold it");
  if (!link.holders.empty()) words.push_back("held by " + listed(link.holders, link.holders.size()));
  if (link.tunnel) {
    const auto socket = link.tunnel->socket_space;
    const std::string where = socket && *socket != space ? " in " + label_of(topology.namespaces[*socket]) : "";
    words.push_back("UDP port " + std::to_string(link.tunnel->listen_port) + where);
  }
  return words;
}

std::vector<std::string> words_about(const Topology& topology, const Peer& peer) {
  std::vector<std::string> words;
  words.push_back(peer.endpoint.empty() ? "no endpoint" : printable(peer.endpoint));
  words.push_back(peer.handshake_age ? "handshake " + age_text(*peer.handshake_age) : "no handshake");
  const Link* const device = peer.device ? topology.find(*peer.device) : nullptr;
  if (device != nullptr) {
    words.push_back("is " + printable(device->name) + " in " + label_of(topology.namespaces[peer.device->space]));
  }
  for (const std::string& prefix : peer.allowed_ips) words.push_back(printable(prefix));
  return words;
}

}  // namespace culvert::topology
