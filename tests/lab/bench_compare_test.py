#!/usr/bin/env python3
"""bench/compare: its table and JSON, failures, interruptions, and what its search and its offload switch are worth.

      host-a                      host-b
    ┌──────────────────┐        ┌──────────────────┐
    │ uplink 10.0.0.1 ─┼────────┼─ 10.0.0.2        │
    └──────────────────┘        └──────────────────┘
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "bench/lab"))

from lab import Lab, LabError, run, wait_until
from measure import LEFT_OUT_QUICKLY, METRICS, Datagrams, Metric, highest_rate
import offloads
from probes import Capture, send_over_tcp
from report import Results
from scenario import main
from sites import TESTS_THE_TESTS

# Each of these is there on any machine; a rate without loss, or a 99th percentile without a lost ping, may not be on a busy one.
ALWAYS_MEASURED = {"tcp_1_a_to_b", "tcp_1_b_to_a", "tcp_4_a_to_b", "udp_64_flood", "rtt_idle_p50"}


@unittest.skipIf(TESTS_THE_TESTS, "about culvert's own benchmark")
@unittest.skipUnless(shutil.which("cc"), "no C compiler for the traffic generator")
class Command(unittest.TestCase):
    """The whole command, in a lab of its own inside of this one, where nobody else leaves anything."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.before = self.leftovers()

    def command(self, *words):
        return [sys.executable, "-B", ROOT / "bench/compare", "--quick", "--rounds", "1", "--seconds", "0.1", *words]

    def leftovers(self):
        processes = [entry.name for entry in pathlib.Path("/proc").glob("[0-9]*") if _command_line(entry)]
        links = [link["ifname"] for link in json.loads(run("ip", "-j", "link"))]
        files = [str(path) for folder in ("/run", "/var/lib") for path in pathlib.Path(folder).rglob("*")]
        return sorted([f"process {pid}" for pid in processes] + [f"link {name}" for name in links] + files)

    def assert_nothing_is_left(self):
        with contextlib.suppress(LabError):
            wait_until(lambda: self.leftovers() == self.before, 10)
        self.assertEqual(self.before, self.leftovers())

    def test_a_short_comparison_has_its_table_and_json_and_names_what_failed(self):
        broken = self.folder / "broken-wireguard"
        broken.write_text("#!/bin/sh\necho 'it does not work here'\nexit 3\n", encoding="ascii")
        broken.chmod(0o755)
        output = self.folder / "out.json"
        done = subprocess.run(self.command("--systems", "veth,culvert,WIREGUARD_GO", "--veth-offloads", "off", "--json", output),
                              env=os.environ | {"WIREGUARD_GO": str(broken)}, capture_output=True, text=True, timeout=150, check=False)
        self.assertEqual(1, done.returncode, f"one system failed\n{done.stdout}{done.stderr}")
        for metric in METRICS:
            (self.assertNotIn if metric.name in LEFT_OUT_QUICKLY else self.assertIn)(f"\n{metric.title}, ", done.stdout)
        self.assertRegex(done.stdout, r"\n  bare veth +\d")
        self.assertRegex(done.stdout, r"\n  culvert, ChaCha20-Poly1305 +\d")
        self.assertRegex(done.stdout, r"\n  broken-wireguard \(\$WIREGUARD_GO\) +-  - +-  +-\n")
        self.assertRegex(done.stdout, r"broken-wireguard.*failed: .*ended with 3.*\n.*it does not work here")
        self.assertIn(" left, ", done.stderr, "progress")

        facts = json.loads(output.read_text(encoding="utf-8"))
        self.assertTrue(facts["is_complete"])
        self.assertEqual([], facts["uplink"]["segmentation_offloads"])
        self.assertGreater(facts["generator"]["64"][0]["delivered_rate"], 0)
        for metric in METRICS:
            found = facts["metrics"][metric.name]["systems"]
            self.assertEqual({"veth", "culvert", "WIREGUARD_GO"}, set(found))
            self.assertIsNone(found["WIREGUARD_GO"]["median"])
            for name in ("veth", "culvert"):
                summary = found[name]
                if metric.name in ALWAYS_MEASURED or summary["median"] is not None:
                    self.assertTrue(0 < summary["min"] <= summary["median"] <= summary["max"], (metric.name, name, done.stderr))
        self.assertIsNone(facts["metrics"]["resident"]["systems"]["veth"]["median"], "no daemon, no number")
        self.assertGreater(facts["metrics"]["resident"]["systems"]["culvert"]["median"], 1 << 20)
        ratio = facts["metrics"]["tcp_1_a_to_b"]["systems"]["culvert"]["of_veth"]
        bare, culvert = (facts["values"][name]["tcp_1_a_to_b"][0] for name in ("veth", "culvert"))
        self.assertAlmostEqual(culvert / bare, ratio)
        self.assert_nothing_is_left()

    def test_however_it_ends_nothing_is_left(self):
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)):
            with self.subTest(signal=number), open(self.folder / "log", "w+", encoding="utf-8") as log:
                command = subprocess.Popen(self.command("--rounds", "100", "--systems", "culvert"), stdout=log, stderr=log)
                wait_until(lambda: b"tcp-receive" in b"".join(map(_command_line, pathlib.Path("/proc").glob("[0-9]*"))), 60, "traffic")
                command.send_signal(number)
                self.assertEqual(status, command.wait(30), (self.folder / "log").read_text(encoding="utf-8"))
                self.assert_nothing_is_left()

    def test_an_unknown_system_is_refused(self):
        done = subprocess.run(self.command("--systems", "veth,pigeon"), capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(2, done.returncode)
        self.assertIn("pigeon", done.stderr)


def _command_line(entry):
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""


class Offloads(unittest.TestCase):
    def test_without_them_the_uplink_carries_one_frame_per_packet(self):
        with Lab() as lab:
            hosts = lab.host("host-a"), lab.host("host-b")
            lab.link(*hosts, ("10.0.0.1/24", "10.0.0.2/24"))
            sizes = []
            for is_off in (False, True):
                if is_off:
                    for host in hosts:
                        offloads.switch_off(host, "uplink")
                self.assertEqual(is_off, not offloads.active(hosts[0], "uplink"))
                with Capture(hosts[1], "uplink") as wire:
                    send_over_tcp(*hosts, "10.0.0.2", 4 << 20)
                sizes.append(max(len(frame) for is_outgoing, frame in wire.frames if not is_outgoing))
        self.assertGreater(sizes[0], 1514, "what is switched off was on")
        self.assertLessEqual(sizes[1], 1514)


class Search(unittest.TestCase):
    def setUp(self):
        self.tried = []

    def link(self, limit, generator=1e9, hiccups=()):
        """A link that loses what is above its limit, a generator that sends no faster than it can, and tries that go wrong."""
        def attempt(rate):
            self.tried.append(rate)
            sent = min(rate, generator)
            return Datagrams(round(sent), 1.0, round(min(sent, limit) * (0.99 if len(self.tried) in hiccups else 1)))
        return attempt

    def test_the_limit_is_found_from_below_and_from_above(self):
        for first in (1000, 20000, 95000, 100000, 300000, 2000000):
            with self.subTest(first=first):
                self.tried.clear()
                found = highest_rate(self.link(100000), first, 8)
                self.assertLessEqual(found, 100100)
                self.assertGreater(found, 88000)
                self.assertLessEqual(len(self.tried), 18)

    def test_one_hiccup_is_not_a_limit(self):
        self.assertGreater(highest_rate(self.link(100000, hiccups=(1, 3)), 90000, 8), 95000)

    def test_the_generator_may_be_the_limit(self):
        self.assertEqual(50000, highest_rate(self.link(1e9, generator=50000), 20000, 8))

    def test_a_link_that_loses_at_any_rate_has_none(self):
        self.assertIsNone(highest_rate(lambda rate: Datagrams(1000, 1.0, 500), 20000, 5))


class _System:
    def __init__(self, name, kind, failure=None, layer=3):
        self.name, self.title, self.kind, self.failure, self.layer = name, name.title(), kind, failure, layer


class Report(unittest.TestCase):
    def setUp(self):
        self.systems = [_System("veth", "baseline"), _System("culvert", "culvert"), _System("slow", "peer"), _System("fast", "peer")]
        self.metric = Metric("rate", "Rate", "Gbit/s")
        self.results = Results(self.systems, [self.metric])

    def add(self, name, *values):
        [system] = [system for system in self.systems if system.name == name]
        for number, value in enumerate(values):
            if value is not None:
                self.results.add(system, number, {"rate": value})
        return system

    def test_ratios_are_taken_within_a_round_and_then_the_median(self):
        self.add("veth", 10, 100, 20)
        culvert = self.add("culvert", 5, 10, 10)
        self.add("slow", 1, 1, 1)
        self.add("fast", 4, 4, None)
        summary = self.results.summary(culvert, self.metric)
        self.assertEqual((10, 5, 10), (summary.median, summary.lowest, summary.highest))
        self.assertEqual(0.5, summary.of_veth)
        self.assertEqual("fast", self.results.best_peer(self.metric).name)
        self.assertEqual((1.25 + 2.5) / 2, summary.of_best_peer)

    def test_what_carries_ethernet_is_compared_with_what_does(self):
        self.systems += [_System("switch", "peer", layer=2), tap := _System("tap", "culvert", layer=2)]
        self.results = Results(self.systems, [self.metric])
        for name, value in (("fast", 8), ("switch", 2), ("tap", 6), ("culvert", 16)):
            self.add(name, value)
        self.assertEqual("switch", self.results.best_peer(self.metric, 2).name)
        self.assertEqual(3, self.results.summary(tap, self.metric).of_best_peer)
        self.assertEqual(2, self.results.summary(self.systems[1], self.metric).of_best_peer)

    def test_less_may_be_better(self):
        self.metric.less_is_better = True
        self.add("slow", 9)
        self.add("fast", 3)
        self.assertEqual("fast", self.results.best_peer(self.metric).name)

    def test_what_was_not_measured_is_a_dash(self):
        self.add("culvert", None, None, 10)
        self.assertRegex(self.results.as_table(), r"Slow +-  - +-  +-\n")
        self.assertRegex(self.results.as_table(), r"Culvert +10.0  10.0–10.0 +-  +-\n")
        self.assertIn("| Rate, Gbit/s | - | 10.0 (10.0–10.0) | - | - |", self.results.as_markdown())
        self.assertEqual([None, None, 10], self.results.as_json()["metrics"]["rate"]["systems"]["culvert"]["values"])


if __name__ == "__main__":
    main()
