#!/usr/bin/env python3
"""`culvert bridge`: a NIC joins a bridge, stays or comes back, and the host behind it can be reached all the time.

      host-a                                   gateway
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ br0 (while attached) │  10.0.0.0/24    │                      │
    │   nic .1 .77  ───────┼─────────────────┼─ nic .254            │
    │   tap                │  10.7.0.0/24    │                      │
    │                      │  fd00::/64      │                      │
    └──────────────────────┘                 └──────────────────────┘

A live TCP connection from the gateway to host-a stands for the user's SSH session; its longest gap is printed. The names B-01 to
B-13 are those of the design note. Kills and failures at each single step are in tests/unit/bridge/bridging_test.cpp.
"""

import difflib
import json
import os
import pathlib
import pty
import re
import signal
import socket
import threading
import time

from lab import add_address, wait_until
from probes import answers, ping
from quick import has_ended
from scenario import Scenario, main
from sites import culvert_binary

FOLDER = pathlib.Path("/run/culvert/bridge")
SLOW = 5 if os.environ.get("CULVERT_SANITIZED") else 1
CONFIRM = 5 * SLOW
PATIENCE = 30.0  # for a gap or a rollback on a busy machine; what the design asks for is printed beside what was measured

REFUSED, NOT_TAKEN_BACK = 3, 4


class Session:
    """A TCP echo every 20 ms from the gateway to host-a, as a context manager; `longest_gap` in seconds afterwards."""

    def __init__(self, server, client, address, port=2222):
        self.longest_gap, self.echoes, self.error = 0.0, 0, None
        self._is_ending = False
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener, self._client = server.socket(family), client.socket(family)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((address, port))
        self._listener.listen(1)
        self._client.settimeout(PATIENCE)
        self._client.connect((address, port))
        self._served, _ = self._listener.accept()
        for end in (self._client, self._served):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._serve, self._ask)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        time.sleep(0.1)
        self._is_ending = True
        self._threads[1].join()
        for end in (self._client, self._served, self._listener):
            end.close()

    def _serve(self):
        try:
            while data := self._served.recv(100):
                self._served.sendall(data)
        except OSError:
            pass

    def _ask(self):
        try:
            while not self._is_ending:
                began = time.monotonic()
                self._client.sendall(b"culvert!")
                self._client.recv(100)
                self.longest_gap = max(self.longest_gap, time.monotonic() - began)
                self.echoes += 1
                time.sleep(0.02)
        except OSError as error:
            self.error = error


class Bridging(Scenario):
    def setUp(self):
        super().setUp()
        self.host, self.gateway = self.lab.host("host-a"), self.lab.host("gateway")
        self.lab.link(self.host, self.gateway, ("10.0.0.1/24", "10.0.0.254/24"), ("fd00::1/64", "fd00::254/64"), name="nic")
        self.add_objects()
        self.before = self.state()
        self.lab.closing.callback(self.clean_up)

    def add_objects(self):
        """Three addresses, five routes with metrics, policy rules."""
        for address in ("10.0.0.77/24", "10.7.0.1/24"):
            add_address(self.host, "nic", address)
        add_address(self.gateway, "nic", "10.7.0.254/24")
        routes = ["default via 10.0.0.254", "10.20.0.0/16 via 10.0.0.253 metric 50 proto static",
                  "10.20.0.0/16 via 10.0.0.252 metric 90 mtu 1300 advmss 1200", "10.21.0.0/16 via 10.7.0.254 src 10.7.0.1 table 100",
                  "10.22.0.0/16 nexthop via 10.0.0.254 weight 2 nexthop via 10.7.0.254 weight 1", "10.23.0.9 scope link"]
        for route in routes:
            device = [] if "nexthop" in route else ["dev", "nic"]
            words = route.replace("weight", "dev nic weight").split()
            self.host.ip("route", "add", *words, *device)
        self.host.ip("-6", "route", "add", "default", "via", "fd00::254", "dev", "nic", "metric", "512")
        self.host.ip("-6", "route", "add", "fd33::/48", "via", "fd00::253", "dev", "nic", "table", "100", "src", "fd00::1")
        self.host.ip("rule", "add", "iif", "nic", "table", "100", "pref", "1000")
        self.host.ip("-6", "rule", "add", "from", "fd00::1", "oif", "nic", "table", "100", "pref", "1001")
        self.host.ip("neigh", "add", "10.0.0.9", "lladdr", "02:00:00:00:00:09", "dev", "nic", "nud", "permanent")

    def clean_up(self):
        """Nothing may outlive a test: guardians are no children of ours."""
        guardians = [entry.get("guardian") for entry in self.status()]
        self.culvert("restore", check=False)
        for journal in self.status():
            self.culvert("detach", "--nic", journal["nic"], check=False)
        wait_until(lambda: all(has_ended(pid) for pid in guardians if pid), what="the guardians to end")

    def culvert(self, *words, check=True, **options):
        return self.host.run(culvert_binary(), "bridge", *words, check=check, **options)

    def attach(self, *words, confirm=CONFIRM, check=True):
        options = ["--confirm", confirm] if confirm else []
        return self.culvert("attach", "--nic", "nic", "--bridge", "br0", *options, *words, check=check)

    def status(self):
        return json.loads(self.culvert("status", "--json"))

    def journal_exists(self):
        return (FOLDER / "nic.journal").exists()

    def guardian(self):
        return self.status()[0]["guardian"]

    def state(self, host=None):
        """All that attaching might change, as comparable text, but for counters, neighbours that come and go, and ages."""
        host, parts = host or self.host, []
        for link in json.loads(host.ip("-j", "-d", "address", "show")):
            addresses = [{key: value for key, value in address.items() if not key.endswith("_life_time")}
                         for address in link.pop("addr_info")]
            kept = {key: link.get(key) for key in ("ifindex", "ifname", "flags", "mtu", "address", "promiscuity", "master",
                                                   "operstate", "inet6_addr_gen_mode")}
            parts += [f"link {json.dumps(kept)}"] + [f"{link['ifname']} {json.dumps(address)}" for address in addresses]
        for family in ("-4", "-6"):
            routes = host.ip(family, "-d", "route", "show", "table", "all").splitlines()
            parts += sorted(f"route {re.sub(r' expires [0-9]+sec', '', line).strip()}" for line in routes)
            parts += [f"rule {line.strip()}" for line in host.ip(family, "rule", "show").splitlines()]
        parts += sorted(host.ip("neigh", "show", "nud", "permanent").splitlines())
        parts += host.run("sh", "-c", "grep . /proc/sys/net/ipv?/conf/nic/* 2>/dev/null || true").splitlines()
        return "\n".join(parts)

    def moved(self):
        """What is to be at br0: what was at the NIC."""
        lines = [re.sub(r"\bnic\b", "br0", line) for line in self.before.splitlines()
                 if re.match(r"(nic|route .*\bnic\b|rule .*\bnic\b|.*dev nic )", line)]
        return sorted(line for line in lines if not self.is_made_by_kernel(line))

    def at_bridge(self):
        lines = [line for line in self.state().splitlines() if re.match(r"(br0 |route .*\bbr0\b|rule .*\bbr0\b|.*dev br0 )", line)]
        return sorted(line for line in lines if not self.is_made_by_kernel(line))

    @staticmethod
    def is_made_by_kernel(line):
        return "table local" in line or "proto kernel" in line and line.startswith("route") and "ff00::" in line

    def assert_alike(self, wanted, found, said=""):
        changes = [line for line in difflib.unified_diff(wanted, found, "wanted", "found", n=0, lineterm="")]
        self.assertFalse(changes, said + "\n".join(changes))

    def is_as_before(self):
        return not self.journal_exists() and self.state() == self.before

    def assert_as_before(self, said=""):
        self.assertFalse(self.journal_exists(), said)
        self.assert_alike(self.before.splitlines(), self.state().splitlines(), said)

    def can_be_reached(self):
        """By somebody new, who asks for the way himself."""
        for address in ("10.0.0.1", "10.0.0.77", "10.7.0.1", "fd00::1"):
            self.assertTrue(answers(self.gateway, address), address)
        self.assertTrue(answers(self.host, "10.0.0.254"))

    def report(self, what, session):
        self.assertIsNone(session.error)
        self.assertGreater(session.echoes, 3)
        print(f"{what}: longest gap {session.longest_gap * 1000:.0f} ms (wanted: 200)", flush=True)
        self.assertLess(session.longest_gap, PATIENCE)


class Attaching(Bridging):
    def move_and_back(self, address, strictness):
        for name in ("all", "nic"):
            self.host.set(f"ipv4/conf/{name}/rp_filter", strictness)
        self.before = self.state()
        with Session(self.host, self.gateway, address) as session:
            self.attach()
            self.assert_alike(self.moved(), self.at_bridge())
            self.culvert("confirm")
            self.can_be_reached()
        self.report(f"B-01 attach, {address}, rp_filter {strictness}", session)
        with Session(self.host, self.gateway, address) as session:
            self.culvert("detach", "--nic", "nic")
        self.report(f"B-01 detach, {address}, rp_filter {strictness}", session)
        self.assert_as_before()
        self.can_be_reached()

    def test_b01_moves_all_that_makes_a_host_reachable_under_a_live_connection(self):
        for strictness in (0, 1, 2):
            with self.subTest(rp_filter=strictness):
                self.move_and_back("10.0.0.1", strictness)

    def test_b01_and_over_ipv6(self):
        self.move_and_back("fd00::1", 0)


if __name__ == "__main__":
    main()
