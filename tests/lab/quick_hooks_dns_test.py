#!/usr/bin/env python3
"""Hooks see the tunnel and nothing else of ours; DNS goes to resolvconf and comes back.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ site-a  10.9.0.1     │  10.0.0.0/24    │ site-b  10.9.0.2     │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘
"""

import os
import pathlib
import stat

from lab import run
from quick import Quick, system_state
from scenario import Scenario, main
from sites import Culvert, culvert_binary, introduce

SYSTEM_PROGRAMS = pathlib.Path("/usr/sbin")

RESOLVCONF = """#!/bin/sh
# Keeps a file for each interface, as openresolv does.
mkdir -p /run/resolvconf-test
case $1 in
  -a) { echo "# $*"; cat; } > "/run/resolvconf-test/$2" ;;
  -d) rm -f "/run/resolvconf-test/$2" ;;
esac
"""


class HooksAndDns(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.a = Quick(self.host_a, "site-a", ["10.9.0.1/24"])
        self.b = Culvert(self.host_b, "site-b", ["10.9.0.2/24"])
        introduce(self.a, self.b, right_at="10.0.0.2")
        self.b.start()
        self.notes = self.lab.folder / "notes"
        self.before = system_state(self.host_a)
        self.lab.closing.callback(lambda: self.a.journal.exists() and self.a.down())

    def with_lines(self, *lines):
        self.a.interface_lines = list(lines)
        return self.a

    def noted(self):
        return self.notes.read_text(encoding="utf-8").split("\n")[:-1] if self.notes.exists() else []

    def note(self, text):
        return f'echo "{text}" >> {self.notes}'

    # - hooks

    def test_hooks_run_in_order_with_the_devices_name(self):
        exists = f"ip link show %i > /dev/null 2>&1 && echo there >> {self.notes} || echo not there >> {self.notes}"
        self.with_lines(f"PostUp = {self.note('post-up %i')}; {exists}", f"PreDown = {self.note('pre-down %i')}; {exists}",
                        f"PreUp = {self.note('pre-up %i')}; {exists}", f"PreUp = {self.note('pre-up again')}",
                        f"PostDown = {self.note('post-down %i')}; {exists}").start()
        self.assertEqual(["pre-up site-a", "not there", "pre-up again", "post-up site-a", "there"], self.noted())
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(["pre-down site-a", "there", "post-down site-a", "not there"], self.noted()[5:])
        self.assertEqual(self.before, system_state(self.host_a))

    def test_hooks_can_use_the_tunnel_and_wg(self):
        self.with_lines("PostUp = ping -n -q -c 1 -W 5 10.9.0.2", "PostUp = wg set %i fwmark 77",
                        "PreDown = ping -n -q -c 1 -W 5 10.9.0.2").start()
        self.assertEqual("0x4d", self.a.wg("show", "site-a", "fwmark").strip())
        done = self.a.down()
        self.assertEqual((0, ""), (done.returncode, done.stderr))

    def test_hooks_inherit_three_descriptors_and_documented_variables(self):
        self.with_lines(f"PostUp = ls /proc/$$/fd >> {self.notes}; true",
                        f"PostUp = tr '\\0' '\\n' < /proc/$$/environ | sed 's/=.*//' | sort >> {self.notes}",
                        f"PostUp = {self.note('$PATH')}")
        self.a.write_config()
        environment = ["env", "-i", "LD_LIBRARY_PATH=/nowhere", "BASH_ENV=/nowhere", "SECRET=1", "PATH=/tmp:/bin", "HOME=/root", "TERM=vt100"]
        self.host_a.run(*environment, culvert_binary(), "up", self.a.config_path)
        self.assertEqual(["0", "1", "2", "CULVERT_DEVICE", "HOME", "LC_ALL", "PATH", "TERM",
                          "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], self.noted())

    def test_a_failing_hook_on_the_way_up_undoes_all_and_is_named(self):
        for key in ("PreUp", "PostUp"):
            with self.subTest(key=key):
                done = self.with_lines(f"{key} = exit 7", f"PostDown = {self.note('down')}").up()
                self.assertEqual(1, done.returncode)
                self.assertIn(f"site-a.conf: {key} = exit 7: ended with status 7", done.stderr)
                self.assertEqual(["down"], self.noted())
                self.notes.unlink()
                self.assertEqual(self.before, system_state(self.host_a))

    def test_a_failing_hook_on_the_way_down_is_reported_and_the_rest_is_undone(self):
        self.with_lines("PreDown = exit 8", "PostDown = exit 9", f"PostDown = {self.note('down')}").start()
        done = self.a.down()
        self.assertEqual(1, done.returncode)
        for said in ("PreDown = exit 8: ended with status 8", "PostDown = exit 9: ended with status 9"):
            self.assertIn(said, done.stderr)
        self.assertEqual(["down"], self.noted())
        self.assertEqual(self.before, system_state(self.host_a))

    def test_hooks_run_where_the_device_is(self):
        inner = self.lab.host("inner")
        self.a.host, self.a.runs_in = inner, self.host_a
        self.with_lines("Namespace = inner", "PostUp = ip link set lo down", "PreDown = ip link set lo up").start()
        self.assertNotIn("UP", inner.ip("link", "show", "dev", "lo").split(">")[0])
        self.assertIn("UP", self.host_a.ip("link", "show", "dev", "lo").split(">")[0])
        self.assertEqual(0, self.a.down().returncode)

    def test_a_kill_makes_the_next_down_run_the_hooks_that_were_due(self):
        self.with_lines(f"PreDown = {self.note('pre-down')}", f"PostDown = {self.note('post-down %i')}").start()
        self.a.kill()
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(["pre-down", "post-down site-a"], self.noted())

    # - DNS

    def provide_resolvconf(self):
        """/usr/sbin as it is, with a resolvconf of the test's own."""
        folder = self.lab.folder / "sbin"
        folder.mkdir()
        behind = self.lab.folder / "system"
        behind.mkdir()
        run("mount", "--bind", SYSTEM_PROGRAMS, behind)
        for program in behind.iterdir():
            target = os.readlink(program) if program.is_symlink() else None
            (folder / program.name).symlink_to(os.path.normpath(SYSTEM_PROGRAMS / target) if target else behind / program.name)
        resolvconf = folder / "resolvconf"
        resolvconf.unlink(missing_ok=True)
        resolvconf.write_text(RESOLVCONF)
        resolvconf.chmod(resolvconf.stat().st_mode | stat.S_IXUSR)
        run("mount", "--bind", folder, SYSTEM_PROGRAMS)
        self.lab.closing.callback(lambda: (run("umount", SYSTEM_PROGRAMS), run("umount", behind)))
        self.lab.closing.callback(lambda: self.a.journal.exists() and self.a.down())
        return pathlib.Path("/run/resolvconf-test/site-a")

    def test_dns_is_given_to_resolvconf_and_taken_back(self):
        entry = self.provide_resolvconf()
        self.with_lines("DNS = 10.9.0.2, example.org, fd09::2").start()
        self.assertEqual("# -a site-a -m 0 -x\nnameserver 10.9.0.2\nnameserver fd09::2\nsearch example.org\n", entry.read_text())
        self.assertEqual(0, self.a.down().returncode)
        self.assertFalse(entry.exists())
        self.a.start()
        self.a.kill()
        self.assertTrue(entry.exists())
        self.assertEqual(0, self.a.down().returncode)
        self.assertFalse(entry.exists())

    def test_a_resolvconf_that_the_administrator_installed_comes_before_the_systems(self):
        entry = self.provide_resolvconf()
        folder = self.lab.folder / "local"
        folder.mkdir()
        own = folder / "resolvconf"
        own.write_text(RESOLVCONF.replace('echo "# $*"', 'echo "# by the administrator\'s"'))
        own.chmod(0o755)
        run("mount", "--bind", folder, "/usr/local/sbin")
        self.lab.closing.callback(lambda: (self.a.down(), run("umount", "/usr/local/sbin")))
        self.with_lines("DNS = 10.9.0.2").start()
        self.assertEqual("# by the administrator's\nnameserver 10.9.0.2\n", entry.read_text())
        self.assertEqual(0, self.a.down().returncode)
        self.assertFalse(entry.exists())

    def test_dns_is_taken_back_when_a_later_step_fails(self):
        entry = self.provide_resolvconf()
        self.assertEqual(1, self.with_lines("DNS = 10.9.0.2", "PostUp = false").up().returncode)
        self.assertFalse(entry.exists())

    def test_without_resolvconf_and_resolved_dns_is_refused_with_advice(self):
        if (SYSTEM_PROGRAMS / "resolvconf").exists():
            self.skipTest("this machine has a resolvconf")
        done = self.with_lines("DNS = 10.9.0.2").up()
        self.assertEqual(1, done.returncode)
        for said in ("site-a.conf", "DNS = 10.9.0.2", "openresolv"):
            self.assertIn(said, done.stderr)
        self.assertEqual(self.before, system_state(self.host_a))

    def test_dns_values_that_are_more_than_names_are_refused(self):
        for value in ("x;id", "$(id)", "`id`", "a b$IFS", "10.9.0.2\x00", "..", "-x", "é"):
            with self.subTest(value=value):
                self.assertEqual(1, self.with_lines(f"DNS = {value}").up().returncode)
                self.assertEqual(self.before, system_state(self.host_a))


if __name__ == "__main__":
    main()
