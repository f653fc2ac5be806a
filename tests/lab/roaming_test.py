#!/usr/bin/env python3
"""A peer's endpoint follows what it authenticated, and nothing else.

      host-a                       host-b                        host-m (an attacker)
    ┌────────────────────┐       ┌────────────────────┐        ┌───────────────────────┐
    │ site-a   10.9.0.1  │       │ site-b   10.9.0.2  │        │ speaks from any of    │
    │       uplink .1 ───┼───────┼── uplink .2        │        │ 10.66.0.0/16          │
    │ 10.0.0.0/24        │       │          side .1 ──┼────────┼── side  10.6.0.2      │
    │ fd00::/64          │       └────────────────────┘        └───────────────────────┘
    └────────────────────┘
"""

import random

from probes import Capture, answers, ping
from attacker import Attacker
from scenario import Scenario, main
from sites import Subject, WireGuardGo, introduce


class Roaming(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.b = Subject(self.host_b, "site-b", ["10.9.0.2/24"], port=51820)

    def up(self, kind=Subject):
        self.a = kind(self.host_a, "site-a", ["10.9.0.1/24"], port=51820)
        introduce(self.a, self.b, right_at="10.0.0.2")
        self.b.start()
        self.a.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertEqual("10.0.0.1:51820", self.b.endpoint_of(self.a))

    def test_a_new_address_is_learnt_from_the_next_packet(self):
        self.up()
        self.host_a.ip("address", "add", "10.0.0.11/24", "dev", "uplink")
        self.host_a.ip("address", "del", "10.0.0.1/24", "dev", "uplink")
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertEqual("10.0.0.11:51820", self.b.endpoint_of(self.a))
        self.assertEqual(3, ping(self.host_b, "10.9.0.1").received)

    def test_a_new_port_is_learnt_when_the_peer_restarts(self):
        self.up()
        self.a.stop()
        self.a.port = 40404
        self.a.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertEqual("10.0.0.1:40404", self.b.endpoint_of(self.a))

    def test_a_peer_moves_from_ipv4_to_ipv6_and_back_within_a_session(self):
        self.up(WireGuardGo)
        before = self.b.status_of(self.a).handshake_time
        for endpoint, seen in (("[fd00::2]:51820", "[fd00::1]:51820"), ("10.0.0.2:51820", "10.0.0.1:51820")):
            self.a.wg("set", "site-a", "peer", self.b.keys.public, "endpoint", endpoint)
            self.assertEqual(3, ping(self.host_a, "10.9.0.2").received)
            self.assertEqual(seen, self.b.endpoint_of(self.a))
            self.assertEqual(3, ping(self.host_b, "10.9.0.1").received)
        self.assertEqual(before, self.b.status_of(self.a).handshake_time)

    def test_a_running_peer_that_loses_its_endpoint_address_finds_the_new_one(self):
        self.up()
        self.host_b.ip("address", "add", "10.0.0.22/24", "dev", "uplink")
        self.host_b.ip("address", "del", "10.0.0.2/24", "dev", "uplink")
        self.assertTrue(answers(self.host_b, "10.9.0.1"), "b speaks from its new address")
        self.assertEqual("10.0.0.22:51820", self.a.endpoint_of(self.b))

    def test_nothing_an_attacker_repeats_or_makes_up_moves_an_endpoint(self):
        with Capture(self.host_a, "uplink") as wire:
            self.up()
            self.assertEqual(3, ping(self.host_a, "10.9.0.2").received)
        recorded = [datagram.payload for datagram in wire.datagrams(port=51820)]
        self.assertTrue({1, 2, 4} <= {payload[0] for payload in recorded})
        attacker = Attacker(self.lab, self.host_b)
        dice = random.Random(7)
        with attacker.listening() as seen:
            for number in range(2000):
                payload = bytearray(dice.choice(recorded))
                if number % 3 == 1:
                    payload[dice.randrange(len(payload))] ^= 1 << dice.randrange(8)
                elif number % 3 == 2:
                    payload = dice.randbytes(dice.randrange(200))
                attacker.send(bytes(payload), dice.randrange(1000), 51820)
        self.assertEqual("10.0.0.1:51820", self.b.endpoint_of(self.a))
        self.assertLessEqual({len(datagram.payload) for datagram in seen.replies()}, {64}, "at most cookies, and those move nothing")
        self.assertEqual(3, ping(self.host_b, "10.9.0.1").received)


if __name__ == "__main__":
    main()
