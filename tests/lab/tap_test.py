#!/usr/bin/env python3
"""Mode = tap: Ethernet between hosts as a switch would carry it, and a little more careful.

      host-a                                   host-b                                  host-c
    ┌──────────────────────┐                 ┌──────────────────────┐                ┌──────────────────────┐
    │ site-a  10.9.0.1/24  │  10.0.0.0/24    │ site-b  10.9.0.2/24  │  10.1.0.0/24   │ site-c  10.9.0.3/24  │
    │         fd09::1/64   │                 │         fd09::2/64   │                │         fd09::3/64   │
    │           uplink .1 ─┼─────────────────┼─ uplink .2  other .2─┼────────────────┼─ uplink .3           │
    └──────────────────────┘                 └──────────────────────┘                └──────────────────────┘
"""

import json
import os
import struct
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
        with host.entered():
            import socket
            sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            with sender:
                sender.bind((device, 0))
                for each in frames:
                    sender.send(each)


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


if __name__ == "__main__":
    main()
