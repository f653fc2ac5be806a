// A topology as JSON.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "culvert/base/printable.hpp"
#include "culvert/topology/render.hpp"

namespace culvert::topology {

namespace {

namespace json = boost::json;

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(printable(text));
}

json::array texts(const std::vector<std::string>& all) {
  json::array array;
  for (const std::string& text : all) array.emplace_back(printable(text));
  return array;
}

json::array processes(const std::vector<Process>& all) {
  json::array array;
  for (const Process& process : all) array.push_back({{"pid", process.pid}, {"name", printable(process.name)}});
  return array;
}

json::value end(const Topology& topology, Place place) {
  const Link* const link = topology.find(place);
  return {{"namespace", topology.namespaces[place.space].inode},
          {"index", place.index == 0 ? json::value(nullptr) : json::value(place.index)},
          {"name", link == nullptr ? json::value(nullptr) : json::value(printable(link->name))}};
}

json::value lower(const Topology& topology, const Link& link, bool is_wanted) {
  if (!is_wanted || link.lower == 0) return nullptr;
  if (link.lower_at) return end(topology, *link.lower_at);
  return {{"namespace", nullptr}, {"index", link.lower}, {"name", nullptr}};
}

json::object peer_object(const Topology& topology, const Peer& peer) {
  json::object object;
  object["name"] = text_or_null(peer.name);
  object["public_key"] = printable(peer.public_key);
  object["endpoint"] = text_or_null(peer.endpoint);
  object["handshake_age"] = peer.handshake_age ? json::value(*peer.handshake_age) : json::value(nullptr);
  object["allowed_ips"] = texts(peer.allowed_ips);
  object["device"] = peer.device ? end(topology, *peer.device) : json::value(nullptr);
  return object;
}

json::value tunnel_value(const Topology& topology, const std::optional<Tunnel>& tunnel) {
  if (!tunnel) return nullptr;
  json::object object;
  object["program"] = tunnel->is_culvert ? "culvert" : "wireguard";
  object["public_key"] = text_or_null(tunnel->public_key);
  object["listen_port"] = tunnel->listen_port;
  const auto socket = tunnel->socket_space;
  object["socket_namespace"] = socket ? json::value(topology.namespaces[*socket].inode) : json::value(nullptr);
  json::array peers;
  for (const Peer& peer : tunnel->peers) peers.push_back(peer_object(topology, peer));
  object["peers"] = std::move(peers);
  return object;
}

json::object link_object(const Topology& topology, const Link& link) {
  json::object object;
  object["index"] = link.index;
  object["name"] = printable(link.name);
  object["kind"] = printable(link.kind);
  object["state"] = link.state;
  object["up"] = link.is_up;
  object["mtu"] = link.mtu;
  object["mac"] = text_or_null(link.mac);
  object["addresses"] = texts(link.addresses);
  object["detail"] = text_or_null(link.detail);
  object["master"] = link.master == 0 ? json::value(nullptr) : json::value(link.master);
  object["port_state"] = text_or_null(link.port_state);
  object["peer"] = lower(topology, link, link.kind == "veth");
  object["parent"] = lower(topology, link, link.kind != "veth");
  object["holders"] = processes(link.holders);
  object["tunnel"] = tunnel_value(topology, link.tunnel);
  return object;
}

json::object namespace_object(const Topology& topology, const Namespace& space) {
  json::object object;
  object["inode"] = space.inode;
  object["own"] = space.is_own;
  object["names"] = texts(space.names);
  object["pins"] = texts(space.pins);
  json::array foreign;
  for (const ForeignPin& pin : space.foreign_pins) {
    foreign.push_back({{"path", printable(pin.path)}, {"pid", pin.seen_by.pid}});
  }
  object["foreign_pins"] = std::move(foreign);
  object["process_count"] = space.process_count;
  object["processes"] = processes(space.processes);
  object["keepers"] = processes(space.keepers);
  object["problem"] = text_or_null(space.problem);
  json::array links;
  for (const Link& link : space.links) links.push_back(link_object(topology, link));
  object["links"] = std::move(links);
  return object;
}

const char* word_for(EdgeKind kind) {
  switch (kind) {
    case EdgeKind::Veth:
      return "veth";
    case EdgeKind::Parent:
      return "parent";
    case EdgeKind::Port:
      return "port";
    case EdgeKind::Peer:
      return "peer";
    case EdgeKind::Socket:
      return "socket";
  }
  return "";
}

}  // namespace

std::string to_json(const Topology& topology) {
  json::object object;
  json::array namespaces;
  for (const Namespace& space : topology.namespaces) namespaces.push_back(namespace_object(topology, space));
  object["namespaces"] = std::move(namespaces);
  json::array edges;
  for (const Edge& edge : topology.edges) {
    edges.push_back(
        {{"kind", word_for(edge.kind)}, {"from", end(topology, edge.from)}, {"to", end(topology, edge.to)}});
  }
  object["edges"] = std::move(edges);
  object["remarks"] = texts(topology.remarks);
  return json::serialize(object);
}

}  // namespace culvert::topology
