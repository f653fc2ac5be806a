#!/usr/bin/env python3
"""Keys stay where they belong: no log line, command line, environment, status or forgotten piece of memory has one.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ site-a  10.9.0.1     │  10.0.0.0/24    │ site-b  10.9.0.2     │
    │  at log level trace  │                 │  at log level trace  │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘
"""

import base64
import dataclasses
import os
import pathlib
import re
import stat
import subprocess
import unittest.mock

from lab import run, wait_until
from probes import answers, ping
from quick import FOLDER, Quick
from scenario import Scenario, main
from sites import Culvert, culvert_binary, generate_psk, introduce


def forms(key):
    """A key as it might turn up: base64 (any end of its padding), hex in both cases, as it is."""
    raw = base64.b64decode(key)
    return [key.encode().rstrip(b"="), raw.hex().encode(), raw.hex().upper().encode(), raw]


@dataclasses.dataclass
class Mapping:
    """A piece of a process's memory: where, and how the kernel keeps it (the flags of proc(5))."""
    start: int
    end: int
    access: str
    flags: set = dataclasses.field(default_factory=set)


def mappings(pid):
    """All mappings that can be read and written."""
    found = []
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        if head := re.match(r"([0-9a-f]+)-([0-9a-f]+) (....)", line):
            found.append(Mapping(int(head[1], 16), int(head[2], 16), head[3]))
        elif line.startswith("VmFlags:"):
            found[-1].flags = set(line.split()[1:])
    return [mapping for mapping in found if mapping.access.startswith("rw")]


def places(pid, patterns):
    """The mappings that contain a pattern, as (mapping, pattern)."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for mapping in mappings(pid):
            try:
                memory.seek(mapping.start)
                content = memory.read(min(mapping.end - mapping.start, 256 << 20))
            except (OSError, OverflowError, ValueError):
                continue
            found += [(mapping, pattern) for pattern in patterns if pattern in content]
    return found


class WithKeys(Scenario):
    """Two sites with all kinds of keys, all that runs at log level trace, and the search for those keys."""

    Left = Culvert

    def setUp(self):
        super().setUp()
        self.enterContext(unittest.mock.patch.dict(os.environ, LOG_LEVEL="trace"))
        self.host_a, self.host_b = self.two_hosts()
        self.a = self.Left(self.host_a, "site-a", ["10.9.0.1/24"])
        self.b = Culvert(self.host_b, "site-b", ["10.9.0.2/24"])
        self.psk = generate_psk()
        introduce(self.a, self.b, right_at="10.0.0.2", psk=self.psk)
        self.secrets = [self.a.keys.private, self.b.keys.private, self.psk]
        self.patterns = [form for key in self.secrets for form in forms(key)]

    def assert_connected(self):
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertEqual(10, ping(self.host_a, "10.9.0.2", count=10).received)

    def assert_no_key_in(self, content, what):
        self.assertEqual([], [pattern[:6] + b"..." for pattern in self.patterns if pattern in content], what)

    def assert_process_shows_no_key(self, pid):
        for file in ("cmdline", "environ", "comm", "status"):
            self.assert_no_key_in(pathlib.Path(f"/proc/{pid}/{file}").read_bytes(), file)

    def assert_status_shows_no_key(self):
        for options in ((), ("--json",)):
            done = run(culvert_binary(), "show", "site-a", *options, check=False)
            self.assertIn(self.b.keys.public, done.stdout)
            self.assert_no_key_in((done.stdout + done.stderr).encode(), f"culvert show {options}")


class Secrets(WithKeys):
    def setUp(self):
        super().setUp()
        self.b.start()
        self.a.start()
        self.assert_connected()

    def test_no_log_line_has_a_key(self):
        for site in (self.a, self.b):
            self.assertIn("debug", site.process.output, "the log is as talkative as it gets")
            site.stop()
            self.assert_no_key_in(site.process.output.encode(), site.name)

    def test_no_key_is_on_the_command_line_or_in_the_environment(self):
        self.assert_process_shows_no_key(self.a.process.pid)

    def test_status_shows_no_key(self):
        self.assert_status_shows_no_key()

    def test_the_text_of_the_config_file_is_wiped_from_memory(self):
        for site in (self.a, self.b):
            text = [form for key in self.secrets for form in forms(key)[:1]]
            self.assertEqual([], [(hex(mapping.start), pattern[:6]) for mapping, pattern in places(site.process.pid, text)])

    def test_keys_in_memory_are_locked_and_left_out_of_core_files(self):
        raw = [base64.b64decode(key) for key in (self.a.keys.private, self.psk)]
        found = places(self.a.process.pid, raw)
        self.assertEqual(set(raw), {pattern for _, pattern in found}, "the search would have found them")
        for mapping, pattern in found:
            self.assertLessEqual({"dd", "lo"}, mapping.flags, f"key {raw.index(pattern)} at {mapping.start:#x}: {mapping.flags}")

    def test_no_core_file_can_be_written(self):
        limits = pathlib.Path(f"/proc/{self.a.process.pid}/limits").read_text(encoding="ascii")
        self.assertRegex(limits, r"Max core file size +0 +0 ")

    def test_no_core_file_is_piped_to_a_program_either(self):
        """That asks for no limit, but for the process to be "dumpable", which shows in who may look at it (ptrace(2))."""
        for program, may_look in (("cat", True), (culvert_binary(), False)):
            powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"]
            # Both wait for their input.
            process = subprocess.Popen([*powerless, program, *(["pubkey"] if program != "cat" else [])], stdin=subprocess.PIPE,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            shown, name = pathlib.Path(f"/proc/{process.pid}"), pathlib.Path(program).name
            with process:
                wait_until(lambda: (shown / "comm").read_text(encoding="utf-8").strip() == name, what=f"{name} to be started")
                look = [*powerless, "cat", shown / "environ"]
                wait_until(lambda: (run(*look, check=False).returncode == 0) == may_look, what=f"{name} to be as it should")

    def test_others_may_not_even_connect_to_the_socket(self):
        self.assertEqual(0, stat.S_IMODE(self.a.socket_path.stat().st_mode) & 0o077)
        self.assertEqual(0, self.a.socket_path.stat().st_uid)

    def test_a_config_error_quotes_no_key(self):
        key = self.a.keys.private
        for text in (f"[Interface]\nPrivateKey = {key}x\n", f"[Interface]\nPrivateKey = {key[:-2]}\n", f"[Interface]\n{key}\n",
                     f"[Interface]\nPrivatKey = {key}\n", f"[Interface]\nPrivateKey = {key}\nMTU = {key}\n",
                     f"[Interface]\nPrivateKey {key}\n", f"[Interface]\nPrivateKey = {key}\n[Peer]\nPresharedKey = {key}{key}\n",
                     f"[Interface]\nPrivateKey = {key}\n[Peer]\nPublicKey = {key}\nAllowedIPs = {self.psk}\n"):
            path = self.lab.folder / "wrong.conf"
            path.write_text(text, encoding="ascii")
            done = run(culvert_binary(), "check", path, check=False)
            with self.subTest(message=done.stderr):
                self.assertNotEqual(0, done.returncode)
                self.assert_no_key_in((done.stdout + done.stderr).encode(), "the message")


class SecretsInTheBackground(WithKeys):
    Left = Quick

    def test_no_command_but_strip_and_no_file_but_the_config_shows_a_key(self):
        self.a.interface_lines = [f"PostUp = env; cat /proc/self/environ /proc/$PPID/cmdline > {self.lab.folder}/hook"]
        self.b.start()
        said = self.a.up()
        self.assertEqual(0, said.returncode, said.stderr)
        self.assert_connected()
        self.assert_process_shows_no_key(self.a.pid)
        self.assert_status_shows_no_key()
        outputs = [said.stdout, said.stderr]
        for word in ("check", "save", "strip", "down"):
            done = self.a.call(word, check=False)
            self.assertEqual(0, done.returncode, done.stderr)
            outputs += [done.stderr] if word == "strip" else [done.stdout, done.stderr]
            if word == "strip":
                self.assertIn(self.a.keys.private, done.stdout, "the search would have found it")
            if word == "save":
                self.assertIn(self.a.keys.private, self.a.config_path.read_text(encoding="utf-8"))
                self.assertEqual(0, stat.S_IMODE(self.a.config_path.stat().st_mode) & 0o077)
                self.assert_no_key_in(self.a.journal.read_bytes(), "the journal")
        self.assert_no_key_in("".join(outputs).encode(), "what the commands said")
        self.assertIn("debug", self.a.log)
        self.assert_no_key_in((self.lab.folder / "hook").read_bytes(), "what a hook sees")
        for path in (*FOLDER.iterdir(), *pathlib.Path("/var/lib/culvert").iterdir()):
            self.assert_no_key_in(path.read_bytes(), path.name)


class SecretsByControlSocket(WithKeys):
    def test_keys_that_come_from_wg_are_not_shown_either(self):
        self.b.start()
        process = self.host_a.start(culvert_binary(), "-f", "site-a")
        wait_until(lambda: run("wg", "show", "site-a", check=False).returncode == 0, what="site-a to answer")
        preshared = self.lab.folder / "preshared.key"
        preshared.write_text(self.psk + "\n", encoding="ascii")
        run("wg", "setconf", "site-a", self.a.write_config(self.a.config(wg_quick=False).replace(self.psk, generate_psk())))
        run("wg", "set", "site-a", "peer", self.b.keys.public, "preshared-key", preshared)
        self.host_a.ip("address", "add", "10.9.0.1/24", "dev", "site-a")
        self.host_a.ip("link", "set", "site-a", "up")
        self.assert_connected()
        self.assert_process_shows_no_key(process.pid)
        self.assert_status_shows_no_key()
        process.end()
        self.assertIn("is up", process.output)
        self.assert_no_key_in(process.output.encode(), "the log")


if __name__ == "__main__":
    main()
