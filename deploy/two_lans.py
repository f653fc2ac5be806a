"""Two LANs joined, shown: two hosts in each, a gateway that bridges its NIC with a tunnel, and one broadcast domain. Run by `deploy/try lan`.

    LAN of site-a                                                              LAN of site-b
    ada  10.77.0.1 ─┐          gate-a                     gate-b          ┌─ bob  10.77.0.3
                    switch ─ eth1 ─ br0 ─ site-a ═══ site-b ─ br0 ─ eth1 ─ switch
    alan 10.77.0.2 ─┘          uplink 10.0.0.1 ─── 10.0.0.2 uplink         └─ bea  10.77.0.4
"""

import json
import os
import sys

from demonstration import MIB, Listener, Site, expect, show, status_of

import lab
import probes
import sites

SIZE = 64 * MIB
DHCP_SIZES = (300, 576, 1472)  # the least BOOTP has, what every host must take, and as much as one frame carries
HEAR = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
    ear.bind(("", 67))
    print("ready", flush=True)
    while True:
        print(len(ear.recv(4096)), flush=True)
"""
SHOUT = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
    mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    for size in sys.argv[2:]:
        mouth.sendto(bytes(int(size)), (sys.argv[1], 67))
"""


class Lan:
    """A switch, two hosts at it, and the gateway that has a NIC there."""

    def __init__(self, place, gateway, addresses):
        self.switch = place.host("lan-" + gateway.name[-1])
        self.switch.ip("link", "add", "switch", "type", "bridge")
        self.switch.ip("link", "set", "switch", "up")
        self.hosts = {}
        for name, address in addresses.items():
            host = place.host(name)
            place.link(host, self.switch, name=("eth0", name))
            lab.add_address(host, "eth0", f"{address}/24")
            self.hosts[name] = host
        place.link(gateway, self.switch, name=("eth1", gateway.name))
        for port in (*addresses, gateway.name):
            self.switch.ip("link", "set", port, "master", "switch")


def mac_of(host):
    return json.loads(host.ip("-j", "link", "show", "dev", "eth0"))[0]["address"]


def broadcast(speaker, listeners):
    """What each of the listeners hears of broadcasts of the sizes that DHCP has."""
    ears = {name: host.start(sys.executable, "-c", HEAR) for name, host in listeners.items()}
    for name, ear in ears.items():
        lab.wait_until(lambda ear=ear: "ready" in ear.output, what=f"{name} to listen")
    speaker.run(sys.executable, "-c", SHOUT, "10.77.0.255", *DHCP_SIZES)
    for name, ear in ears.items():
        lab.wait_until(lambda ear=ear: len(ear.output.split()) > len(DHCP_SIZES), what=f"{name} to hear all broadcasts")
    return {name: [int(word) for word in ear.output.split()[1:]] for name, ear in ears.items()}


def two_lans(place):
    """Does it all in an empty lab; returns the rows of the table, and the MAC table."""
    gate_a, gate_b = place.host("gate-a"), place.host("gate-b")
    place.link(gate_a, gate_b, ("10.0.0.1/24", "10.0.0.2/24"))
    left = Lan(place, gate_a, {"ada": "10.77.0.1", "alan": "10.77.0.2"})
    right = Lan(place, gate_b, {"bob": "10.77.0.3", "bea": "10.77.0.4"})
    before = gate_a.state(), gate_b.state()

    lines = ["Mode = tap", "Bridge = br0", "BridgePort = eth1"]
    a = Site(gate_a, "site-a", [], interface_lines=lines)
    b = Site(gate_b, "site-b", [], interface_lines=lines)
    sites.introduce(a, b, left_at="10.0.0.1", right_at="10.0.0.2", psk=sites.generate_psk(sites.culvert_binary()))
    a.start()
    b.start()

    ada, bob = left.hosts["ada"], right.hosts["bob"]
    expect(probes.answers(ada, "10.77.0.3"), "ada does not reach bob")
    expect(mac_of(bob) in ada.ip("neigh", "show", "10.77.0.3"), "ada does not know bob by the address of bob's own NIC")
    round_trips = []
    for address in ("10.77.0.3", "10.77.0.4"):
        for name, host in left.hosts.items():
            pings = probes.ping(host, address, count=10)
            expect(pings.received == pings.sent, f"only {pings.received} of {pings.sent} pings from {name} to {address} came back")
            round_trips.append(pings.round_trip)

    heard = broadcast(ada, {"alan": left.hosts["alan"], **right.hosts})
    for name, sizes in heard.items():
        expect(sorted(sizes) == sorted(DHCP_SIZES), f"of broadcasts of {DHCP_SIZES} bytes {name} heard {sizes}")

    marker = os.urandom(32)
    with Listener(gate_a, "uplink", marker) as uplink:
        transfer = probes.send_over_tcp(ada, bob, "10.77.0.3", SIZE, marker)
    seen = uplink.seen
    expect(not seen["marker"], "plaintext was seen on the uplink")
    expect(seen["bytes"] > SIZE, f"the listener saw only {seen['bytes']} bytes on the uplink")

    known = {station["address"] for station in status_of(a)["stations"]}
    for name, host in {**left.hosts, **right.hosts}.items():
        expect(mac_of(host) in known, f"{name} is not in the MAC table of site-a")
    table = mac_table(a, {mac_of(host): name for name, host in {**left.hosts, **right.hosts}.items()})

    expect((a.stop(), b.stop()) == (0, 0), "a gateway did not end well")
    expect((gate_a.state(), gate_b.state()) == before, "a gateway left something behind")

    return [
        ("round trip", f"{1000 * sum(round_trips) / len(round_trips):.2f} ms", "mean of 40 pings between the hosts of both LANs, none lost"),
        ("broadcasts", f"{max(DHCP_SIZES)} bytes", f"and smaller, heard once by each of {', '.join(heard)}"),
        ("frames", "1500 bytes", "the MTU of both LANs is what it was"),
        ("throughput", f"{8 * transfer.size / transfer.seconds / 1e6:.0f} Mbit/s", "one TCP stream from ada to bob, while being listened to"),
        ("on the uplink", f"{seen['bytes'] // MIB} MiB", f"in {seen['count']} frames, plaintext in none of them"),
    ], table


def mac_table(site, names):
    """The table as site-a shows it, with the names of the hosts."""
    text = lab.run(sites.culvert_binary(), "show", site.name)
    lines = [f"    {line.strip()}   {name}" for line in text.splitlines() for mac, name in names.items() if mac in line]
    return "\n".join(["    The MAC table of site-a:", *lines])


if __name__ == "__main__":
    sys.exit(show(two_lans, __doc__.split("\n", 2)[2]))
