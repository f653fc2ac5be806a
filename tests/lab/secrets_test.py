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

from lab import run
from probes import answers, ping
from scenario import Scenario, main
from sites import Culvert, culvert_binary, generate_psk, introduce


def forms(key):
    """A key as it might turn up: base64 (any end of its padding), hex in both cases."""
    raw = base64.b64decode(key)
    return [key.encode().rstrip(b"="), raw.hex().encode(), raw.hex().upper().encode()]


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


class Secrets(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.a = Culvert(self.host_a, "site-a", ["10.9.0.1/24"])
        self.b = Culvert(self.host_b, "site-b", ["10.9.0.2/24"])
        self.psk = generate_psk()
        introduce(self.a, self.b, right_at="10.0.0.2", psk=self.psk)
        self.secrets = [self.a.keys.private, self.b.keys.private, self.psk]
        self.patterns = [form for key in self.secrets for form in forms(key)]
        environment = {**os.environ, "LOG_LEVEL": "trace"}
        self.b.start(env=environment)
        self.a.start(env=environment)
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertEqual(10, ping(self.host_a, "10.9.0.2", count=10).received)

    def assert_no_key_in(self, content, what):
        self.assertEqual([], [pattern[:6] + b"..." for pattern in self.patterns if pattern in content], what)

    def test_no_log_line_has_a_key(self):
        for site in (self.a, self.b):
            self.assertIn("debug", site.process.output, "the log is as talkative as it gets")
            site.stop()
            self.assert_no_key_in(site.process.output.encode(), site.name)

    def test_no_key_is_on_the_command_line_or_in_the_environment(self):
        for file in ("cmdline", "environ", "comm", "status"):
            self.assert_no_key_in(pathlib.Path(f"/proc/{self.a.process.pid}/{file}").read_bytes(), file)

    def test_status_shows_no_key(self):
        for options in ((), ("--json",)):
            output = run(culvert_binary(), "show", "site-a", *options)
            self.assertIn(self.b.keys.public, output)
            self.assert_no_key_in(output.encode(), f"culvert show {options}")

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


if __name__ == "__main__":
    main()
