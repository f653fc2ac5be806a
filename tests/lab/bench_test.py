#!/usr/bin/env python3
"""culvert bench: its own lab, made by root and by an ordinary user, and nothing left of it however it ends.

    ┌─ a namespace without a name ─┐      ┌─ another ────────────────────┐
    │ 10.9.0.1 tunnel ── engine ───┼─ uplink 10.0.0.1 ── 10.0.0.2 ──┼─ engine ── tunnel 10.9.0.2 │
    └──────────────────────────────┘      └──────────────────────────────┘

What is measured is not looked at, but for that there is something: a busy machine says nothing about speed.
"""

import json
import os
import pathlib
import pty
import signal
import subprocess
import time

from lab import run, wait_until
from probes import answers
from scenario import Scenario, main
from sites import Culvert, culvert_binary, introduce

NOBODY = 65534
ORDINARY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
#: The least that is a benchmark: one round of few cells.
LITTLE = ["--quick", "--rounds", "1", "--mode", "tun,tap", "--cipher", "chacha20-poly1305", "--offloads", "on", "--size", "256"]
PATIENCE = 120


def traces():
    """What a lab could leave behind in this namespace: links, names, mounts, sockets, processes."""
    processes = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if folder.joinpath("comm").read_text().strip() == "culvert" and "zombie" not in folder.joinpath("status").read_text():
                processes.append(folder.name)
        except OSError:
            pass
    return {
        "links": sorted(link["ifname"] for link in json.loads(run("ip", "-json", "link"))),
        "names": sorted(os.listdir("/run/netns")),
        "mounts": pathlib.Path("/proc/self/mountinfo").read_text(),
        "files": sorted(str(path) for folder in ("/run", "/var/lib", "/tmp/bench") for path in pathlib.Path(folder).rglob("*")),
        "processes": processes,
    }


class Benches(Scenario):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path("/tmp/bench")
        os.makedirs("/tmp/bench", exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "tmpfs", self.folder], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.folder], check=True)

    def bench(self, *options, become=(), check=True):
        done = subprocess.run([*become, culvert_binary(), "bench", *options], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE)
        if check:
            self.assertEqual(0, done.returncode, done.stderr)
        return done

    def start(self, *options):
        """Returns it when it has begun to measure."""
        process = subprocess.Popen([culvert_binary(), "bench", *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.addCleanup(self.end, process)
        while "%" not in (line := process.stderr.readline()):
            self.assertTrue(line, "it ended")
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)


class Measuring(Benches):
    def check_result(self, done, path):
        lines = done.stdout.splitlines()
        self.assertIn("tun", " ".join(lines[:3]))
        self.assertIn("tap", " ".join(lines[:3]))
        result = json.loads(path.read_text())
        cells = {(cell["mode"], cell["measure"]): cell for cell in result["cells"]}
        for mode in ("tun", "tap"):
            throughput = cells[mode, "tcp-up"]["figures"]
            self.assertGreater(throughput["throughput"]["median"], 0)
            self.assertGreater(throughput["cpu_per_gib"]["median"], 0)
            self.assertGreater(throughput["system_calls"]["median"], 0)
            self.assertGreater(cells[mode, "pdr"]["figures"]["rate"]["median"], 0)
            idle = cells[mode, "rtt-idle"]["figures"]
            self.assertLessEqual(idle["p50"]["median"], idle["p99"]["median"])
            self.assertLess(idle["lost"]["median"], 1)
        self.assertGreater(cells["uplink", "tcp-up"]["figures"]["throughput"]["median"], 0)
        self.assertTrue(any("TSO" in entry["value"] for entry in result["machine"]["offloads"]), result["machine"])
        return result

    def test_says_which_is_better_and_leaves_nothing(self):
        before = traces()
        path = self.folder / "result.json"
        done = self.bench(*LITTLE, "--json", path)
        self.check_result(done, path)
        path.unlink()
        self.assertEqual(before, traces())

    def test_an_ordinary_user_measures_the_same(self):
        if os.getuid() != 0 or not pathlib.Path("/proc/self/uid_map").read_text(encoding="ascii").split()[2].startswith("429496"):
            self.skipTest("only the machine's root can become somebody else")
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/dev/net")
        self.addCleanup(run, "umount", "/dev/net")
        run("mknod", "-m", "666", "/dev/net/tun", "c", "10", "200")
        before = traces()
        path = self.folder / "result.json"
        done = self.bench(*LITTLE, "--json", path, become=ORDINARY)
        self.check_result(done, path)
        self.assertEqual(NOBODY, path.stat().st_uid)
        path.unlink()
        self.assertEqual(before, traces())

    def test_all_of_a_round_can_be_measured(self):
        path = self.folder / "result.json"
        self.bench("--quick", "--rounds", "1", "--json", path)
        result = json.loads(path.read_text())
        failures = [note for note in result["notes"] if "failed" in note]
        self.assertEqual([], failures)
        self.assertEqual({"uplink", "tun", "tap", "tap+bridge"}, {cell["mode"] for cell in result["cells"]})
        self.assertEqual({"", "none", "chacha20-poly1305", "aes-256-gcm"}, {cell["cipher"] for cell in result["cells"]})

    def test_queues_and_large_packets_can_be_measured(self):
        path = self.folder / "result.json"
        self.bench("--quick", "--rounds", "1", "--mode", "tun,tap,tap+bridge", "--cipher", "none", "--queues", "2", "--streams", "2",
                   "--size", "64,8920", "--offloads", "off,on", "--json", path)
        result = json.loads(path.read_text())
        self.assertEqual([], [note for note in result["notes"] if "failed" in note])
        large = [cell for cell in result["cells"] if cell["packet_size"] == 8920 and cell["mode"] != "uplink"]
        self.assertEqual({"tun", "tap", "tap+bridge"}, {cell["mode"] for cell in large})
        # A frame that goes in pieces would be a packet that the uplink does not carry whole.
        for cell in large:
            self.assertEqual({}, {reason: count for reason, count in cell["drops"].items() if "fragment" in reason})


class Through(Benches):
    lines = ()
    allow_bench = "yes"

    def setUp(self):
        super().setUp()
        host_a, host_b = self.two_hosts()
        self.host = host_a
        site_a = Culvert(host_a, "site-a", ["10.9.0.1/24"], interface_lines=self.lines)
        site_b = Culvert(host_b, "site-b", ["10.9.0.2/24"], interface_lines=self.lines)
        introduce(site_a, site_b, left_at="10.0.0.1", right_at="10.0.0.2")
        site_b.peers[0].allow_bench = self.allow_bench
        site_b.start()
        site_a.start()
        self.assertTrue(answers(host_a, "10.9.0.2"))

    def measure(self, mode):
        path = self.folder / "result.json"
        done = self.bench("site-b", "--quick", "--rounds", "2", "--size", "64,1280", "--json", path, "--report", self.folder / "report.html")
        result = json.loads(path.read_text())
        self.assertEqual("peer", result["kind"])
        self.assertEqual([], [note for note in result["notes"] if "failed" in note])
        cells = {(cell["measure"], cell["packet_size"]): cell["figures"] for cell in result["cells"]}
        self.assertEqual({mode}, {cell["mode"] for cell in result["cells"]})
        for measure in (cell["measure"] for cell in result["cells"] if cell["measure"].startswith("tcp")):
            self.assertGreater(next(figures for key, figures in cells.items() if key[0] == measure)["throughput"]["median"], 0)
        self.assertGreater(cells["ndr", 64]["rate"]["median"], 0)
        self.assertGreater(cells["ndr", 64]["system_calls"]["median"], 0)
        self.assertGreater(cells["ndr", 64]["cpu_per_mpacket"]["median"], 0)
        self.assertGreater(cells["rtt-full", 1280]["p50"]["median"], 0)
        self.assertIn("to site-b (10.9.0.2)", done.stdout)
        return result


class ThroughPeer(Through):
    def test_a_tunnel_is_measured_as_it_is(self):
        self.measure("tun")

    def test_what_the_lab_alone_can_do_is_refused(self):
        done = self.bench("site-b", "--mode", "tap", check=False)
        self.assertIn("measured as it is", done.stderr)
        self.assertEqual(2, done.returncode)
        done = self.bench("site-b", "--full", check=False)
        self.assertIn("leave out --full", done.stderr)
        self.assertEqual(2, done.returncode)
        done = self.bench("site-b", "--rounds", "1000", check=False)
        self.assertIn("a peer lets itself be measured for 15", done.stderr)
        self.assertEqual(1, done.returncode)

    def test_somebody_unknown_is_named(self):
        done = self.bench("site-c", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("site-c", done.stderr)


class ThroughSwitchedPeer(Through):
    lines = ("Mode = tap",)

    def test_a_tunnel_is_measured_as_it_is(self):
        self.measure("tap")


class ThroughSlowPeer(Through):
    allow_bench = "20M"

    def test_a_tunnel_is_measured_as_it_is(self):
        result = self.measure("tun")
        self.assertIn("The peer allows 20 Mbit/s", " ".join(result["notes"]))
        for cell in result["cells"]:
            if "throughput" in cell["figures"]:
                # A slow start may bring more in a short moment than in the long run.
                self.assertLess(cell["figures"]["throughput"]["median"], 40e6)
            if "rate" in cell["figures"]:
                self.assertLess(cell["figures"]["rate"]["median"] * cell["packet_size"] * 8, 40e6)


class Ending(Benches):
    def check_end(self, number, expected):
        before = traces()
        process = self.start("--quick", "--json", self.folder / "result.json", "--report", self.folder / "report.html")
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        self.assertEqual(-number, process.returncode)
        self.assertIn(expected, said)
        self.assertEqual([], os.listdir(self.folder))
        # What the kernel takes down after a process it does in its own time.
        wait_until(lambda: traces() == before, timeout=30)

    def test_interrupted_it_leaves_neither_lab_nor_files(self):
        self.check_end(signal.SIGINT, "interrupted")

    def test_terminated_it_leaves_neither_lab_nor_files(self):
        self.check_end(signal.SIGTERM, "interrupted")

    def test_killed_it_leaves_neither_lab_nor_files(self):
        self.check_end(signal.SIGKILL, "")

    def test_control_c_on_a_terminal_ends_it(self):
        before = traces()
        child, terminal = pty.fork()
        if child == 0:
            os.execv(culvert_binary(), [culvert_binary(), "bench", "--quick"])
        shown = b""
        while b"%" not in shown:
            shown += os.read(terminal, 4096)
        os.write(terminal, b"\x03")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                shown += os.read(terminal, 4096)
            except OSError:
                break
        _, status = os.waitpid(child, 0)
        os.close(terminal)
        self.assertEqual(signal.SIGINT, os.WTERMSIG(status), shown)
        self.assertIn(b"interrupted", shown)
        wait_until(lambda: traces() == before, timeout=30)


class Refusing(Benches):
    def refused(self, *options, status=2, become=()):
        before = traces()
        done = self.bench(*options, become=become, check=False)
        self.assertEqual(status, done.returncode, done.stderr)
        self.assertEqual("", done.stdout)
        self.assertEqual(before, traces())
        return done.stderr

    def test_what_cannot_be_measured_is_refused_with_the_reason(self):
        for options, reason in (
                (["--mode", "tun+bridge"], "a bridge forwards Ethernet frames, and a tun device has none"),
                (["--mode", "bridge"], "expected tun, tap or tap+bridge"),
                (["--queues", "65"], "cannot have 65 queues"),
                (["--queues", "0"], "cannot have 0 queues"),
                (["--size", "9000"], "MTU of 9000"),
                (["--size", "20"], "from 64 to 8920"),
                (["--streams", "65"], "65 streams cannot be measured"),
                (["--cipher", "rot13"], "expected none, chacha20-poly1305 or aes-256-gcm"),
                (["--offloads", "auto"], "expected off, udp, device or on")):
            with self.subTest(options=options):
                self.assertIn(reason, self.refused(*options))
        self.refused("--rounds", "0")
        self.refused("--quick", "--full")

    def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(self):
        for option in ("--json", "--report"):
            said = self.refused("--quick", option, self.folder / "missing" / "file", status=1)
            self.assertIn("missing", said)
            self.assertNotIn("%", said)

    def test_a_full_disk_leaves_no_file(self):
        for option, what in (("--json", "result"), ("--report", "report")):
            with self.subTest(option):
                run("mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", self.folder)
                path = self.folder / "file"
                done = self.bench(*LITTLE, option, path, check=False)
                left = os.listdir(self.folder)
                run("umount", "-l", self.folder)
                self.assertEqual(1, done.returncode, done.stderr)
                self.assertRegex(done.stderr, f"writing the {what} to {path}: No space left on device")
                self.assertEqual([], left)

    def test_a_user_without_namespaces_is_told_what_forbids_them(self):
        script = f"echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all {culvert_binary()} bench --quick"
        done = subprocess.run(["unshare", "--user", "--map-root-user", "sh", "-c", script], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(1, done.returncode)
        self.assertIn("user.max_user_namespaces", done.stderr)

    def test_without_tun_devices_it_says_so(self):
        without = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /dev/net && exec "$@"', "sh"]
        said = self.refused(*LITTLE, status=1, become=without)
        self.assertIn("/dev/net/tun", said)


if __name__ == "__main__":
    main()
