#!/usr/bin/env python3
"""culvert up and down: ready when up returns, nothing left when down returns, also after a kill.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ site-a  10.9.0.1     │  10.0.0.0/24    │ site-b  10.9.0.2     │
    │         fd09::1      │  fd00::/64      │         fd09::2      │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘
"""

import os
import pathlib
import re
import signal
import stat
import time

from lab import run, wait_until
from probes import answers, ping
from quick import FOLDER, Quick, by_wg_quick, has_ended, system_state
from scenario import Scenario, main
from sites import Culvert, culvert_binary, introduce


class UpAndDown(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.a = Quick(self.host_a, "site-a", ["10.9.0.1/24", "fd09::1/64"])
        self.b = Culvert(self.host_b, "site-b", ["10.9.0.2/24", "fd09::2/64"])
        introduce(self.a, self.b, left_at="10.0.0.1", right_at="10.0.0.2")
        self.a.peers[0].allowed_ips += ["10.8.0.0/16", "10.9.0.0/16", "fd08::/64"]
        self.b.start()
        self.before = system_state(self.host_a)
        self.lab.closing.callback(lambda: self.a.journal.exists() and self.a.down())

    def assert_undone(self):
        self.assertEqual(self.before, system_state(self.host_a))

    def test_up_returns_when_packets_go_through_and_down_when_all_is_undone(self):
        done = self.a.up()
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(3, ping(self.host_a, "10.9.0.2").received)
        self.assertEqual(3, ping(self.host_a, "fd09::2").received)
        pid = self.a.pid
        self.assertEqual(0, self.a.down().returncode)
        self.assertTrue(has_ended(pid))
        self.assert_undone()

    def test_again_and_again_at_once(self):
        for _ in range(5):
            self.assertEqual(0, self.a.up().returncode)
            self.assertEqual(0, self.a.down().returncode)
        self.assert_undone()

    def test_the_process_is_a_daemon(self):
        self.a.start()
        pid = self.a.pid
        self.assertEqual("/", os.readlink(f"/proc/{pid}/cwd"))
        self.assertEqual(os.getsid(pid), pid)
        self.assertEqual("/dev/null", os.readlink(f"/proc/{pid}/fd/0"))
        for number in (1, 2):
            self.assertEqual(str(FOLDER / "site-a.log"), os.readlink(f"/proc/{pid}/fd/{number}"))
        self.assertEqual(0, self.a.down().returncode)
        self.assertIn("is going down", self.a.log)

    def test_the_log_does_not_grow_beyond_four_mebibytes(self):
        self.a.start()
        log = FOLDER / "site-a.log"
        with open(log, "a", encoding="utf-8") as text:  # as a hook does
            text.writelines(f"line {number}\n" for number in range(500000))
        self.assertGreater(log.stat().st_size, 4 << 20)
        self.assertEqual(0, self.a.down().returncode)
        self.assertLessEqual(log.stat().st_size, 4 << 20)
        self.assertIn("line 499999\n", self.a.log)
        self.assertIn("is going down", self.a.log)

    def test_journal_and_log_are_for_root_alone(self):
        self.a.start()
        self.assertEqual(0o700, stat.S_IMODE(FOLDER.stat().st_mode))
        for path in (self.a.journal, FOLDER / "site-a.log"):
            self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))
        for key in (self.a.keys.private, self.b.keys.private):
            self.assertNotIn(key, self.a.journal.read_text())

    def test_it_has_the_addresses_routes_and_rules_that_wg_quick_makes(self):
        def network():
            text = self.host_a.ip("-4", "route", "show", "table", "all") + self.host_a.ip("-6", "route", "show", "table", "all")
            text += self.host_a.ip("rule") + self.host_a.ip("-6", "rule") + self.host_a.ip("-o", "address", "show", "dev", "site-a")
            lines = (" ".join(word for word in line.split() if word != "linkdown") for line in text.splitlines())
            # A link-local address of its own is random, and duplicate address detection takes its time.
            return sorted(line.partition(" ")[2] if "scope" in line and "site-a" in line and ":" in line.split()[0] else line
                          for line in lines if "fe80" not in line and "ff00" not in line)

        self.a.start()
        ours = network()
        mtu = self.host_a.ip("link", "show", "dev", "site-a").split("mtu ")[1].split()[0]
        self.assertEqual(0, self.a.down().returncode)
        # No names: they are ours alone.
        self.a.peers[0].name = None
        theirs, their_mtu = by_wg_quick(self.a, lambda: (
            network(), self.host_a.ip("link", "show", "dev", "site-a").split("mtu ")[1].split()[0]))
        self.assertEqual(theirs, ours)
        self.assertEqual(their_mtu, mtu)
        self.assert_undone()

    def test_a_second_up_is_refused_and_changes_nothing(self):
        self.a.start()
        up = system_state(self.host_a)
        done = self.a.up()
        self.assertEqual(1, done.returncode)
        self.assertIn("is up already", done.stderr)
        self.assertEqual(up, system_state(self.host_a))
        self.assertEqual(3, ping(self.host_a, "10.9.0.2").received)

    def test_down_of_what_is_not_up_is_refused(self):
        self.a.write_config()
        done = self.a.down()
        self.assertEqual(1, done.returncode)
        self.assertIn("site-a is not up", done.stderr)
        self.assertNotIn("wg-quick", done.stderr)

    def test_down_and_reload_of_a_tunnel_of_others_say_whose_it_may_be(self):
        self.a.write_config()

        def refusals():
            down, reload = self.a.down(), self.a.call("reload", check=False)
            self.assertEqual((1, 1), (down.returncode, reload.returncode))
            return down.stderr, reload.stderr

        self.a.peers[0].name = None  # wg knows no names
        down, reload = by_wg_quick(self.a, refusals)
        self.assertIn("not culvert up or run that made the device of that name (try wg-quick down site-a", down)
        self.assertIn("it is not culvert's and does not know the question", reload)

    def test_wg_quick_down_does_not_end_it_and_culvert_down_still_undoes_all(self):
        self.a.peers[0].name = None
        self.a.peers[0].allowed_ips.append("0.0.0.0/0")
        self.a.start()

        def network():
            # Another device has another number and another link-local address.
            return [re.sub("(link) [0-9]+|fe80::[0-9a-f:]+", r"\1", line) for line in system_state(self.host_a)]

        up = network()
        self.host_a.run("wg-quick", "down", self.a.config_path, check=False)
        wait_until(lambda: network() == up, what="device, routes and rules to be there again")
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(self.before, system_state(self.host_a))

    def test_the_file_may_be_gone_by_the_time_of_down(self):
        self.a.start()
        self.a.config_path.unlink()
        self.assertEqual(0, self.host_a.run(culvert_binary(), "down", "site-a", check=False).returncode)
        self.assert_undone()

    def test_signals_undo_all(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.a.start()
            pid = self.a.pid
            os.kill(pid, number)
            wait_until(lambda: has_ended(pid), what="its end")
            self.assert_undone()

    def test_down_undoes_what_a_killed_process_left(self):
        self.a.start()
        self.a.kill()
        done = self.a.down()
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("which was killed", done.stderr)
        self.assert_undone()

    def test_up_and_run_start_after_a_kill(self):
        self.a.start()
        self.a.kill()
        self.assertEqual(0, self.a.up().returncode)
        self.assertEqual(3, ping(self.host_a, "10.9.0.2").received)
        self.a.kill()
        in_front = Culvert(self.host_a, "site-a", self.a.addresses, keys=self.a.keys)
        in_front.peers = self.a.peers
        in_front.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertEqual(0, in_front.stop())
        self.assert_undone()

    def test_down_ends_what_runs_in_front(self):
        in_front = Culvert(self.host_a, "site-a", self.a.addresses, keys=self.a.keys)
        in_front.peers = self.a.peers
        in_front.start()
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(0, in_front.process.wait())
        self.assert_undone()

    def test_down_from_another_namespace_undoes_in_the_right_one(self):
        self.a.start()
        elsewhere = self.lab.host("elsewhere")
        self.a.kill()
        self.assertEqual(0, elsewhere.run(culvert_binary(), "down", self.a.config_path, check=False).returncode)
        self.assert_undone()

    def test_a_deleted_device_comes_back_with_all_it_had(self):
        self.a.start()
        up = self.routes_and_rules()
        self.host_a.ip("link", "del", "site-a")
        wait_until(lambda: self.host_a.has_link("site-a"), what="the device to come back")
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertEqual(up, self.routes_and_rules())

    def routes_and_rules(self):
        """Without what is random: the device's number and its link-local address."""
        return [line for line in system_state(self.host_a) if " link " not in line and "fe80" not in line]

    def test_up_is_interrupted_from_the_terminal(self):
        self.a.interface_lines = ["PostUp = sleep 30"]
        self.a.write_config()
        process = self.host_a.start(culvert_binary(), "up", self.a.config_path, start_new_session=True)
        wait_until(lambda: self.host_a.has_link("site-a"), what="the device")
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGINT)
        process.wait()
        wait_until(lambda: not self.a.journal.exists(), what="the undoing")
        self.assert_undone()

    def test_a_name_stands_for_its_file(self):
        folder = pathlib.Path("/etc/wireguard")
        made = not folder.exists()
        folder.mkdir(mode=0o700, exist_ok=True)
        run("mount", "-t", "tmpfs", "tmpfs", folder)
        self.lab.closing.callback(lambda: (run("umount", folder), made and folder.rmdir()))
        (folder / "site-a.conf").write_text(self.a.config())
        self.assertEqual(0, self.host_a.run(culvert_binary(), "up", "site-a", check=False).returncode)
        self.assertEqual(3, ping(self.host_a, "10.9.0.2").received)
        self.assertEqual(0, self.host_a.run(culvert_binary(), "down", "site-a", check=False).returncode)
        self.assert_undone()


if __name__ == "__main__":
    main()
