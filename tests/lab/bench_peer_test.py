#!/usr/bin/env python3
"""Benchmarks through a running tunnel: a peer that allows them is measured, no faster than it allows; others say why not.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ site-a  10.9.0.1     │  10.0.0.0/24    │ site-b  10.9.0.2     │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘
"""

import itertools
import json
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import time

from lab import run, wait_until
from probes import answers
from scenario import Scenario, main, redundant_under_sanitizers
from sites import Culvert, WireGuardGo, culvert_binary, introduce

def bench_peer():
    return os.environ.get("BENCH_PEER") or str(pathlib.Path(culvert_binary()).with_name("bench_peer"))


def servers():
    """Processes that somebody is measured against."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"serve-bench" in words:
            found.append(int(folder.name))
    return found


class TwoSites(Scenario):
    allow_bench = "yes"
    lines = ()
    other = Culvert

    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.a = Culvert(self.host_a, "site-a", ["10.9.0.1/24", "fd09::1/64"], interface_lines=self.lines)
        options = {"interface_lines": self.lines} if self.other is Culvert else {}
        self.b = self.other(self.host_b, "site-b", ["10.9.0.2/24", "fd09::2/64"], **options)
        introduce(self.a, self.b, left_at="10.0.0.1", right_at="10.0.0.2")
        self.b.peers[0].allow_bench = self.allow_bench
        self.prepare()
        self.a.start()
        self.b.start()

    def prepare(self):
        pass

    def start(self, *trials, peer="site-b", tunnel="site-a"):
        """The near end in the background; its errors are in its log."""
        return self.lab.start(bench_peer(), peer, tunnel, *trials, log=self.lab.folder / f"near-{time.monotonic_ns()}.log")

    def trials(self, *trials, peer="site-b", tunnel="site-a"):
        """The tunnel, and what came of each trial."""
        return [json.loads(line) for line in run(bench_peer(), peer, tunnel, *trials).splitlines()]

    def refused(self, *trials, peer="site-b", tunnel="site-a"):
        done = run(bench_peer(), peer, tunnel, *trials, check=False)
        self.assertEqual(1, done.returncode, done.stdout)
        return done.stderr

    def ended(self):
        wait_until(lambda: not servers(), what="nobody to be measured against")


    def ask(self):
        key = run("wg", "show", "site-a", "peers").strip()
        digits = subprocess.run(["base64", "-d"], input=key.encode(), stdout=subprocess.PIPE, check=True).stdout.hex()
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self.a.socket_path))
            control.sendall(f"culvert_bench=1\npublic_key={digits}\n\n".encode())
            with control.makefile() as lines:
                answer = dict(line.rstrip("\n").split("=", 1) for line in iter(lines.readline, "\n"))
        self.assertEqual("0", answer["errno"], answer)
        return answer

    def connected(self, port):
        connection = self.host_a.socket()
        try:
            connection.settimeout(10)
            connection.connect(("10.9.0.2", port))
        except OSError:
            connection.close()
            raise
        return connection

    def near_end(self, answer):
        """A connection that the token was brought over."""
        near = self.connected(int(answer["culvert_bench_port"]))
        near.sendall(bytes.fromhex(answer["culvert_bench_token"]))
        near.settimeout(60)
        self.assertEqual(0, near.recv(256, socket.MSG_WAITALL)[0], "ready")
        return near

    def started(self, near, role, flows, duration, payload=0, trial=0):
        """The far end's port."""
        near.sendall(struct.pack("<BBBBHHIIIIQ", 1, role, 0, 0, flows, 0, trial, payload, 0, duration, 0).ljust(256, b"\0"))
        started = near.recv(256, socket.MSG_WAITALL)
        self.assertEqual((3, role), (started[0], started[1]), started)
        self.assertEqual(trial, struct.unpack_from("<I", started, 8)[0])
        return struct.unpack_from("<H", started, 6)[0]


class Measured(TwoSites):
    def test_everything_is_measured_both_ways(self):
        tunnel, up, down, both, udp_up, udp_down, round_trips, beside = self.trials(
            "tcp-up:2:300", "tcp-down:2:300", "tcp-both:1:300", "udp-up:500:200:400", "udp-down:500:200:400", "rtt:100:300",
            "rtt-down:100:300:500")
        self.assertEqual(("site-a", "site-b", "tun", "10.9.0.2", 0),
                         tuple(tunnel[key] for key in ("tunnel", "peer", "mode", "far", "rate_limit")))
        self.assertEqual(1420, tunnel["mtu"])
        self.assertGreater(up["up"], 0)
        self.assertEqual(0, up["down"])
        self.assertGreaterEqual(up["in_all"], up["up"])
        self.assertGreater(down["down"], 0)
        self.assertEqual(0, down["up"])
        self.assertGreaterEqual(down["in_all"], down["down"])
        self.assertGreater(min(both["up"], both["down"]), 0)
        for outcome in (udp_up, udp_down):
            self.assertAlmostEqual(200, outcome["wanted"], delta=2)
            self.assertGreater(outcome["received"], 0)
            self.assertLessEqual(outcome["received"], outcome["sent"])
        self.assertGreater(round_trips["answers"], 0)
        self.assertGreater(beside["answers"], 0)
        self.assertGreater(beside["load"], 0)
        self.ended()

    def test_the_peer_is_meant_by_key_endpoint_or_address(self):
        for peer in (self.b.keys.public, "10.0.0.2:51820", "10.0.0.2", "10.9.0.2", "fd09::2"):
            [tunnel] = self.trials(peer=peer, tunnel="")
            self.assertEqual(("site-a", "site-b"), (tunnel["tunnel"], tunnel["peer"]), peer)
            self.ended()

    def test_the_process_that_is_measured_against_has_no_rights(self):
        self.start("pause:20000")
        wait_until(servers, what="somebody to be measured against")
        [server] = servers()

        def status():
            lines = pathlib.Path(f"/proc/{server}/status").read_text(encoding="ascii").splitlines()
            return dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        wait_until(lambda: status()["NoNewPrivs"] == "1", what="rights to be given up")
        wait_until(lambda: all(int(status()[which], 16) == 0 for which in ("CapInh", "CapPrm", "CapEff", "CapAmb")), what="no rights")
        with open("/proc/self/uid_map", encoding="ascii") as numbers:
            if numbers.read().split()[2] == str(2**32 - 1):
                self.assertEqual((["65534"] * 4, ["65534"] * 4), (status()["Uid"].split(), status()["Gid"].split()))
                self.assertEqual("", status().get("Groups", "").strip())
        words = pathlib.Path(f"/proc/{server}/cmdline").read_bytes()
        self.assertEqual([b"culvert", b"serve-bench", b""], words.split(b"\0"), "no secret stands there")
        self.assertEqual(b"", pathlib.Path(f"/proc/{server}/environ").read_bytes() if os.access(f"/proc/{server}/environ", os.R_OK) else b"")

    def test_over_ipv6_where_that_is_all_there_is(self):
        for site in (self.a, self.b):
            site.stop()
            site.addresses = site.addresses[1:]
        self.a.start()
        self.b.start()
        tunnel, up = self.trials("tcp-up:1:200")
        self.assertEqual("fd09::2", tunnel["far"])
        self.assertGreater(up["up"], 0)


class Limited(TwoSites):
    allow_bench = "8M"

    def test_who_sends_more_over_tcp_than_that_is_hung_up_on(self):
        with self.near_end(self.ask()) as near:
            with self.connected(self.started(near, role=1, flows=1, duration=60000)) as stream:
                stream.settimeout(0.2)
                self.sends_until_refused(near, lambda: stream.sendall(bytes(1 << 20)))
        self.ended()

    def test_who_sends_more_over_udp_than_that_is_hung_up_on(self):
        with self.near_end(self.ask()) as near:
            port = self.started(near, role=3, flows=1, duration=60000, payload=1000, trial=77)
            numbers = itertools.count()
            with self.host_a.socket(kind=socket.SOCK_DGRAM) as flow:
                flow.connect(("10.9.0.2", port))
                self.sends_until_refused(near, lambda: flow.send(
                    struct.pack(">HBBIII", 0xc77e, 0, 0, 77, next(numbers), 0).ljust(1000, b"\0")))
        self.ended()

    def test_packets_that_do_not_count_and_questions_are_within_the_limit_too(self):
        for role in (3, 4):
            with self.near_end(self.ask()) as near:
                port = self.started(near, role=role, flows=1, duration=60000, payload=1000, trial=77)
                with self.host_a.socket(kind=socket.SOCK_DGRAM) as flow:
                    flow.connect(("10.9.0.2", port))
                    trial = 78 if role == 3 else 77
                    packet = struct.pack(">HBBIII", 0xc77e, 0, 0, trial, 1, 0).ljust(1000, b"\0")
                    self.sends_until_refused(near, lambda flow=flow, packet=packet: flow.send(packet))
            self.ended()
            time.sleep(1)

    def test_messages_are_within_the_limit_too(self):
        with self.near_end(self.ask()) as near:
            until = time.monotonic() + 60
            with self.assertRaises(ConnectionError):
                while time.monotonic() < until:
                    near.sendall(bytes([2]).ljust(256, b"\0") * 4096)
        self.ended()

    def sends_until_refused(self, near, send):
        until = time.monotonic() + 45
        while not select.select([near], [], [], 0)[0] and time.monotonic() < until:
            try:
                send()
            except OSError:
                pass
        self.assertLess(time.monotonic(), until, "long before the trial would have ended")
        ended = near.recv(256, socket.MSG_WAITALL)
        self.assertEqual(6, ended[0])
        self.assertIn(b"more than AllowBench allows", ended)

    def test_nothing_goes_faster_than_the_peer_allows(self):
        tunnel, up, down, flood, round_trips = self.trials("tcp-up:2:1000", "tcp-down:2:1000", "udp-down:0:1000:1000", "rtt:100:300")
        self.assertEqual(8_000_000, tunnel["rate_limit"])
        for outcome in (up["up"], down["down"], flood["received"] * 1000):
            self.assertLess(outcome, 2_000_000, "a megabyte in a second, with what was in buffers")
        self.assertGreater(up["up"], 200_000)
        self.assertGreater(down["down"], 200_000)
        self.assertGreater(round_trips["answers"], 0)

    def test_a_rate_that_may_not_be_tried_counts_as_loss(self):
        _, udp = self.trials("udp-up:10000:1000:500")
        self.assertAlmostEqual(5000, udp["wanted"], delta=100)
        self.assertLess(udp["received"], 1000)


class Refused(TwoSites):
    allow_bench = None

    def test_without_consent_it_says_what_to_set_and_where(self):
        said = self.refused("pause:1")
        for words in ("does not allow it", f"PublicKey = {self.a.keys.public}", "AllowBench = yes", "site-b"):
            self.assertIn(words, said)
        self.assertEqual([], servers())
        self.assertIn("AllowBench does not allow it", self.b.process.output)

    def test_consent_given_and_taken_by_a_reload_counts_at_once(self):
        self.b.peers[0].allow_bench = "yes"
        self.reload("AllowBench: no -> yes")
        self.trials("rtt:100:100")
        self.ended()
        time.sleep(1)
        near = self.start("pause:1000", "rtt:100:20000")
        wait_until(lambda: "tunnel" in near.output, what="the benchmark to begin")
        self.b.peers[0].allow_bench = None
        self.reload("AllowBench: yes -> no")
        self.ended()
        self.assertEqual(1, near.wait())

    def reload(self, expected):
        self.b.write_config()
        self.assertIn(expected, self.host_b.run(culvert_binary(), "reload", self.b.config_path))

    def test_who_is_meant_has_to_be_known(self):
        self.assertIn("no peer 'nobody' in site-a", self.refused(peer="nobody"))
        self.assertIn("no-such-tunnel", self.refused(tunnel="no-such-tunnel"))

    def test_a_peer_that_does_not_answer_is_said_to_be_silent(self):
        self.b.stop()
        self.assertIn("does not answer", self.refused())

    def test_a_device_without_an_address_is_named_as_the_reason(self):
        self.b.peers[0].allow_bench = "yes"
        self.reload("AllowBench: no -> yes")
        self.host_b.ip("address", "flush", "dev", "site-b")
        self.assertIn("no address to be measured at", self.refused())
        self.assertEqual([], servers())


class Ended(TwoSites):
    def begin(self, *trials):
        near = self.start(*trials)
        wait_until(lambda: "tunnel" in near.output or not near.is_running, what="the benchmark to begin")
        self.assertIn("tunnel", near.output)
        return near

    def test_one_at_a_time(self):
        near = self.begin("pause:4000", "rtt:100:100")
        time.sleep(1)
        self.assertIn("it is busy", self.refused())
        self.assertEqual(0, near.wait())
        self.ended()
        time.sleep(1)
        self.trials("rtt:100:100")

    def test_the_peers_culvert_killed_in_the_middle_leaves_nothing_and_is_said(self):
        near = self.begin("tcp-up:2:20000")
        self.assertNotEqual([], servers())
        self.b.kill()
        self.ended()
        self.assertEqual(1, near.wait(timeout=60))
        self.assertRegex(near.output, "does not answer any more|closed|reset|timed out|unreachable")

    def test_the_own_culvert_killed_in_the_middle_leaves_nothing_and_is_said(self):
        near = self.begin("rtt:100:20000", "rtt:100:20000")
        self.a.kill()
        self.assertEqual(1, near.wait(timeout=60))
        self.assertIn("bench_peer: ", near.output)

    def test_ending_here_ends_it_there(self):
        near = self.begin("pause:30000")
        near.end(signal.SIGKILL)
        self.ended()

    def test_the_tunnel_going_down_there_ends_it(self):
        near = self.begin("pause:2000", "rtt:100:100")
        self.assertEqual(0, self.b.stop())
        self.assertEqual([], servers())
        near.end(signal.SIGKILL)

    def test_who_was_granted_one_and_did_not_come_may_ask_again(self):
        first = self.ask()
        wait_until(servers, what="a process to be measured against")  # between fork and exec it has another name
        [server] = servers()
        time.sleep(1)
        second = self.ask()
        self.assertNotEqual(first["culvert_bench_token"], second["culvert_bench_token"])
        wait_until(lambda: servers() and server not in servers(), what="another process in the place of the first")
        with self.near_end(second):
            time.sleep(1)
            self.assertIn("it is busy", self.refused())
        self.ended()

    def test_a_stop_is_for_the_trial_that_it_names(self):
        def stop(trial):
            near.sendall(struct.pack("<BBBBHHI", 2, 4, 0, 0, 0, 0, trial).ljust(256, b"\0"))
        with self.near_end(self.ask()) as near:
            self.started(near, role=4, flows=1, duration=60000, payload=100, trial=77)
            stop(76)
            self.assertEqual([], select.select([near], [], [], 1.5)[0])
            stop(77)
            done = near.recv(256, socket.MSG_WAITALL)
            self.assertEqual((4, 4, 77), struct.unpack_from("<BB6xI", done))
        self.ended()

    def test_who_says_stop_for_ever_asks_for_nothing_and_is_hung_up_on(self):
        with self.near_end(self.ask()) as near:
            until = time.monotonic() + 100
            while not select.select([near], [], [], 0.2)[0]:
                self.assertLess(time.monotonic(), until, "half a minute")
                near.sendall(bytes([2]).ljust(256, b"\0"))
            self.assertIn(b"nothing was asked", near.recv(256, socket.MSG_WAITALL))
        self.ended()

    def test_who_does_not_bring_the_token_is_not_served(self):
        """Asked by hand: what the daemon gives is all there is, and without the token it is worth nothing."""
        answer = self.ask()
        port = int(answer["culvert_bench_port"])
        with self.connected(port) as stranger:
            stranger.sendall(bytes(32))
            stranger.settimeout(30)
            self.assertEqual(b"", stranger.recv(1), "a wrong token is hung up on")
        idle = [self.connected(port) for _ in range(12)]
        with self.connected(port) as friend:
            friend.sendall(bytes.fromhex(answer["culvert_bench_token"]))
            friend.settimeout(30)
            ready = friend.recv(256, socket.MSG_WAITALL)
            self.assertEqual((256, 0), (len(ready), ready[0]), "those who hold the line do not keep it from the right one")
            for connection in idle:
                connection.close()
            with self.assertRaises(OSError):
                self.connected(port)
            friend.sendall(bytes([1]) + bytes(255))
            self.assertEqual(b"", friend.recv(256), "a Start that asks for nothing sensible ends it")
        self.ended()


class Switched(TwoSites):
    lines = ("Mode = tap",)

    def test_a_tap_is_measured_too(self):
        tunnel, up, udp, round_trips = self.trials("tcp-up:1:300", "udp-down:500:200:400", "rtt:100:300")
        self.assertEqual("tap", tunnel["mode"])
        self.assertGreater(up["up"], 0)
        self.assertGreater(udp["received"], 0)
        self.assertGreater(round_trips["answers"], 0)
        self.ended()

    def test_in_a_bridge_it_is_measured_at_the_bridge(self):
        self.b.stop()
        self.b.addresses, self.b.interface_lines = [], ["Mode = tap", "Bridge = br0"]
        self.b.start()
        self.assertIn("no address to be measured at", self.refused())
        self.host_b.ip("address", "add", "10.9.0.2/24", "dev", "br0")
        self.host_b.ip("link", "set", "br0", "up")
        time.sleep(1)
        tunnel, up = self.trials("tcp-up:1:300")
        self.assertEqual("10.9.0.2", tunnel["far"])
        self.assertGreater(up["up"], 0)


@redundant_under_sanitizers
class BesideWireGuardGo(TwoSites):
    other = WireGuardGo

    def test_a_stock_peer_is_said_to_be_none(self):
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertIn("no culvert", self.refused())


if __name__ == "__main__":
    main()
