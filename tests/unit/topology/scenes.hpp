// Topologies for tests: from one namespace to more than anybody draws by hand.
#pragma once

#include <algorithm>
#include <string>

#include "culvert/topology/topology.hpp"

namespace culvert::topology::test {

/// Puts a topology together as the looking half does, with index numbers and ids of its own.
class Scene {
 public:
  std::size_t space(const std::string& name) {
    Namespace fresh;
    fresh.inode = 4026531840 + topology_.namespaces.size();
    fresh.is_own = topology_.namespaces.empty();
    if (!name.empty()) fresh.names.push_back(name);
    topology_.namespaces.push_back(std::move(fresh));
    link(topology_.namespaces.size() - 1, "lo", "loopback", {"127.0.0.1/8", "::1/128"}).mtu = 65536;
    return topology_.namespaces.size() - 1;
  }

  Namespace& at(std::size_t space) { return topology_.namespaces[space]; }

  Link& link(std::size_t space, const std::string& name, const std::string& kind,
             std::vector<std::string> addresses = {}) {
    auto& links = at(space).links;
    Link fresh;
    fresh.index = links.empty() ? 1 : links.back().index + 1;
    fresh.name = name;
    fresh.kind = kind;
    fresh.state = kind == "loopback" ? "UNKNOWN" : "UP";
    fresh.is_up = true;
    fresh.mtu = 1500;
    if (kind != "loopback" && kind != "tun") fresh.mac = "02:00:00:00:" + hex(space) + ":" + hex(fresh.index);
    fresh.can_be_held = kind == "tun" || kind == "tap";
    fresh.addresses = std::move(addresses);
    links.push_back(std::move(fresh));
    return links.back();
  }

  Link& port(std::size_t space, std::uint32_t bridge, const std::string& name, const std::string& kind) {
    Link& fresh = link(space, name, kind);
    fresh.master = bridge;
    fresh.port_state = "forwarding";
    return fresh;
  }

  void pair(Place a, Place b) {
    lower(a, b);
    lower(b, a);
  }

  /// A pair with the first end as a port of `bridge`, if that is not 0.
  void veth(std::size_t one, const std::string& one_name, std::uint32_t bridge, std::size_t two,
            const std::string& two_name, std::vector<std::string> addresses) {
    const std::uint32_t here =
        bridge == 0 ? link(one, one_name, "veth").index : port(one, bridge, one_name, "veth").index;
    const std::uint32_t there = link(two, two_name, "veth", std::move(addresses)).index;
    pair({one, here}, {two, there});
  }

  void lower(Place from, Place to) {
    Link& link = *std::ranges::find(at(from.space).links, from.index, &Link::index);
    link.lower = to.index;
    if (from.space == to.space) return;
    link.lower_id = static_cast<int>(to.space) + 7;
    at(from.space).ids[*link.lower_id] = to.space;
  }

  void tunnel(Place device, const std::string& key, std::size_t socket) {
    Link& link = *std::ranges::find(at(device.space).links, device.index, &Link::index);
    link.holders = {{4000 + static_cast<int>(device.space), "culvert"}};
    link.tunnel = Tunnel{true, key, 51820, socket, {}};
  }

  void peer(Place device, const std::string& name, const std::string& key, const std::string& endpoint) {
    Link& link = *std::ranges::find(at(device.space).links, device.index, &Link::index);
    link.tunnel->peers.push_back({name, key, endpoint, 42, {"10.9.0.0/24"}, std::nullopt});
  }

  Topology joined() {
    join(topology_);
    return topology_;
  }

 private:
  static std::string hex(std::size_t value) {
    constexpr std::string_view digits = "0123456789abcdef";
    return {digits[value / 16 % 16], digits[value % 16]};
  }

  Topology topology_;
};

inline Topology one_namespace() {
  Scene scene;
  const std::size_t host = scene.space("");
  scene.at(host).process_count = 143;
  scene.at(host).processes = {{1, "systemd"}, {342, "dbus-daemon"}, {900, "sshd"}, {1200, "bash"}};
  scene.link(host, "eth0", "physical", {"192.0.2.17/24", "2001:db8::17/64"});
  return scene.joined();
}

inline Topology three_by_a_bridge() {
  Scene scene;
  const std::size_t host = scene.space("");
  scene.at(host).process_count = 12;
  scene.at(host).processes = {{1, "init"}};
  const std::uint32_t bridge = scene.link(host, "br0", "bridge", {"10.1.0.1/24"}).index;
  for (const std::string name : {"blue", "green", "red"}) {
    const std::size_t space = scene.space(name);
    scene.veth(host, "to-" + name, bridge, space, "eth0", {"10.1.0." + std::to_string(space + 1) + "/24"});
  }
  return scene.joined();
}

/// Ten namespaces with more than forty links: bridges, tunnels, taps, anonymous and closed ones, long names and
/// addresses.
inline Topology large() {
  const std::string long_name = "kubernetes-pod-0f9c2b7e-frontend-with-a-name-of-sixty-letters";
  Scene scene;
  const std::size_t host = scene.space("");
  scene.at(host).process_count = 211;
  scene.at(host).processes = {{1, "systemd"}, {342, "dbus-daemon"}, {900, "sshd"}, {1200, "bash"}};
  const std::size_t router = scene.space("router");
  const std::size_t web = scene.space("web");
  const std::size_t database = scene.space("database");
  const std::size_t blue = scene.space("blue");
  const std::size_t red = scene.space("red");
  const std::size_t pod = scene.space(long_name);
  const std::size_t pinned = scene.space("");
  scene.at(pinned).pins = {"/var/lib/machines/builder/run/netns-pin"};
  const std::size_t anonymous = scene.space("");
  scene.at(anonymous).processes = {{7311, "sleep"}};
  scene.at(anonymous).process_count = 1;
  const std::size_t closed = scene.space("");
  scene.at(closed).processes = {{8000, "rootless"}};
  scene.at(closed).process_count = 1;
  scene.at(closed).links.clear();
  scene.at(closed).problem = "cannot be entered: Operation not permitted (this needs root)";
  scene.at(web).processes = {{2101, "nginx"}, {2102, "nginx"}};
  scene.at(web).process_count = 2;

  const std::uint32_t nic =
      scene.link(host, "enp0s31f6", "physical", {"192.0.2.17/24", "2001:db8:17:4711:a2b3:c4ff:fed5:e6f7/64"}).index;
  const std::uint32_t vlan = scene.link(host, "enp0s31f6.100", "vlan").index;
  scene.at(host).links.back().detail = "id 100";
  scene.lower({host, vlan}, {host, nic});
  const std::uint32_t bridge = scene.link(host, "br-lan", "bridge", {"10.1.0.1/24", "fd00:1::1/64"}).index;
  scene.veth(host, "to-router", bridge, router, "lan", {"10.1.0.254/24"});
  scene.veth(host, "to-web", bridge, web, "eth0", {"10.1.0.2/24", "fd00:1::2/64"});
  scene.veth(host, "to-database", bridge, database, "eth0", {"10.1.0.3/24"});
  scene.veth(host, "veth0123456789a", bridge, pod, "eth0",
             {"10.1.0.4/24", "2001:db8:ffff:4711:a2b3:c4ff:fed5:e6f7/64"});
  scene.port(host, bridge, "tap-vm1", "tap").holders = {{5000, "qemu-system-x86"}};
  scene.port(host, bridge, "tap-lan", "tap");
  const Place lan{host, scene.at(host).links.back().index};
  scene.tunnel(lan, "LANKEY", router);
  scene.peer(lan, "site-b", "SITEB", "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:51820");
  scene.veth(host, "uplink-pinned", 0, pinned, "uplink", {"10.2.0.2/30"});
  scene.link(host, "dummy0", "dummy").is_up = false;
  scene.at(host).links.back().state = "DOWN";

  const std::uint32_t wan = scene.link(router, "wan", "macvlan", {"198.51.100.4/24"}).index;
  scene.at(router).links.back().detail = "mode bridge";
  scene.lower({router, wan}, {host, nic});
  scene.veth(router, "dmz-blue", 0, blue, "eth0", {"10.3.0.2/24"});
  scene.veth(router, "dmz-red", 0, red, "eth0", {"10.4.0.2/24"});
  scene.veth(web, "db-direct", 0, database, "web-direct", {"10.5.0.2/30"});

  scene.link(blue, "wg-blue", "tun", {"10.9.0.1/24", "fd09::1/64"});
  const Place tun_blue{blue, scene.at(blue).links.back().index};
  scene.tunnel(tun_blue, "BLUEKEY", router);
  scene.link(red, "wg-red", "tun", {"10.9.0.2/24"});
  const Place tun_red{red, scene.at(red).links.back().index};
  scene.tunnel(tun_red, "REDKEY", red);
  scene.peer(tun_blue, "red", "REDKEY", "10.4.0.2:51820");
  scene.peer(tun_blue, "", "b2ZmaWNlLWtleS13aXRob3V0LW5hbWU=", "203.0.113.99:51820");
  scene.peer(tun_red, "blue", "BLUEKEY", "10.4.0.1:51820");

  const std::uint32_t inner = scene.link(pinned, "br0", "bridge", {"10.6.0.1/24"}).index;
  scene.veth(pinned, "port1", inner, anonymous, "eth0", {"10.6.0.2/24"});
  scene.veth(pinned, "port2", inner, pod, "net1", {"10.6.0.3/24"});
  scene.port(pinned, inner, "tap0", "tap");
  scene.at(pinned).links.back().state = "DOWN";
  const std::uint32_t one = scene.link(anonymous, "loop-a", "veth").index;
  const std::uint32_t two = scene.link(anonymous, "loop-b", "veth").index;
  scene.pair({anonymous, one}, {anonymous, two});
  const std::uint32_t far = scene.link(host, "to-rootless", "veth", {"10.7.0.1/30"}).index;
  scene.lower({host, far}, {closed, 2});
  const std::uint32_t gone = scene.link(web, "to-nowhere", "veth").index;
  scene.lower({web, gone}, {web, gone});
  auto& stray = scene.at(web).links.back();
  stray.lower = 9;
  stray.lower_id = 99;
  stray.state = "LOWERLAYERDOWN";
  for (const char* name : {"ipvl0", "ipvl1"}) {
    const std::uint32_t index =
        scene.link(database, name, "ipvlan", {"10.1.0.3" + std::string(1, name[4]) + "/24"}).index;
    scene.lower({database, index}, {host, bridge});
  }
  return scene.joined();
}

}  // namespace culvert::topology::test
