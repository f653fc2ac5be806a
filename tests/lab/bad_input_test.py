#!/usr/bin/env python3
"""What cannot run says why in one line that names the thing at fault, and leaves the system as it was.

      host-a
    ┌──────────────────────┐
    │ site-a  10.9.0.1/24  │   its config file, its rights and its surroundings go wrong in turn
    └──────────────────────┘
"""

import os
import pathlib
import socket
import subprocess

from scenario import Scenario, main
from sites import Culvert, Keys, culvert_binary

NOBODY = 65534


class BadInput(Scenario):
    def setUp(self):
        super().setUp()
        self.host = self.lab.host("host-a")
        self.keys, self.other = Keys.generate(), Keys.generate()
        self.before = self.state()

    def state(self):
        return self.host.state(), sorted(pathlib.Path("/run/wireguard").glob("*")), sorted(pathlib.Path("/run/netns").glob("*"))

    def config(self, interface="", peer="AllowedIPs = 10.9.0.2/32"):
        return (f"[Interface]\nPrivateKey = {self.keys.private}\nAddress = 10.9.0.1/24\n{interface}\n"
                f"[Peer]\nPublicKey = {self.other.public}\n{peer}\n")

    def write(self, text, name="site-a"):
        path = self.lab.folder / f"{name}.conf"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o600)
        return path

    def refused(self, *argv, names, wrapper=(), status=(1, 2), **options):
        """Runs the program, which must fail at once with one line on standard error that has all of `names`."""
        done = subprocess.run(self.host.inside(*wrapper, culvert_binary(), *argv), capture_output=True, text=True, timeout=10,
                              check=False, **options)
        message = done.stderr.strip()
        self.assertIn(done.returncode, status, message)
        self.assertEqual(1, len(message.splitlines()), message)
        for name in names:
            self.assertIn(str(name), message)
        self.assertRegex(message, r"^culvert: |error: ")
        self.assertEqual(self.before, self.state())
        return message

    # --- the file

    def test_wrong_files_are_refused_with_file_line_and_column(self):
        table = {
            "unknown key": (self.config("Adress = 10.0.0.1/8"), ":4:1", ["Adress"]),
            "unknown section": (self.config() + "[Pear]\n", ":8:", ["Pear"]),
            "bad base64": (self.config(peer="PresharedKey = ****"), ":7:16", ["PresharedKey"]),
            "short key": (self.config(peer=f"PresharedKey = {self.other.private[:40]}"), ":7:16", ["PresharedKey"]),
            "duplicate address": (self.config("Address = 10.9.0.1/24"), ":4:11", ["10.9.0.1"]),
            "bad address": (self.config("Address = 10.0.0.300/24"), ":4:11", ["10.0.0.300"]),
            "bad prefix length": (self.config("Address = 10.0.0.3/33"), ":4:11", ["10.0.0.3/33"]),
            "bad port": (self.config("ListenPort = 70000"), ":4:14", ["70000"]),
            "bad MTU": (self.config("MTU = huge"), ":4:7", ["huge"]),
            "key given twice": (self.config("Mode = tun\nMode = tun"), ":5:1", ["Mode"]),
            "endpoint without port": (self.config(peer="Endpoint = 10.0.0.2"), ":7:12", ["10.0.0.2"]),
            "peer with two keys": (self.config(peer=f"PublicKey = {self.other.public}"), ":7:1", ["PublicKey"]),
            "no equals sign": (self.config("MTU"), ":4:", []),
            "no private key": ("[Interface]\nListenPort = 1\n", ":1:", ["PrivateKey"]),
            "empty file": ("", ":1:1", ["[Interface]"]),
            "binary": (self.config("DNS = \x01\x1b[31m"), ":4:", []),
            "not text": (bytes(range(256)), ":1:", []),
        }
        for what, (text, position, names) in table.items():
            with self.subTest(what):
                path = self.write(text)
                for verb in ("run", "check"):
                    message = self.refused(verb, path, names=[f"{path}{position}", *names])
                    self.assertTrue(message.isprintable(), "control characters reach the terminal")

    def test_a_file_that_cannot_be_read_is_named(self):
        missing = self.lab.folder / "missing.conf"
        self.refused("run", missing, names=[missing, "No such file"])
        self.refused("run", self.lab.folder, names=[self.lab.folder])
        self.refused("run", "nowhere", names=["nowhere"])

    def test_a_file_name_that_is_no_device_name_is_refused(self):
        for name in ("far-too-long-a-name-for-a-device", "a b", "%d"):
            with self.subTest(name):
                self.refused("run", self.write(self.config(), name), names=[name])

    # --- the command line

    def test_a_wrong_command_line_is_refused(self):
        for argv in (["run"], ["frobnicate", "again"], ["run", "a.conf", "b.conf"], ["--no-such-option"], []):
            done = subprocess.run([culvert_binary(), *argv], capture_output=True, text=True, timeout=10, check=False)
            with self.subTest(argv):
                self.assertEqual(2, done.returncode)
                self.assertTrue(done.stderr)

    def test_pubkey_of_rubbish_is_refused(self):
        for rubbish in ("", "rubbish", "A" * 43, "A" * 100000):
            with self.subTest(rubbish[:10]):
                self.refused("pubkey", names=["key"], input=rubbish)

    def test_show_of_a_tunnel_that_does_not_run_is_refused(self):
        self.refused("show", "site-z", names=["site-z"])

    def test_a_name_without_a_file_is_told_with_all_places(self):
        for verb in ("run", "up", "check", "strip", "save"):
            self.refused(verb, "nosuch", names=["/etc/culvert/nosuch.conf", "nor is there /etc/wireguard/nosuch.conf"])
        self.refused("check", "./nosuch.conf", names=["./nosuch.conf: No such file"])

    # --- rights and surroundings

    def test_without_the_right_to_make_a_device(self):
        path = self.write(self.config())
        self.refused("run", path, wrapper=("setpriv", "--bounding-set=-all", "--inh-caps=-all"), names=["root", "not permitted"])

    def test_a_file_of_somebody_else(self):
        if int(pathlib.Path("/proc/self/uid_map").read_text(encoding="ascii").split()[2]) <= NOBODY:
            self.skipTest("there is no second user in this user namespace")
        path = self.write(self.config())
        os.chmod(self.lab.folder, 0o755)
        as_nobody = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        self.refused("run", path, wrapper=as_nobody, names=[path, "Permission denied"])
        os.chown(path, NOBODY, NOBODY)
        self.refused("run", path, wrapper=as_nobody, names=["/run/culvert", "run as root"])
        pathlib.Path("/run/culvert").mkdir(mode=0o700, exist_ok=True)
        self.refused("run", path, wrapper=as_nobody, names=["/run/culvert is root's: run as root"])

    def test_without_dev_net_tun(self):
        path = self.write(self.config())
        hidden = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh")
        self.refused("run", path, wrapper=hidden, names=["/dev/net/tun"])

    def test_a_taken_device_name(self):
        path = self.write(self.config())
        self.host.ip("link", "add", "site-a", "type", "veth", "peer", "name", "other")
        self.before = self.state()
        self.refused("run", path, names=["site-a"])

    def test_a_tunnel_of_this_name_that_runs_already(self):
        running = Culvert(self.host, "site-a", ["10.9.0.1/24"], keys=self.keys)
        running.start()
        self.before = self.state()
        self.refused("run", running.config_path, names=["site-a", "up already"])
        self.refused("run", self.write(self.config("ListenPort = 40000")), names=["site-a"])
        self.lab.host("elsewhere")
        self.before = self.state()
        self.refused("run", self.write(self.config("ListenPort = 40000\nNamespace = elsewhere")), names=["site-a"])
        self.assertTrue(running.process.is_running)
        self.assertEqual(self.keys.public, running.wg("show", "site-a", "public-key").strip())

    def test_unknown_namespaces(self):
        for key in ("Namespace", "SocketNamespace"):
            for value in ("nowhere", "/run/nothing", "/etc/passwd", "pid:4000000"):
                if (key, value) == ("Namespace", "nowhere"):
                    continue  # It is made.
                with self.subTest(key=key, value=value):
                    self.refused("run", self.write(self.config(f"{key} = {value}")), names=[value.removeprefix("pid:")])

    def test_a_port_in_use(self):
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            with self.subTest(address), self.host.socket(family, socket.SOCK_DGRAM) as taken:
                if family == socket.AF_INET6:
                    taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                taken.bind((address, 51820))
                self.refused("run", self.write(self.config("ListenPort = 51820")), names=["51820", "in use"])

    def test_a_route_that_is_there_already_undoes_what_was_done(self):
        self.host.ip("route", "add", "blackhole", "10.77.0.0/24")
        self.before = self.state()
        self.refused("run", self.write(self.config(peer="AllowedIPs = 10.77.0.0/24")), names=["10.77.0.0/24"])


if __name__ == "__main__":
    main()
