// What is joined to what, from what each namespace says for itself.
#include <algorithm>
#include <set>

#include "culvert/topology/topology.hpp"

namespace culvert::topology {

namespace {

constexpr std::string_view veth = "veth";

/// Where a link's lower one is, by what its own namespace says.
std::optional<Place> told_by(const Topology& topology, Place place, const Link& link) {
  if (link.lower == 0) return std::nullopt;
  if (!link.lower_id) return Place{place.space, link.lower};
  const auto& ids = topology.namespaces[place.space].ids;
  const auto there = ids.find(*link.lower_id);
  if (there == ids.end()) return std::nullopt;
  return Place{there->second, link.lower};
}

/// The only veth anywhere that says it is the other end of this one.
std::optional<Place> claimed_by_other_end(const Topology& topology, Place place, const Link& link) {
  std::optional<Place> found;
  for (std::size_t space = 0; space < topology.namespaces.size(); ++space) {
    const Link* const other = topology.namespaces[space].find(link.lower);
    if (other == nullptr || other->kind != veth) continue;
    const Place there{space, other->index};
    if (there == place || told_by(topology, there, *other) != place) continue;
    if (found) return std::nullopt;
    found = there;
  }
  return found;
}

std::optional<Place> other_end_of(const Topology& topology, Place place, const Link& link) {
  const auto there = told_by(topology, place, link);
  if (!there) return claimed_by_other_end(topology, place, link);
  const Namespace& space = topology.namespaces[there->space];
  const Link* const other = topology.find(*there);
  if (other == nullptr) return space.problem.empty() ? std::nullopt : there;
  if (other->kind != veth || other->lower != place.index) return std::nullopt;
  const auto back = told_by(topology, *there, *other);
  return !back || *back == place ? there : std::nullopt;
}

std::optional<Place> device_of(const Topology& topology, const std::string& key, Place asking) {
  for (std::size_t space = 0; space < topology.namespaces.size(); ++space) {
    for (const Link& link : topology.namespaces[space].links) {
      const Place place{space, link.index};
      if (place != asking && link.tunnel && link.tunnel->public_key == key) return place;
    }
  }
  return std::nullopt;
}

}  // namespace

const Link* Namespace::find(std::uint32_t index) const {
  const auto found = std::ranges::lower_bound(links, index, {}, &Link::index);
  return found == links.end() || found->index != index ? nullptr : &*found;
}

const Link* Topology::find(Place place) const {
  return place.space < namespaces.size() ? namespaces[place.space].find(place.index) : nullptr;
}

void join(Topology& topology) {
  std::set<Edge> edges;
  const auto add_pair = [&](EdgeKind kind, Place a, Place b) { edges.insert({kind, std::min(a, b), std::max(a, b)}); };
  for (std::size_t space = 0; space < topology.namespaces.size(); ++space) {
    for (Link& link : topology.namespaces[space].links) {
      const Place place{space, link.index};
      const bool is_veth = link.kind == veth;
      link.lower_at = is_veth ? other_end_of(topology, place, link) : told_by(topology, place, link);
      if (link.lower_at == place) link.lower_at.reset();
      if (link.lower_at && is_veth) add_pair(EdgeKind::Veth, place, *link.lower_at);
      if (link.lower_at && !is_veth) edges.insert({EdgeKind::Parent, place, *link.lower_at});
      if (link.master != 0) edges.insert({EdgeKind::Port, place, {space, link.master}});
      if (!link.tunnel) continue;
      for (Peer& peer : link.tunnel->peers) {
        peer.device = device_of(topology, peer.public_key, place);
        if (peer.device) add_pair(EdgeKind::Peer, place, *peer.device);
      }
      const auto socket = link.tunnel->socket_space;
      if (socket && *socket != space) edges.insert({EdgeKind::Socket, place, {*socket, 0}});
    }
  }
  topology.edges.assign(edges.begin(), edges.end());
}

}  // namespace culvert::topology
