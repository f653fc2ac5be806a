#!/usr/bin/env python3
"""To those without a key a tunnel is silent, and never says more than it was told.

      host-a                       host-b                        host-m (an attacker)
    ┌────────────────────┐       ┌────────────────────┐        ┌───────────────────────┐
    │ site-a   10.9.0.1  │       │ site-b   10.9.0.2  │        │ speaks from any of    │
    │       uplink .1 ───┼───────┼── uplink .2        │        │ 10.66.0.0/16          │
    └────────────────────┘       │          side .1 ──┼────────┼── side  10.6.0.2      │
                                 └────────────────────┘        └───────────────────────┘
"""

import os
import random
import time
import unittest

from attacker import Attacker
from probes import Capture, answers, ping
from scenario import Scenario, main
from sites import Subject, introduce

PORT = 51820
INITIATION, RESPONSE, COOKIE, DATA, DATA_AES = 1, 2, 3, 4, 0xc1
SIZES = {INITIATION: 148, RESPONSE: 92, COOKIE: 64}


class Silence(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.a = Subject(self.host_a, "site-a", ["10.9.0.1/24"])
        self.b = Subject(self.host_b, "site-b", ["10.9.0.2/24"], port=PORT)
        introduce(self.a, self.b, right_at="10.0.0.2")
        self.b.start()
        with Capture(self.host_a, "uplink") as wire:
            self.a.start()
            self.assertTrue(answers(self.host_a, "10.9.0.2"))
            self.assertEqual(3, ping(self.host_a, "10.9.0.2").received)
        kinds = {INITIATION: [INITIATION], RESPONSE: [RESPONSE], DATA: [DATA, DATA_AES]}
        self.recorded = {kind: [d.payload for d in wire.datagrams(port=PORT) if d.payload[0] in found] for kind, found in kinds.items()}
        self.attacker = Attacker(self.lab, self.host_b)
        self.dice = random.Random(20)

    def pause(self, number):
        """Keeps the flood below what a receive buffer loses, so that each datagram is looked at."""
        if number % 100 == 0:
            time.sleep(0.004)

    def nonsense(self, number):
        """A datagram that no key holder would send: each breaks another rule."""
        dice, initiation = self.dice, self.recorded[INITIATION][0]
        match number % 8:
            case 0:
                return dice.randbytes(dice.choice((0, 1, 3, 4, 16, 31, 32, 33, 63, 64, 65, 91, 92, 147, 148, 149, 1400)))
            case 1:  # right type and size, random content
                kind = dice.choice((INITIATION, RESPONSE, COOKIE))
                return bytes([kind, 0, 0, 0]) + dice.randbytes(SIZES[kind] - 4)
            case 2:  # a bit of what mac1 covers, or of mac1
                return self.flipped(initiation, range(0, 132))
            case 3:  # reserved bytes
                return self.flipped(initiation, range(1, 4))
            case 4:  # cut or padded
                return dice.choice((initiation[:-1], initiation + b"\0", initiation[:116], initiation[:20]))
            case 5:  # data for nobody's index
                return bytes([dice.choice((DATA, DATA_AES)), 0, 0, 0]) + dice.randbytes(4) + bytes(8) + dice.randbytes(16 * dice.randrange(1, 80))
            case 6:  # data for a real index, forged or repeated
                message = dice.choice(self.recorded[DATA])
                return message if dice.randrange(2) else self.flipped(message, range(8, len(message)))
            case 7:  # unknown type
                return bytes([dice.choice((0, 5, 6, 127, 255)), 0, 0, 0]) + dice.randbytes(144)

    def flipped(self, message, where):
        changed = bytearray(message)
        changed[self.dice.choice(where)] ^= 1 << self.dice.randrange(8)
        return bytes(changed)

    def test_nonsense_is_answered_with_nothing_and_leaves_nothing(self):
        for number in range(4000):  # buffers reach their working size
            self.attacker.send(self.nonsense(number), number % 1000, PORT)
            self.pause(number)
        self.a.kill()  # its keepalives would be counted, too
        time.sleep(0.3)
        memory, before = self.b.process.resident_bytes(), self.b.status_of(self.a)
        with self.attacker.listening() as seen:
            for number in range(40000):
                self.attacker.send(self.nonsense(number), number % 1000, PORT)
                self.pause(number)
            time.sleep(0.3)
        self.assertEqual([], [(d.target, len(d.payload), d.payload[:1]) for d in seen.replies()])
        self.assertEqual(1, len(self.b.status()))
        after = self.b.status_of(self.a)
        self.assertEqual((before.endpoint, before.handshake_time, before.received), (after.endpoint, after.handshake_time, after.received))
        if not os.environ.get("CULVERT_SANITIZED"):
            self.assertLessEqual(self.b.process.resident_bytes() - memory, 1 << 20)
        self.a.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    def test_a_repeated_initiation_is_never_worth_it(self):
        # A replay has a valid mac1, so under load a cookie may come back: smaller than what was sent, in every single ledger.
        initiation = self.recorded[INITIATION][0]
        with self.attacker.listening() as seen:
            for number in range(20000):
                self.attacker.send(initiation, number % 400, PORT)
                self.attacker.send(self.recorded[RESPONSE][0], number % 400, PORT)
            time.sleep(0.3)
        self.assertLessEqual({len(d.payload) for d in seen.replies()}, {SIZES[COOKIE]})
        for address, received in seen.received().items():
            self.assertLessEqual(received / self.attacker.sent[address], 0.70, address)
        time.sleep(1.5)  # the load is over
        self.a.kill()
        self.a.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2", timeout=20), "honest peers are served as before")

    def test_the_real_peer_connects_while_the_flood_goes_on(self):
        self.a.kill()
        initiation = self.recorded[INITIATION][0]
        self.a.start()
        answered = None
        deadline = time.monotonic() + 20
        while answered is None and time.monotonic() < deadline:
            for number in range(2000):
                self.attacker.send(initiation, number % 400, PORT)
            if ping(self.host_a, "10.9.0.2", count=1, wait=0.2).received:
                answered = True
        self.assertTrue(answered)

    def test_tunnel_addresses_answer_nobody_on_the_outside(self):
        # A neighbour routes the other side's inner address at the host, which does not forward: no answer may claim to come from there.
        self.attacker.host.ip("route", "add", "10.9.0.1/32", "via", "10.6.0.1")
        with Capture(self.host_b, "side") as seen:
            ping(self.attacker.host, "10.9.0.1", count=3, wait=0.3)
        self.assertEqual([], [frame for is_outgoing, frame in seen.frames
                              if is_outgoing and frame[12:14] == b"\x08\x00" and frame[26:30] == bytes([10, 9, 0, 1])])


if __name__ == "__main__":
    main()
