#!/usr/bin/env python3
"""Cipher suites set by Cipher at both ends: equal ones carry packets, different ones none and say so.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ site-a  10.9.0.1     │  10.0.0.0/24    │ site-b  10.9.0.2     │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘
"""

import json
import os
import unittest

from lab import run, wait_until
from probes import Capture, ping, send_over_tcp
from scenario import Scenario, main
from sites import TESTS_THE_TESTS, Culvert, WireGuardGo, culvert_binary, introduce

LINES = {"chacha20-poly1305": ["Cipher = chacha20-poly1305"], "aes-256-gcm": ["Cipher = aes-256-gcm"], "none": ["Cipher = none", "Insecure = yes"]}
LIBRARIES = {"chacha20-poly1305": {"BoringSSL", "libgcrypt", "libsodium", "OpenSSL"}, "aes-256-gcm": {"libgcrypt"}, "none": {"none"}}
MESSAGE_TYPES = {"chacha20-poly1305": b"\x04\0\0\0", "aes-256-gcm": b"\xc1\0\0\0", "none": b"\xc2\0\0\0"}


def has_aes():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        words = set(file.read().split())
    return {"aes", "pclmulqdq"} <= words


@unittest.skipIf(TESTS_THE_TESTS, "wireguard-go has one cipher")
class Ciphers(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()

    def up(self, left, right):
        if "aes-256-gcm" in (left, right) and not has_aes():
            self.skipTest("no AES instructions")
        self.a = Culvert(self.host_a, "site-a", ["10.9.0.1/24"], interface_lines=LINES[left])
        self.b = Culvert(self.host_b, "site-b", ["10.9.0.2/24"], interface_lines=LINES[right])
        introduce(self.a, self.b, left_at="10.0.0.1", right_at="10.0.0.2")
        self.a.start()
        self.b.start()

    def shown(self, site):
        [tunnel] = json.loads(run(culvert_binary(), "show", site.name, "--json"))
        return tunnel

    def carries_packets(self, suite):
        self.up(suite, suite)
        marker = os.urandom(32)
        with Capture(self.host_a, "uplink", [marker, MESSAGE_TYPES[suite]], keep=False) as wire:
            self.assertEqual(5, ping(self.host_a, "10.9.0.2", count=5).received)
            send_over_tcp(self.host_a, self.host_b, "10.9.0.2", 1 << 20, marker)
        self.assertEqual(suite == "none", wire.contains(marker), "plaintext on the uplink")
        self.assertTrue(wire.contains(MESSAGE_TYPES[suite]))
        for site in (self.a, self.b):
            tunnel = self.shown(site)
            self.assertEqual(suite, tunnel["cipher"])
            self.assertIn(tunnel["aead_library"], LIBRARIES[suite])
            self.assertNotIn("cipher_mismatch", tunnel["drops"])
            self.assertEqual(suite == "none", "INSECURE" in site.process.output)
            text = run(culvert_binary(), "show", site.name)
            self.assertIn("cipher: none: INSECURE" if suite == "none" else f"cipher: {suite} by {tunnel['aead_library']}", text)
            self.assertEqual(1, len(site.status()), "wg reads the status all the same")

    def test_chacha20_poly1305(self):
        self.carries_packets("chacha20-poly1305")

    def test_aes_256_gcm(self):
        self.carries_packets("aes-256-gcm")

    def test_none(self):
        self.carries_packets("none")

    def refuses_packets(self, left, right):
        self.up(left, right)
        for _ in range(2):
            self.assertEqual(0, ping(self.host_a, "10.9.0.2", count=3).received)
            self.assertEqual(0, ping(self.host_b, "10.9.0.1", count=3).received)
        for site, own in ((self.a, left), (self.b, right)):
            wait_until(lambda site=site: self.shown(site)["drops"].get("cipher_mismatch", 0) > 0, 20, f"{site.name} to count mismatches")
            sentence = f"data under another cipher than {own}"
            wait_until(lambda site=site: sentence in site.process.output, 30, f"{site.name} to say so")
            self.assertEqual(1, site.process.output.count(sentence), "once a minute is enough")

    def test_aes_256_gcm_against_chacha20_poly1305(self):
        self.refuses_packets("aes-256-gcm", "chacha20-poly1305")

    def test_none_against_chacha20_poly1305(self):
        self.refuses_packets("none", "chacha20-poly1305")

    def test_a_stock_peer_drops_other_suites_and_is_told_of_in_the_log(self):
        if not has_aes():
            self.skipTest("no AES instructions")
        self.a = Culvert(self.host_a, "site-a", ["10.9.0.1/24"], interface_lines=LINES["aes-256-gcm"])
        self.b = WireGuardGo(self.host_b, "site-b", ["10.9.0.2/24"])
        introduce(self.a, self.b, left_at="10.0.0.1", right_at="10.0.0.2")
        self.b.start()
        self.a.start()
        self.assertEqual(0, ping(self.host_a, "10.9.0.2", count=3).received)

        def is_told():
            # The stock peer sends data once a handshake that it began itself is complete: not before five seconds.
            self.assertEqual(0, ping(self.host_b, "10.9.0.1", count=1).received)
            return "another cipher than aes-256-gcm" in self.a.process.output

        wait_until(is_told, 40, "site-a to say so")
        self.assertEqual(1, len(self.b.status()), "the stock peer lives")

    def test_none_without_insecure_is_refused_with_its_place(self):
        site = Culvert(self.host_a, "site-a", ["10.9.0.1/24"], interface_lines=["Cipher = none"])
        site.start(wait=False)
        self.assertNotEqual(0, site.process.popen.wait(timeout=15))
        self.assertRegex(site.process.output, r"site-a\.conf:5:10: Cipher \"none\"")


if __name__ == "__main__":
    main()
