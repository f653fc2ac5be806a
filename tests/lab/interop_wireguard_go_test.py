#!/usr/bin/env python3
"""Culvert and Debian's wireguard-go understand each other: either may begin, with and without a preshared key, over IPv4 and IPv6.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ ours  (culvert)      │  10.0.0.0/24    │ theirs (wireguard-go)│
    │       10.9.0.1       │  fd00::/64      │       10.9.0.2       │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘
"""

import os

from probes import Capture, answers, ping, send_over_tcp
from scenario import Scenario, main
from sites import Subject, WireGuardGo, generate_psk, introduce

MIB = 1 << 20
UPLINKS = {"IPv4": ("10.0.0.1", "10.0.0.2"), "IPv6": ("fd00::1", "fd00::2")}


class Interop(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()

    def pair(self, uplink, psk, ours_begins):
        """Both sites running; only the one that begins knows where the other is."""
        ours = Subject(self.host_a, "ours", ["10.9.0.1/24", "fd09::1/64"], port=51820)
        theirs = WireGuardGo(self.host_b, "theirs", ["10.9.0.2/24", "fd09::2/64"], port=51821)
        at_a, at_b = UPLINKS[uplink]
        introduce(ours, theirs, left_at=None if ours_begins else at_a, right_at=at_b if ours_begins else None, psk=psk)
        return ours.start(), theirs.start()

    def understand_each_other(self, uplink, psk, ours_begins):
        ours, theirs = self.pair(uplink, psk, ours_begins)
        here, there = (self.host_a, "10.9.0.2") if ours_begins else (self.host_b, "10.9.0.1")
        self.assertEqual(5, ping(here, there, count=5).received)
        self.assertEqual(5, ping(here, there.replace("10.9.0.", "fd09::"), count=5).received)
        marker = os.urandom(32)
        with Capture(self.host_a, "uplink", [marker], keep=False) as wire:
            send_over_tcp(self.host_a, self.host_b, "10.9.0.2", 2 * MIB, marker)
            send_over_tcp(self.host_b, self.host_a, "fd09::1", 2 * MIB, marker)
        self.assertFalse(wire.contains(marker))
        for site, other in ((ours, theirs), (theirs, ours)):
            status = site.status_of(other)
            self.assertLess(status.handshake_age, 30)
            self.assertEqual(psk is not None, status.has_psk)
            self.assertEqual({"10.9.0.", "fd09::"}, {prefix.split("/")[0][:-1] for prefix in status.allowed_ips})
        self.assertEqual(ours.status_of(theirs).endpoint, f"{self.bracketed(UPLINKS[uplink][1])}:51821")
        self.assertEqual(theirs.status_of(ours).endpoint, f"{self.bracketed(UPLINKS[uplink][0])}:51820")

    @staticmethod
    def bracketed(address):
        return f"[{address}]" if ":" in address else address

    def test_both_show_the_same_byte_counts(self):
        ours, theirs = self.pair("IPv4", None, ours_begins=True)
        ping(self.host_a, "10.9.0.2", count=10)
        mine, other = ours.status_of(theirs), theirs.status_of(ours)
        self.assertEqual((mine.sent, mine.received), (other.received, other.sent))

    def test_wrong_preshared_key_never_connects(self):
        ours, theirs = self.pair("IPv4", generate_psk(), ours_begins=True)
        self.assertEqual(1, ping(self.host_a, "10.9.0.2", count=1).received)
        ours.stop()
        ours.peers[0].preshared_key = generate_psk()
        ours.start()
        self.assertEqual(0, ping(self.host_a, "10.9.0.2", count=2, wait=0.5).received)
        self.assertIsNone(ours.status_of(theirs).handshake_age)

    def test_new_preshared_key_on_both_sides_connects_again(self):
        ours, theirs = self.pair("IPv4", generate_psk(), ours_begins=True)
        self.assertEqual(1, ping(self.host_a, "10.9.0.2", count=1).received)
        psk = generate_psk()
        ours.peers[0].preshared_key = theirs.peers[0].preshared_key = psk
        for site in (ours, theirs):
            site.stop()
        theirs.start()
        ours.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    def test_either_side_restarts_and_the_other_follows(self):
        ours = Subject(self.host_a, "ours", ["10.9.0.1/24"], port=51820)
        theirs = WireGuardGo(self.host_b, "theirs", ["10.9.0.2/24"], port=51821)
        introduce(ours, theirs, left_at="10.0.0.1", right_at="10.0.0.2")
        ours.start(), theirs.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        theirs.kill()
        theirs.start()
        self.assertTrue(answers(self.host_b, "10.9.0.1"), "theirs restarted and begins")
        ours.kill()
        ours.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2"), "ours restarted and begins")


def combination(uplink, with_psk, ours_begins):
    def test(self):
        self.understand_each_other(uplink, generate_psk() if with_psk else None, ours_begins)
    return test


for _uplink in UPLINKS:
    for _psk in (False, True):
        for _ours_begins in (False, True):
            _name = f"test_{'culvert' if _ours_begins else 'wireguard_go'}_begins_over_{_uplink}_{'with' if _psk else 'without'}_psk"
            setattr(Interop, _name, combination(_uplink, _psk, _ours_begins))


if __name__ == "__main__":
    main()
