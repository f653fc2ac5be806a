#!/usr/bin/env python3
"""A wrong clock locks nobody out, and the time a machine sleeps counts.

      host-a                                    host-b
    ┌───────────────────────┐                 ┌──────────────────────┐
    │ site-a  10.9.0.1      │  10.0.0.0/24    │ site-b  10.9.0.2     │
    │  its clocks are moved │                 │  its clocks are      │
    │  by clock_shim.c      │                 │  the machine's       │
    │            uplink .1 ─┼─────────────────┼─ uplink .2           │
    └───────────────────────┘                 └──────────────────────┘
"""

import base64
import json
import os
import pathlib
import shutil
import time
import unittest

from clocks import Clocks
from lab import run, wait_until
from probes import Capture, answers, ping
from scenario import Scenario, main
from sites import Culvert, WireGuardGo, culvert_binary, introduce

DAY = 86_400
YEAR = 365 * DAY
# What is still due after the last packet: one keepalive, ten seconds later.
SILENT_AFTER = 12
KEEPALIVE_SIZE = 32
PING_SIZE = 128  # 84 bytes of IP packet in a message, and 16 at most of padding

INITIATION, RESPONSE = 1, 2
DATA = (4, 0xc1)  # ChaCha20-Poly1305, AES-256-GCM


class Wire(Capture):
    """What site-a sends while this listens."""

    def __init__(self, test):
        super().__init__(test.host_a, "uplink")
        self.kinds, self.receivers = [], set()

    def __exit__(self, *_):
        super().__exit__()
        sent = [datagram.payload for datagram in self.datagrams(outgoing=True, port=51820)]
        self.kinds = [payload[0] for payload in sent]
        self.receivers = {payload[4:8] for payload in sent if payload[0] in DATA}  # indices of the sessions used


class Clock:
    """The scenarios; subclasses say who is at the other end."""

    def setUp(self):
        super().setUp()
        self.clocks = Clocks(self.lab.folder)
        self.host_a, self.host_b = self.two_hosts()
        self.a = Culvert(self.host_a, "site-a", ["10.9.0.1/24"])
        self.b = self.Other(self.host_b, "site-b", ["10.9.0.2/24"])

    def start_a(self):
        self.a.start(env=self.clocks.environment)

    def up(self, **known):
        introduce(self.a, self.b, right_at="10.0.0.2", **known)
        self.b.start()
        self.start_a()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    def fall_silent(self):
        """As if SILENT_AFTER seconds had passed, at the end of which site-a has nothing more to say."""
        wait_until(lambda: self.peer_kind() != "unknown", what="site-a to have said hello as often as it does")
        # The answer to a probe of the path would take the keepalive's place, and paths are probed only beside traffic.
        wait_until(lambda: ping(self.host_a, "10.9.0.2", count=3).received == 3 and self.is_quiet(), what="probes to have ended")
        self.assertTrue(answers(self.host_a, "10.9.0.2"), "which it owes a keepalive for")
        with Wire(self) as wire:
            self.clocks.move(boottime=self.clocks.boottime + SILENT_AFTER)
            wait_until(lambda: any(len(d.payload) == KEEPALIVE_SIZE for d in wire.datagrams(outgoing=True, port=51820)),
                       what="the last keepalive")

    def is_quiet(self):
        """Whether a ping makes nobody say more than that."""
        before = self.a.status_of(self.b)
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        time.sleep(1)
        after = self.a.status_of(self.b)
        return after.sent - before.sent <= PING_SIZE and after.received - before.received <= PING_SIZE

    def peer_kind(self):
        [tunnel] = json.loads(run(culvert_binary(), "show", "site-a", "--json"))
        return tunnel["peers"][0]["kind"]

    @property
    def state_file(self):
        return pathlib.Path("/var/lib/culvert") / f"{base64.b64decode(self.a.keys.public).hex()}.tai64n"

    def connects_with_one_handshake(self):
        with Wire(self) as wire:
            self.assertTrue(answers(self.host_a, "10.9.0.2", timeout=20))
        self.assertEqual(1, wire.kinds.count(INITIATION))

    # - a wrong time of day

    def test_a_clock_years_ahead_is_set_right_and_the_process_restarted(self):
        self.clocks.move(realtime=10 * YEAR)
        self.up()
        for end in (self.a.stop, self.a.kill):
            wait_until(self.state_file.exists, what="the timestamp to be written")
            end()
            self.clocks.move(realtime=0)
            self.start_a()
            self.connects_with_one_handshake()

    def test_a_clock_that_starts_at_1970(self):
        self.up()
        self.a.stop()
        self.clocks.move(realtime=5 - time.time())
        self.start_a()
        self.connects_with_one_handshake()

    def test_jumps_of_the_clock_disturb_neither_a_session_nor_the_next_handshake(self):
        self.up()
        for jump in (10 * YEAR, -YEAR, 200 * YEAR, 5 - time.time(), -3600, 3600, 0):
            with self.subTest(jump=jump):
                self.clocks.move(realtime=jump)
                with Wire(self) as wire:
                    self.assertEqual(3, ping(self.host_a, "10.9.0.2", wait=5).received)
                self.assertNotIn(INITIATION, wire.kinds)
                with Wire(self) as wire:
                    self.clocks.move(boottime=self.clocks.boottime + 121)  # old enough to be renewed
                    self.assertEqual(3, ping(self.host_a, "10.9.0.2", interval=0.5, wait=5).received)
                self.assertEqual(1, wire.kinds.count(INITIATION))
                self.assertEqual(2, len(wire.receivers), "the session before and the session after")

    def test_a_lost_timestamp_locks_out_what_we_begin_and_not_what_the_peer_begins(self):
        self.clocks.move(realtime=10 * YEAR)
        self.up()
        wait_until(self.state_file.exists, what="the timestamp to be written")
        self.a.kill()
        self.clocks.move(realtime=0)
        self.state_file.write_text("nonsense\n")
        self.start_a()
        self.assertIn(f"{self.state_file}: is not a timestamp", self.a.process.output)
        self.assertEqual(0, ping(self.host_a, "10.9.0.2", count=1, wait=8).received, "two handshakes")
        # Its own session is lost to the other side as well, which it notices after 15 seconds.
        self.assertTrue(answers(self.host_b, "10.9.0.1", timeout=40))
        self.assertEqual(3, ping(self.host_a, "10.9.0.2", wait=5).received)

    # - suspend

    def test_after_200_seconds_asleep_old_keys_are_dead_and_the_first_packet_makes_new_ones(self):
        with Wire(self) as before:
            self.up()
        self.fall_silent()
        self.clocks.move(boottime=SILENT_AFTER + 200)
        with Wire(self) as wire:
            self.assertEqual(0, ping(self.host_b, "10.9.0.1", count=1, wait=1).received, "b has not slept and uses its keys")
        self.assertEqual([], wire.kinds)
        report = json.loads(run(culvert_binary(), "show", "site-a", "--json"))
        self.assertIn("session_expired", json.dumps(report))
        with Wire(self) as wire:
            self.assertEqual(1, ping(self.host_a, "10.9.0.2", count=1, wait=10).received)
        self.assertEqual(INITIATION, wire.kinds[0])
        self.assertEqual(1, wire.kinds.count(INITIATION))
        self.assertFalse(before.receivers & wire.receivers, "sessions from before")

    def test_traffic_goes_on_after_an_hour_asleep(self):
        self.up()
        pings = self.host_a.start("ping", "-n", "-q", "-c", "20", "-i", "0.2", "-W", "10", "10.9.0.2")
        time.sleep(2)
        self.clocks.move(boottime=3600)
        pings.wait(timeout=40)
        received = int(pings.output.split(" received")[0].rpartition(" ")[2])
        self.assertGreaterEqual(received, 18, f"an answer on its way when all stood still is lost: {pings.output}")

    def test_after_ten_minutes_asleep_the_keys_are_gone(self):
        with Wire(self) as before:
            self.up()
        self.fall_silent()
        self.clocks.move(boottime=SILENT_AFTER + 541)
        wait_until(lambda: "session keys wiped" in self.a.process.output, what="the keys to be wiped")
        # Were they still there, they would be young enough again.
        self.clocks.move(boottime=SILENT_AFTER)
        with Wire(self) as wire:
            self.assertEqual(0, ping(self.host_b, "10.9.0.1", count=1, wait=1).received)
            self.assertEqual(1, ping(self.host_a, "10.9.0.2", count=1, wait=10).received)
        self.assertEqual(INITIATION, wire.kinds[0])
        self.assertFalse(before.receivers & wire.receivers, "sessions from before")

    def test_with_a_keepalive_a_machine_that_wakes_up_is_reachable_before_it_has_anything_to_say(self):
        self.up(left_keepalive=600)
        self.fall_silent()
        with Wire(self) as wire:
            self.clocks.move(boottime=1000)
            wait_until(lambda: self.a.process.output.count("connected") == 2, 20, "a new session")
            self.assertEqual(3, ping(self.host_b, "10.9.0.1", wait=5).received)
        self.assertEqual(INITIATION, wire.kinds[0])


needs = unittest.skipIf(os.environ.get("CULVERT_SANITIZED"), "a sanitizer's library wants to be the first that is loaded")
needs_compiler = unittest.skipUnless(shutil.which("cc"), "there is no C compiler")


@needs
@needs_compiler
class ClockBesideCulvert(Clock, Scenario):
    Other = Culvert


@needs
@needs_compiler
class ClockBesideWireGuardGo(Clock, Scenario):
    Other = WireGuardGo


if __name__ == "__main__":
    main()
