#!/usr/bin/env python3
"""What two culverts agree on inside a session, and that a stock WireGuard at the other end notices nothing of it.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ site-a  10.9.0.1     │  10.0.0.0/24    │ site-b  10.9.0.2     │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘
"""

import json
import os
import time
import unittest

from lab import run, wait_until
from probes import Capture, ping, send_over_tcp
from scenario import Scenario, main
from sites import TESTS_THE_TESTS, Culvert, WireGuardGo, culvert_binary, introduce

CHACHA, AES = b"\x04\0\0\0", b"\xc1\0\0\0"
HOLD_TO_CHACHA = ["Cipher = chacha20-poly1305"]


def has_aes():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        words = set(file.read().split())
    return {"aes", "pclmulqdq"} <= words


@unittest.skipIf(TESTS_THE_TESTS, "wireguard-go says no hello")
class Agreement(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()

    def up(self, left=(), right=()):
        self.a = Culvert(self.host_a, "site-a", ["10.9.0.1/24"], interface_lines=list(left))
        self.b = Culvert(self.host_b, "site-b", ["10.9.0.2/24"], interface_lines=list(right))
        introduce(self.a, self.b, left_at="10.0.0.1", right_at="10.0.0.2")
        self.a.start()
        self.b.start()

    def peer_of(self, site):
        [tunnel] = json.loads(run(culvert_binary(), "show", site.name, "--json"))
        [peer] = tunnel["peers"]
        return peer

    def wait_for(self, site, key, value):
        wait_until(lambda: self.peer_of(site)[key] == value, 30, f"{site.name} to show {key} {value}")

    def traffic_types(self):
        """The kinds of data messages that carry traffic both ways now, in order."""
        marker = os.urandom(32)
        with Capture(self.host_a, "uplink") as wire:
            self.assertEqual(5, ping(self.host_a, "10.9.0.2", count=5).received)
            send_over_tcp(self.host_a, self.host_b, "10.9.0.2", 1 << 20, marker)
        self.assertFalse(wire.contains(marker), "plaintext on the uplink")
        return [datagram.payload[:4] for datagram in wire.datagrams(port=51820) if datagram.payload[0] not in (1, 2, 3)]

    def test_two_culverts_agree_on_aes(self):
        if not has_aes():
            self.skipTest("no AES instructions")
        self.up()
        self.assertEqual("unknown", self.peer_of(self.a)["kind"])
        self.assertEqual(CHACHA, self.traffic_types()[0], "a session begins as WireGuard's do")
        for site in (self.a, self.b):
            self.wait_for(site, "kind", "routed")
            self.wait_for(site, "cipher", "aes-256-gcm")
            self.assertIsNone(self.peer_of(site)["mismatch"])
            text = run(culvert_binary(), "show", site.name)
            self.assertIn("  cipher: auto\n", text)
            self.assertIn("    speaks: culvert, routed\n", text)
            self.assertIn("    cipher: aes-256-gcm\n", text)
            self.assertEqual(1, len(site.status()), "wg reads the status all the same")
        self.assertEqual({AES}, set(self.traffic_types()))
        for site in (self.a, self.b):
            [tunnel] = json.loads(run(culvert_binary(), "show", site.name, "--json"))
            self.assertNotIn("cipher_mismatch", tunnel["drops"])

    def stays_on_chacha(self, left, right):
        self.up(left, right)
        self.assertEqual(2, ping(self.host_a, "10.9.0.2", count=2).received)
        for site in (self.a, self.b):
            self.wait_for(site, "kind", "routed")
            self.assertEqual("chacha20-poly1305", self.peer_of(site)["cipher"])
        self.assertEqual({CHACHA}, set(self.traffic_types()))

    def test_the_left_end_alone_forces_aes_off(self):
        self.stays_on_chacha(HOLD_TO_CHACHA, [])

    def test_the_right_end_alone_forces_aes_off(self):
        self.stays_on_chacha([], HOLD_TO_CHACHA)

    def says(self, site, words):
        """What keeps frames from passing is said in status and log, in the log once."""
        wait_until(lambda: words in (self.peer_of(site)["mismatch"] or ""), 30, f"{site.name} to show that it {words}")
        self.assertIn(f"    MISMATCH: this peer {words}", run(culvert_binary(), "show", site.name))
        wait_until(lambda: words in site.process.output, 30, f"{site.name} to say that it {words}")
        self.assertEqual(1, site.process.output.count(words), "once a minute is enough")

    def mode_mismatches(self, site):
        [tunnel] = json.loads(run(culvert_binary(), "show", site.name, "--json"))
        return tunnel["drops"].get("mode_mismatch", 0)

    def test_different_modes_are_said_at_both_ends_and_nothing_passes(self):
        self.up(["Mode = tap"], ["Mode = tun"])
        for source, target in ((self.host_a, "10.9.0.2"), (self.host_b, "10.9.0.1")) * 2:
            self.assertEqual(0, ping(source, target, count=3).received)
        self.wait_for(self.a, "kind", "routed")
        self.wait_for(self.b, "kind", "switched")
        self.says(self.a, "carries IP packets and this device Ethernet frames, so nothing is forwarded")
        self.says(self.b, "carries Ethernet frames and this device IP packets, so nothing is forwarded")
        for site in (self.a, self.b):
            self.assertGreater(self.mode_mismatches(site), 0)

    def test_a_switched_device_says_that_a_stock_peer_carries_no_frames(self):
        self.a = Culvert(self.host_a, "site-a", ["10.9.0.1/24"], interface_lines=["Mode = tap"])
        self.b = WireGuardGo(self.host_b, "site-b", ["10.9.0.2/24"])
        introduce(self.a, self.b, left_at="10.0.0.1", right_at="10.0.0.2")
        self.b.start()
        self.a.start()
        self.assertEqual(0, ping(self.host_a, "10.9.0.2", count=3).received)
        self.wait_for(self.a, "kind", "stock")
        self.says(self.a, "is a WireGuard that carries IP packets only")
        self.assertGreater(self.mode_mismatches(self.a), 0)
        self.assertNotIn("ERROR", self.b.process.output)

    def with_stock_peer(self, culvert_begins):
        self.a = Culvert(self.host_a, "site-a", ["10.9.0.1/24"])
        self.b = WireGuardGo(self.host_b, "site-b", ["10.9.0.2/24"])
        introduce(self.a, self.b, left_at="10.0.0.1", right_at="10.0.0.2")
        os.environ["LOG_LEVEL"] = "verbose"
        try:
            self.b.start()
        finally:
            del os.environ["LOG_LEVEL"]
        self.a.start()
        self.assertEqual(2, ping(*((self.host_a, "10.9.0.2") if culvert_begins else (self.host_b, "10.9.0.1")), count=2).received)
        self.wait_for(self.a, "kind", "stock")
        self.assertIn("    speaks: plain WireGuard\n", run(culvert_binary(), "show", "site-a"))
        self.assertEqual("chacha20-poly1305", self.peer_of(self.a)["cipher"])
        self.assertIsNone(self.peer_of(self.a)["mismatch"])
        # Longer than whoever misses an answer waits before it begins another handshake.
        time.sleep(17)
        self.assertEqual({CHACHA}, set(self.traffic_types()))
        said = self.b.process.output
        self.assertEqual(1, said.count("Sending handshake initiation") + said.count("Received handshake initiation"), said)
        self.assertNotIn("ERROR", said)
        self.assertIn("DEBUG", said, "it was verbose")

    def test_a_stock_peer_that_answers_notices_nothing(self):
        self.with_stock_peer(True)

    def test_a_stock_peer_that_begins_notices_nothing(self):
        self.with_stock_peer(False)


if __name__ == "__main__":
    main()
