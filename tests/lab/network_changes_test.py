#!/usr/bin/env python3
"""The network under a tunnel changes while it is in use: the tunnel follows.

      host-a                                        network                        host-b
    ┌────────────────────────┐                    ┌─────────────────────┐        ┌────────────────────┐
    │ site-a   10.9.0.1      │ 10.0.1.0/24, fd01::│                     │        │ site-b   10.9.0.2  │
    │              first .1 ─┼────────────────────┼─ first .2   inward ─┼────────┼─ uplink            │
    │              second .1 ┼────────────────────┼─ second .2          │        │ 10.0.9.9, fd09::9  │
    │ default route by first │ 10.0.2.0/24, fd02::│                     │        │                    │
    └────────────────────────┘                    └─────────────────────┘        └────────────────────┘

The network takes from each link only IPv4 packets with a source address of that link, as providers do.
"""

import time

from lab import add_address
from probes import Capture, answers, ping
from scenario import Scenario, main, redundant_under_sanitizers
from sites import TESTS_THE_TESTS, Subject, WireGuardGo, at, introduce

FAR4, FAR6 = "10.0.9.9", "fd09::9"
# Fifteen seconds until silence is noticed, five more until a handshake is tried again.
PATIENCE = 40


class NetworkChanges:
    """The scenarios; subclasses say who is at the ends."""

    def setUp(self):
        super().setUp()
        self.host_a, self.network, self.host_b = (self.lab.host(name) for name in ("host-a", "network", "host-b"))
        local = ("fe80::1/64", "fe80::2/64")  # without which neighbours do not find each other when addresses change
        for number, name in ((1, "first"), (2, "second")):
            self.lab.link(self.host_a, self.network, (f"10.0.{number}.1/24", f"10.0.{number}.2/24"),
                          (f"fd0{number}::1/64", f"fd0{number}::2/64"), local, name=name)
            self.network.set(f"ipv4/conf/{name}/rp_filter", 1)
            # An address goes with its link otherwise, which is another test.
            self.host_a.set(f"ipv6/conf/{name}/keep_addr_on_down", 1)
        self.lab.link(self.network, self.host_b, ("10.0.9.1/24", FAR4 + "/24"), ("fd09::1/64", FAR6 + "/64"), local,
                      name=("inward", "uplink"))
        for key in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            self.network.set(key, 1)
        self.host_b.ip("route", "add", "default", "via", "10.0.9.1")
        self.host_b.ip("-6", "route", "add", "default", "via", "fd09::1")
        self.routes_by("first")
        self.a = self.Left(self.host_a, "site-a", ["10.9.0.1/24"])
        self.b = self.Right(self.host_b, "site-b", ["10.9.0.2/24"])

    def routes_by(self, name):
        number = {"first": 1, "second": 2}[name]
        self.host_a.ip("route", "replace", "default", "via", f"10.0.{number}.2")
        self.host_a.ip("-6", "route", "replace", "default", "via", f"fd0{number}::2")

    def up(self, far=FAR4):
        introduce(self.a, self.b, right_at=far)
        self.b.start()
        self.a.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    def traffic(self):
        """Somebody at host-a talks all the time, as long as the lab lives."""
        self.host_a.start("ping", "-n", "-q", "-i", "0.1", "10.9.0.2")
        time.sleep(0.5)

    def assert_followed(self, link="first", speaker=None, handshakes=1):
        """Both ways work again, after so many handshakes at most that either side began from now on."""
        speaker = speaker or self.host_a
        with Capture(self.host_a, link) as wire:
            self.assertTrue(answers(speaker, "10.9.0.2" if speaker is self.host_a else "10.9.0.1", timeout=PATIENCE))
        for outgoing in (True, False):
            begun = [datagram for datagram in wire.datagrams(outgoing) if datagram.payload[0] == 1]
            self.assertLessEqual(len(begun), handshakes, "handshakes begun by one side")
        self.assertEqual(3, ping(self.host_a, "10.9.0.2", wait=5).received)
        self.assertEqual(3, ping(self.host_b, "10.9.0.1", wait=5).received)

    def assert_seen_at(self, address):
        self.assertEqual(address, self.b.endpoint_of(self.a).rpartition(":")[0].strip("[]"))

    def test_an_address_is_replaced_by_another(self):
        self.up()
        self.traffic()
        for far, old, new in ((FAR4, "10.0.1.1/24", "10.0.1.11/24"), (FAR6, "fd01::1/64", "fd01::11/64")):
            self.point_a_at(far)
            self.assertTrue(answers(self.host_a, "10.9.0.2"))
            with self.subTest("the new one comes before the old one goes", far=far):
                add_address(self.host_a, "first", new)
                self.host_a.ip("address", "del", old, "dev", "first")
                self.routes_by("first")
                self.assert_followed()
                self.assert_seen_at(new.split("/")[0])
            with self.subTest("for a while there is none", far=far):
                self.host_a.ip("address", "del", new, "dev", "first")
                time.sleep(1)
                add_address(self.host_a, "first", old)
                self.routes_by("first")
                self.assert_followed()  # by whichever of its addresses the kernel chose meanwhile

    def test_a_link_goes_down_and_comes_up(self):
        self.up()
        self.traffic()
        for seconds in (0.1, 7):
            with self.subTest(seconds=seconds):
                self.host_a.ip("link", "set", "first", "down")
                time.sleep(seconds)
                self.host_a.ip("link", "set", "first", "up")
                self.routes_by("first")
                self.assert_followed()

    def test_the_default_route_moves_to_another_link(self):
        self.up()
        self.traffic()
        for link, seen in (("second", "10.0.2.1"), ("first", "10.0.1.1")):
            with self.subTest(link=link):
                self.routes_by(link)
                self.assert_followed(link)
                self.assert_seen_at(seen)
                time.sleep(1.5)  # until site-a again answers from where it is asked

    def test_the_link_in_use_is_lost_and_another_takes_over(self):
        self.up()
        self.traffic()
        self.host_a.ip("link", "set", "first", "down")
        self.routes_by("second")
        self.assert_followed("second")
        self.assert_seen_at("10.0.2.1")

    def test_ipv6_goes_and_ipv4_takes_over_and_back(self):
        self.up(FAR6)
        self.traffic()
        self.host_a.set("ipv6/conf/first/disable_ipv6", 1)
        self.point_a_at(FAR4)
        self.assert_followed()
        self.assert_seen_at("10.0.1.1")
        self.host_a.set("ipv6/conf/first/disable_ipv6", 0)
        add_address(self.host_a, "first", "fd01::1/64")
        self.routes_by("first")
        self.host_a.ip("-4", "address", "flush", "dev", "first")
        self.point_a_at(FAR6)
        self.assert_followed()
        self.assert_seen_at("fd01::1")

    def point_a_at(self, far):
        """Until it holds: what site-b sent before takes site-a back to where it came from, as roaming does."""
        wanted = at(far, self.b.port)
        deadline = time.monotonic() + 5
        self.a.wg("set", "site-a", "peer", self.b.keys.public, "endpoint", wanted)
        while time.monotonic() < deadline:
            time.sleep(0.1)
            if self.a.endpoint_of(self.b) != wanted:
                self.a.wg("set", "site-a", "peer", self.b.keys.public, "endpoint", wanted)
            elif self.b.endpoint_of(self.a).startswith("[") == wanted.startswith("["):
                return

    def test_ipv6_comes_after_the_start(self):
        self.host_a.set("ipv6/conf/all/disable_ipv6", 1)
        self.up()
        self.host_a.set("ipv6/conf/all/disable_ipv6", 0)
        add_address(self.host_a, "first", "fd01::1/64")
        self.routes_by("first")
        self.point_a_at(FAR6)
        self.assert_followed()
        self.assert_seen_at("fd01::1")

    def test_the_other_side_moves_while_only_we_talk(self):
        """host-b leaves the address that site-a knows, and says nothing until it is spoken to or notices the silence."""
        self.up()
        self.traffic()
        add_address(self.host_b, "uplink", "10.0.9.22/24")
        self.host_b.ip("address", "del", FAR4 + "/24", "dev", "uplink")
        self.host_b.start("ping", "-n", "-q", "-i", "0.2", "10.9.0.1")
        self.assert_followed(speaker=self.host_b)
        self.assertEqual("10.0.9.22:51820", self.a.endpoint_of(self.b))


class Alike(NetworkChanges, Scenario):
    Left = Right = Subject


if not TESTS_THE_TESTS:

    @redundant_under_sanitizers
    class BesideWireGuardGo(NetworkChanges, Scenario):
        Left, Right = Subject, WireGuardGo

    @redundant_under_sanitizers
    class BehindWireGuardGo(NetworkChanges, Scenario):
        Left, Right = WireGuardGo, Subject


if __name__ == "__main__":
    main()
