#!/usr/bin/env python3
"""One program behind the tunnel: `culvert exec`, by root and by an ordinary user.

      host-a                                                        host-b
    ┌──────────────────────────────────────────────┐              ┌──────────────────────────┐
    │ culvert exec: the UDP socket                 │              │ site-b  10.9.0.2         │
    │   ┌────────────────────────────────────────┐ │ 10.0.0.0/24  │         fd09::2          │
    │   │ a namespace without a name             │ │ fd00::/64    │                          │
    │   │ the command, lo, wg0 10.9.0.1 fd09::1  │ │   uplink .1 ─┼─ uplink .2               │
    │   └────────────────────────────────────────┘ │              │  lo 203.0.113.1, fd55::1 │
    └──────────────────────────────────────────────┘              └──────────────────────────┘

Everything of the command's goes to host-b, in the tunnel; the captures at host-a's uplink are the proof of that.
"""

import json
import os
import pathlib
import pty
import select
import shutil
import signal
import socket
import statistics
import subprocess
import threading
import time
import unittest

from lab import LabError, run, wait_until
from name_server import NameServer
from probes import Capture
from scenario import Scenario, main
from sites import Culvert, Keys, culvert_binary, introduce

NOBODY = 65534
FAILED, NOT_RUNNABLE, NOT_FOUND = 125, 126, 127
ABROAD = ("203.0.113.1", "fd55::1")


class Exec(Culvert):
    """A file for `culvert exec`, to be run at a host by root or, with `user`, by somebody else."""

    user = None

    def write_config(self, text=None):
        path = super().write_config(text)
        if self.user is not None:
            os.chown(path, self.user, self.user)
        return path

    def words(self, *command, options=()):
        self.write_config()
        return [culvert_binary(), "exec", *options, self.config_path, *(["--", *command] if command else [])]

    def become(self):
        """The words that make somebody else run a program."""
        if self.user is None:
            return []
        return ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
                "env", f"HOME={home_of(self.user)}", f"XDG_RUNTIME_DIR={runtime_folder_of(self.user)}"]

    def inside(self, *words):
        return self.host.inside(*self.become(), *words)

    def inside_run(self, *words):
        return run(*self.inside(*words))

    def call(self, *command, options=(), check=False, timeout=60, **others):
        """Runs it to its end."""
        return subprocess.run(self.inside(*self.words(*command, options=options)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, check=check, **others)

    def begin(self, *command, options=(), log=None):
        """Starts it; the lab ends it."""
        return self.lab.start(*self.inside(*self.words(*command, options=options)), log=log)


def home_of(user):
    """A folder of his own for somebody."""
    path = pathlib.Path(f"/var/lib/home-{user}")
    path.mkdir(exist_ok=True)
    os.chown(path, user, user)
    return path


def runtime_folder_of(user):
    path = pathlib.Path(f"/run/user/{user}")
    for folder in (path, path / "culvert"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(folder, user, user)
    return path


def hang_up(listener):
    """Ends each connection at once, until the listener is closed."""
    try:
        while True:
            listener.accept()[0].close()
    except OSError:
        pass


def children_of(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def names_below(pid):
    """Of all that a process has started."""
    try:
        children = children_of(pid)
        names = [pathlib.Path(f"/proc/{child}/comm").read_text(encoding="ascii") for child in children]
    except OSError:
        return []
    return names + [name for child in children for name in names_below(child)]


def all_processes():
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


class Scene(Scenario):
    """host-a with an uplink and a default route, host-b with the tunnel's other end and what lies behind it."""

    user = None

    def setUp(self):
        super().setUp()
        if self.user is not None:
            self.let_everybody_make_devices()
        self.host_a, self.host_b = self.two_hosts()
        self.host_a.ip("route", "add", "default", "via", "10.0.0.2")
        for address in ABROAD:
            self.host_b.ip("address", "add", address, "dev", "lo")
        self.a = Exec(self.host_a, "wg0", ["10.9.0.1/24", "fd09::1/64"], port=0)
        self.a.user = self.user
        self.b = Culvert(self.host_b, "site-b", ["10.9.0.2/24", "fd09::2/64"])
        introduce(self.a, self.b, right_at="10.0.0.2")
        self.a.peers[0].allowed_ips = ["0.0.0.0/0", "::/0"]
        self.lab.folder.chmod(0o755)
        if self.user is not None:
            runtime_folder_of(self.user)
        self.b.start()
        self.before = self.state()

    def let_everybody_make_devices(self):
        if os.getuid() != 0 or not pathlib.Path("/proc/self/uid_map").read_text(encoding="ascii").split()[2].startswith("429496"):
            self.skipTest("only the machine's root can become somebody else")
        if not os.path.ismount("/dev/net"):
            run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/dev/net")
            run("mknod", "-m", "666", "/dev/net/tun", "c", "10", "200")

    def state(self):
        files = sorted(str(path) for path in pathlib.Path("/run").rglob("*") if self.lab.folder not in (path, *path.parents))
        return self.host_a.state(), files, pathlib.Path("/proc/self/mountinfo").read_text(encoding="ascii")

    def assert_undone(self):
        """Links, routes, files, mounts and processes are as before."""
        self.assertEqual(self.before, self.state())

    def shown(self):
        """The tunnels of commands that the user is shown."""
        tunnels = json.loads(run(*self.a.inside(culvert_binary(), "show", "--json"), check=False).stdout)
        return [tunnel for tunnel in tunnels if tunnel["name"].startswith("exec-")]

    def assert_keeps_its_files(self, words):
        """Of what `words` make of a command, while the host's are replaced in every way."""
        self.a.interface_lines = ["DNS = 10.9.0.53"]
        etc, seen = self.lab.folder / "etc", self.lab.folder / "seen"
        for folder in (etc, seen):
            folder.mkdir()
        seen.chmod(0o777)
        for name in ("passwd", "group", "nsswitch.conf"):
            shutil.copy(f"/etc/{name}", etc)
        (etc / "resolv.conf").write_text("nameserver 10.0.0.2\n", encoding="ascii")
        look = f"while :; do cat /etc/resolv.conf /etc/nsswitch.conf /etc/other 2>&1 > {seen}/new; mv {seen}/new {seen}/now; sleep 0.02; done"
        process = self.host_a.start("unshare", "--mount", "sh", "-c", f"mount --bind {etc} /etc && exec \"$@\"", "sh",
                                    *self.a.become(), *words("sh", "-c", look))

        def reads_own():
            text = (seen / "now").read_text(encoding="utf-8") if (seen / "now").exists() else ""
            return "nameserver 10.9.0.53" in text and "10.0.0." not in text and "hosts: files dns\n" in text and "myhostname" not in text
        wait_until(reads_own, what="the command")
        changes = ["echo nameserver 10.0.0.2 > new; mv new resolv.conf", "echo hosts: files myhostname > new; mv new nsswitch.conf",
                   "mkdir -p far; echo nameserver 10.0.0.3 > far/real; ln -sf far/real new; mv -T new resolv.conf",
                   "echo nameserver 10.0.0.2 > far/new; mv far/new far/real", "rm resolv.conf; sleep 0.1; echo nameserver 10.0.0.2 > resolv.conf",
                   # As systemd-resolved and NetworkManager do when they are switched on.
                   "ln -s ../run/systemd/resolve/stub-resolv.conf new; mv -T new resolv.conf",
                   "ln -s ../run/never-there-before/resolv.conf new; mv -T new resolv.conf",
                   "mkdir -p a/b; echo nameserver 10.0.0.2 > a/b/real; ln -s a/b/real new; mv -T new resolv.conf",
                   "mv a/b a/c; sleep 0.1; mkdir a/b; echo nameserver 10.0.0.2 > a/b/real; rm -r a/c"]
        for number, change in enumerate(3 * changes):
            mark = f"after change {number}"
            run("sh", "-c", f"cd {etc} && {{ {change}; }} && echo {mark} > other")
            wait_until(lambda mark=mark: mark in (seen / "now").read_text(encoding="utf-8"), what="the command to look again")
            wait_until(reads_own, what=f"the command to read its own files {mark}: {change}")
        process.end(signal.SIGTERM)

    def marker_leaks(self, *command, marker, **options):
        """Whether `marker` is seen in the clear on host-a's links while a command runs, and what the command did."""
        with Capture(self.host_a, "uplink", [marker], keep=False) as capture:
            done = self.a.call(*command, **options)
        return capture.contains(marker), done


class Command:
    """What holds for root as for an ordinary user."""

    def test_reaches_what_lies_behind_the_tunnel_and_nothing_leaves_in_the_clear(self):
        marker = os.urandom(12).hex()
        script = f"for a in {' '.join(ABROAD)} 10.0.0.2 10.0.0.1 10.77.0.1; do echo {marker} > /dev/udp/$a/9 || true; done; ping -c 1 -W 30 {ABROAD[0]}"
        leaks, done = self.marker_leaks("bash", "-c", script, marker=marker.encode())
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertFalse(leaks)
        self.assert_undone()

    def test_has_nothing_but_lo_and_the_device(self):
        links = json.loads(self.a.call("ip", "-j", "address", check=True).stdout)
        self.assertEqual({"lo", "wg0"}, {link["ifname"] for link in links})
        addresses = {f"{a['local']}/{a['prefixlen']}" for link in links if link["ifname"] == "wg0" for a in link["addr_info"] if a["scope"] == "global"}
        self.assertEqual({"10.9.0.1/24", "fd09::1/64"}, addresses)
        routes = self.a.call("sh", "-c", "ip route; ip -6 route", check=True).stdout
        self.assertEqual([], [line for line in routes.splitlines() if "dev wg0" not in line and "dev lo" not in line])
        self.assertIn("default dev wg0", routes)

    def test_ends_with_the_status_of_the_command(self):
        self.assertEqual(0, self.a.call("true").returncode)
        self.assertEqual(37, self.a.call("sh", "-c", "exit 37").returncode)
        self.assertEqual(128 + signal.SIGUSR1, self.a.call("sh", "-c", "kill -USR1 $$").returncode)
        missing = self.a.call("no-such-program", env={**os.environ, "PATH": "/usr/bin"})
        self.assertEqual((NOT_FOUND, True), (missing.returncode, "no-such-program" in missing.stderr))
        refused = self.a.call("/etc/passwd")
        self.assertEqual((NOT_RUNNABLE, True), (refused.returncode, "/etc/passwd" in refused.stderr))
        self.assert_undone()

    def test_options_behind_it_are_its_own(self):
        words = self.a.words()
        for options in ([], ["--verify", "--verify-seconds", "0"], ["--verify", "--verify-seconds=0"]):
            done = self.host_a.run(*self.a.become(), *words[:2], *options, words[-1], "ip", "-br", "link", "show", "lo", check=False)
            self.assertEqual((0, "lo"), (done.returncode, done.stdout[:2]), done.stderr)
        refused = self.host_a.run(*self.a.become(), *words[:2], "--no-such-option", words[-1], "true", check=False)
        self.assertEqual((2, True), (refused.returncode, "--no-such-option" in refused.stderr))

    def test_is_handed_signals(self):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            process = self.a.begin("sh", "-c", "trap 'exit 9' TERM HUP INT QUIT; echo ready; while :; do sleep 0.05; done")
            wait_until(lambda p=process: "ready" in p.output, what="the command")
            self.assertEqual(9, process.end(number), signal.Signals(number).name)
        self.assert_undone()

    def test_is_the_user_who_started_it_where_he_was_with_what_he_had(self):
        done = self.a.call("sh", "-c", "id -u; pwd; echo $GREETING; umask; ulimit -c", env={**os.environ, "GREETING": "hello"}, cwd="/usr", check=True)
        limit = self.host_a.run(*(["setpriv", f"--reuid={self.user}"] if self.user else []), "sh", "-c", "umask; ulimit -c").split()
        self.assertEqual([str(self.user or 0), "/usr", "hello", *limit], done.stdout.split())

    def test_leaves_nobody_behind(self):
        process = self.a.begin("sh", "-c", "(trap '' HUP TERM; setsid sleep 4000 &) ; (sleep 4000 & ) & sleep 0.2")
        self.assertEqual(0, process.wait())
        self.assertEqual("", run("pgrep", "-f", "sleep 4000", check=False).stdout)
        self.assert_undone()

    def test_ends_with_either_of_our_processes(self):
        for victim in ("parent", "child"):
            marker = os.urandom(12).hex()
            process = self.a.begin("bash", "-c", f"echo ready; while :; do echo {marker} > /dev/udp/{ABROAD[0]}/9; sleep 0.01; done & sleep 4001")
            wait_until(lambda p=process: "ready" in p.output, what="the command")
            with Capture(self.host_a, "uplink", [marker.encode()], keep=False) as capture:
                pid = process.pid if victim == "parent" else children_of(process.pid)[0]
                os.kill(pid, signal.SIGKILL)
                process.popen.wait()
                wait_until(lambda: not run("pgrep", "-f", "sleep 4001", check=False).stdout, what="the end of the command")
                wait_until(lambda m=marker: not run("pgrep", "-f", m, check=False).stdout, what="the end of its children")
            self.assertFalse(capture.contains(marker.encode()))
            self.assertEqual(-signal.SIGKILL if victim == "parent" else 128 + signal.SIGKILL, process.popen.returncode)
            self.assertEqual([], self.shown())
            self.assert_undone()

    def test_is_shown_with_its_peers_and_its_command_while_it_runs(self):
        first, second = (self.a.begin("sleep", "600") for _ in range(2))
        for one in (first, second):
            wait_until(lambda p=one: "sleep\n" in names_below(p.pid), what="the command to run")
        shown = self.shown()
        self.assertEqual({f"exec-{first.pid}", f"exec-{second.pid}"}, {tunnel["name"] for tunnel in shown})
        for tunnel in shown:
            self.assertEqual(("wg0", "sleep", [self.b.keys.public]), (tunnel["device"], tunnel["command"], [peer["public_key"] for peer in tunnel["peers"]]))
        self.assertIn("device: wg0 of sleep", self.a.inside_run(culvert_binary(), "show", f"exec-{first.pid}"))
        command = children_of(children_of(first.pid)[0])[0]
        for looks in (self.a.inside_run, run):
            spaces = json.loads(looks(culvert_binary(), "topology", "--json"))["namespaces"]
            space = next(space for space in spaces if command in [process["pid"] for process in space["processes"]])
            self.assertEqual("sleep", space["processes"][0]["name"], "a namespace is known by the command, not by what serves it")
            link = next(link for link in space["links"] if link["name"] == "wg0")
            self.assertEqual([self.b.keys.public], [peer["public_key"] for peer in link["tunnel"]["peers"]])
            self.assertEqual(next(t["listen_port"] for t in shown if t["name"] == f"exec-{first.pid}"), link["tunnel"]["listen_port"])
        first.end(signal.SIGTERM)
        second.end(signal.SIGKILL)
        folder = self.folder_of_sockets()
        self.assertEqual([f"exec-{second.pid}.sock"], [path.name for path in folder.glob("exec-*")])
        self.assertEqual(0, self.a.call("true").returncode)
        self.assertEqual([], list(folder.glob("exec-*")), "the next start takes away what was killed")

    def test_cannot_ask_its_own_tunnel_or_others(self):
        other = self.a.begin("sleep", "600")
        wait_until(lambda: "sleep\n" in names_below(other.pid), what="the command to run")
        ask = ("import os, pathlib, socket, sys\n"
               "tops = ['/run', '/var/run', *filter(None, [os.environ.get('XDG_RUNTIME_DIR')])]\n"
               "found = 0\n"
               "for top in tops:\n"
               "  for folder, _, names in os.walk(top, followlinks=top != '/var/run'):\n"
               "    for name in names:\n"
               "      if not name.endswith('.sock'): continue\n"
               "      try: socket.socket(socket.AF_UNIX).connect(folder + '/' + name)\n"
               "      except OSError: continue\n"
               "      found += 1\n"
               "print(found)\n")
        self.assertGreater(int(self.a.inside_run("python3", "-c", ask)), 0, "outside it can be asked")
        self.assertEqual("0", self.a.call("python3", "-c", ask, check=True).stdout.strip())
        self.assertEqual("[]", self.a.call(culvert_binary(), "show", "--json", check=True).stdout.strip())
        other.end()

    def folder_of_sockets(self):
        return pathlib.Path("/run/wireguard") if self.user is None else runtime_folder_of(self.user) / "culvert"

    def test_cannot_ask_tunnels_from_the_folder_of_their_sockets(self):
        other = self.a.begin("sleep", "600")
        wait_until(lambda: "sleep\n" in names_below(other.pid), what="the command to run")
        ask = ("import os, socket\n"
               "for name in os.listdir('.'):\n"
               "  try: socket.socket(socket.AF_UNIX).connect(name)\n"
               "  except OSError: continue\n"
               "  print(name)\n")
        stand = ["sh", "-c", f"cd {self.folder_of_sockets()} && exec \"$@\"", "sh", *self.a.become()]
        self.assertIn(f"exec-{other.pid}.sock", self.host_a.run(*stand, "python3", "-c", ask).split())
        self.assertEqual("", self.host_a.run(*stand, *self.a.words("python3", "-c", ask)).strip())
        other.end()

    def test_is_refused_whatever_path_leads_to_a_tunnel(self):
        other = self.a.begin("sleep", "600")
        wait_until(lambda: "sleep\n" in names_below(other.pid), what="the command to run")
        folder = self.folder_of_sockets()
        link = folder.parent / "another-path"
        os.link(folder / f"exec-{other.pid}.sock", link)
        self.addCleanup(link.unlink)
        ask = (f"import socket\none = socket.socket(socket.AF_UNIX)\none.connect('{link}')\n"
               "try: one.sendall(b'get=1\\n\\n'); print(one.recv(65536).decode())\nexcept OSError: pass\n")
        self.assertIn("private_key=", self.a.inside_run("python3", "-c", ask))
        self.assertEqual("", self.a.call("python3", "-c", ask, check=True).stdout.strip())
        other.end()

    def test_never_falls_back_to_the_uplink_when_the_other_end_is_silent(self):
        self.b.kill()
        marker = os.urandom(12).hex()
        leaks, done = self.marker_leaks("bash", "-c", f"for i in 1 2 3 4 5; do echo {marker} > /dev/udp/{ABROAD[0]}/9; sleep 0.1; done; exit 3",
                                        marker=marker.encode())
        self.assertEqual(3, done.returncode)
        self.assertFalse(leaks)

    def test_asks_the_files_name_servers_and_nobody_else(self):
        self.a.interface_lines = ["DNS = 10.9.0.53, fd09::53, example.org"]
        done = self.a.call("cat", "/etc/resolv.conf", check=True)
        self.assertEqual(["nameserver 10.9.0.53", "nameserver fd09::53", "search example.org"], done.stdout.splitlines()[1:])
        self.assertIn("hosts: files dns\n", self.a.call("cat", "/etc/nsswitch.conf", check=True).stdout)
        before = pathlib.Path("/etc/resolv.conf").read_bytes()
        self.assertNotIn(b"10.9.0.53", before)
        # Not even by writing to it.
        self.a.call("sh", "-c", "echo nameserver 10.0.0.2 > /etc/resolv.conf")
        self.assertEqual(before, pathlib.Path("/etc/resolv.conf").read_bytes())

    def test_asks_them_whatever_resolv_conf_is(self):
        stub = "/run/systemd/resolve/stub-resolv.conf"
        self.a.interface_lines = ["DNS = 10.9.0.53"]
        words = [*self.a.become(), *self.a.words("cat", "/etc/resolv.conf", "/etc/hostname", options=["--verify", "--verify-seconds", "0"])]
        for change in ("rm -f /etc/resolv.conf",
                       "ln -sf /nowhere/resolv.conf /etc/resolv.conf",
                       f"mkdir -p {os.path.dirname(stub)}; echo nameserver 127.0.0.53 > {stub}; ln -sf ../{stub} /etc/resolv.conf",
                       "echo nameserver 10.0.0.2 > /etc/real; ln -sf real /etc/resolv.conf"):
            script = (f"set -e; copy={self.lab.folder}/etc; mkdir $copy; cp /etc/passwd /etc/group /etc/nsswitch.conf $copy; echo here > $copy/hostname; "
                      f"mount --bind $copy /etc; {change}; exec \"$@\"")
            done = self.host_a.run("unshare", "--mount", "bash", "-c", script, "bash", *words, check=False)
            run("rm", "-r", self.lab.folder / "etc")
            self.assertEqual(0, done.returncode, (change, done.stderr))
            self.assertEqual(["nameserver 10.9.0.53", "here"], done.stdout.splitlines()[1:], change)
            self.assertIn("verified from inside", done.stderr)

    def test_keeps_its_files_when_others_replace_those_of_the_host_meanwhile(self):
        self.assert_keeps_its_files(lambda *command: self.a.words(*command))

    def test_finds_names_through_the_tunnel_and_asks_nobody_else(self):
        self.a.interface_lines = [f"DNS = {ABROAD[0]}"]
        with NameServer(self.host_b, {"inside.example": [ABROAD[0]]}, address=ABROAD[0]) as server, Capture(self.host_a, "uplink") as capture:
            done = self.a.call("getent", "ahostsv4", "inside.example")
        self.assertIn(ABROAD[0], done.stdout)
        self.assertGreater(server.questions, 0)
        self.assertGreater(capture.count, 0)
        self.assertFalse(capture.contains(b"\x06inside\x07example") or capture.datagrams(port=53))

    def test_cannot_ask_daemons_of_the_host_for_names(self):
        for path in ("/run/nscd/socket", "/run/systemd/resolve/io.systemd.Resolve", "/run/avahi-daemon/socket"):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self.addCleanup(lambda p=path: os.path.exists(p) and os.unlink(p))
            listener = socket.socket(socket.AF_UNIX)
            self.addCleanup(listener.close)
            listener.bind(path)
            listener.listen()
            # Who waits for an answer in vain, as setpriv does for nscd's, does so for long.
            threading.Thread(target=hang_up, args=[listener], daemon=True).start()
            os.chmod(path, 0o777)
            ask = f"import socket; socket.socket(socket.AF_UNIX).connect({path!r})"
            self.assertEqual(0, subprocess.run(["python3", "-c", ask], check=False).returncode, "outside it is there")
            self.assertEqual(1, self.a.call("python3", "-c", ask).returncode, path)

    def test_cannot_ask_daemons_that_start_or_start_anew_meanwhile(self):
        paths = ["/run/nscd/socket", "/run/systemd/resolve/io.systemd.Resolve", "/run/avahi-daemon/socket"]
        ask = (f"import socket, sys, time\nend = time.monotonic() + 3\nwhile time.monotonic() < end:\n for path in {paths!r}:\n"
               "  try: socket.socket(socket.AF_UNIX).connect(path)\n  except OSError: continue\n  sys.exit(path)\n time.sleep(0.01)")
        results = []
        command = threading.Thread(target=lambda: results.append(self.a.call("python3", "-c", ask)))
        command.start()
        starts = 0
        while command.is_alive():
            for path in paths:
                shutil.rmtree(os.path.dirname(path), ignore_errors=True)
                os.makedirs(os.path.dirname(path))
                with socket.socket(socket.AF_UNIX) as listener:
                    listener.bind(path)
                    os.chmod(path, 0o777)
                    listener.listen()
                    time.sleep(0.05)
            starts += 1
        command.join()
        for path in paths:
            shutil.rmtree(os.path.dirname(path))
        self.assertEqual(0, results[0].returncode, f"it asked {results[0].stderr}")
        self.assertGreater(starts, 3, "so often they started while it asked")

    def test_ends_by_the_signal_that_ends_the_command_so_that_a_loop_ends_too(self):
        words = " ".join(map(str, self.a.words("sleep", "600")))
        loop = subprocess.Popen(self.a.inside("bash", "-c", f"for i in 1 2 3; do {words}; done; exit 7"), start_new_session=True,
                                stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(loop.kill)
        wait_until(lambda: "sleep\n" in names_below(loop.pid), what="the command to run")
        os.killpg(loop.pid, signal.SIGINT)
        self.assertEqual(-signal.SIGINT, loop.wait(60))
        one = self.a.begin("sleep", "600")
        wait_until(lambda: "sleep\n" in names_below(one.pid), what="the command to run")
        self.assertEqual(-signal.SIGTERM, one.end(signal.SIGTERM))
        self.assertEqual(128 + signal.SIGKILL, self.a.call("sh", "-c", "kill -9 $$").returncode)

    def test_is_warned_of_what_bites_and_of_nothing_that_does_not(self):
        # The endpoint is in AllowedIPs, which only a device in the same namespace would mind.
        self.a.peers[0].allowed_ips = ["10.0.0.0/8"]
        self.a.interface_lines = ["DNS = 10.9.0.53"]
        silent = self.lab.folder / "state"
        silent.mkdir()
        silent.chmod(0o777)
        self.assertEqual("", self.a.call("true", env={**os.environ, "STATE_DIRECTORY": str(silent)}).stderr)
        self.a.interface_lines = ["DNS = example.org"]
        self.assertIn("no server", self.a.call("true").stderr)
        os.chmod(self.a.write_config(), 0o644)
        words = [culvert_binary(), "exec", self.a.config_path, "--", "true"]
        self.assertIn("others can read", self.host_a.run(*self.a.become(), *words, check=False).stderr)

    def test_sees_its_own_processes_and_links_alone(self):
        done = self.a.call("sh", "-c", "ls /sys/class/net; echo; ls -d /proc/[0-9]* | wc -l", check=True)
        links, _, processes = done.stdout.partition("\n\n")
        self.assertEqual({"lo", "wg0"}, set(links.split()))
        self.assertLess(int(processes), 6)

    def test_begins_within_300_ms(self):
        """From the start to the first byte of an answer through the tunnel: connect, and one byte back."""
        with self.host_b.entered():
            server = socket.create_server((ABROAD[0], 8080))
        self.addCleanup(server.close)

        def serve():
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                client.sendall(b"x")
                client.close()

        threading.Thread(target=serve, daemon=True).start()
        seconds = []
        for _ in range(20):
            time.sleep(0.05)  # No faster than a peer takes handshakes of one key.
            began = time.monotonic()
            done = self.a.call("bash", "-c", f"exec 3<>/dev/tcp/{ABROAD[0]}/8080; read -rn1 -u3 byte; echo $byte; echo $EPOCHREALTIME")
            self.assertEqual("x", done.stdout.split()[0], done.stderr)
            seconds.append(float(done.stdout.split()[1]) - (time.time() - (time.monotonic() - began)))
        print(f"start to first byte as {'root' if self.user is None else 'an ordinary user'}: median of {len(seconds)} "
              f"{statistics.median(seconds) * 1000:.0f} ms, longest {max(seconds) * 1000:.0f} ms", flush=True)
        self.assertLess(statistics.median(seconds), 10)
        self.assert_undone()


class AsRoot(Command, Scene):
    user = None

    def test_has_any_kind_of_device(self):
        for lines in (["Queues = 2"], ["Offloads = off"], ["Queues = 2", "Offloads = off"]):
            self.a.interface_lines = lines
            done = self.a.call("ping", "-c", "1", "-W", "30", ABROAD[0])
            self.assertEqual(0, done.returncode, (lines, done.stdout, done.stderr))
        for site in (self.a, self.b):
            site.interface_lines = ["Mode = tap"]
        self.b.stop()
        self.b.start()
        self.assertEqual(0, self.a.call("ping", "-c", "1", "-W", "30", "10.9.0.2").returncode)
        self.before = self.state()
        self.assertEqual(0, self.a.call("true").returncode)
        self.assert_undone()

    def test_that_deletes_the_device_has_no_way_left(self):
        marker = os.urandom(12).hex()
        script = f"ip link delete wg0; for a in {ABROAD[0]} 10.0.0.2; do echo {marker} > /dev/udp/$a/9 && exit 1; done; exit 5"
        leaks, done = self.marker_leaks("bash", "-c", script, marker=marker.encode())
        self.assertEqual(5, done.returncode, done.stderr)
        self.assertFalse(leaks)
        self.assertIn("device was deleted", done.stderr)
        self.assert_undone()

    def test_takes_the_datagrams_to_where_its_file_says(self):
        # A chain: the sockets are in the namespace of another tunnel, or of an uplink of its own.
        host_c = self.lab.host("host-c")
        self.a.interface_lines = ["SocketNamespace = host-a"]
        self.a.host = host_c
        done = self.a.call("ping", "-c", "1", "-W", "30", ABROAD[0])
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertEqual(0, self.a.call(options=["--verify", "--verify-seconds", "0"]).returncode)


class AsOrdinaryUser(Command, Scene):
    user = NOBODY

    def test_runs_in_a_user_namespace_that_does_not_own_the_network(self):
        """As in a container without root that has the host's network."""
        words = self.a.inside("unshare", "--user", "--map-root-user", *self.a.words("ping", "-c1", "-W5", ABROAD[0]))
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_row_19_without_root_everything_that_a_user_namespace_allows(self):
        """Namespaces, pairs, a bridge and two tunnels, with a namespace made for one of them, in a user namespace of somebody's."""
        self.lab.folder.joinpath("files").mkdir()
        keys = {name: Keys.generate() for name in ("left-tun", "right-tun")}
        for name, other, own, lines in (("left-tun", "right-tun", "10.9.0.1/24", "SocketNamespace = left\nNamespace = inner"),
                                        ("right-tun", "left-tun", "10.9.0.2/24", "SocketNamespace = right\nNamespace = right")):
            endpoint = "Endpoint = 10.0.0.2:51820\n" if name == "left-tun" else ""
            self.lab.folder.joinpath("files", f"{name}.conf").write_text(
                f"[Interface]\nPrivateKey = {keys[name].private}\nListenPort = 51820\nAddress = {own}\n{lines}\n\n"
                f"[Peer]\nPublicKey = {keys[other].public}\n{endpoint}AllowedIPs = 10.9.0.0/24\n", encoding="ascii")
        files = self.lab.folder / "files"
        script = f"""set -eux
            cp -r {files} /var/tmp/culvert-$$; cd /var/tmp/culvert-$$; trap 'rm -r /var/tmp/culvert-$$' EXIT
            mount -t tmpfs tmpfs /run; mkdir /run/state; export STATE_DIRECTORY=/run/state
            culvert netns add left; culvert netns add right
            culvert link veth a:left b:right --address 10.0.0.1/24 --peer-address 10.0.0.2/24 --up
            culvert netns exec left ping -c 1 -W 20 10.0.0.2
            culvert link bridge add br0 --up
            culvert link veth c d:right --up; culvert link bridge port add br0 c; culvert link bridge port remove br0 c
            culvert netns list; culvert netns same left left
            culvert up ./left-tun.conf; culvert up ./right-tun.conf
            culvert netns exec inner ping -c 2 -W 20 10.9.0.2
            culvert show; culvert topology
            culvert down ./left-tun.conf; culvert down ./right-tun.conf
            test "$(culvert netns list | wc -l)" = 2
            culvert netns delete left; culvert netns delete right
            test -z "$(ls /run/netns)"
            """
        folder = os.path.dirname(culvert_binary())
        words = ["env", f"PATH={folder}:{os.environ['PATH']}", "unshare", "--user", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--mount-proc",
                 "bash", "-c", script]
        done = self.host_a.run(*self.a.become(), *words, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assert_undone()

    def test_has_no_capability(self):
        done = self.a.call("sh", "-c", f"ping -c 1 -W 30 {ABROAD[0]} > /dev/null && grep CapEff /proc/self/status && id -u", check=True)
        self.assertEqual(["CapEff:", "0000000000000000", str(NOBODY)], done.stdout.split())

    def test_is_shown_his_own_beside_those_of_root(self):
        roots = pathlib.Path("/run/wireguard/exec-of-root.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(roots))
            self.addCleanup(roots.unlink)
            roots.chmod(0o600)
            show = self.a.inside(culvert_binary(), "show")
            self.assertEqual(1, subprocess.run(show, capture_output=True, check=False).returncode)
            own = self.a.begin("sleep", "600")
            wait_until(lambda: "sleep\n" in names_below(own.pid), what="the command to run")
            done = subprocess.run(show, capture_output=True, text=True, check=False)
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertIn(f"tunnel: exec-{own.pid}\n", done.stdout)
            self.assertIn("exec-of-root", done.stderr)
            own.end()

    def test_is_shown_nothing_that_steers_his_terminal(self):
        path = self.folder_of_sockets() / "evil.sock"

        def answer(listener):
            client = listener.accept()[0]
            client.recv(100)
            client.sendall(b"culvert_device=wg0\x1b[2J\nculvert_command=sh\x1b]0;\nlisten_port=1\x1b[2J\nerrno=0\n\n")
            client.close()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            self.addCleanup(path.unlink)
            os.chown(path, self.user, self.user)
            listener.listen()
            threading.Thread(target=answer, args=[listener], daemon=True).start()
            shown = self.a.inside_run(culvert_binary(), "show", "evil")
        self.assertIn("device: wg0\\x1b[2J of sh", shown)
        self.assertNotIn("\x1b", shown)

    def test_cannot_ask_his_other_tunnels_if_started_with_another_runtime_folder(self):
        other = self.a.begin("sleep", "600")
        wait_until(lambda: "sleep\n" in names_below(other.pid), what="the command to run")
        for elsewhere in (["env", f"XDG_RUNTIME_DIR={home_of(self.user)}"], ["env", "-u", "XDG_RUNTIME_DIR"]):
            look = [*self.a.become(), *elsewhere]
            self.assertEqual(f"exec-{other.pid}.sock\n", self.host_a.run(*look, "ls", self.folder_of_sockets()))
            self.assertEqual("", self.host_a.run(*look, *self.a.words("ls", self.folder_of_sockets())))
        other.end()

    def test_cannot_change_what_leads_to_the_tunnel(self):
        for words in (("ip", "link", "set", "wg0", "down"), ("ip", "route", "add", "10.1.0.0/16", "dev", "lo"), ("umount", "/etc/resolv.conf")):
            self.assertNotEqual(0, self.a.call(*words).returncode, words)


class Terminal(Scene):
    """A shell with job control at a terminal, and the command in its foreground."""

    def setUp(self):
        super().setUp()
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            words = self.host_a.inside("bash", "--norc", "--noprofile", "-i")
            os.execvpe(words[0], words, {**os.environ, "PS1": "prompt> ", "TERM": "dumb"})
        self.addCleanup(self.end_shell)
        self.said = ""
        self.exec_line = " ".join(map(str, self.a.words()))
        self.await_text("prompt> ")

    def end_shell(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)

    def type(self, text):
        self.said = ""
        os.write(self.terminal, text.encode())

    def await_text(self, text):
        def is_there():
            while select.select([self.terminal], [], [], 0)[0]:
                self.said += os.read(self.terminal, 4096).decode(errors="replace")
            return text in self.said
        try:
            wait_until(is_there, what=repr(text))
        except LabError as error:
            raise LabError(f"{error}; the terminal says {self.said!r}") from None

    def test_ctrl_c_ends_the_command_and_all_of_culvert(self):
        self.type(f"{self.exec_line} -- sleep 4002; echo status=$((1000+$?))\n")
        wait_until(lambda: run("pgrep", "-x", "sleep", check=False).stdout, what="the command")
        self.type("\x03")
        # The rest of the line does not run when the shell takes the command for interrupted; it may take it for ended.
        self.await_text("prompt> ")
        self.assertEqual("", run("pgrep", "-f", "sleep 4002", check=False).stdout)

    def test_ctrl_c_is_the_commands_to_handle_and_comes_once(self):
        script = "trap \"echo caught\" INT; echo ready; for i in 1 2 3; do sleep 1; done; exit 4"
        self.type(f"{self.exec_line} -- bash -c '{script}'; echo status=$((1000+$?))\n")
        self.await_text("\nready")
        self.type("\x03")
        self.await_text("status=1004")
        self.assertEqual(1, self.said.count("caught"), self.said)

    def test_ctrl_z_stops_it_and_fg_goes_on(self):
        self.type(f"{self.exec_line} -- bash -c 'echo ready; read word; echo got $word; exit 5'; echo status=$((1000+$?))\n")
        self.await_text("\nready")
        self.type("\x1a")
        self.await_text("Stopped")
        self.await_text("prompt> ")
        self.type("fg\n")
        self.type("something\n")
        self.await_text("got something")
        self.type("echo status=$((1000+$?))\n")
        self.await_text("status=1005")

    def test_an_interactive_shell_has_job_control(self):
        self.type(f"PS1=inside\\>\\  {self.exec_line} -- bash --norc --noprofile -i\n")
        self.await_text("inside> ")
        self.type("sleep 4003\n")
        wait_until(lambda: run("pgrep", "-f", "sleep 4003", check=False).stdout, what="the command")
        self.type("\x1a")
        self.await_text("Stopped")
        self.type("fg\n")
        self.await_text("sleep 4003")
        self.type("\x03")
        self.await_text("inside> ")
        self.type("exit 6\n")
        self.await_text("prompt> ")
        self.type("echo status=$((1000+$?))\n")
        self.await_text("status=1006")


class Verify(Scene):
    """`--verify`, which must find nothing where there is nothing, and something where there is."""

    def rogue_routes(self):
        """What a DHCP server on the uplink could put into the host's table (option 121), and more specific ones."""
        for prefix in ("0.0.0.0/1", "128.0.0.0/1", "203.0.113.0/25", "203.0.113.1/32", "10.9.0.2/32", "192.0.2.0/24"):
            self.host_a.ip("route", "replace", prefix, "via", "10.0.0.2")
        for prefix in ("2000::/4", "fd55::1/128", "fd09::2/128"):
            self.host_a.ip("-6", "route", "replace", prefix, "via", "fd00::2")

    def assert_tight(self, done):
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertIn("verified from inside", done.stdout)
        self.assertIn("verified from outside", done.stdout)
        self.assertNotIn("LEAK", done.stdout)

    def test_finds_no_leak_where_there_is_none(self):
        self.assert_tight(self.a.call(options=["--verify"]))
        self.assert_undone()

    def test_finds_no_leak_with_rogue_routes_on_the_uplink(self):
        self.rogue_routes()
        self.assert_tight(self.a.call(options=["--verify"]))

    def test_nothing_leaks_when_rogue_routes_come_while_the_command_runs(self):
        marker = os.urandom(12).hex()
        send = f"for a in {' '.join(ABROAD)} 10.9.0.2 192.0.2.7; do echo {marker} > /dev/udp/$a/9 || true; done; sleep 0.02"
        with Capture(self.host_a, "uplink", [marker.encode()], keep=False) as capture:
            process = self.a.begin("bash", "-c", f"echo ready; while :; do {send}; done")
            wait_until(lambda: "ready" in process.output, what="the command")
            self.rogue_routes()
            before = capture.bytes
            wait_until(lambda: capture.bytes > before + 4000, what="ciphertext")
            self.assertEqual(-signal.SIGTERM, process.end())
        self.assertFalse(capture.contains(marker.encode()))

    def test_lets_the_command_run_when_there_is_no_leak(self):
        done = self.a.call("echo", "ran", options=["--verify", "--verify-seconds", "0"])
        self.assertEqual((0, "ran\n"), (done.returncode, done.stdout))
        self.assertIn("verified from outside", done.stderr)

    def test_finds_a_link_that_leads_out_and_does_not_run_the_command(self):
        """Somebody with the right to do so moves a link into the namespace while it is verified."""
        process = self.a.begin("echo", "ran", options=["--verify", "--verify-seconds", "6"])
        inside = wait_until(lambda: children_of(process.pid), what="the child")[0]
        wait_until(lambda: run("nsenter", f"--net=/proc/{inside}/ns/net", "ip", "link", "show", "dev", "wg0", check=False).returncode == 0, what="the device")
        self.host_a.ip("link", "add", "leak0", "type", "veth", "peer", "name", "leak1")
        self.host_a.ip("link", "set", "leak0", "netns", inside)
        self.host_a.ip("link", "set", "leak1", "up")
        for words in (("link", "set", "leak0", "up"), ("address", "add", "10.66.0.1/24", "dev", "leak0"), ("route", "add", "203.0.113.0/24", "dev", "leak0")):
            run("nsenter", f"--net=/proc/{inside}/ns/net", "ip", *words)
        self.assertEqual(FAILED, process.wait(60))
        self.assertNotIn("ran\n", process.output)
        self.assertIn("LEAK, seen from inside: there is a link leak0", process.output)
        self.assertIn("LEAK, seen from inside: route 203.0.113.0/24", process.output)
        self.assertRegex(process.output, "LEAK, seen from outside: .* on .*leak1")

    def test_finds_that_cipher_none_hides_nothing(self):
        for site in (self.a, self.b):
            site.interface_lines = ["Cipher = none", "Insecure = yes"]
        self.b.stop()
        self.b.start()
        done = self.a.call("ping", "-c", "1", "-W", "5", ABROAD[0], options=["--verify"])
        self.assertEqual(FAILED, done.returncode, done.stderr)
        self.assertRegex(done.stderr, "LEAK, seen from outside: .* on uplink")


class Refusals(Scene):
    """What cannot be is said, with what to do, and nothing is left."""

    user = NOBODY

    def fails_with(self, *said, done=None):
        done = done or self.a.call("true")
        self.assertEqual(FAILED, done.returncode, done.stderr)
        for words in said:
            self.assertIn(words, done.stderr)
        self.assert_undone()

    def test_verification_without_the_right_to_listen_says_so(self):
        done = self.a.call(options=["--verify"], check=True)
        self.assertIn("verified from inside", done.stdout)
        self.assertIn("not verified from outside: listening on links needs root", done.stdout)

    def test_no_tun_device_file(self):
        os.rename("/dev/net/tun", "/dev/net/elsewhere")
        self.addCleanup(os.rename, "/dev/net/elsewhere", "/dev/net/tun")
        self.fails_with("/dev/net/tun", "modprobe tun")

    def test_no_right_to_the_tun_device_file(self):
        os.chmod("/dev/net/tun", 0o600)
        self.addCleanup(os.chmod, "/dev/net/tun", 0o666)
        self.fails_with("/dev/net/tun", "allow this user to read and write")

    def test_no_user_namespaces(self):
        # The limit is of the user namespace that this makes, and so nobody else's.
        self.a.user = None
        words = self.a.words("true")
        script = "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all \"$@\""
        done = self.host_a.run("unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", *words, check=False)
        self.fails_with("cannot make new namespaces", "sysctl user.max_user_namespaces", done=done)

    def test_no_network_namespaces(self):
        self.a.user = None
        words = self.a.words("true")
        script = "echo 0 > /proc/sys/user/max_net_namespaces && exec \"$@\""
        done = self.host_a.run("unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", *words, check=False)
        self.fails_with("cannot make new namespaces", "sysctl user.max_net_namespaces", done=done)

    def test_is_merely_warned_when_folders_cannot_be_watched(self):
        # As above the limit is of the user namespace alone.
        self.a.user = None
        self.a.interface_lines = ["DNS = 10.9.0.53"]
        words = self.a.words("cat", "/etc/resolv.conf")
        script = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\""
        done = self.host_a.run("unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", *words, check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("nameserver 10.9.0.53", done.stdout)
        self.assertIn("fs.inotify.max_user_instances", done.stderr)

    def test_a_tun_device_file_that_is_another(self):
        os.rename("/dev/net/tun", "/dev/net/elsewhere")
        self.addCleanup(os.rename, "/dev/net/elsewhere", "/dev/net/tun")
        os.symlink("/dev/null", "/dev/net/tun")
        try:
            self.fails_with("/dev/net/tun is another file", "mknod /dev/net/tun")
        finally:
            os.unlink("/dev/net/tun")

    @unittest.skipIf(os.environ.get("CULVERT_SANITIZED"), "the sanitizer itself cannot look at memory without a descriptor")
    def test_too_few_open_files(self):
        done = self.host_a.run("sh", "-c", "ulimit -n 12; exec \"$@\"", "sh", *self.a.become(), *self.a.words("true"), check=False)
        self.fails_with("ulimit -n", done=done)

    def test_a_taken_port(self):
        with self.host_a.entered():
            taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            taken.bind(("0.0.0.0", 51999))
        self.a.port = 51999
        with taken:
            self.fails_with("51999")

    def test_a_file_that_goes_elsewhere(self):
        self.a.interface_lines = ["Namespace = blue"]
        self.fails_with("Namespace = blue", "culvert up")

    def test_a_route_that_cannot_be(self):
        self.a.addresses = ["10.9.0.1/24"]
        self.a.mtu = 1000
        self.fails_with("::/0")


if __name__ == "__main__":
    main()
