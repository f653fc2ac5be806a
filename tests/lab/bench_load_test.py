#!/usr/bin/env python3
"""The benchmark's load generator beside iperf3 on a bare veth pair, and what its time stamps cost.

      host-a                      host-b
    ┌──────────────────┐        ┌──────────────────┐
    │ uplink 10.0.0.1 ─┼────────┼─ 10.0.0.2        │
    └──────────────────┘        └──────────────────┘

Prints the ratios of interleaved rounds. $BENCH_ROUNDS says how many; what is asserted leaves room for a busy machine.
"""

import json
import os
import shutil
import statistics
import sys
import unittest

from lab import run, wait_until
from scenario import Scenario, main
from sites import TESTS_THE_TESTS

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
IS_SANITIZED = bool(os.environ.get("CULVERT_SANITIZED"))


@unittest.skipIf(TESTS_THE_TESTS, "about culvert's own benchmark")
class Load(Scenario):
    def setUp(self):
        super().setUp()
        self.near, self.far = self.two_hosts(("10.0.0.1/24", "10.0.0.2/24"))

    def load(self, *words):
        binary = os.environ.get("BENCH_LOAD", "build/release/bin/bench_load")
        output = run(binary, self.near.name, "10.0.0.1", self.far.name, "10.0.0.2", *words)
        return [float(word) for word in output.split()]

    def iperf3(self, streams, seconds):
        done = self.near.run("iperf3", "-c", "10.0.0.2", "-P", streams, "-t", seconds, "--omit", 0, "-J")
        return json.loads(done)["end"]["sum_received"]["bits_per_second"]

    def report(self, what, ratios):
        print(f"{what}: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), {len(ratios)} rounds",
              file=sys.stderr)
        return statistics.median(ratios)

    @unittest.skipUnless(shutil.which("iperf3"), "iperf3 is not installed")
    @unittest.skipIf(IS_SANITIZED, "iperf3 is not slowed down by sanitizers")
    def test_tcp_is_about_as_fast_as_with_iperf3(self):
        self.far.start("iperf3", "-s")
        wait_until(lambda: ":5201" in self.far.run("ss", "-Hltn"), what="iperf3")
        for streams in (1, 4):
            with self.subTest(streams=streams):
                ratios = []
                for number in range(ROUNDS):
                    both = [lambda: self.iperf3(streams, 1), lambda: self.load("tcp", streams, 1000)[0]]
                    values = {act: act() for act in (both if number % 2 else reversed(both))}
                    ratios.append(values[both[1]] / values[both[0]])
                # More streams have a thread each, which two processors cannot serve as well as iperf3's two threads.
                words = f"TCP, {streams} streams, of iperf3's rate" + (" (wanted: at least 0.9)" if streams == 1 else "")
                self.assertGreater(self.report(words, ratios), 0.7 if streams == 1 else 0.3)

    def test_time_stamps_cost_little(self):
        # By processor time, because the rate of a flood varies by more than what is looked for.
        ratios = []
        for number in range(ROUNDS):
            costs = {}
            for stamps in ((1, 0) if number % 2 else (0, 1)):
                sent, received, elapsed, processor = self.load("udp", 64, 0, 500, stamps)
                self.assertGreater(received, 0)
                costs[stamps] = processor / sent
            ratios.append(costs[1] / costs[0])
        words = "processor time per packet with time stamps, of that without (wanted: at most 1.02)"
        self.assertLess(self.report(words, ratios), 1.2)

    def test_a_slow_rate_is_kept_to_and_nothing_is_lost(self):
        sent, received, elapsed, _ = self.load("udp", 1400, 1000, 500, 1)
        self.assertEqual(sent, received)
        self.assertGreater(sent, 0)
        self.assertLessEqual(sent, 500)
        self.assertGreater(self.load("round-trip", 64, 200)[0], 0)


if __name__ == "__main__":
    main()
