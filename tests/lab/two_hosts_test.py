#!/usr/bin/env python3
"""The main job: two hosts, one tunnel, over IPv4 and IPv6, and nothing of it left behind afterwards.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ site-a  10.9.0.1/24  │  10.0.0.0/24    │ site-b  10.9.0.2/24  │
    │         fd09::1/64   │  fd00::/64      │         fd09::2/64   │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘
"""

import os
import pathlib
import signal
import time

from probes import Capture, ping, send_over_tcp
from scenario import Scenario, main
from sites import Subject, introduce

MIB = 1 << 20


class TwoHosts(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.a = Subject(self.host_a, "site-a", ["10.9.0.1/24", "fd09::1/64"])
        self.b = Subject(self.host_b, "site-b", ["10.9.0.2/24", "fd09::2/64"], port=51821)

    def up(self, outside):
        introduce(self.a, self.b, right_at=outside)
        self.a.start()
        self.b.start()

    def carries_everything(self, outside):
        self.up(outside)
        for inside in ("10.9.0.2", "fd09::2"):
            with self.subTest(inside=inside):
                pings = ping(self.host_a, inside, count=20)
                self.assertEqual(20, pings.received)
                marker = os.urandom(32)
                with Capture(self.host_a, "uplink", [marker], keep=False) as wire:
                    send_over_tcp(self.host_a, self.host_b, inside, 16 * MIB, marker)
                self.assertGreater(wire.bytes, 16 * MIB, "the transfer went over the uplink")
                self.assertLess(wire.dropped, wire.count)
                self.assertFalse(wire.contains(marker), "plaintext on the uplink")
                with Capture(self.host_a, self.a.name, [marker], keep=False) as device:
                    send_over_tcp(self.host_a, self.host_b, inside, MIB, marker)
                self.assertTrue(device.contains(marker), "the capture would have seen it")
        for site, other in ((self.a, self.b), (self.b, self.a)):
            status = site.status_of(other)
            self.assertLess(status.handshake_age, 60)
            self.assertGreater(status.sent + status.received, 32 * MIB)

    def test_everything_crosses_an_ipv4_uplink(self):
        self.carries_everything("10.0.0.2")

    def test_everything_crosses_an_ipv6_uplink(self):
        self.carries_everything("fd00::2")

    def test_every_payload_size_crosses(self):
        self.up("10.0.0.2")
        for inside in ("10.9.0.2", "fd09::2"):
            for size in (0, 1, 15, 16, 17, 1300, 1372, 1392, 1393, 4000):
                with self.subTest(inside=inside, size=size):
                    self.assertEqual(2, ping(self.host_a, inside, count=2, interval=0.01, size=size).received)

    def test_idle_tunnel_is_silent(self):
        self.up("10.0.0.2")
        self.assertEqual(3, ping(self.host_a, "10.9.0.2").received)
        time.sleep(0.3)
        with Capture(self.host_a, "uplink") as wire:
            time.sleep(3)
        self.assertEqual([], wire.datagrams(port=51821))


class Leaving(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.before = self.host_a.state(), self.sockets()
        self.a = Subject(self.host_a, "site-a", ["10.9.0.1/24", "fd09::1/64"])
        self.b = Subject(self.host_b, "site-b", ["10.9.0.2/24", "fd09::2/64"])
        introduce(self.a, self.b, left_at="10.0.0.1", right_at="10.0.0.2")
        self.a.peers[0].allowed_ips += ["192.168.77.0/24", "fd77::/64"]
        self.b.start()
        self.a.start()
        self.assertEqual(3, ping(self.host_a, "10.9.0.2").received)

    @staticmethod
    def sockets():
        return sorted(path.name for path in pathlib.Path("/run/wireguard").glob("site-a*"))

    def test_sigterm_undoes_everything(self):
        self.assertEqual(0, self.a.stop(signal.SIGTERM))
        self.assertEqual(self.before, (self.host_a.state(), self.sockets()))

    def test_sigint_undoes_everything(self):
        self.assertEqual(0, self.a.stop(signal.SIGINT))
        self.assertEqual(self.before, (self.host_a.state(), self.sockets()))

    def test_routes_of_allowed_ips_are_there_meanwhile(self):
        routes = self.host_a.ip("-4", "route") + self.host_a.ip("-6", "route")
        for prefix in ("192.168.77.0/24", "fd77::/64", "10.9.0.0/24"):
            self.assertRegex(routes, rf"(?m)^{prefix} dev site-a ")

    def test_kill_is_followed_by_an_immediate_restart(self):
        self.a.kill()
        self.a.start()
        self.assertEqual(3, ping(self.host_a, "10.9.0.2").received)
        self.assertEqual(0, self.a.stop())
        self.assertEqual(self.before, (self.host_a.state(), self.sockets()))

    def test_twenty_starts_leave_nothing(self):
        self.a.stop()
        for _ in range(20):
            self.a.start()
            self.assertEqual(0, self.a.stop())
        self.assertEqual([line for line in self.before[0] if "site-a" not in line],
                         [line for line in self.host_a.state() if "site-a" not in line])
        self.assertEqual(self.before[1], self.sockets())


if __name__ == "__main__":
    main()
