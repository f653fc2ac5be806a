// The namespaces of a machine with their links, as plain values: what is looked up once and then drawn in several ways.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace culvert::topology {

/// All text may come from anybody; who shows it makes it printable.
struct Process {
  int pid = 0;
  std::string name;  ///< as in /proc/PID/comm
  friend bool operator==(const Process&, const Process&) = default;
};

/// Which namespace of the topology, and the number of a link in it; 0 is the namespace as a whole.
struct Place {
  std::size_t space = 0;
  std::uint32_t index = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

/// The other end of a tunnel, as this end knows it.
struct Peer {
  std::string name;                            ///< from the file; may be empty
  std::string public_key;                      ///< base64
  std::string endpoint;                        ///< empty: not known
  std::optional<std::uint64_t> handshake_age;  ///< in seconds; nothing: there was none
  std::vector<std::string> allowed_ips;
  std::optional<Place> device;  ///< by join(): the tunnel of this topology that has this key
};

/// What a process that holds a tun or tap device tells through its control socket.
struct Tunnel {
  bool is_culvert = false;  ///< otherwise another WireGuard
  std::string public_key;   ///< base64; empty without a private key
  std::uint64_t listen_port = 0;
  std::optional<std::size_t> socket_space;  ///< the namespace its encrypted packets leave from, if found
  std::vector<Peer> peers;
};

struct Link {
  std::uint32_t index = 0;
  std::string name;
  std::string kind;    ///< "veth", "bridge", "tap"…; "physical" for a device without a kind, "loopback"
  std::string state;   ///< as `ip` says: "UP", "DOWN", "UNKNOWN", "LOWERLAYERDOWN"…
  bool is_up = false;  ///< administratively
  std::uint32_t mtu = 0;
  std::string mac;                     ///< empty if it has none
  std::vector<std::string> addresses;  ///< "10.0.0.1/24"
  std::string detail;                  ///< of its kind: "id 5" of a VLAN, "mode bridge" of a macvlan; may be empty

  std::uint32_t master = 0;  ///< the bridge, bond or other that it is a port of; 0: none
  std::string port_state;    ///< of a bridge's port: "forwarding"…

  std::uint32_t lower = 0;        ///< IFLA_LINK: a veth's other end, or what a VLAN or macvlan is made on; 0: none
  std::optional<int> lower_id;    ///< IFLA_LINK_NETNSID: in the namespace that has this id here; nothing: in this one
  std::optional<Place> lower_at;  ///< by join(): where that is

  bool can_be_held = false;  ///< a tun or tap device
  std::vector<Process> holders;
  std::optional<Tunnel> tunnel;
};

/// A file that keeps a namespace alive in another mount namespace.
struct ForeignPin {
  std::string path;
  Process seen_by;  ///< a process of that mount namespace
};

struct Namespace {
  std::uint64_t inode = 0;         ///< its identity, as in net:[INODE]
  bool is_own = false;             ///< the caller's
  std::vector<std::string> names;  ///< under /run/netns
  std::vector<std::string> pins;   ///< other paths that keep it alive
  std::vector<ForeignPin> foreign_pins;
  std::vector<Process> processes;  ///< those in it, by number; of many only the first ones
  std::size_t process_count = 0;
  std::vector<Process> keepers;    ///< those outside that have it open; of many only the first ones
  std::string problem;             ///< why its links are not known; empty if they are
  std::map<int, std::size_t> ids;  ///< which namespaces have an id (netnsid) here
  std::vector<Link> links;         ///< by index

  [[nodiscard]] const Link* find(std::uint32_t index) const;
};

enum class EdgeKind : std::uint8_t {
  Veth,    ///< two ends of a pair, the lesser place first
  Parent,  ///< from a VLAN, macvlan and the like to the link it is made on
  Port,    ///< from a port to its bridge, bond and the like
  Peer,    ///< from a tunnel's device to that of its peer, the lesser place first
  Socket,  ///< from a tunnel's device to another namespace that its packets leave from
};

struct Edge {
  EdgeKind kind = EdgeKind::Veth;
  Place from;
  Place to;  ///< the link may be one that could not be looked at
  friend auto operator<=>(const Edge&, const Edge&) = default;
};

struct Topology {
  std::vector<Namespace> namespaces;  ///< the caller's first
  std::vector<Edge> edges;
  std::vector<std::string> remarks;  ///< what could not be seen, as sentences

  [[nodiscard]] const Link* find(Place place) const;
};

/// Finds out what is joined to what: fills `lower_at`, `device` and the edges, each once. A veth's other end is
/// believed if both sides say the same, or if one cannot be looked at.
void join(Topology& topology);

/// What people call it: its name, else the path that keeps it, else a process in it. Printable.
[[nodiscard]] std::string label_of(const Namespace& space);
/// "12 s ago".
[[nodiscard]] std::string age_text(std::uint64_t seconds);
/// The peer's name, or else the beginning of its key. Printable.
[[nodiscard]] std::string label_of(const Peer& peer);
/// "nginx (4311)". Printable.
[[nodiscard]] std::string label_of(const Process& process);
/// "eth0 in blue", or "blue" for a namespace as a whole. Printable.
[[nodiscard]] std::string label_of(const Topology& topology, Place place);
/// "/run/netns/blue of sshd (900)". Printable.
[[nodiscard]] std::string label_of(const ForeignPin& pin);
/// The other end of a veth, or what a link is made on, as seen from its namespace: "eth0 in blue", "eth0", "link 7 in a
/// namespace that was not found". Empty if there is none. Printable.
[[nodiscard]] std::string label_of_lower(const Topology& topology, std::size_t space, const Link& link);

}  // namespace culvert::topology
