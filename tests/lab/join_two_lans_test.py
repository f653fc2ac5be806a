#!/usr/bin/env python3
"""README, "Join two LANs", line by line, and the demonstration of it.

      station-a        host-a                          host-b        station-b
    ┌────────────┐   ┌───────────────┐  10.0.0.0/24  ┌───────────────┐   ┌────────────┐
    │ nic .1 ────┼───┼─ eth1  uplink ┼───────────────┼ uplink  eth1 ─┼───┼─── nic .2  │
    └────────────┘   │  └ br0 ┘      │               │     └ br0 ┘   │   └────────────┘
       10.44.0.0/24  └───────────────┘               └───────────────┘
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

from lab import add_address
from probes import answers, ping
from scenario import Scenario, main
from sites import TESTS_THE_TESTS, culvert_binary

ROOT = pathlib.Path(__file__).resolve().parents[2]


def section(title):
    return re.search(rf"^## {title}\n(.*?)^## ", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[1]


@unittest.skipIf(TESTS_THE_TESTS, "about culvert's own README")
class Readme(Scenario):
    def setUp(self):
        super().setUp()
        self.hosts = dict(zip("ab", self.two_hosts()))
        self.folders = {}
        for number, (letter, host) in enumerate(self.hosts.items(), 1):
            station = self.lab.host(f"station-{letter}")
            self.lab.link(station, host, name=("nic", "eth1"))
            add_address(station, "nic", f"10.44.0.{number}/24")
            host.ip("link", "set", "eth1", "down")  # which the README brings up
            self.folders[letter] = self.lab.folder / f"etc-{letter}"
        self.lab.closing.callback(lambda: [self.follow(letter, f"culvert down lan-{letter}", check=False) for letter in "ab"])

    def follow(self, letter, lines, **options):
        """Types lines of the README for site A at a site, whose /etc/culvert is a folder of its own."""
        lines = re.sub(r"\blan-a\b", f"lan-{letter}", lines)
        lines = lines.replace("/etc/culvert", str(self.folders[letter]))
        lines = re.sub(r"culvert (up|down) (lan-.)", rf"culvert \1 {self.folders[letter]}/\2.conf", lines)
        path = f"{pathlib.Path(culvert_binary()).parent}:{os.environ['PATH']}"
        return self.hosts[letter].run("env", f"PATH={path}", "bash", "-euc", lines, **options)

    def test_line_by_line(self):
        fence = r"^```\w*\n(.*?)^```\n"
        keys, config, up = re.findall(fence, section("Join two LANs"), re.MULTILINE | re.DOTALL)
        public = {letter: self.follow(letter, keys).strip() for letter in "ab"}
        for letter, other, address in (("a", "b", "10.0.0.2"), ("b", "a", "10.0.0.1")):
            text = config.replace("(what is in lan-a.key)", (self.folders[letter] / f"lan-{letter}.key").read_text().strip())
            text = text.replace("(what site B's pubkey printed)", public[other]).replace("b.example.net", address)
            path = self.folders[letter] / f"lan-{letter}.conf"
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")
        for letter in "ab":
            self.follow(letter, up)
        station = self.lab.hosts["station-a"]
        self.assertTrue(answers(station, "10.44.0.2", timeout=30))
        self.assertEqual(3, ping(station, "10.44.0.2", size=1472, wait=5).received, "pings as large as a frame")
        shown = self.follow("a", up.splitlines()[-1])
        self.assertIn("stations:", shown)
        [link] = json.loads(self.lab.hosts["station-b"].ip("-j", "link", "show", "nic"))
        self.assertRegex(shown, rf"{link['address']} .* {re.escape(public['b'])}")
        for letter in "ab":
            self.follow(letter, "culvert down lan-a")
            self.assertFalse(self.hosts[letter].has_link("br0"))

    def test_the_demonstration(self):
        done = subprocess.run([sys.executable, "-B", ROOT / "deploy/two_lans.py"], env=os.environ | {"CULVERT": culvert_binary()},
                              capture_output=True, text=True, timeout=150, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        for words in ("heard once by each of alan, bob, bea", "The MAC table of site-a", "All of it held"):
            self.assertIn(words, done.stdout)


if __name__ == "__main__":
    main()
