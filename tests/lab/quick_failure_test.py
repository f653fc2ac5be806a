#!/usr/bin/env python3
"""What really goes wrong on the way up, each at another step; the system is as it was afterwards, and the message says what it was.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ site-a  10.9.0.1     │  10.0.0.0/24    │                      │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘

Every single step is made to fail by the unit tests (tests/unit/quick/setup_test.cpp).
"""

import os
import signal
import socket

from lab import wait_until
from quick import FOLDER, Quick, has_ended, system_state
from scenario import Scenario, main
from sites import Culvert, culvert_binary, introduce


class Failure(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.a = Quick(self.host_a, "site-a", ["10.9.0.1/24", "fd09::1/64"])
        self.b = Culvert(self.host_b, "site-b", ["10.9.0.2/24"])
        introduce(self.a, self.b, right_at="10.0.0.2")
        self.a.peers[0].allowed_ips = ["10.8.0.0/16", "0.0.0.0/0", "::/0"]
        self.lab.closing.callback(lambda: self.a.journal.exists() and self.a.down())

    def fails_with(self, *said, before=None):
        before = before or system_state(self.host_a)
        done = self.a.up()
        self.assertEqual(1, done.returncode, done.stderr)
        for words in said:
            self.assertIn(words, done.stderr)
        self.assertEqual(before, system_state(self.host_a))

    def test_a_taken_port(self):
        with self.host_a.entered():
            taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            taken.bind(("0.0.0.0", 51820))
        with taken:
            self.fails_with("51820")

    def test_a_taken_device_name(self):
        self.host_a.ip("link", "add", "site-a", "type", "veth", "peer", "name", "site-z")
        for name in ("site-a", "site-z"):
            self.host_a.ip("link", "set", name, "addrgenmode", "none")
        self.fails_with("there is a device site-a already")

    def test_a_taken_route(self):
        self.host_a.ip("route", "add", "10.8.0.0/16", "dev", "uplink", "scope", "link")
        self.fails_with("route 10.8.0.0/16", "there already")

    def test_a_taken_control_socket(self):
        # The socket's name is the device's, whatever namespace that is in.
        self.host_b.start(culvert_binary(), "-f", "site-a")
        wait_until(lambda: self.a.socket_path.exists(), what="its socket")
        self.fails_with("site-a.sock")

    def test_no_right_to_the_packet_filter(self):
        # A kernel without nftables would say no in this place, too.
        before = system_state(self.host_a)
        self.a.write_config()
        done = self.host_a.run("unshare", "--user", "--map-root-user", culvert_binary(), "up", self.a.config_path, check=False)
        self.assertEqual(1, done.returncode)
        self.assertEqual(before, system_state(self.host_a))

    def test_an_mtu_too_small_for_ipv6(self):
        self.a.addresses = ["10.9.0.1/24"]
        self.a.mtu = 1000
        self.fails_with("::/0")

    def test_a_folder_that_others_can_write_to(self):
        FOLDER.mkdir(exist_ok=True)
        FOLDER.chmod(0o777)
        self.fails_with("/run/culvert must be a folder")
        FOLDER.chmod(0o700)

    def test_a_journal_from_somebody_else(self):
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        self.a.journal.write_text("culvert journal 1\nowner\t1\t1\nnamespace\t1\t1\t\nhooks\tPostDown\ttouch /run/owned\n")
        os.chown(self.a.journal, 1, 1)
        self.fails_with("may have been written by others")
        self.assertEqual(1, self.a.down().returncode)
        self.assertFalse(os.path.exists("/run/owned"))
        self.a.journal.unlink()

    def test_a_damaged_journal(self):
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        self.a.journal.write_text("damaged\n")
        self.fails_with("is not a journal")
        self.a.journal.unlink()

    def test_a_number_that_belongs_to_another_process_by_now(self):
        self.a.start()
        pid = self.a.pid
        text = self.a.journal.read_text()
        self.assertEqual(0, self.a.down().returncode)
        bystander = self.host_a.start("sleep", "60")
        lines = [line if not line.startswith("owner") else f"owner\t{bystander.pid}\t1" for line in text.splitlines()]
        self.a.journal.write_text("\n".join(lines) + "\n")
        self.a.journal.chmod(0o600)
        self.assertEqual(0, self.a.down().returncode)
        self.assertTrue(bystander.is_running)
        self.assertTrue(has_ended(pid))

    def test_kills_at_random_moments(self):
        self.a.write_config()
        before = system_state(self.host_a)
        for delay in range(0, 200, 8):
            process = self.host_a.start(culvert_binary(), "run", self.a.config_path)
            try:
                wait_until(lambda: False, timeout=delay / 1000)
            except Exception:  # pylint: disable=broad-except
                process.end(signal.SIGKILL)
            if self.a.journal.exists():
                self.assertEqual(0, self.a.down().returncode)
            self.assertEqual(before, system_state(self.host_a), f"killed after {delay} ms")


if __name__ == "__main__":
    main()
