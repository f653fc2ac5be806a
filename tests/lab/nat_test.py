#!/usr/bin/env python3
"""One side behind a masquerading router that soon forgets.

      host-a                    router                        host-b
    ┌──────────────────┐      ┌───────────────────────┐     ┌────────────────────┐
    │ site-a 10.9.0.1  │      │ inside       outside  │     │ site-b  10.9.0.2   │
    │    uplink .2 ────┼──────┼─ .1       10.0.0.1 ───┼─────┼─ uplink 10.0.0.2   │
    │ 192.168.0.0/24   │      │ masquerade; forgets   │     │ knows no endpoint  │
    └──────────────────┘      │ in 2 s                │     └────────────────────┘
                              └───────────────────────┘
"""

import shutil
import time
import unittest

from probes import answers, ping
from scenario import Scenario, main, redundant_under_sanitizers
from sites import TESTS_THE_TESTS, Subject, WireGuardGo, introduce

MASQUERADE = """
table ip nat {
  chain postrouting {
    type nat hook postrouting priority 100;
    oifname "outside" udp sport 1-65535 masquerade random
  }
}
table ip guard {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "inside" accept
  }
}
"""


@unittest.skipUnless(shutil.which("nft"), "nft is not installed")
class BehindRouter(Scenario):
    Inside = Outside = Subject

    def setUp(self):
        super().setUp()
        self.host_a, self.router, self.host_b = (self.lab.host(name) for name in ("host-a", "router", "host-b"))
        self.lab.link(self.host_a, self.router, ("192.168.0.2/24", "192.168.0.1/24"), name=("uplink", "inside"))
        self.lab.link(self.router, self.host_b, ("10.0.0.1/24", "10.0.0.2/24"), name=("outside", "uplink"))
        self.host_a.ip("route", "add", "default", "via", "192.168.0.1")
        rules = self.lab.folder / "nat.nft"
        rules.write_text(MASQUERADE, encoding="ascii")
        loaded = self.router.run("nft", "-f", rules, check=False)
        if loaded.returncode != 0:
            self.skipTest(f"this kernel has no NAT: {loaded.stderr.strip().splitlines()[0]}")
        for key, value in (("ipv4/ip_forward", 1), ("netfilter/nf_conntrack_udp_timeout", 2),
                           ("netfilter/nf_conntrack_udp_timeout_stream", 2)):
            self.router.set(key, value)

    def up(self, keepalive):
        self.a = self.Inside(self.host_a, "site-a", ["10.9.0.1/24"])
        self.b = self.Outside(self.host_b, "site-b", ["10.9.0.2/24"])
        introduce(self.a, self.b, right_at="10.0.0.2", left_keepalive=keepalive)
        self.b.start()
        self.a.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertTrue(self.b.endpoint_of(self.a).startswith("10.0.0.1:"))


class Nat(BehindRouter):
    def test_without_keepalive_the_router_forgets(self):
        self.up(keepalive=None)
        self.assertEqual(1, ping(self.host_b, "10.9.0.1", count=1).received)
        time.sleep(4)
        self.assertEqual(0, ping(self.host_b, "10.9.0.1", count=2, wait=0.5).received)

    def test_keepalive_keeps_the_way_open(self):
        self.up(keepalive=1)
        before = self.b.endpoint_of(self.a)
        time.sleep(6)
        self.assertEqual(3, ping(self.host_b, "10.9.0.1").received)
        self.assertEqual(before, self.b.endpoint_of(self.a))

    def test_a_rebound_mapping_is_followed(self):
        self.up(keepalive=1)
        before = self.b.endpoint_of(self.a)
        self.router.ip("link", "set", "outside", "down")  # masquerading forgets every mapping of the link
        self.router.ip("address", "add", "10.0.0.7/24", "dev", "outside")
        self.router.ip("address", "del", "10.0.0.1/24", "dev", "outside")
        self.router.ip("link", "set", "outside", "up")
        self.assertTrue(answers(self.host_b, "10.9.0.1"), "a's next keepalive shows b the new mapping")
        self.assertNotEqual(before, self.b.endpoint_of(self.a))
        self.assertTrue(self.b.endpoint_of(self.a).startswith("10.0.0.7:"))


class Reboots(BehindRouter):
    """What is between or behind loses all it knew; the outside follows."""

    def reboot_router(self):
        for link in ("outside", "inside"):
            self.router.ip("link", "set", link, "down")
        time.sleep(3)  # longer than it remembers
        for link in ("inside", "outside"):
            self.router.ip("link", "set", link, "up")

    def assert_moved(self, before):
        self.assertNotEqual(before, self.b.endpoint_of(self.a))
        self.assertEqual(3, ping(self.host_a, "10.9.0.2", wait=5).received)
        self.assertEqual(3, ping(self.host_b, "10.9.0.1", wait=5).received)

    def test_the_router_while_the_inside_talks(self):
        self.up(keepalive=None)
        self.host_a.start("ping", "-n", "-q", "-i", "0.2", "10.9.0.2")
        before = self.b.endpoint_of(self.a)
        self.reboot_router()
        self.assertTrue(answers(self.host_a, "10.9.0.2", timeout=30))
        self.assert_moved(before)

    def test_the_router_while_only_the_outside_talks(self):
        self.up(keepalive=1)
        before = self.b.endpoint_of(self.a)
        self.host_b.start("ping", "-n", "-q", "-i", "0.2", "10.9.0.1")
        self.reboot_router()
        self.assertTrue(answers(self.host_b, "10.9.0.1", timeout=30), "the inside's keepalives show the way")
        self.assert_moved(before)

    def test_the_router_when_nobody_talks_and_then_the_inside_does(self):
        self.up(keepalive=None)
        before = self.b.endpoint_of(self.a)
        self.reboot_router()
        self.assertEqual(0, ping(self.host_b, "10.9.0.1", count=1).received, "nobody could find the way")
        self.assertTrue(answers(self.host_a, "10.9.0.2", timeout=30))
        self.assert_moved(before)

    def test_the_machine_behind_it_while_only_the_outside_talks(self):
        self.up(keepalive=1)
        before = self.b.endpoint_of(self.a)
        self.host_b.start("ping", "-n", "-q", "-i", "0.2", "10.9.0.1")
        self.a.kill()
        self.a.port = 40404  # or the router, hearing the outside all the time, would keep the mapping
        self.a.start()
        self.assertTrue(answers(self.host_b, "10.9.0.1", timeout=30))
        self.assert_moved(before)


if not TESTS_THE_TESTS:

    @redundant_under_sanitizers
    class RebootsBesideWireGuardGo(Reboots):
        Outside = WireGuardGo

    @redundant_under_sanitizers
    class RebootsBehindWireGuardGo(Reboots):
        Inside = WireGuardGo


if __name__ == "__main__":
    main()
