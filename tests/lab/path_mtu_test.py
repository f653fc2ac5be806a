#!/usr/bin/env python3
"""Two sites behind a router whose second link is smaller, and where ICMP may be lost: what the path carries is found, told and kept to.

      host-a                     router                     host-b
    ┌────────────────────┐     ┌────────────┐     ┌────────────────────┐
    │ site-a  10.9.0.1   │     │ ip_forward │     │ site-b  10.9.0.2   │
    │         fd09::1    │     │ no ICMP    │     │         fd09::2    │
    │     uplink 10.1.0.2┼─────┼to-a    to-b┼─────┼─ uplink 10.2.0.2   │
    │          fd01::2   │     │   mtu here │     │          fd02::2   │
    └────────────────────┘     └────────────┘     └────────────────────┘
"""

import json
import os
import socket
import threading
import time
import unittest

from lab import add_address, run, wait_until
from probes import Capture, Pinger, answers, ping, send_over_tcp
from scenario import Scenario, main
from sites import TESTS_THE_TESTS, Culvert, WireGuardGo, culvert_binary, introduce

MIB = 1 << 20
OVERHEAD = {"10.2.0.2": 28 + 32, "fd02::2": 48 + 32}
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14


class Path(Scenario):
    """Helpers; the tests are in the classes below."""

    mode = "tun"

    def setUp(self):
        super().setUp()
        self.host_a, self.router, self.host_b = (self.lab.host(name) for name in ("host-a", "router", "host-b"))
        self.lab.link(self.host_a, self.router, ("10.1.0.2/24", "10.1.0.1/24"), ("fd01::2/64", "fd01::1/64"), name=("uplink", "to-a"))
        self.lab.link(self.host_b, self.router, ("10.2.0.2/24", "10.2.0.1/24"), ("fd02::2/64", "fd02::1/64"), name=("uplink", "to-b"))
        for link in ("to-a", "to-b"):
            add_address(self.router, link, "fe80::1/64")  # asks for neighbours on behalf of others
        self.router.set("ipv4/ip_forward", 1)
        self.router.set("ipv6/conf/all/forwarding", 1)
        for host, own in ((self.host_a, 1), (self.host_b, 2)):
            host.ip("route", "add", "default", "via", f"10.{own}.0.1")
            host.ip("route", "add", "default", "via", f"fd0{own}::1")

    def narrow(self, mtu):
        """The router's links carry no more than that, nobody is told, and fragments go nowhere."""
        for link in ("to-a", "to-b"):
            self.router.ip("link", "set", link, "mtu", mtu)
        self.filter(self.router, "output", 0, "icmp type destination-unreachable drop", "icmpv6 type packet-too-big drop")
        for host in (self.host_a, self.host_b):
            self.filter(host, "prerouting", -450, "iifname uplink ip frag-off & 0x3fff != 0 drop", "iifname uplink exthdr frag exists drop")

    @staticmethod
    def filter(host, hook, priority, *rules):
        lines = "\n".join(rules)
        host.run("nft", "-f", "-", stdin=f"""
            table inet path
            delete table inet path
            table inet path {{
              chain rules {{
                type filter hook {hook} priority {priority}
                {lines}
              }}
            }}""")

    def up(self, outside="10.2.0.2", right=Culvert, mtu=None, lines=()):
        mtu = mtu or (1500 if self.mode == "tap" else 1420)
        lines = [f"Mode = {self.mode}", *lines]
        self.a = Culvert(self.host_a, "site-a", ["10.9.0.1/24", "fd09::1/64"], mtu=mtu, interface_lines=lines)
        options = {"interface_lines": lines} if right is Culvert else {}
        self.b = right(self.host_b, "site-b", ["10.9.0.2/24", "fd09::2/64"], mtu=mtu, **options)
        introduce(self.a, self.b, left_at=outside.replace("2", "1", 1) if "." in outside else "fd01::2", right_at=outside)
        if self.mode == "tap":
            for site in (self.a, self.b):
                site.peers[0].allowed_ips = ["0.0.0.0/0", "::/0"]
        self.b.start()
        self.a.start()
        self.outside = outside
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    @staticmethod
    def report(site):
        [tunnel] = json.loads(run(culvert_binary(), "show", site.name, "--json"))
        return tunnel

    def peer_of(self, site):
        return self.report(site)["peers"][0]

    def drops_of(self, site):
        return self.report(site)["drops"]

    def find(self, mtu, ends=2):
        """Traffic flows until both ends, or the first, have found what the path carries."""
        for site, host, there in ((self.a, self.host_a, "10.9.0.2"), (self.b, self.host_b, "10.9.0.1"))[:ends]:
            def is_found():
                ping(host, there, count=10, interval=0.02)
                peer = self.peer_of(site)
                return peer["path_mtu_state"] == "found" and peer["path_mtu"] == mtu
            wait_until(is_found, 60, f"{site.name} to find {mtu}, it is at {self.peer_of(site)}")


@unittest.skipIf(TESTS_THE_TESTS, "wireguard-go has no probes")
class Found(Path):
    def test_the_search_finds_what_the_path_carries(self):
        for outside, mtu in (("10.2.0.2", 1400), ("fd02::2", 1371)):
            with self.subTest(outside=outside):
                self.narrow(mtu)
                self.up(outside)
                self.find(mtu)
                text = run(culvert_binary(), "show", "site-a")
                self.assertIn(f"path mtu: {mtu} (probed)", text)
                self.a.stop()
                self.b.stop()

    def test_a_path_as_large_as_the_route_is_found_with_one_probe(self):
        with Capture(self.host_a, "uplink") as wire:
            self.up()
            self.find(1500)
        sizes = [len(d.payload) for d in wire.datagrams(outgoing=True, port=51820)]
        self.assertEqual(1, sizes.count(1500 - 28), sizes)

    def test_a_router_that_says_how_large_packets_may_be_does_no_harm(self):
        self.router.ip("link", "set", "to-b", "mtu", "1300")
        self.host_b.ip("link", "set", "uplink", "mtu", "1300")
        for outside in ("10.2.0.2", "fd02::2"):
            self.up(outside)
            self.find(1300)
            send_over_tcp(self.host_a, self.host_b, "10.9.0.2", 4 * MIB)
            self.a.stop()
            self.b.stop()

    def test_an_idle_tunnel_sends_no_probes(self):
        self.narrow(1400)
        self.up()
        self.find(1400)
        time.sleep(16)  # the last data may yet ask for a keepalive
        with Capture(self.host_a, "uplink") as wire:
            time.sleep(5)
        self.assertEqual([], wire.datagrams(port=51820))


@unittest.skipIf(TESTS_THE_TESTS, "wireguard-go has no probes")
class Told(Path):
    def too_large(self, family, there, size):
        """What the kernel of host-a is told by a datagram that must not be fragmented: the path's MTU afterwards, or None."""
        level, option, query = ((socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_MTU) if family == socket.AF_INET else
                                (socket.IPPROTO_IPV6, 23, 24))
        with self.host_a.socket(family, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(level, option, IP_PMTUDISC_DO)
            sender.connect((there, 9))
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                try:
                    sender.send(bytes(size - (28 if family == socket.AF_INET else 48)))
                except OSError:  # EMSGSIZE: the kernel knows
                    return sender.getsockopt(level, query)
                time.sleep(0.1)
        return None

    def test_the_sender_of_a_packet_too_large_is_told_what_fits(self):
        for outside in ("10.2.0.2", "fd02::2"):
            self.narrow(1400)
            self.up(outside)
            self.find(1400)
            fits = 1400 - OVERHEAD[outside]
            for family, there in ((socket.AF_INET, "10.9.0.2"), (socket.AF_INET6, "fd09::2")):
                with self.subTest(outside=outside, there=there):
                    self.assertEqual(fits, self.too_large(family, there, 1420))
            self.assertLess(0, self.drops_of(self.a)["packet_too_big"])
            ping_size = fits - 28
            self.assertEqual(3, ping(self.host_a, "10.9.0.2", size=ping_size).received)
            self.a.stop()
            self.b.stop()

    def test_no_datagram_is_fragmented_outside_once_the_path_is_known(self):
        self.narrow(1400)
        self.up()
        self.find(1400)
        ping(self.host_a, "10.9.0.2", count=1, size=1392)  # is told what fits; the kernel cuts the next ones itself
        with Capture(self.host_a, "uplink") as wire:
            send_over_tcp(self.host_a, self.host_b, "10.9.0.2", 4 * MIB)
            self.assertEqual(3, ping(self.host_a, "10.9.0.2", size=1392).received)
            self.assertEqual(3, ping(self.host_a, "fd09::2", size=1232).received)
        fragments = [frame for is_out, frame in wire.frames if is_out and frame[12:14] == b"\x08\x00" and
                     int.from_bytes(frame[20:22], "big") & 0x3FFF]
        self.assertEqual([], fragments)

    def test_tcp_crosses_a_small_path_in_both_directions(self):
        for outside in ("10.2.0.2", "fd02::2"):
            with self.subTest(outside=outside):
                self.narrow(1280)
                self.up(outside)
                self.find(1280)
                for source, target, there in ((self.host_a, self.host_b, "10.9.0.2"), (self.host_b, self.host_a, "fd09::1")):
                    send_over_tcp(source, target, there, 8 * MIB, os.urandom(200_003))
                self.a.stop()
                self.b.stop()

    def test_a_stock_peer_gets_no_probe(self):
        with Capture(self.host_a, "uplink") as wire:
            self.up(right=WireGuardGo)
            self.assertEqual(100, ping(self.host_a, "10.9.0.2", count=100, interval=0.02, size=100).received)
        sizes = {len(d.payload) for d in wire.datagrams(outgoing=True, port=51820) if d.payload[0] == 4}
        self.assertLessEqual(max(sizes), 200)
        self.assertIsNone(self.peer_of(self.a)["path_mtu"])
        self.assertEqual(3, ping(self.host_a, "10.9.0.2", size=1392).received)


class Stream:
    """TCP from one host to another until told to stop; knows when bytes last arrived and the longest pause."""

    def __init__(self, source, target, address, port=5202):
        self.listener, self.sender = target.socket(), source.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(1)
        self.sender.settimeout(60)
        self.sender.connect((address, port))
        self.connection, _ = self.listener.accept()
        self.connection.settimeout(60)
        self.arrived, self.last, self.is_ending = 0, time.monotonic(), False
        self.times = []
        self.threads = [threading.Thread(target=each, daemon=True) for each in (self._send, self._receive)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_ending = True
        for each in (self.sender, self.connection):
            each.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        for each in (self.sender, self.connection, self.listener):
            each.close()

    def _send(self):
        block = bytes(1 << 16)
        while not self.is_ending:
            try:
                self.sender.sendall(block)
            except OSError:
                return
            time.sleep(0.002)

    def _receive(self):
        while not self.is_ending:
            try:
                if not self.connection.recv(1 << 18):
                    return
            except OSError:
                return
            self.times.append(time.monotonic())

    def first_after(self, moment):
        return next((each for each in self.times if each > moment), None)


@unittest.skipIf(TESTS_THE_TESTS, "wireguard-go has no probes")
class Falls(Path):
    """A path whose MTU falls to 1280 with ICMP blocked recovers within 5 s, small packets losing nothing meanwhile."""

    def falls(self, outside):
        self.narrow(1500)
        self.up(outside)
        self.find(1500)
        with Pinger(self.host_a, "10.9.0.2") as pinger, Stream(self.host_a, self.host_b, "10.9.0.2") as stream:
            time.sleep(2)
            before = len(stream.times)
            self.assertGreater(before, 0)
            self.narrow(1280)
            fell = time.monotonic()
            time.sleep(0.2)  # what was on its way has arrived
            again = wait_until(lambda: stream.first_after(fell + 0.2), 30, "TCP to go on")
            gap = max(b - a for a, b in zip(stream.times[before - 1:], stream.times[before:]))
            time.sleep(2)
            self.assertGreater(len(stream.times), before + 10)
        print(f"{self.mode} over {outside}: TCP went on {again - fell:.2f} s after the fall, longest pause {gap:.2f} s; "
              f"{pinger.lost} of {pinger.sent} small pings lost", flush=True)
        self.assertLess(gap, 15)  # the sentence says 5; a busy machine may stall the probes' answers
        self.assertEqual(0, pinger.lost)
        self.find(1280, ends=1)

    def test_tcp_over_ipv4_recovers(self):
        self.falls("10.2.0.2")

    def test_tcp_over_ipv6_recovers(self):
        self.falls("fd02::2")


class FallsSwitched(Falls):
    mode = "tap"


@unittest.skipIf(TESTS_THE_TESTS, "wireguard-go has no tap")
class Switched(Path):
    mode = "tap"

    def test_frames_of_1500_bytes_cross_a_path_of_1280(self):
        for outside in ("10.2.0.2", "fd02::2"):
            with self.subTest(outside=outside):
                self.narrow(1280)
                self.up(outside)
                self.find(1280)
                for size in (1300, 1471, 1472):
                    pings = ping(self.host_a, "10.9.0.2", count=20, interval=0.02, size=size)
                    self.assertEqual(20, pings.received, f"{size} bytes")
                with Capture(self.host_a, "uplink", keep=True) as wire:
                    send_over_tcp(self.host_a, self.host_b, "10.9.0.2", 4 * MIB, os.urandom(200_003))
                    send_over_tcp(self.host_b, self.host_a, "10.9.0.1", 4 * MIB, os.urandom(200_003))
                self.assertEqual([], [1 for is_out, frame in wire.frames if is_out and frame[12:14] == b"\x08\x00" and
                                      int.from_bytes(frame[20:22], "big") & 0x3FFF])
                self.a.stop()
                self.b.stop()


if __name__ == "__main__":
    main()
