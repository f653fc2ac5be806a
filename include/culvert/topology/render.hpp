// A topology as text for a terminal, as JSON, and as a drawing. Pure functions.
#pragma once

#include <cstddef>
#include <string>

#include "culvert/topology/topology.hpp"

namespace culvert::topology {

struct TreeStyle {
  bool has_unicode = false;  ///< lines and arrows of UTF-8 instead of ASCII
  std::size_t width = 0;     ///< columns; 0: as wide as it gets
};

/// One paragraph for each namespace. What does not fit the width goes on in the next line, below its like; only what is
/// too long for a line alone is longer than `width`.
[[nodiscard]] std::string to_tree(const Topology& topology, TreeStyle style);

/// One object, in one line:
///   namespaces: array, the caller's first, of
///     inode, own (bool), names, pins (arrays of paths under and outside of /run/netns),
///     foreign_pins (array of {path, pid}: in the mount namespace of that process), process_count,
///     processes, keepers (arrays of {pid, name}: who is in it, who has it open from outside; some of many),
///     problem (why links is empty, or null), links: array of
///       index, name, kind, state, up (bool), mtu, mac (or null), addresses (array of "ADDRESS/LENGTH"), detail (or
///       null), master (index or null), port_state (or null), peer (of a veth: the other end, or null), parent (of a
///       VLAN, macvlan…: what it is made on, or null), each
///         {namespace (inode or null: not found), index, name (or null)},
///       holders (of tun and tap: array of {pid, name}), tunnel (or null):
///         {program ("culvert" or "wireguard"), public_key, listen_port, socket_namespace (inode or null), peers: array
///         of
///           {name, public_key, endpoint, handshake_age (seconds; each but the key may be null), allowed_ips, device (a
///           tunnel
///            here: {namespace, index, name}, or null)}}
///   edges: array of {kind ("veth", "parent", "port", "peer", "socket"), from, to}, ends like peer above; index null:
///   the namespace remarks: array of sentences about what could not be seen
[[nodiscard]] std::string to_json(const Topology& topology);

/// An SVG document: a box for each namespace with its links in it, lines from pair to pair. For light and dark screens;
/// without scripts and external parts.
[[nodiscard]] std::string to_svg(const Topology& topology);

}  // namespace culvert::topology
