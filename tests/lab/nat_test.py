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
from scenario import Scenario, main
from sites import Subject, introduce

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
class Nat(Scenario):
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
        self.a = Subject(self.host_a, "site-a", ["10.9.0.1/24"])
        self.b = Subject(self.host_b, "site-b", ["10.9.0.2/24"])
        introduce(self.a, self.b, right_at="10.0.0.2", left_keepalive=keepalive)
        self.b.start()
        self.a.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertTrue(self.b.endpoint_of(self.a).startswith("10.0.0.1:"))

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


if __name__ == "__main__":
    main()
