#!/usr/bin/env python3
"""Keys are renewed on the real clock, after two minutes, and nobody notices.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ ours   10.9.0.1      │  10.0.0.0/24    │ theirs  10.9.0.2     │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘
"""

from probes import Capture, ping
from scenario import Scenario, main
from sites import Subject, WireGuardGo, introduce


class Rekey(Scenario):
    def test_one_more_handshake_within_130_seconds_and_no_ping_lost(self):
        host_a, host_b = self.two_hosts()
        ours = Subject(host_a, "ours", ["10.9.0.1/24"])
        theirs = WireGuardGo(host_b, "theirs", ["10.9.0.2/24"])
        introduce(ours, theirs, right_at="10.0.0.2")
        theirs.start()
        with Capture(host_a, "uplink") as wire:
            ours.start()
            self.assertEqual(1000, ping(host_a, "10.9.0.2", count=1000, interval=0.125).received)
        kinds = [datagram.payload[0] for datagram in wire.datagrams()]
        self.assertEqual((2, 2), (kinds.count(1), kinds.count(2)), "initiations and responses")
        self.assertLess(ours.status_of(theirs).handshake_age, 100, "the first one would be two minutes old")


if __name__ == "__main__":
    main()
