#!/usr/bin/env python3
"""Mode = tap: Ethernet between hosts as a switch would carry it, and a little more careful.

      host-a                                   host-b                                  host-c
    ┌──────────────────────┐                 ┌──────────────────────┐                ┌──────────────────────┐
    │ site-a  10.9.0.1/24  │  10.0.0.0/24    │ site-b  10.9.0.2/24  │  10.1.0.0/24   │ site-c  10.9.0.3/24  │
    │         fd09::1/64   │                 │         fd09::2/64   │                │         fd09::3/64   │
    │           uplink .1 ─┼─────────────────┼─ uplink .2  other .2─┼────────────────┼─ uplink .3           │
    └──────────────────────┘                 └──────────────────────┘                └──────────────────────┘
"""

import contextlib
import datetime
import json
import os
import re
import socket
import struct
import threading
import time

from lab import run, wait_until
from probes import Capture, answers, ping, send_over_tcp
from scenario import Scenario, main
from sites import Culvert, Peer, at, culvert_binary

MIB = 1 << 20
EXPERIMENTAL = 0x88B6  # IEEE 802, local experimental ethertype 2: nobody answers


def mac_of(host, device):
    [link] = json.loads(host.ip("-j", "link", "show", "dev", device))
    return link["address"]


def packed(mac):
    return bytes.fromhex(mac.replace(":", ""))


def frame(target, source, payload=b"", kind=EXPERIMENTAL, vlan=None):
    tag = struct.pack(">HH", 0x8100, vlan) if vlan is not None else b""
    return packed(target) + packed(source) + tag + struct.pack(">H", kind) + payload.ljust(46, b"\0")


class Tap(Scenario):
    """Sites on one LAN: a and b, and c if asked for, which reaches a through b."""

    def up(self, lines=(), mtu=None, uplink_mtu=9500, with_c=False, start=True, allowed=()):
        options = {"interface_lines": ["Mode = tap", *lines], "mtu": mtu}
        self.host_a, self.host_b = self.lab.host("host-a"), self.lab.host("host-b")
        self.lab.link(self.host_a, self.host_b, ("10.0.0.1/24", "10.0.0.2/24"), mtu=uplink_mtu)
        self.a = Culvert(self.host_a, "site-a", ["10.9.0.1/24", "fd09::1/64"], **options)
        self.b = Culvert(self.host_b, "site-b", ["10.9.0.2/24", "fd09::2/64"], **options)
        self.sites = [self.a, self.b]
        self.join(self.a, self.b, "10.0.0.1", "10.0.0.2", allowed)
        if with_c:
            self.host_c = self.lab.host("host-c")
            self.lab.link(self.host_b, self.host_c, ("10.1.0.2/24", "10.1.0.3/24"), name=("other", "uplink"), mtu=uplink_mtu)
            self.c = Culvert(self.host_c, "site-c", ["10.9.0.3/24", "fd09::3/64"], **options)
            self.sites.append(self.c)
            self.join(self.c, self.b, "10.1.0.3", "10.1.0.2", allowed)
        if start:
            for site in self.sites:
                site.start()
            self.assertTrue(answers(self.host_a, "10.9.0.2", 30))

    @staticmethod
    def join(left, right, left_at, right_at, allowed=()):
        left.peers.append(Peer(right.keys.public, list(allowed), at(right_at, right.port), name=right.name))
        right.peers.append(Peer(left.keys.public, list(allowed), at(left_at, left.port), name=left.name))

    @staticmethod
    def report(site):
        [tunnel] = json.loads(run(culvert_binary(), "show", site.name, "--json"))
        return tunnel

    def drops(self, site):
        return self.report(site)["drops"]

    @staticmethod
    def send_raw(host, device, *frames):
        with host.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
            sender.bind((device, 0))
            for each in frames:
                sender.send(each)

    def stations(self, site):
        """Whom the site hears where: (address, vlan) to the peer's key, or None for the local side."""
        return {(station["address"], station["vlan"]): station["peer"] for station in self.report(site)["stations"]}

    @staticmethod
    def arrivals(capture, payload):
        """How often a frame with the payload came out of the tunnel at the captured device."""
        return sum(payload in each for is_outgoing, each in capture.frames if not is_outgoing)

    def await_arrival(self, capture, payload):
        wait_until(lambda: self.arrivals(capture, payload), 30, "the frame to arrive")
        time.sleep(0.3)  # another one, or one elsewhere, would have been about as quick


class Frames(Tap):
    def test_ping_arp_and_neighbour_discovery_cross(self):
        self.up()
        for inside in ("10.9.0.2", "fd09::2"):
            self.assertTrue(answers(self.host_a, inside, 30))
            self.assertEqual(20, ping(self.host_a, inside, count=20).received)
        neighbours = self.host_a.ip("neigh", "show", "dev", "site-a")
        self.assertIn(mac_of(self.host_b, "site-b"), neighbours)

    def test_every_payload_size_crosses(self):
        self.up()
        for size in (0, 1, 15, 16, 17, 1300, 1400, 1472, 1473, 4000):
            with self.subTest(size=size):
                self.assertEqual(2, ping(self.host_a, "10.9.0.2", count=2, interval=0.01, size=size).received)

    def carries_tcp(self, lines, size=32 * MIB):
        self.up(lines)
        self.assertTrue(answers(self.host_a, "fd09::2", 30))
        for source, target, address in ((self.host_a, self.host_b, "10.9.0.2"), (self.host_b, self.host_a, "10.9.0.1"),
                                        (self.host_a, self.host_b, "fd09::2")):
            with self.subTest(to=address):
                send_over_tcp(source, target, address, size, os.urandom(200_003))
        for site in self.sites:
            self.assertNotIn("device_error", self.drops(site))

    def test_tcp_is_the_same_with_offloads(self):
        self.carries_tcp([])
        self.assertIn("TSO", self.report(self.a)["device_path"])

    def test_tcp_is_the_same_without_offloads(self):
        self.carries_tcp(["Offloads = off"])

    def test_tcp_is_the_same_with_two_queues(self):
        self.carries_tcp(["Queues = 2"])

    def test_frames_with_a_vlan_tag_cross_as_they_are(self):
        self.up()
        there, payload = mac_of(self.host_b, "site-b"), os.urandom(100)
        tagged = frame(there, mac_of(self.host_a, "site-a"), payload, vlan=42)
        with Capture(self.host_b, "site-b") as at_b:
            self.send_raw(self.host_a, "site-a", tagged)
            self.await_arrival(at_b, payload)
        # The kernel takes the outermost tag off what it shows; it knows the frame by its rest.
        self.assertEqual(1, sum(payload in each for _, each in at_b.frames))
        self.assertIn((mac_of(self.host_a, "site-a"), 42), self.stations(self.b))

    def test_jumbo_frames_cross(self):
        self.up(mtu=9000)
        for inside in ("10.9.0.2", "fd09::2"):
            self.assertTrue(answers(self.host_a, inside, 30))
            with self.subTest(inside=inside), Capture(self.host_b, "site-b") as at_b:
                self.assertEqual(3, ping(self.host_a, inside, count=3, size=8900).received)
            self.assertGreaterEqual(max(len(each) for _, each in at_b.frames), 8900 + 14)
        send_over_tcp(self.host_a, self.host_b, "10.9.0.2", 16 * MIB, os.urandom(200_003))

    def test_a_frame_larger_than_the_mtu_is_refused(self):
        self.up()
        self.host_a.ip("link", "set", "site-a", "mtu", 3000)
        big, fits = os.urandom(1600), os.urandom(1500)
        target, source = mac_of(self.host_b, "site-b"), mac_of(self.host_a, "site-a")
        with Capture(self.host_b, "site-b") as at_b:
            self.send_raw(self.host_a, "site-a", frame(target, source, big), frame(target, source, fits))
            self.await_arrival(at_b, fits)
        self.assertFalse(at_b.contains(big))
        self.assertEqual(1, self.drops(self.b)["frame_too_large"])

    def test_link_local_control_frames_are_filtered(self):
        self.up()
        source, control, plain = mac_of(self.host_a, "site-a"), os.urandom(50), os.urandom(50)
        with Capture(self.host_b, "site-b") as at_b:
            self.send_raw(self.host_a, "site-a", frame("01:80:c2:00:00:00", source, control),
                          frame("01:80:c2:00:00:0f", source, control), frame("01:80:c2:00:00:10", source, plain))
            self.await_arrival(at_b, plain)
        self.assertFalse(at_b.contains(control))
        self.assertEqual(2, self.drops(self.a)["link_local_group"])

    def test_link_local_control_frames_cross_when_asked_for(self):
        self.up(["LinkLocalFrames = yes"])
        control = os.urandom(50)
        with Capture(self.host_b, "site-b") as at_b:
            self.send_raw(self.host_a, "site-a", frame("01:80:c2:00:00:00", mac_of(self.host_a, "site-a"), control))
            self.await_arrival(at_b, control)


class Switch(Tap):
    """Three sites: b is between a and c."""

    STRANGER = "02:00:00:00:77:01"

    def setUp(self):
        super().setUp()
        self.up(with_c=True)
        self.assertTrue(answers(self.host_a, "10.9.0.3", 30))
        self.devices = {site: (site.host, site.name) for site in self.sites}
        self.macs = {site: mac_of(site.host, site.name) for site in self.sites}

    @contextlib.contextmanager
    def watching(self):
        with contextlib.ExitStack() as stack:
            yield {site: stack.enter_context(Capture(*device)) for site, device in self.devices.items()}

    def reached(self, sender, target, source, at, vlan=None):
        """Sends one frame from a site; waits for it at `at` and says how often it came out at each site."""
        payload = os.urandom(60)
        with self.watching() as captures:
            self.send_raw(*self.devices[sender], frame(target, source, payload, vlan=vlan))
            self.await_arrival(captures[at], payload)
        return {site.name: count for site, capture in captures.items() if (count := self.arrivals(capture, payload))}

    def test_unknown_unicast_is_flooded_once_and_the_reply_goes_direct(self):
        self.assertEqual({"site-b": 1, "site-c": 1}, self.reached(self.a, self.STRANGER, self.macs[self.a], at=self.c))
        self.assertEqual({"site-a": 1}, self.reached(self.c, self.macs[self.a], self.STRANGER, at=self.a))
        self.assertEqual({"site-c": 1}, self.reached(self.a, self.STRANGER, self.macs[self.a], at=self.c))

    def test_broadcast_reaches_each_site_once(self):
        for sender in self.sites:
            others = [site for site in self.sites if site is not sender]
            reached = self.reached(sender, "ff:ff:ff:ff:ff:ff", self.macs[sender], at=others[-1])
            self.assertEqual({site.name: 1 for site in others}, reached)

    def test_a_station_that_moves_is_followed(self):
        self.reached(self.c, "ff:ff:ff:ff:ff:ff", self.STRANGER, at=self.a)
        self.assertEqual(self.c.keys.public, self.stations(self.b)[self.STRANGER, 0])
        self.reached(self.a, "ff:ff:ff:ff:ff:ff", self.STRANGER, at=self.b)
        self.assertEqual(self.a.keys.public, self.stations(self.b)[self.STRANGER, 0])
        self.assertEqual({"site-a": 1}, self.reached(self.b, self.STRANGER, self.macs[self.b], at=self.a))

    def test_a_removed_peers_stations_are_gone_at_once(self):
        self.assertEqual(self.c.keys.public, self.stations(self.b)[self.macs[self.c], 0])
        self.b.wg("set", "site-b", "peer", self.c.keys.public, "remove")
        self.assertNotIn((self.macs[self.c], 0), self.stations(self.b))
        self.assertIn((self.macs[self.a], 0), self.stations(self.b))

    def test_a_peer_cannot_take_a_local_stations_address(self):
        payload = os.urandom(60)
        self.send_raw(*self.devices[self.c], frame(self.macs[self.a], self.macs[self.b], payload))
        wait_until(lambda: self.drops(self.b).get("local_address"), 30, "the frame to be refused")
        self.assertIsNone(self.stations(self.b)[self.macs[self.b], 0])
        self.assertTrue(answers(self.host_a, "10.9.0.2", 30))

    def test_show_lists_stations_modes_and_drops(self):
        text = run(culvert_binary(), "show", "site-b")
        self.assertIn("mode: tap", text)
        self.assertRegex(text, re.escape(self.macs[self.a]) + r" .* site-a\n")
        self.assertRegex(text, re.escape(self.macs[self.b]) + r" .* local\n")
        self.assertEqual("tap", self.report(self.b)["mode"])

    def test_allowed_ips_restrict_who_may_speak_for_whom_and_make_no_routes(self):
        self.assertNotIn("10.9.0.3 ", self.host_b.ip("route", "show"))
        self.b.wg("set", "site-b", "peer", self.c.keys.public, "allowed-ips", "10.9.0.77/32")
        self.assertFalse(answers(self.host_c, "10.9.0.2", 2))
        self.assertGreater(self.drops(self.b)["source_not_allowed"], 0)
        self.b.wg("set", "site-b", "peer", self.c.keys.public, "allowed-ips", "10.9.0.3/32")
        self.assertTrue(answers(self.host_c, "10.9.0.2", 30))

    def test_mode_needs_down_and_up(self):
        self.b.write_config(self.b.config().replace("Mode = tap", "Mode = tun"))
        done = run(culvert_binary(), "reload", self.b.config_path, check=False)
        self.assertNotEqual(0, done.returncode)
        self.assertIn("Mode", done.stderr + done.stdout)
        self.assertTrue(answers(self.host_a, "10.9.0.3", 30))


class Loop(Tap):
    """Two tunnels between the same two bridges.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ br0 10.9.0.1         │                 │ br0 10.9.0.2         │
    │  ├ one-a             │  10.0.0.0/24    │  ├ one-b             │
    │  └ two-a   uplink .1─┼─────────────────┼─ uplink .2  └ two-b  │
    └──────────────────────┘                 └──────────────────────┘
    """

    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.lab.host("host-a"), self.lab.host("host-b")
        self.lab.link(self.host_a, self.host_b, ("10.0.0.1/24", "10.0.0.2/24"), mtu=9500)
        self.sites = []
        for number, name in enumerate(("one", "two")):
            left = Culvert(self.host_a, f"{name}-a", [], port=51820 + number, interface_lines=["Mode = tap"])
            right = Culvert(self.host_b, f"{name}-b", [], port=51820 + number, interface_lines=["Mode = tap"])
            self.join(left, right, "10.0.0.1", "10.0.0.2")
            self.sites += [left, right]
        for number, (host, address) in enumerate(((self.host_a, "10.9.0.1/24"), (self.host_b, "10.9.0.2/24"))):
            # An address of its own: else it would be that of one of the ports, and change with them.
            host.ip("link", "add", "br0", "address", f"02:00:00:00:00:{number:02x}", "type", "bridge", "stp_state", "0",
                    "forward_delay", "0")
            host.ip("address", "add", address, "dev", "br0")
            host.ip("link", "set", "br0", "up")
        for site in self.sites:
            site.start()
        for site in self.sites[:2]:
            self.plug(site)
        self.assertTrue(answers(self.host_a, "10.9.0.2", 30))

    def plug(self, site):
        site.host.ip("link", "set", site.name, "master", "br0")

    def blocked(self):
        return [site for site in self.sites if any(peer["blocked"] for peer in self.report(site)["peers"])]

    @contextlib.contextmanager
    def broadcasts(self):
        """Somebody on LAN a calls everybody, all the time."""
        is_ending = threading.Event()

        def call():
            number = 0
            while not is_ending.wait(0.02):
                number += 1
                self.send_raw(self.host_a, "br0", frame("ff:ff:ff:ff:ff:ff", mac_of_a, struct.pack(">I", number)))

        mac_of_a = mac_of(self.host_a, "br0")
        caller = threading.Thread(target=call, daemon=True)
        caller.start()
        try:
            yield
        finally:
            is_ending.set()
            caller.join()

    def test_a_loop_is_cut_at_one_place_while_the_other_way_goes_on(self):
        # In this order: a capture ends when there is nothing more to see.
        with Capture(self.host_b, "one-b", keep=False) as through_one, self.broadcasts():
            began, wall = time.monotonic(), datetime.datetime.now()
            for site in self.sites[2:]:
                self.plug(site)
            wait_until(self.blocked, 30, "a port to be blocked")
            time.sleep(1)
            seconds = time.monotonic() - began
        self.assertLessEqual(through_one.count, (1000 + 100) * 2 * (seconds + 1), "a storm that nobody held up")
        # Where the machine was so slow that two gave up a port at once, one of them takes it back.
        with self.broadcasts():
            wait_until(lambda: len(self.blocked()) == 1, 60, "one port to stay blocked")
            self.assertTrue(answers(self.host_a, "10.9.0.2", 60))
        lines = [line for site in self.sites for line in site.process.output.splitlines() if "our own probe came back" in line]
        first = min(datetime.datetime.fromisoformat(line[:23]) for line in lines)
        delay = (first - wall).total_seconds()
        print(f"blocked {delay:.2f} s after the second tunnel was plugged in", flush=True)
        self.assertLess(delay, 10)
        self.assertIn("BLOCKED", run(culvert_binary(), "show", self.blocked()[0].name))

    def test_a_port_is_opened_again_when_the_loop_is_gone(self):
        with self.broadcasts():
            for site in self.sites[2:]:
                self.plug(site)
            wait_until(self.blocked, 30, "a port to be blocked")
            self.host_a.ip("link", "set", "two-a", "nomaster")
            wait_until(lambda: not self.blocked(), 60, "the port to be opened")
            self.assertTrue(answers(self.host_a, "10.9.0.2", 60))


if __name__ == "__main__":
    main()
