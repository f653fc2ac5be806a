#!/usr/bin/env python3
"""`culvert sandbox`: a command in namespaces of its own, with a way out or without, and with none left to other namespaces.

      sandbox                      host-a                                     host-b
    ┌─────────────────┐          ┌────────────────────────────┐             ┌──────────────────┐
    │ process 1       │          │ sandbox0 10.213.0.1        │             │                  │
    │ eth0 10.213.0.2 ┼──────────┼─┘  (or a port of br0)      │  10.0.0.0/24│                  │
    └─────────────────┘          │             uplink .1 ─────┼─────────────┼─ uplink .2       │
                                 └────────────────────────────┘             └──────────────────┘

Rows 11, 15 and 16 of the namespaces' list. Failures and kills at each single step of the link are in
tests/unit/sandbox/connection_test.cpp.
"""

import fcntl
import json
import os
import pathlib
import pty
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
import unittest

from exec_test import Scene
from lab import wait_until
from probes import Capture, answers
from quick import has_ended
from scenario import Scenario, main
from sites import culvert_binary

FOLDER = pathlib.Path("/run/culvert/sandbox")
NOBODY = 65534

# Says what it sees of itself, waits for a connection, and sends what it gets back.
ECHO = """
import json, os, socket, sys
def listing(*words):
    return os.popen(" ".join(words)).read()
listener = socket.create_server(("10.213.0.2", 4711))
print(json.dumps({
    "pid": os.getpid(), "host": socket.gethostname(), "processes": [name for name in os.listdir("/proc") if name.isdigit()],
    "links": json.loads(listing("ip", "-j", "address")), "sys": sorted(os.listdir("/sys/class/net")),
    "user": os.getuid()}), flush=True)
connection, (client, _) = listener.accept()
text = connection.recv(100)
connection.sendall(client.encode() + b" said " + text)
connection.close()
"""


def is_root_everywhere():
    """Not only over a user namespace of the lab's own, where there is no other user."""
    return len(pathlib.Path("/proc/self/uid_map").read_text(encoding="ascii").split()[2]) > 1


def as_nobody():
    if not is_root_everywhere():
        raise unittest.SkipTest("there is no second user in a lab without root")
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def namespaces_of(pid):
    return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("uts", "pid", "mnt", "ipc", "net", "user")}


class Sandboxes(Scenario):
    def setUp(self):
        super().setUp()
        self.host, self.far = self.two_hosts()
        self.before = self.state()
        self.started = []
        self.addCleanup(self.end_all)

    def end_all(self):
        for process in self.started:
            process.end(signal.SIGTERM)

    def state(self):
        links = [(link["ifname"], sorted(link["flags"]), [a["local"] for a in link["addr_info"]])
                 for link in json.loads(self.host.ip("-j", "address"))]
        settings = self.host.run("sh", "-c", "cd /proc/sys/net; grep -r . ipv4/ip_forward ipv4/conf ipv6/conf 2>/dev/null"
                                 " | grep -v stable_secret | sort")
        journals = sorted(path.name for path in FOLDER.glob("*.journal"))
        return links, self.host.run("nft", "list", "ruleset"), self.host.ip("route"), settings, journals

    def assert_as_before(self, said=""):
        # A network namespace, and a link into it, ends a moment after its last process.
        wait_until(lambda: self.state() == self.before, what=f"everything to be as before {said}: {self.state()}")

    def sandbox(self, *words, check=True, **options):
        """Runs `culvert sandbox WORD…` to its end."""
        return self.host.run(culvert_binary(), "sandbox", *words, check=check, **options)

    def start(self, *words):
        process = self.host.start(culvert_binary(), "sandbox", *words)
        self.started.append(process)
        return process

    def child_of(self, process):
        """The sandbox's process 1, by its number outside."""
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        return int(wait_until(lambda: children.read_text(encoding="ascii").split(), what="a child")[0])

    def inside(self, pid, *argv):
        return self.host.run("nsenter", f"--net=/proc/{pid}/ns/net", "--", *argv)


class Container(Sandboxes):
    def test_row_16_the_child_starts_in_new_namespaces_and_goes_on_when_the_parent_has_made_its_link(self):
        process = self.start("--hostname", "small", "--", sys.executable, "-c", ECHO)
        seen = json.loads(wait_until(lambda: process.output.strip(), what="the sandbox to speak"))
        # From outside, by what the kernel says of the processes.
        child = self.child_of(process)
        mine, its = namespaces_of(process.pid), namespaces_of(child)
        self.assertEqual({"uts", "pid", "mnt", "ipc", "net"}, {kind for kind in mine if mine[kind] != its[kind]})
        status = pathlib.Path(f"/proc/{child}/status").read_text(encoding="ascii")
        self.assertEqual("1", [line.split()[-1] for line in status.splitlines() if line.startswith("NSpid:")][0])
        self.assertEqual("small\n", self.host.run("nsenter", "-t", child, "-u", "hostname"))
        self.assertNotEqual("small", socket.gethostname())
        links = {link["ifname"]: link for link in json.loads(self.inside(child, "ip", "-j", "address"))}
        self.assertEqual({"lo", "eth0"}, set(links))
        for name in links:
            self.assertIn("UP", links[name]["flags"])
        self.assertIn("10.213.0.2", [address["local"] for address in links["eth0"]["addr_info"]])
        [peer] = json.loads(self.host.ip("-j", "link", "show", "sandbox0"))
        self.assertEqual(peer["ifindex"], links["eth0"]["link_index"])
        # From inside.
        self.assertEqual((1, "small", ["1"]), (seen["pid"], seen["host"], [pid for pid in seen["processes"] if pid == "1"]))
        self.assertLess(len(seen["processes"]), 4, "processes of the host are not seen")
        self.assertEqual(["eth0", "lo"], seen["sys"])
        # A message there and back.
        with self.host.socket() as client:
            client.settimeout(30)
            client.connect(("10.213.0.2", 4711))
            client.sendall(b"hello")
            self.assertEqual(b"10.213.0.1 said hello", client.recv(100))
        self.assertEqual(0, process.wait())
        self.assert_as_before()

    def test_row_16_without_root_in_a_user_namespace(self):
        script = "echo $$; hostname; id -u; ip -br link; ip -br address show lo; ls /sys/class/net; ip link add x type bridge && echo made"
        done = self.host.run(*as_nobody(), culvert_binary(), "sandbox",
                             "--hostname", "mine", "--", "sh", "-c", script, check=False)
        if "user namespaces" in done.stderr:
            self.skipTest(done.stderr)
        self.assertEqual(0, done.returncode, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(["1", "mine", "0"], lines[:3])
        self.assertIn("127.0.0.1/8", done.stdout)
        self.assertIn("made", lines, "it is root over its own namespaces")
        self.assertNotIn("eth0", done.stdout)
        for option in (["--nat"], ["--bridge", "br0"], ["--address", "10.5.0.2/24"]):
            refused = self.host.run(*as_nobody(), culvert_binary(),
                                    "sandbox", *option, "--", "true", check=False)
            self.assertEqual(125, refused.returncode)
            self.assertIn("needs root", refused.stderr)
        self.assert_as_before()

    def test_exit_status_is_that_of_the_command(self):
        for command, status in (("exit 7", 7), ("kill -9 $$; exit 3", 3), ("exec sh -c 'exit 0'", 0)):
            self.assertEqual(status, self.sandbox("--", "sh", "-c", command, check=False).returncode, command)
        absent = self.sandbox("--", "no-such-program", check=False)
        self.assertEqual(127, absent.returncode)
        self.assertIn("no-such-program", absent.stderr)
        self.assertEqual(126, self.sandbox("--", "/etc/passwd", check=False).returncode)
        for words in ([], ["--nat", "--bridge", "br0", "--", "true"], ["--address", "nonsense", "--", "true"],
                      ["--address", "10.5.0.2", "--", "true"], ["--gateway", "10.5.0.1", "--", "true"], ["--writable", "/", "--", "true"],
                      ["--tunnel", "", "--", "true"], ["--bridge", "", "--", "true"]):
            self.assertEqual(2, self.sandbox(*words, check=False).returncode, words)
        for words in (["--isolate", "--writable", "/no/such/folder"], ["--hostname", "x" * 65]):
            failed = self.sandbox(*words, "--", "true", check=False)
            self.assertEqual(125, failed.returncode, failed.stderr)
            self.assertIn(words[-1], failed.stderr)
        self.assert_as_before()

    def test_signals_do_to_it_what_they_do_to_any_program(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            process = self.start("--", "sleep", "1000")
            self.await_program(process, "sleep")
            self.assertTrue(self.host.has_link("sandbox0"))
            self.assertEqual(-number, process.end(number))
            self.assert_as_before()
        process = self.start("--", "sh", "-c", "trap 'echo caught; exit 5' TERM; trap '' HUP; echo ready; while :; do sleep 0.1; done")
        wait_until(lambda: "ready" in process.output, what="the shell to be ready")
        process.popen.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        self.assertTrue(process.is_running)
        self.assertEqual(5, process.end(signal.SIGTERM))
        self.assertIn("caught", process.output)
        process = self.start("--", "sleep", "1000")
        self.await_program(process, "sleep")
        child = self.child_of(process)
        process.popen.send_signal(signal.SIGTSTP)
        wait_until(lambda: self.is_stopped(child) and self.is_stopped(process.pid), what="both to stop")
        process.popen.send_signal(signal.SIGCONT)
        wait_until(lambda: not self.is_stopped(child), what="the command to go on")
        self.assertEqual(-signal.SIGTERM, process.end(signal.SIGTERM))

    def await_program(self, process, name):
        """Until process 1 of the sandbox has become it."""
        child = self.child_of(process)
        wait_until(lambda: pathlib.Path(f"/proc/{child}/comm").read_text(encoding="utf-8").strip() == name, what=f"{name} to run")
        return child

    @staticmethod
    def is_stopped(pid):
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "T"

    def at_terminal(self, *argv):
        """Starts a program with a terminal of its own; returns it, what types there, and what was printed, which grows."""
        leader, follower = pty.openpty()

        def become_session():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        with self.host.entered():
            program = subprocess.Popen(argv, stdin=follower, stdout=follower, stderr=follower, preexec_fn=become_session)
        os.close(follower)
        self.addCleanup(os.close, leader)
        self.addCleanup(program.kill)
        text = bytearray()

        def read():
            try:
                while piece := os.read(leader, 1000):
                    text.extend(piece)
            except OSError:
                pass

        threading.Thread(target=read, daemon=True).start()
        return program, lambda keys: os.write(leader, keys), text

    def test_the_terminal_is_the_commands(self):
        program, type_keys, text = self.at_terminal(culvert_binary(), "sandbox", "--", "sh", "-c", "echo up; read line; echo got $line; exec cat")
        wait_until(lambda: b"up" in text, what="the command to speak")
        type_keys(b"word\n")
        wait_until(lambda: b"got word" in text, what="the command to hear")
        type_keys(b"\x03")  # Ctrl-C
        self.assertEqual(-signal.SIGINT, program.wait(30))
        self.assert_as_before()

    def test_a_shell_stops_it_and_has_it_go_on(self):
        shell, type_keys, text = self.at_terminal("bash", "--norc", "-i")
        type_keys(f"{culvert_binary()} sandbox -- sh -c 'echo u''p; exec sleep 1000'\n".encode())
        wait_until(lambda: b"up\r\n" in text, what="the command to speak")
        children = pathlib.Path(f"/proc/{shell.pid}/task/{shell.pid}/children")
        sandbox = int(children.read_text(encoding="ascii").split()[0])
        type_keys(b"\x1a")  # Ctrl-Z
        wait_until(lambda: b"Stopped" in text and self.is_stopped(sandbox), what="both to stop")
        type_keys(b"fg\n")
        wait_until(lambda: not self.is_stopped(sandbox), what="it to go on")
        type_keys(b"\x03")
        wait_until(lambda: not children.read_text(encoding="ascii").split(), what="it to end")
        type_keys(b"echo stat''us $?\n")
        wait_until(lambda: b"status 130" in text, what="its status")
        type_keys(b"exit\n")
        shell.wait(30)
        self.assert_as_before()

    def test_nothing_is_left_when_either_side_is_killed(self):
        for options in ([], ["--nat"], ["--bridge", "br0"]):
            process = self.start(*options, "--", "sh", "-c", "sleep 1000 & exec sleep 1000")
            self.await_program(process, "sleep")
            child = self.child_of(process)
            process.end(signal.SIGKILL)
            wait_until(lambda: has_ended(child), what="the command to end with its parent")
            # Whichever command comes next takes back what the killed one left.
            self.host.run(culvert_binary(), *(["netns", "list"] if options else ["sandbox", "--no-network", "true"]))
            self.assert_as_before(options)
            process = self.start(*options, "--", "sleep", "1000")
            self.await_program(process, "sleep")
            os.kill(self.child_of(process), signal.SIGKILL)
            self.assertEqual(137, process.wait())
            self.assert_as_before(options)

    def test_what_would_break_the_hosts_network_is_refused(self):
        network = self.host.ip("-j", "-4", "address", "show", "dev", "uplink")
        address = json.loads(network)[0]["addr_info"][0]["local"].rsplit(".", 1)[0] + ".77/24"
        for options in ([], ["--nat"]):
            refused = self.sandbox(*options, "--address", address, "true", check=False)
            self.assertEqual(125, refused.returncode)
            self.assertIn("at uplink already", refused.stderr)
        refused = self.sandbox("--bridge", "a-bridge-with-too-long-a-name", "true", check=False)
        self.assertEqual(2, refused.returncode)
        self.assertIn("at most 15 bytes", refused.stderr)
        self.assert_as_before()

    def test_kills_and_signals_at_random_moments(self):
        for number in (signal.SIGKILL, signal.SIGTERM):
            for delay in range(0, 150, 15):
                process = self.start("--nat", "--isolate", "--", "sleep", "1000")
                time.sleep(delay / 1000)
                status = process.end(number)
                self.assertIn(status, (-number, 128 + number), process.output)
                self.sandbox("--no-network", "--", "true")
                self.assert_as_before(f"after signal {number} at {delay} ms")

    def test_a_user_without_namespaces_is_told_what_forbids_them(self):
        script = f"echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all {culvert_binary()} sandbox -- true"
        done = self.host.run("unshare", "--user", "--map-root-user", "sh", "-c", script, check=False)
        self.assertEqual(125, done.returncode)
        self.assertIn("user.max_user_namespaces", done.stderr)


class WaysOut(Sandboxes):
    def serve_once(self, *addresses):
        """A server at host-b that tells each client by which address it sees it."""
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            listener = self.far.socket(family)
            self.lab.closing.callback(listener.close)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, 80))
            listener.listen(5)

            def serve(listener=listener):
                try:
                    while True:
                        connection, client = listener.accept()
                        with connection:
                            connection.sendall(client[0].encode())
                except OSError:
                    pass

            threading.Thread(target=serve, daemon=True).start()

    ASK = "import socket, sys; print(socket.create_connection((sys.argv[1], 80), 10).recv(100).decode())"

    def test_row_11_by_nat_a_host_behind_the_uplink_is_reached_and_sees_the_nat_address(self):
        self.serve_once("10.0.0.2", "fd00::2")
        with Capture(self.far, "uplink", [bytes([10, 213, 0, 2])]) as capture:
            for address, seen in (("10.0.0.2", "10.0.0.1"), ("fd00::2", "fd00::1")):
                self.assertEqual(seen, self.sandbox("--nat", "--", sys.executable, "-c", self.ASK, address).strip())
        self.assertGreater(capture.count, 0)
        self.assertFalse(capture.contains(bytes([10, 213, 0, 2])), "the address inside was seen outside")
        self.assert_as_before()

    def test_row_11_by_nat_nobody_comes_in_and_nobody_goes_out_by_another_name(self):
        process = self.start("--nat", "--", "sh", "-c", "echo up; exec sleep 1000")
        wait_until(lambda: "up" in process.output, what="the sandbox")
        self.far.ip("route", "add", "10.213.0.0/30", "via", "10.0.0.1")
        self.assertFalse(answers(self.far, "10.213.0.2", timeout=1), "a new connection from outside")
        child = self.child_of(process)
        self.inside(child, "ip", "address", "add", "10.99.0.1/32", "dev", "eth0")
        with Capture(self.far, "uplink") as capture:
            self.host.run("nsenter", f"--net=/proc/{child}/ns/net", "--", "ping", "-c2", "-i0.2", "-W1", "-I", "10.99.0.1", "10.0.0.2", check=False)
            self.assertEqual(0, self.host.run("nsenter", f"--net=/proc/{child}/ns/net", "--", "ping", "-c1", "-W10", "10.0.0.2",
                                              check=False).returncode)
        self.assertFalse(capture.contains(bytes([10, 99, 0, 1])))
        self.far.ip("route", "del", "10.213.0.0/30")

    def test_row_11_by_bridge_a_host_behind_the_uplink_is_reached(self):
        self.host.ip("address", "flush", "dev", "uplink")
        self.host.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        self.host.ip("link", "set", "br0", "addrgenmode", "none", "up")
        self.host.ip("link", "set", "uplink", "master", "br0")
        self.serve_once("10.0.0.2")
        self.far.ip("address", "add", "10.1.0.1/32", "dev", "uplink")
        script = f"{self.ASK}\nimport os; print(os.system('ping -c1 -W10 10.1.0.1 >/dev/null'))"
        said = self.sandbox("--bridge", "br0", "--address", "10.0.0.77/24", "--gateway", "10.0.0.2", "--", sys.executable, "-c", script,
                            "10.0.0.2")
        self.assertEqual(["10.0.0.77", "0"], said.split())
        ports = wait_until(lambda: self.host.ip("-br", "link", "show", "master", "br0"), what="the bridge")
        self.assertIn("uplink", ports)
        self.assertNotIn("sandbox0", ports)

    def test_row_11_without_either_nothing_behind_the_host_is_reached(self):
        self.host.set("ipv4/ip_forward", 1)
        self.far.ip("route", "add", "10.213.0.0/30", "via", "10.0.0.1")
        with Capture(self.far, "uplink", [bytes([10, 213, 0, 2])]) as capture:
            script = "ip route add default via 10.213.0.1 && ! ping -c2 -i0.2 -W1 10.0.0.2 && ping -c1 -W10 10.213.0.1"
            self.sandbox("--", "sh", "-c", script)
        self.assertFalse(capture.contains(bytes([10, 213, 0, 2])), "it went out, though nothing came back")

    def test_one_in_the_other_takes_nothing_from_it(self):
        script = f"{culvert_binary()} sandbox -- true && echo done; exec sleep 1000"
        outer = self.start("--nat", "--", "sh", "-c", script)
        wait_until(lambda: "done" in outer.output, what="the inner one to end")
        self.assertIn("masquerade", self.host.run("nft", "list", "ruleset"))
        self.assertEqual("1", self.host.run("cat", "/proc/sys/net/ipv4/ip_forward").strip())
        outer.end()
        self.assert_as_before()

    def test_names_are_asked_where_they_can_be(self):
        here = pathlib.Path("/run/resolving")
        here.mkdir()
        script = (f"mkdir -p {here}/etc /run/systemd/resolve && cp -a /etc/. {here}/etc && ln -sf {here}/stub.conf {here}/etc/resolv.conf && "
                  f"echo nameserver 127.0.0.53 > {here}/stub.conf && echo nameserver 192.0.2.53 > /run/systemd/resolve/resolv.conf && "
                  f"mount --bind {here}/etc /etc && exec {culvert_binary()} sandbox $0 -- cat /etc/resolv.conf")
        for options, server in (("", "127.0.0.53"), ("--isolate", "127.0.0.53"), ("--nat", "192.0.2.53"), ("--nat --isolate", "192.0.2.53")):
            said = self.host.run("unshare", "-m", "sh", "-c", script, options)
            self.assertEqual(f"nameserver {server}\n", said, options)
        self.assert_as_before()

    def test_two_sandboxes_meet_in_a_bridge_that_is_made_for_them(self):
        first = self.start("--bridge", "lan0", "--address", "10.7.0.1/24", "--", "sh", "-c", "echo up; exec sleep 1000")
        wait_until(lambda: "up" in first.output, what="the first")
        self.sandbox("--bridge", "lan0", "--address", "10.7.0.2/24", "--", "ping", "-c1", "-W10", "10.7.0.1")
        self.assertTrue(self.host.has_link("lan0"))
        first.end()
        self.assert_as_before()

    def test_what_stands_in_the_way_is_named_and_nothing_is_left(self):
        self.host.ip("link", "add", "taken", "type", "veth", "peer", "name", "other")
        self.before = self.state()
        for words, said in ((["--bridge", "taken"], "taken is no bridge"), (["--bridge", "name-that-is-too-long"], "name-that-is-too-long"),
                            (["--address", "10.5.0.2/24", "--host-address", "10.5.0.2/24"], "10.5.0.2")):
            done = self.sandbox(*words, "--", "true", check=False)
            self.assertIn(done.returncode, (2, 125), done.stderr)
            self.assertIn(said, done.stderr)
            self.assert_as_before(words)


# Each tries to get out, and ends with 0 if it did. The words in braces are put in below.
ATTEMPTS = {
    "a device by the number of a process outside": "ip link set eth0 netns {pid}",
    "a device by the number of its own first process, from a new namespace": "unshare -n ip link set eth0 netns 1",
    "a device by a name under /run/netns": "ip link set eth0 netns host-b",
    "a device by a path under /run/netns": "ip link set eth0 netns /run/netns/host-b",
    "a device by a path below the old working folder": "cd {folder} && ip link set eth0 netns ./pin",
    "a device by a pin elsewhere": "ip link set eth0 netns {folder}/pin",
    "a device by /proc of a process outside": "ip link set eth0 netns /proc/{pid}/ns/net",
    "a device by another /proc": "ip link set eth0 netns {folder}/proc/{pid}/ns/net",
    "a device by an inherited descriptor": "ip link set eth0 netns /proc/self/fd/9",
    "entering by name": "nsenter --net=/run/netns/host-b true",
    "entering by a pin elsewhere": "nsenter --net={folder}/pin true",
    "entering by an inherited descriptor": "nsenter --net=/proc/self/fd/9 true",
    "entering by process": "nsenter -t {pid} -n true",
    "entering by another /proc": "nsenter --net={folder}/proc/{pid}/ns/net true",
    "a new user namespace": "unshare -U true",
    "a new user namespace, then a device": "unshare -Urn sh -c 'ip link add d0 type veth peer name d1 && ip link set d0 netns 1'",
    "a new network namespace, then a device": "unshare -n true",
    "a new mount namespace": "unshare -m true",
    "mounting /proc again": "mount -t proc proc /mnt",
    "uncovering /run": "umount /run",
    "renaming its device": "ip link set eth0 down",
    "making the kernel run a program": ": >> /proc/sys/kernel/core_pattern",
    "making a device node": "node=$(mktemp -u) && mknod $node b 254 0 && rm $node",
    "changing files that others run": "touch {folder}/hook",
    "talking to a service outside": "test -e {socket}",
}
# What cannot succeed without --isolate either, for want of a process to be seen or anything to do with privileges.
HARMLESS = {"a device by the number of a process outside", "a device by the number of its own first process, from a new namespace",
            "a device by /proc of a process outside", "entering by process",
            "a new user namespace, then a device", "uncovering /run"}
# What root of a user namespace cannot do anyway.
FOR_ROOT = {"making a device node", "making the kernel run a program"}


class Isolation(Sandboxes):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path("/var/lib/elsewhere")
        (self.folder / "proc").mkdir(parents=True, exist_ok=True)
        (self.folder / "pin").touch()
        self.bystander = self.far.start("sleep", "1000")
        subprocess.run(["mount", "--bind", "/run/netns/host-b", self.folder / "pin"], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", self.folder / "proc"], check=True)
        self.socket_path = "/run/service.sock"
        service = socket.socket(socket.AF_UNIX)
        service.bind(self.socket_path)
        self.lab.closing.callback(lambda: [service.close(), os.unlink(self.socket_path),
                                           subprocess.run(["umount", self.folder / "pin", self.folder / "proc"], check=False)])

    def attempt(self, what, *options, user=()):
        command = ATTEMPTS[what].format(pid=self.bystander.pid, folder=self.folder, socket=self.socket_path)
        shell = f"cd {self.folder}; exec 9</run/netns/host-b; exec {' '.join(user)} {culvert_binary()} sandbox {' '.join(options)} -- sh -c \"$0\""
        done = self.host.run("sh", "-c", shell, command, check=False)
        self.assertNotIn("culvert:", done.stderr, what)
        return done.returncode == 0, done.stderr

    def test_row_15_from_an_isolated_sandbox_every_attempt_to_get_out_fails(self):
        for what in ATTEMPTS:
            with self.subTest(what):
                self.assertFalse(self.attempt(what, "--isolate")[0], what)
        self.assertFalse(self.far.has_link("eth0"))

    def test_row_15_the_same_attempts_succeed_without_isolation(self):
        for what in ATTEMPTS.keys() - HARMLESS:
            if what in FOR_ROOT and not is_root_everywhere():
                continue
            with self.subTest(what):
                succeeded, said = self.attempt(what)
                self.assertTrue(succeeded, f"{what}: {said}")

    def test_row_15_without_root_every_attempt_fails_too(self):
        user = as_nobody()
        for what in ATTEMPTS:
            with self.subTest(what):
                self.assertFalse(self.attempt(what, "--isolate", user=user)[0], what)

    def test_row_15_it_finds_no_control_sockets_wherever_they_are(self):
        runtime = self.folder / "runtime"
        (runtime / "culvert").mkdir(parents=True, exist_ok=True)
        (runtime / "culvert" / "exec-1.sock").touch()
        look = [*as_nobody(), "env", f"XDG_RUNTIME_DIR={runtime}", culvert_binary(), "sandbox"]
        for options, found in (([], "exec-1.sock\n"), (["--isolate"], "")):
            self.assertEqual(found, self.host.run(*look, *options, "--", "ls", runtime / "culvert"))

    def test_row_15_it_has_no_capability_over_networks_and_a_filter(self):
        process = self.start("--isolate", "--", "sh", "-c", "echo up; exec sleep 1000")
        wait_until(lambda: "up" in process.output, what="the sandbox")
        child = self.child_of(process)
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{child}/status").read_text(encoding="ascii").splitlines()
                      if ":\t" in line)
        net_admin, sys_admin, sys_ptrace, mknod = 12, 21, 19, 27
        for mask in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            for capability in (net_admin, sys_admin, sys_ptrace, mknod):
                self.assertFalse(int(status[mask], 16) >> capability & 1, (mask, capability))
        self.assertEqual(("1", "2"), (status["NoNewPrivs"], status["Seccomp"]))
        # It is not made useless by that.
        self.assertEqual(-signal.SIGTERM, process.end(signal.SIGTERM))
        self.sandbox("--isolate", "--", "sh", "-c", "ping -c1 -W10 10.213.0.1 && echo x > /dev/null && rm $(mktemp) && ls /usr >/dev/null && "
                     "echo $$ | grep -qx 1")

    def test_row_15_nothing_is_writable_but_what_is_meant_to(self):
        writable = self.folder / "mine"
        writable.mkdir(exist_ok=True)
        script = f"touch {writable}/file && rm $(mktemp) && ! touch {self.folder}/file 2>/dev/null && ! touch /usr/file 2>/dev/null"
        self.sandbox("--isolate", "--writable", writable, "--", "sh", "-c", script)
        self.assertTrue((writable / "file").exists())

    def test_row_15_namespaces_made_later_are_not_seen_either(self):
        process = self.start("--isolate", "--", "sh", "-c", "echo up; exec sleep 1000")
        wait_until(lambda: "up" in process.output, what="the sandbox")
        child = self.child_of(process)
        self.lab.host("host-c")
        self.assertEqual("", self.host.run("ls", f"/proc/{child}/root/run"))
        self.assertNotIn("host-c", pathlib.Path(f"/proc/{child}/mountinfo").read_text(encoding="utf-8"))


class BehindTunnel(Scene):
    """The way out is the tunnel to host-b, whose drawing is in exec_test.py."""

    def sandbox(self, *words):
        command = self.a.words()[:1] + ["sandbox", "--tunnel", self.a.config_path, *words]
        return self.lab.start(*self.a.inside(*command))

    def test_row_16_by_a_tunnel_the_sandbox_has_its_device_and_nothing_else(self):
        marker = b"no one reads it."
        script = ("echo seen: $$ $(hostname) $(ls /sys/class/net) $(ls /proc | grep -c '^[0-9]'); trap 'exit 5' TERM; "
                  f"while :; do echo '{marker.decode()}' >/dev/udp/10.9.0.2/9; sleep 0.1; done")
        for options in ([], ["--isolate"]):
            with self.subTest(options), Capture(self.host_a, "uplink", [marker]) as outside:
                with Capture(self.host_b, "site-b", [marker]) as behind:
                    process = self.sandbox("--hostname", "deep", *options, "--", "bash", "-c", script)
                    wait_until(lambda behind=behind: behind.contains(marker), what="a datagram to come out of the tunnel")
                    self.assertEqual(5, process.end(signal.SIGTERM), process.output)
                seen = process.output.partition("seen:")[2].split()
                self.assertEqual(["1", "deep", "lo", "wg0"], seen[:4], process.output)
                self.assertLess(int(seen[4]), 8, "processes of the host are seen")
                self.assertGreater(outside.count, 0)
            self.assertFalse(outside.contains(marker), "plaintext was seen outside")
        self.assert_undone()

    def test_row_15_by_a_tunnel_an_isolated_one_does_not_get_out_either(self):
        for command in ("ip link set wg0 netns host-b", "unshare -U true", "nsenter --net=/run/netns/host-b true", "mount -t tmpfs none /mnt"):
            process = self.sandbox("--isolate", "--", "sh", "-c", command)
            self.assertNotIn(process.wait(60), (0, 125), process.output)
        self.assert_undone()

    def test_keeps_its_files_when_others_replace_those_of_the_host_meanwhile(self):
        self.assert_keeps_its_files(lambda *command: [*self.a.words()[:1], "sandbox", "--tunnel", self.a.config_path, "--", *command])

    def test_signals_and_kills_end_it_with_all_that_it_had(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            process = self.sandbox("--", "sh", "-c", "echo up; exec sleep 1000")
            wait_until(lambda: "up" in process.output or not process.is_running, what="the sandbox")
            status = process.end(number)
            self.assertIn(status, (-signal.SIGTERM, -signal.SIGKILL), process.output)
            # Looking takes away what a killed one left.
            wait_until(lambda: not self.shown() and self.state() == self.before, what="everything to be as before")


class BehindTunnelWithoutRoot(BehindTunnel):
    user = NOBODY


class Demonstration(Scenario):
    """`deploy/try namespaces`, without the build."""

    PROGRAM = [sys.executable, "-B", pathlib.Path(__file__).resolve().parents[2] / "deploy/namespaces.py"]

    def test_all_of_it_holds(self):
        done = subprocess.run(self.PROGRAM, env=os.environ | {"CULVERT": culvert_binary()}, capture_output=True, text=True, timeout=150,
                              check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        for words in ("veth pair", "bridge", "out by nat", "out by bridge", "process 1", "culvert topology", "All of it held"):
            self.assertIn(words, done.stdout)

    def test_its_status_says_that_something_did_not_hold(self):
        done = subprocess.run(self.PROGRAM, env=os.environ | {"CULVERT": "/bin/false"}, capture_output=True, text=True, timeout=150,
                              check=False)
        self.assertEqual(1, done.returncode, done.stdout + done.stderr)

    def test_it_takes_everything_down_when_it_is_interrupted(self):
        process = self.lab.start(*self.PROGRAM, env=os.environ | {"CULVERT": culvert_binary()})
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        inner = int(wait_until(lambda: children.read_text(encoding="ascii").split(), what="its own namespaces")[0])
        wait_until(lambda: os.path.exists(f"/proc/{inner}/root/run/netns/office"), what="a namespace of its")
        process.popen.send_signal(signal.SIGINT)
        self.assertEqual(130, process.wait(60))
        self.assertIn("everything is taken down", process.output)
        self.assertNotIn("Traceback", process.output)


if __name__ == "__main__":
    main()
