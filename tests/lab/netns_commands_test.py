#!/usr/bin/env python3
"""culvert netns, row by row of what people do with ip netns and by hand; each makes what the other uses.

      blue                red
    ┌───────────┐       ┌───────────┐
    │ lo        │       │ lo        │     and processes in them, or none
    └───────────┘       └───────────┘
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

from commands import CANNOT_RUN, NAMES, NOT_FOUND, OWN_FAILURE, WRONG_USAGE, CommandScenario, has_watches, without_capability
from lab import run, wait_until
from scenario import main
from sites import culvert_binary


class NetnsCommands(CommandScenario):
    def sleeper(self, name):
        """A process in a named namespace."""
        process = self.lab.start("nsenter", f"--net={NAMES / name}", "sleep", "600")
        wait_until(lambda: self.inode(f"/proc/{process.pid}/ns/net") == self.inode(NAMES / name), what="a process in the namespace")
        return process

    @staticmethod
    def names_by_ip():
        return {line.split()[0] for line in run("ip", "netns", "list").splitlines()}

    @staticmethod
    def mount_points():
        return [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]

    def test_row_01_a_named_namespace_lives_without_processes_and_its_name_can_go_while_one_is_inside(self):
        self.culvert("netns", "add", "blue")
        run("ip", "netns", "add", "red")
        self.assertEqual({"blue", "red"}, self.names_by_ip())
        self.assertEqual(["blue", "red"], self.culvert("netns", "list").split())
        self.assertEqual("", run("ip", "netns", "pids", "blue"), "it lives without a process")
        self.assertNotEqual(self.inode(NAMES / "blue"), self.inode("/proc/self/ns/net"))
        process = self.sleeper("blue")
        inside = os.readlink(f"/proc/{process.pid}/ns/net")
        self.culvert("netns", "delete", "blue")
        self.culvert("netns", "delete", "red")
        self.assertEqual(set(), self.names_by_ip())
        self.assertEqual([], list(NAMES.iterdir()))
        self.assertTrue(process.is_running)
        self.assertEqual(inside, os.readlink(f"/proc/{process.pid}/ns/net"))
        self.assertIn("lo", run("nsenter", f"--net=/proc/{process.pid}/ns/net", "ip", "link"))

    def test_row_01_ip_deletes_what_culvert_made(self):
        self.culvert("netns", "add", "blue")
        run("ip", "netns", "delete", "blue")
        self.assertEqual("", self.culvert("netns", "list"))
        self.assertNotIn("/run/netns/blue", self.mount_points())

    def test_row_01_many_made_at_once_by_both_share_one_folder(self):
        run("umount", "--recursive", "/run/netns", check=False)
        hidden = self.mount_points().count("/run/netns")  # the machine's own, below the lab's /run
        adders = [self.lab.start(*([culvert_binary()] if number % 2 else ["ip"]), "netns", "add", f"n{number}") for number in range(24)]
        self.assertEqual([0] * len(adders), [process.wait() for process in adders])
        self.assertEqual({f"n{number}" for number in range(24)}, self.names_by_ip())
        self.assertEqual(hidden + 1, self.mount_points().count("/run/netns"))
        for number in range(24):
            self.assertEqual(1, self.mount_points().count(f"/run/netns/n{number}"))
        self.assertEqual(24, len({self.inode(path) for path in NAMES.iterdir()}))

    def test_row_02_a_new_namespace_has_only_lo_which_must_be_brought_up(self):
        self.culvert("netns", "add", "blue")
        self.assertEqual({"lo"}, self.links("blue"))
        ping = ("nsenter", f"--net={NAMES / 'blue'}", "ping", "-c", "1", "-W", "5", "127.0.0.1")
        self.assertNotEqual(0, run(*ping, check=False).returncode)
        self.culvert("link", "up", "lo", "-n", "blue")
        self.assertEqual(0, run(*ping, check=False).returncode)

    def own_etc(self):
        """The test's own copy of /etc, where it may put files."""
        copy = self.lab.folder / "etc"
        shutil.copytree("/etc", copy, symlinks=True, ignore=lambda folder, names: [n for n in names if not os.access(
            os.path.join(folder, n), os.R_OK) and not os.path.islink(os.path.join(folder, n))])
        run("mount", "--bind", copy, "/etc")
        self.lab.closing.callback(run, "umount", "/etc")

    def test_row_03_a_command_in_a_namespace_sees_its_sys_and_its_files(self):
        self.own_etc()
        self.culvert("netns", "add", "blue")
        run("ip", "-n", "blue", "link", "add", "only-blue", "type", "bridge")
        pathlib.Path("/etc/netns/blue").mkdir(parents=True)
        pathlib.Path("/etc/netns/blue/resolv.conf").write_text("nameserver 10.66.0.1\n", encoding="ascii")
        pathlib.Path("/etc/resolv.conf").unlink(missing_ok=True)
        pathlib.Path("/etc/resolv.conf").write_text("nameserver 10.77.0.1\n", encoding="ascii")
        mounts = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8")
        listed = json.loads(self.culvert("netns", "exec", "blue", "ip", "-j", "link"))
        self.assertEqual({"lo", "only-blue"}, {link["ifname"] for link in listed})
        self.assertEqual(["lo", "only-blue"], sorted(self.culvert("netns", "exec", "blue", "--", "ls", "/sys/class/net").split()))
        for prefix in ([culvert_binary()], ["ip"]):
            self.assertEqual("nameserver 10.66.0.1\n", run(*prefix, "netns", "exec", "blue", "cat", "/etc/resolv.conf"))
        self.assertEqual("nameserver 10.77.0.1\n", pathlib.Path("/etc/resolv.conf").read_text(encoding="ascii"))
        self.assertEqual(mounts, pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
        pathlib.Path("/etc/netns/blue/novel").touch()
        self.refused("netns", "exec", "blue", "true", said=["'blue'", "/etc/netns/blue/novel", "/etc/novel"], status=OWN_FAILURE)

    def test_row_03_a_commands_status_and_words_are_passed_on(self):
        self.culvert("netns", "add", "blue")
        for words, status in ((["sh", "-c", "exit 7"], 7), (["--", "sh", "-c", "exit 8"], 8), (["cat", "--help"], 0),
                              (["sh", "-c", "kill -9 $$"], -9), (["no-such-command"], NOT_FOUND), (["/etc"], CANNOT_RUN),
                              ([], OWN_FAILURE)):
            with self.subTest(words=words):
                # A folder of PATH that is not for this user would count as a command that is not.
                done = self.try_culvert("netns", "exec", "blue", *words, inside=["env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
                self.assertEqual(status, done.returncode, done.stderr)
        self.assertEqual("-n --json --\n", self.culvert("netns", "exec", "blue", "printf", "%s %s %s\n", "-n", "--json", "--"))
        # Core files are allowed as they were outside.
        limit = run("sh", "-c", "ulimit -H -c")
        self.assertEqual(limit, self.culvert("netns", "exec", "blue", "sh", "-c", "ulimit -H -c"))
        self.refused("netns", "exec", "red", "true", said=["'red'", "no such name"], status=OWN_FAILURE)

    def test_row_04_processes_and_namespaces_are_told_from_each_other_by_inode(self):
        self.culvert("netns", "add", "blue")
        run("ip", "netns", "add", "red")
        first, second, other = self.sleeper("blue"), self.sleeper("blue"), self.sleeper("red")
        for name in ("blue", "red"):
            self.assertEqual(sorted(run("ip", "netns", "pids", name).split()), sorted(self.culvert("netns", "pids", name).split()))
        self.assertEqual(sorted([first.pid, second.pid]), self.culvert_json("netns", "pids", "blue"))
        for process in (first, other):
            self.assertEqual(run("ip", "netns", "identify", process.pid), self.culvert("netns", "identify", process.pid))
        self.assertEqual(["red"], self.culvert_json("netns", "identify", other.pid))
        self.assertEqual("", self.culvert("netns", "identify"))
        self.assertEqual(os.readlink(f"/proc/{first.pid}/ns/net"), os.readlink(f"/proc/{second.pid}/ns/net"))
        self.assertEqual("same\n", self.culvert("netns", "same", first.pid, second.pid))
        self.assertEqual("same\n", self.culvert("netns", "same", first.pid, "blue"))
        different = self.try_culvert("netns", "same", first.pid, other.pid)
        self.assertEqual((1, "different\n"), (different.returncode, different.stdout))

    def test_row_05_names_that_ip_makes_and_deletes_are_told(self):
        run("ip", "netns", "add", "old")
        for options, expected in (([], ["add blue", "delete blue", "delete old"]),
                                  (["--json"], [{"event": "add", "name": "blue"}, {"event": "delete", "name": "blue"}])):
            monitor = self.lab.start(culvert_binary(), "netns", "monitor", *options)
            wait_until(lambda: has_watches(monitor.pid, 2), what="the monitor to watch")
            run("ip", "netns", "add", "blue")
            run("ip", "netns", "delete", "blue")
            if not options:
                run("ip", "netns", "delete", "old")
            wait_until(lambda: monitor.output.count("\n") == len(expected), what="the monitor to tell")
            self.assertEqual(expected, [json.loads(line) if options else line for line in monitor.output.splitlines()])
            self.assertEqual(-signal.SIGTERM, monitor.end())

    def test_row_06_namespace_ids_are_set_and_listed_as_ip_does(self):
        for name in ("blue", "red", "green"):
            run("ip", "netns", "add", name)
        self.culvert("netns", "set", "blue", "7")
        run("ip", "netns", "set", "red", "3")
        self.culvert("netns", "id", "set", "green", "auto")
        by_ip = {entry["name"]: entry["nsid"] for entry in json.loads(run("ip", "-j", "netns", "list-id"))}
        self.assertEqual((7, 3), (by_ip["blue"], by_ip["red"]))
        self.assertEqual(by_ip, {entry["name"]: entry["nsid"] for entry in self.culvert_json("netns", "id", "list")})
        self.assertEqual(sorted(run("ip", "netns", "list-id").splitlines()), sorted(self.culvert("netns", "list-id").splitlines()))
        self.assertEqual(sorted(run("ip", "netns", "list").splitlines()), sorted(self.culvert("netns", "list").splitlines()))
        self.refused("netns", "set", "blue", "8", said=["'blue'", "number 7"])
        run("ip", "netns", "add", "late")
        self.refused("netns", "set", "late", "3", said=["number 3", "another network namespace's"])
        self.refused("netns", "set", "late", "-3x", said=["-3x"])
        # Seen from another one there are no numbers yet.
        self.assertEqual("", self.culvert("netns", "list-id", "-n", "blue"))

    def test_row_07_a_namespace_is_entered_by_name_path_and_pid_and_left_for_a_fresh_one(self):
        self.culvert("netns", "add", "blue")
        process = self.sleeper("blue")
        blue = os.readlink(f"/proc/{process.pid}/ns/net")
        here = os.readlink("/proc/self/ns/net")
        for words in ("blue", NAMES / "blue", f"pid:{process.pid}", process.pid):
            self.assertEqual(blue + "\n", self.culvert("netns", "exec", words, "readlink", "/proc/self/ns/net"))
        fresh = self.culvert("netns", "unshare", "readlink", "/proc/self/ns/net").strip()
        self.assertNotIn(fresh, (blue, here))
        self.assertEqual({"lo"}, {link["ifname"] for link in json.loads(self.culvert("netns", "unshare", "--", "ip", "-j", "link"))})

    def test_row_07_the_present_namespace_and_a_processs_are_pinned_at_any_path(self):
        self.culvert("netns", "add", "blue")
        process = self.sleeper("blue")
        self.culvert("netns", "delete", "blue")
        pin, mine = self.lab.folder / "a pin", self.lab.folder / "mine"
        self.culvert("netns", "pin", process.pid, pin)
        self.culvert("netns", "pin", "/proc/self/ns/net", mine)
        self.assertEqual(self.inode(f"/proc/{process.pid}/ns/net"), self.inode(pin))
        self.assertEqual(self.inode("/proc/self/ns/net"), self.inode(mine))
        inode = self.inode(pin)
        process.end()
        self.assertEqual(f"net:[{inode[1]}]\n", self.culvert("netns", "exec", pin, "readlink", "/proc/self/ns/net"))
        self.assertIn("lo", run("nsenter", f"--net={pin}", "ip", "link"))
        self.culvert("netns", "attach", "again", "/proc/self/ns/net")
        self.assertEqual("again\n", run("ip", "netns", "identify", os.getpid()))
        for path in (pin, mine):
            self.culvert("netns", "unpin", path)
            self.assertFalse(path.exists())
        self.refused("netns", "unpin", "/etc/hostname", said=["/etc/hostname"])

    def test_what_cannot_be_is_refused_by_name_and_leaves_nothing(self):
        self.culvert("netns", "add", "blue")
        gone = subprocess.Popen(["true"])
        gone.wait()
        before = self.whole_state()
        pin = self.lab.folder / "pin"
        for words, said in ((("add", "blue"), ["'blue'", "taken"]), (("add", "a/b"), ["'a/b'", "'/'"]), (("delete", "two\nlines"), ["two\\x0alines"]), (("add", "n" * 256), ["255"]),
                            (("add", ""), ["cannot be a name"]), (("add", ".."), ["'..'"]), (("add", "pid:1"), ["pid:"]),
                            (("attach", "blue", os.getpid()), ["/run/netns/blue", "taken"]),
                            (("attach", "red", gone.pid), [f"pid:{gone.pid}", "no such process"]),
                            (("delete", "red"), ["'red'"]), (("delete", "../run"), ["'../run'"]),
                            (("pids", "red"), ["'red'", "no such name"]), (("identify", gone.pid), [str(gone.pid), "no such process"]),
                            (("identify", "x"), ["'x'"]), (("same", "blue", "/etc/hostname"), ["/etc/hostname", "no namespace"]),
                            (("pin", "red", pin), ["'red'"]), (("pin", gone.pid, pin), ["no such process"]),
                            (("pin", "blue", "/etc/hostname"), ["'blue'", "/etc/hostname", "taken"]),
                            (("pin", "blue", self.lab.folder / "none" / "pin"), ["'blue'", "none/pin"]),
                            (("move", "none", "blue"), ["'none'"]), (("set", "red", "1"), ["'red'"]),
                            (("list", "-n", "red"), ["'red'"])):
            with self.subTest(words=words):
                self.refused("netns", *words, said=said)
        self.assertEqual(before, self.whole_state())
        for words in (("add",), ("delete",), ("unknown",), ("list", "-n", ""), ("same", "1")):
            with self.subTest(words=words):
                self.assertEqual(WRONG_USAGE, self.try_culvert("netns", *words).returncode)

    def test_a_kill_leaves_a_namespace_or_what_the_next_command_removes(self):
        self.culvert("netns", "add", "other")
        before = self.whole_state()
        made = {True: 0, False: 0}
        delay = 0.004
        for _ in range(60):
            process = self.lab.start(culvert_binary(), "netns", "add", "blue")
            time.sleep(delay)
            process.popen.kill()
            process.popen.wait()
            is_there = (NAMES / "blue").exists()
            made[is_there] += 1
            # Around the moment at which it is being made.
            delay *= 0.85 if is_there else 1.2
            if "/run/netns/blue" not in self.mount_points():
                self.assertEqual(["other"], [each["name"] for each in self.culvert_json("netns", "list")])
                self.culvert("netns", "add", "blue")
            self.kill_deleting(delay)
            self.assertEqual(before, self.whole_state())
        self.assertTrue(all(made.values()), made)

    def test_names_of_all_languages_are_printed_as_they_are(self):
        for name in ("grün", "緑", "a\u202eb"):
            self.culvert("netns", "add", name)
        self.assertEqual({"grün", "緑", "a\\xe2\\x80\\xaeb"}, set(self.culvert("netns", "list").split()))

    def kill_deleting(self, delay):
        process = self.lab.start(culvert_binary(), "netns", "delete", "blue")
        time.sleep(delay)
        process.popen.kill()
        process.popen.wait()
        self.assertEqual((NAMES / "blue").exists(), "/run/netns/blue" in self.mount_points(), "the name and the mount are one")
        if (NAMES / "blue").exists():
            self.culvert("netns", "delete", "blue")

    def test_who_lacks_permission_is_told_and_leaves_nothing(self):
        self.culvert("netns", "add", "blue")
        before = self.whole_state()
        for words in (("add", "red"), ("delete", "blue"), ("pin", "blue", self.lab.folder / "pin"), ("attach", "red", os.getpid())):
            with self.subTest(words=words):
                self.refused("netns", *words, said=["needs root"], inside=without_capability("sys_admin"))
        self.refused("netns", "exec", "blue", "true", said=["'blue'", "needs root"], status=OWN_FAILURE,
                     inside=without_capability("sys_admin"))
        self.refused("link", "show", "-n", "blue", said=["'blue'", "needs root"], inside=without_capability("sys_admin"))
        self.assertEqual(before, self.whole_state())


if __name__ == "__main__":
    main()
