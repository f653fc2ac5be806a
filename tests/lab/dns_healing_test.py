#!/usr/bin/env python3
"""A peer given by name is found where the name leads, when that changes, and no packet ever waits for a name server.

      host-a                                    host-b
    ┌───────────────────────┐                 ┌────────────────────────────────┐
    │ site-a  10.9.0.1      │  10.0.0.0/24    │ site-b  10.9.0.2               │
    │           uplink .1 ──┼─────────────────┼─ uplink .2, and wherever the   │
    │ name server at        │                 │  test moves it                 │
    │ 127.0.0.1             │                 └────────────────────────────────┘
    └───────────────────────┘
"""

import os
import time

from lab import wait_until
from name_server import NameServer, use_name_server
from probes import Capture, Pinger, answers, ping
from quick import Quick
from scenario import Scenario, main, redundant_under_sanitizers
from sites import Culvert, WireGuardGo, introduce

NAME = "far.test"
FIRST, SECOND, NOBODY, ABROAD = "10.0.0.2", "10.0.0.22", "10.0.0.99", "203.0.113.53"
LIFETIME = 10


class Named(Scenario):
    """A site that finds its peer by name."""

    other_end = Culvert

    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        use_name_server(self.lab)
        self.a = Culvert(self.host_a, "site-a", ["10.9.0.1/24"])
        self.b = self.other_end(self.host_b, "site-b", ["10.9.0.2/24"])
        introduce(self.a, self.b, right_at=NAME)
        self.b.start()

    def serve(self, *addresses, lifetime=LIFETIME):
        """A name server for the rest of the test."""
        return self.lab.closing.enter_context(NameServer(self.host_a, {NAME: list(addresses)}, lifetime))

    def start(self):
        # With the log of what is tried, for a failure report.
        self.a.start(env={**os.environ, "LOG_LEVEL": "debug"})

    def up(self, *addresses, **options):
        server = self.serve(*addresses, **options)
        self.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2", timeout=20))
        self.assertEqual(f"{addresses[0]}:51820", self.a.endpoint_of(self.b))
        return server

    def has_moved_to(self, address):
        return self.a.endpoint_of(self.b) == f"{address}:51820"

    def wait_for_move_to(self, address, timeout):
        deadline = time.monotonic() + timeout
        while not self.has_moved_to(address):
            self.assertLess(time.monotonic(), deadline, f"{address} is not used")
            time.sleep(0.3)

    def add_second_address(self):
        self.host_b.ip("address", "add", f"{SECOND}/24", "dev", "uplink")

    def drop_first_address(self):
        self.host_b.ip("address", "del", f"{FIRST}/24", "dev", "uplink")

    def assert_none_lost(self, pinger):
        self.assertGreater(pinger.sent, 20)
        self.assertEqual(0, pinger.lost, f"of {pinger.sent} pings")


class Following(Named):
    """Where the name leads the tunnel goes."""

    def test_without_a_name_server_it_starts_and_comes_alive_when_there_is_one(self):
        self.start()
        self.assertEqual(0, ping(self.host_a, "10.9.0.2", count=2, wait=0.3).received)
        self.assertIsNone(self.a.endpoint_of(self.b))
        self.serve(FIRST)
        self.assertTrue(answers(self.host_a, "10.9.0.2", timeout=60))

    def test_a_silent_peer_that_moved_is_followed_at_the_end_of_the_lifetime(self):
        server = self.up(FIRST)
        self.add_second_address()
        self.drop_first_address()
        server.records[NAME] = [SECOND]
        # Neither side sends anything: nothing but the name can tell.
        self.wait_for_move_to(SECOND, 2 * LIFETIME + 30)
        self.assertEqual(3, ping(self.host_a, "10.9.0.2").received)

    def test_a_peer_that_moved_is_followed_when_handshakes_fail(self):
        server = self.up(FIRST, lifetime=86400)
        self.add_second_address()
        self.drop_first_address()
        server.records[NAME] = [SECOND]
        # Fifteen seconds of silence begin a handshake, five more show that it fails, five more are the pause between two.
        self.assertTrue(answers(self.host_a, "10.9.0.2", timeout=60))
        self.assertTrue(self.has_moved_to(SECOND))

    def test_a_new_address_that_works_is_gone_over_to_without_a_loss(self):
        server = self.up(FIRST)
        self.add_second_address()
        with Pinger(self.host_a, "10.9.0.2", interval=0.2) as pinger:
            server.records[NAME] = [SECOND]
            self.wait_for_move_to(SECOND, 2 * LIFETIME + 30)
            time.sleep(1)
        self.assert_none_lost(pinger)
        self.drop_first_address()
        self.assertEqual(3, ping(self.host_a, "10.9.0.2").received)


class Undisturbed(Named):
    """What names and their servers do wrong disturbs no tunnel that works."""

    def test_a_new_address_that_does_not_answer_costs_no_ping(self):
        server = self.up(FIRST)
        with Capture(self.host_b, "uplink") as wire, Pinger(self.host_a, "10.9.0.2", interval=0.2) as pinger:
            server.records[NAME] = [NOBODY]
            asked = server.questions
            wait_until(lambda: server.questions >= asked + 4, 6 * LIFETIME + 20, "two more lookups")
            time.sleep(6)
        self.assert_none_lost(pinger)
        self.assertTrue(self.has_moved_to(FIRST))
        renewals = [d for d in wire.datagrams(port=51820) if d.payload[0] == 1 and d.target == FIRST]
        self.assertLess(len(renewals), 6, "the old address does not pay for the new one")

    def test_a_peer_that_roams_is_not_pulled_back_by_its_name(self):
        server = self.up(FIRST)
        self.b.wg("set", self.b.name, "listen-port", "40404")
        self.assertTrue(answers(self.host_b, "10.9.0.1"), "b speaks from its new port")
        self.assertEqual(f"{FIRST}:40404", self.a.endpoint_of(self.b))
        asked = server.questions
        wait_until(lambda: server.questions >= asked + 4, 4 * LIFETIME + 20, "two more lookups")
        self.assertEqual(3, ping(self.host_a, "10.9.0.2").received)
        self.assertEqual(f"{FIRST}:40404", self.a.endpoint_of(self.b))

    def test_a_name_server_that_hangs_delays_no_packet(self):
        server = self.up(FIRST)
        server.is_silent = True
        asked = server.questions
        with Pinger(self.host_a, "10.9.0.2", interval=0.2) as pinger:
            wait_until(lambda: server.questions >= asked + 2, 2 * LIFETIME + 20, "a lookup to hang")
            began = time.monotonic()
            self.assertEqual(20, ping(self.host_a, "10.9.0.2", count=20).received)
            self.assertLess(time.monotonic() - began, 10)
            time.sleep(4)
        self.assert_none_lost(pinger)
        self.assertTrue(self.has_moved_to(FIRST))
        began = time.monotonic()
        self.assertEqual(0, self.a.stop())
        self.assertLess(time.monotonic() - began, 5, "nor does it delay the end")


class ServersBeyond(Named):
    """Where the way to the name servers leads into the tunnel that needs them to find its peer."""

    def setUp(self):
        super().setUp()
        self.add_second_address()
        self.host_a.ip("route", "add", "default", "via", SECOND)
        self.a = Quick(self.host_a, "site-a", ["10.9.0.1/24"])
        self.b.peers.clear()
        introduce(self.a, self.b, right_at=NAME)
        self.b.stop()
        self.b.start()
        self.lab.closing.callback(lambda: self.a.journal.exists() and self.a.down())

    def assert_follows(self, server):
        self.a.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2", timeout=20))
        self.assertTrue(self.has_moved_to(FIRST))
        self.drop_first_address()
        server.records[NAME] = [SECOND]
        self.assertTrue(answers(self.host_a, "10.9.0.2", timeout=60))
        self.assertTrue(self.has_moved_to(SECOND))

    def serve_at(self, host, address):
        use_name_server(self.lab, address)
        return self.lab.closing.enter_context(NameServer(host, {NAME: [FIRST]}, 86400, address))

    def test_a_server_that_a_default_route_would_reach_through_the_tunnel_is_asked_past_it(self):
        self.host_b.ip("address", "add", ABROAD, "dev", "lo")
        self.a.peers[0].allowed_ips = ["0.0.0.0/0"]
        server = self.serve_at(self.host_b, ABROAD)
        self.assert_follows(server)
        self.assertIn("dev site-a", self.host_a.ip("route", "get", ABROAD))

    def test_servers_of_before_are_asked_when_the_tunnel_brought_others_that_are_behind_it(self):
        for allowed_ips in ("10.9.0.0/24", "0.0.0.0/0"):
            with self.subTest(allowed_ips):
                self.a.peers[0].allowed_ips = [allowed_ips]
                self.a.interface_lines = ["PostUp = echo nameserver 10.9.0.53 > /etc/resolv.conf"]
                server = self.serve_at(self.host_a, "127.0.0.1")
                self.assert_follows(server)
                self.assertEqual(0, self.a.down().returncode)
                server.__exit__()
                self.host_b.ip("address", "add", f"{FIRST}/24", "dev", "uplink")


@redundant_under_sanitizers
class FollowingBesideWireGuardGo(Following):
    other_end = WireGuardGo


@redundant_under_sanitizers
class UndisturbedBesideWireGuardGo(Undisturbed):
    other_end = WireGuardGo


if __name__ == "__main__":
    main()
