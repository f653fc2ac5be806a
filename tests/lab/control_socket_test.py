#!/usr/bin/env python3
"""`culvert NAME` and its control socket, driven by Debian's wg and by raw requests.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ site-a  10.9.0.1     │  10.0.0.0/24    │ site-b  10.9.0.2     │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘
"""

import os
import signal
import socket
import time

from lab import LabError, add_address, run, wait_until
from probes import Pinger, answers
from scenario import Scenario, main
from sites import Keys, Site, culvert_binary, generate_psk, introduce


class Bare(Site):
    """`culvert NAME`, set up by wg and ip."""

    def start(self, *words, **options):
        self.process = self.host.start(culvert_binary(), "-f", *words, self.name, log=self.log_path(), **options)
        wait_until(self._is_up, 45, f"{self.name} to be up")
        return self

    def _is_up(self):
        if not self.process.is_running:
            raise LabError(f"{self.name} ended with {self.process.popen.returncode}:\n{self.process.output}")
        return "is up" in self.process.output

    def configure(self):
        run("wg", "setconf", self.name, self.write_config(self.config(wg_quick=False)))
        for address in self.addresses:
            add_address(self.host, self.name, address)
        self.host.ip("link", "set", self.name, "up")
        return self

    def ask(self, text):
        """What the socket answers to raw text, until it is silent or closes."""
        with self.connect() as client:
            client.sendall(text.encode())
            return receive_answer(client)

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(str(self.socket_path))
        return client

    def get(self):
        return self.ask("get=1\n\n")


def receive_answer(client):
    answer = b""
    while not answer.endswith(b"\n\n"):
        chunk = client.recv(65536)
        if not chunk:
            break
        answer += chunk
    return answer.decode()


def transfer(site):
    """Bytes sent and received."""
    status, = site.status().values()
    return status.sent, status.received


def hexadecimal(key):
    return run("python3", "-c", "import base64,sys;print(base64.b64decode(sys.argv[1]).hex())", key).strip()


class BareCommand(Scenario):
    def setUp(self):
        super().setUp()
        self.host = self.lab.host("host-a")
        self.site = Bare(self.host, "site-a", ["10.9.0.1/24"])

    def culvert(self, *words, environment=(), **options):
        return self.host.run("env", *environment, culvert_binary(), *words, **options)

    def test_returns_when_device_and_socket_are_ready(self):
        self.culvert("site-a")
        self.assertTrue(self.host.has_link("site-a"))
        self.assertIn("listening port", run("wg", "show", "site-a"))
        self.host.ip("link", "delete", "site-a")

    def test_on_a_terminal_says_that_there_is_a_device_now_and_what_ends_it(self):
        said = self.host.run("script", "-qec", f"{culvert_binary()} stauts", "/dev/null")
        self.assertIn("made device stauts, which waits to be set by wg; ip link del stauts ends it", said)
        self.assertTrue(self.host.has_link("stauts"))
        self.host.ip("link", "delete", "stauts")
        self.assertEqual("", self.culvert("site-a"), "programs that start it need no advice")
        self.host.ip("link", "delete", "site-a")

    def test_ends_when_the_device_is_deleted_or_the_socket_file_or_on_signals(self):
        before = self.host.state()
        ways = {"link": lambda: self.host.ip("link", "delete", "site-a"), "socket": lambda: os.unlink(self.site.socket_path),
                "term": lambda: os.kill(self.site.process.pid, signal.SIGTERM),
                "int": lambda: os.kill(self.site.process.pid, signal.SIGINT)}
        for name, way in ways.items():
            with self.subTest(way=name):
                self.site.start()
                way()
                self.assertEqual(0, self.site.process.wait(2))
                self.assertFalse(self.site.socket_path.exists())
                self.assertEqual(before, self.host.state())

    def test_a_start_right_after_an_end_succeeds(self):
        for _ in range(10):
            self.culvert("site-a")
            self.host.ip("link", "delete", "site-a")
        self.culvert("site-a")
        self.assertIn("listening port", run("wg", "show", "site-a"))
        self.host.ip("link", "delete", "site-a")

    def test_removes_only_its_own_socket(self):
        self.site.start()
        os.rename(self.site.socket_path, str(self.site.socket_path) + ".old")
        self.site.socket_path.write_text("somebody else's")
        self.assertEqual(0, self.site.process.wait(2))
        self.assertEqual("somebody else's", self.site.socket_path.read_text())
        self.site.socket_path.unlink()

    def test_refuses_a_name_in_use_and_disturbs_nobody(self):
        self.site.start()
        second = self.culvert("site-a", check=False)
        self.assertEqual(1, second.returncode)
        self.assertIn("site-a", second.stderr)
        self.assertIn("listening port", run("wg", "show", "site-a"))

    def test_refuses_what_is_neither_command_nor_name(self):
        for word in ("a-name-that-is-too-long", "with/slash", "with space"):
            failed = self.culvert(word, check=False)
            self.assertEqual(1, failed.returncode, failed.stderr)
        self.assertEqual(2, self.culvert(check=False).returncode)

    def test_says_nothing_when_log_level_is_silent(self):
        done = self.culvert("site-a", environment=["LOG_LEVEL=silent"], check=False)
        self.assertEqual(("", ""), (done.stdout, done.stderr))
        self.host.ip("link", "delete", "site-a")

    def test_takes_over_the_device_and_the_socket_it_is_handed(self):
        starter = f"""
import fcntl, os, socket, struct
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"handed", 0x1001))
listening = socket.socket(socket.AF_UNIX)
listening.bind("/run/wireguard/handed.sock")
listening.listen()
os.set_inheritable(tun, True); os.set_inheritable(listening.fileno(), True)
os.environ.update(WG_TUN_FD=str(tun), WG_UAPI_FD=str(listening.fileno()), WG_PROCESS_FOREGROUND="1")
os.execv("{culvert_binary()}", ["culvert", "handed"])
"""
        os.makedirs("/run/wireguard", exist_ok=True)
        process = self.host.start("python3", "-c", starter, log=self.lab.folder / "handed.log")
        wait_until(lambda: "is up" in process.output, 30, "the device to be up")
        self.assertIn("listening port", run("wg", "show", "handed"))
        run("wg", "set", "handed", "listen-port", "50001")
        self.host.ip("link", "delete", "handed")
        self.assertEqual(0, process.wait(2))


class Protocol(Scenario):
    def setUp(self):
        super().setUp()
        self.host = self.lab.host("host-a")
        self.site = Bare(self.host, "site-a", ["10.9.0.1/24"]).start()
        self.keys = [Keys.generate() for _ in range(3)]

    def key_file(self, text, name="key"):
        path = self.lab.folder / name
        path.write_text(text + "\n")
        return path

    def test_wg_sets_and_shows_every_field(self):
        psk = generate_psk()
        run("wg", "set", "site-a", "private-key", self.key_file(self.site.keys.private), "listen-port", "51900",
            "fwmark", "0x2a", "peer", self.keys[0].public, "preshared-key", self.key_file(psk, "psk"), "endpoint",
            "[2001:db8::9]:7", "persistent-keepalive", "25", "allowed-ips", "10.1.2.3/16,fd00:1::/64")
        shown = {field: run("wg", "show", "site-a", field).strip() for field in (
            "public-key", "private-key", "listen-port", "fwmark", "peers", "preshared-keys", "endpoints", "allowed-ips",
            "latest-handshakes", "persistent-keepalive", "transfer")}
        peer = self.keys[0].public
        self.assertEqual(self.site.keys.public, shown["public-key"])
        self.assertEqual(self.site.keys.private, shown["private-key"])
        self.assertEqual("51900", shown["listen-port"])
        self.assertEqual("0x2a", shown["fwmark"])
        self.assertEqual(peer, shown["peers"])
        self.assertEqual(f"{peer}\t{psk}", shown["preshared-keys"])
        self.assertEqual(f"{peer}\t[2001:db8::9]:7", shown["endpoints"])
        self.assertEqual(f"{peer}\t10.1.0.0/16 fd00:1::/64", shown["allowed-ips"])
        self.assertEqual(f"{peer}\t0", shown["latest-handshakes"])
        self.assertEqual(f"{peer}\t25", shown["persistent-keepalive"])
        dump = run("wg", "show", "site-a", "dump").splitlines()
        self.assertEqual("\t".join((self.site.keys.private, self.site.keys.public, "51900", "0x2a")), dump[0])
        self.assertEqual("\t".join((peer, psk, "[2001:db8::9]:7", "10.1.0.0/16,fd00:1::/64", "0", "0", "0", "25")), dump[1])
        self.assertEqual(["site-a"], run("wg", "show", "interfaces").split())
        for field, value in shown.items():
            self.assertEqual(f"site-a\t{value}", run("wg", "show", "all", field).strip(), field)
        self.assertEqual([f"site-a\t{line}" for line in dump], run("wg", "show", "all", "dump").splitlines())
        for line in ("public key: " + self.site.keys.public, "listening port: 51900", "fwmark: 0x2a", "peer: " + peer,
                     "endpoint: [2001:db8::9]:7", "allowed ips: 10.1.0.0/16, fd00:1::/64", "persistent keepalive: every 25 seconds"):
            self.assertIn(line, run("wg", "show", "site-a"))
            self.assertIn(line, run("wg"))
        config = run("wg", "showconf", "site-a")
        run("wg", "set", "site-a", "listen-port", "51901", "fwmark", "0", "peer", peer, "remove")
        self.assertEqual("", run("wg", "show", "site-a", "peers"))
        run("wg", "setconf", "site-a", self.key_file(config, "conf"))
        self.assertEqual(config, run("wg", "showconf", "site-a"))

    def test_addconf_adds_and_syncconf_makes_it_so(self):
        run("wg", "set", "site-a", "private-key", self.key_file(self.site.keys.private), "peer", self.keys[0].public)
        run("wg", "addconf", "site-a", self.key_file(f"[Peer]\nPublicKey = {self.keys[1].public}\nAllowedIPs = 10.0.0.0/8"))
        self.assertEqual({key.public for key in self.keys[:2]}, set(run("wg", "show", "site-a", "peers").split()))
        run("wg", "syncconf", "site-a", self.key_file(
            f"[Interface]\nPrivateKey = {self.site.keys.private}\n[Peer]\nPublicKey = {self.keys[2].public}\n"))
        self.assertEqual([self.keys[2].public], run("wg", "show", "site-a", "peers").split())

    def test_allowed_ips_move_and_are_removed_in_both_ways(self):
        first, second = (hexadecimal(keys.public) for keys in self.keys[:2])
        self.assertEqual("errno=0\n\n", self.site.ask(
            f"set=1\npublic_key={first}\nallowed_ip=10.0.0.0/8\nallowed_ip=10.1.0.0/16\nallowed_ip=fd00::/8\n\n"))
        self.site.ask(f"set=1\npublic_key={second}\nallowed_ip=10.1.0.9/16\n\n")
        self.assertEqual(["10.0.0.0/8", "fd00::/8"], self.allowed_ips(0))
        self.assertEqual(["10.1.0.0/16"], self.allowed_ips(1))
        self.site.ask(f"set=1\npublic_key={first}\nallowed_ip=-fd00::/8\nallowed_ip=-10.1.0.0/16\n\n")
        self.assertEqual(["10.0.0.0/8"], self.allowed_ips(0))
        self.assertEqual(["10.1.0.0/16"], self.allowed_ips(1), "the other peer's is not ours to remove")
        self.site.ask(f"set=1\npublic_key={first}\nreplace_allowed_ips=true\nallowed_ip=192.0.2.0/24\n\n")
        self.assertEqual(["192.0.2.0/24"], self.allowed_ips(0))

    def allowed_ips(self, index):
        for line in run("wg", "show", "site-a", "allowed-ips").splitlines():
            key, prefixes = line.split("\t")
            if key == self.keys[index].public:
                return prefixes.split()
        return None

    def test_an_error_changes_nothing_byte_for_byte(self):
        key, other = (hexadecimal(keys.public) for keys in self.keys[:2])
        self.site.ask(f"set=1\npublic_key={key}\nallowed_ip=10.0.0.0/8\n\n")
        before = self.site.get()
        good = f"listen_port=50009\nreplace_peers=true\npublic_key={other}\nreplace_allowed_ips=true\nallowed_ip=10.0.0.0/8\n"
        for bad, number in (("nonsense", 71), ("unknown=1", 22), ("allowed_ip=10.0.0.0/33", 22), ("endpoint=host:1", 22),
                            ("listen_port=1", 22), ("preshared_key=12", 22), ("public_key=00", 22)):
            with self.subTest(bad=bad):
                self.assertEqual(f"errno=-{number}\n\n", self.site.ask(f"set=1\n{good}{bad}\n\n"))
                self.assertEqual(before, self.site.get())

    def test_a_port_that_is_taken_changes_nothing(self):
        taken = self.host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        taken.bind(("0.0.0.0", 50010))
        before = self.site.get()
        key = hexadecimal(self.keys[0].public)
        self.assertEqual("errno=-98\n\n", self.site.ask(f"set=1\nlisten_port=50010\npublic_key={key}\n\n"))
        self.assertEqual(before, self.site.get())
        taken.close()
        self.assertEqual("errno=0\n\n", self.site.ask("set=1\nlisten_port=50010\n\n"))
        self.assertEqual("50010", run("wg", "show", "site-a", "listen-port").strip())

    def test_unknown_peers_are_neither_updated_nor_removed_and_our_own_key_is_passed_over(self):
        key, own = hexadecimal(self.keys[0].public), hexadecimal(self.site.keys.public)
        for words in ("update_only=true\nallowed_ip=10.0.0.0/8", "remove=true"):
            self.assertEqual("errno=0\n\n", self.site.ask(f"set=1\npublic_key={key}\n{words}\n\n"))
        self.assertEqual("errno=0\n\n", self.site.ask(f"set=1\npublic_key={own}\n\n"))
        self.assertEqual([own], [line.split("=")[1] for line in self.site.get().splitlines() if line.startswith("public_key")])
        # The peer that we turn out to be ourselves goes.
        run("wg", "set", "site-a", "private-key", self.key_file(self.site.keys.private))
        self.site.ask(f"set=1\npublic_key={own}\n\n")
        self.assertEqual("", run("wg", "show", "site-a", "peers"))

    def test_requests_follow_each_other_on_one_connection_and_end_of_file_ends_a_set(self):
        key = hexadecimal(self.keys[0].public)
        with self.site.connect() as client:
            client.sendall(f"set=1\npublic_key={key}\n\nget=1\n\nset=1\nbad\n\nset=1\nfwmark=5\n".encode())
            client.shutdown(socket.SHUT_WR)
            text = b""
            while chunk := client.recv(65536):
                text += chunk
        self.assertEqual(["errno=0", "errno=0", "errno=-71", "errno=0"],
                         [line for line in text.decode().splitlines() if line.startswith("errno")])
        self.assertIn(key, text.decode())
        self.assertEqual("0x5", run("wg", "show", "site-a", "fwmark").strip())

    def test_device_keys_come_before_peers_and_an_unset_private_key_is_left_out(self):
        self.assertNotIn("private_key", self.site.get())
        key = hexadecimal(self.keys[0].public)
        self.site.ask(f"set=1\nprivate_key={'77' * 32}\npublic_key={key}\n\n")
        lines = [line.split("=")[0] for line in self.site.get().splitlines() if line]
        self.assertEqual("private_key", lines[0])
        self.assertLess(lines.index("listen_port"), lines.index("public_key"))
        self.assertEqual("errno", lines[-1])
        self.assertEqual("errno=0\n\n", self.site.ask(f"set=1\nprivate_key={'0' * 64}\n\n"))
        self.assertNotIn("private_key", self.site.get())


class Traffic(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.a = Bare(self.host_a, "site-a", ["10.9.0.1/24"]).start()
        self.b = Bare(self.host_b, "site-b", ["10.9.0.2/24"]).start()
        introduce(self.a, self.b, left_at="10.0.0.1", right_at="10.0.0.2")
        self.a.configure()
        self.b.configure()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    def test_a_thousand_syncconfs_lose_no_ping(self):
        path = self.a.write_config(self.a.config(wg_quick=False))
        with Pinger(self.host_a, "10.9.0.2", interval=0.01) as pinger:
            self.host_a.run("bash", "-c", f"for i in {{1..1000}}; do wg syncconf site-a {path} || exit 1; done", timeout=60)
        self.assertGreater(pinger.sent, 100)
        self.assertEqual(0, pinger.lost, f"of {pinger.sent}")

    def test_setting_the_same_key_keeps_the_session_and_another_key_ends_it(self):
        key = self.lab.folder / "key"
        key.write_text(self.a.keys.private + "\n")
        before = self.a.status_of(self.b).handshake_time
        time.sleep(1.1)
        run("wg", "set", "site-a", "private-key", key)
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertEqual(before, self.a.status_of(self.b).handshake_time)
        key.write_text(Keys.generate().private + "\n")
        run("wg", "set", "site-a", "private-key", key)
        self.assertFalse(answers(self.host_a, "10.9.0.2", timeout=1), "site-b does not know the new key")

    def test_a_preshared_key_is_set_without_losing_a_ping(self):
        psk = self.lab.folder / "psk"
        psk.write_text(generate_psk() + "\n")
        with Pinger(self.host_a, "10.9.0.2", interval=0.01) as pinger:
            for site, other in ((self.a, self.b), (self.b, self.a)):
                run("wg", "set", site.name, "peer", other.keys.public, "preshared-key", psk)
            time.sleep(0.5)
        self.assertEqual(0, pinger.lost, f"of {pinger.sent}")

    def test_a_link_that_is_down_is_silent_and_one_that_comes_up_speaks_at_once(self):
        a, b = self.a, self.b
        run("wg", "set", "site-a", "peer", b.keys.public, "persistent-keepalive", "1")
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.host_a.ip("link", "set", "site-a", "down")
        time.sleep(0.5)
        sent, received = transfer(a)
        time.sleep(3)
        self.assertEqual((sent, received), transfer(a))
        self.host_a.ip("link", "set", "site-a", "up")
        wait_until(lambda: transfer(a)[0] > sent, 20, "a keepalive")
        self.assertTrue(answers(self.host_b, "10.9.0.1"))

    def test_the_listen_port_changes_and_the_peer_follows(self):
        run("wg", "set", "site-a", "listen-port", "50123")
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertEqual("10.0.0.1:50123", self.b.endpoint_of(self.a))

    def test_hostile_clients_delay_neither_packets_nor_other_clients(self):
        hostile = []
        with Pinger(self.host_a, "10.9.0.2", interval=0.01) as pinger:
            for number in range(200):
                client = self.a.connect()
                client.setblocking(False)
                hostile.append(client)
                try:
                    client.send([b"", b"set=1\npublic_key=", b"get=1\n\n" * 1000, b"x" * 200_000, b"set=1\n" + b"a=b\n" * 20_000][number % 5])
                except (BlockingIOError, BrokenPipeError):
                    pass
                if number % 20 == 0:
                    began = time.monotonic()
                    self.assertIn("errno=0", self.a.get())
                    self.assertLess(time.monotonic() - began, 1)
        for client in hostile:
            client.close()
        self.assertEqual(0, pinger.lost, f"of {pinger.sent}")
        self.assertIn("errno=0", self.a.get())


class WgQuick(Scenario):
    """Debian's wg-quick, which starts culvert because it is told to."""

    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.a = Bare(self.host_a, "site-a", ["10.9.0.1/24", "fd09::1/64"])
        self.b = Bare(self.host_b, "site-b", ["10.9.0.2/24", "fd09::2/64"])
        introduce(self.a, self.b, left_at="10.0.0.1", right_at="10.0.0.2")
        self.a.peers[0].name = self.b.peers[0].name = None  # not wg-quick's

    @staticmethod
    def wg_quick(site, verb):
        return site.host.run("env", f"WG_QUICK_USERSPACE_IMPLEMENTATION={culvert_binary()}", "wg-quick", verb, site.config_path)

    def start_both(self):
        self.before = self.host_a.state()
        for site in (self.b, self.a):
            site.write_config()
            self.wg_quick(site, "up")
        for address in ("10.9.0.2", "fd09::2"):
            self.assertTrue(answers(self.host_a, address), address)

    def stop_both(self):
        for site in (self.a, self.b):
            self.wg_quick(site, "down")
            wait_until(lambda: not site.socket_path.exists(), 30, "the socket file to go")
        self.assertEqual(self.before, self.host_a.state())

    def test_wg_quick_runs_culvert_as_its_userspace_implementation(self):
        self.start_both()
        self.stop_both()

    def test_wg_quick_gives_culvert_both_default_routes_and_their_rules(self):
        self.a.peers[0].allowed_ips = ["0.0.0.0/0", "::/0"]
        self.start_both()
        mark = run("wg", "show", "site-a", "fwmark").strip()
        self.assertNotEqual("off", mark)
        for family, elsewhere in (("-4", "192.0.2.1"), ("-6", "2001:db8:77::1")):
            self.assertIn("dev site-a", self.host_a.ip(family, "route", "get", elsewhere))
            self.assertIn(f"not from all fwmark {mark}", self.host_a.ip(family, "rule"))
        self.stop_both()

    def test_wg_quick_saves_and_strips_what_culvert_runs(self):
        self.start_both()
        peer = self.b.keys.public
        run("wg", "set", "site-a", "peer", peer, "persistent-keepalive", "7", "allowed-ips", "10.9.0.2/32,fd09::2/128,10.77.0.0/16")
        self.wg_quick(self.a, "save")
        saved = self.a.config_path.read_text()
        for line in ("Address = 10.9.0.1/24", "Address = fd09::1/64", "PersistentKeepalive = 7", f"PublicKey = {peer}"):
            self.assertIn(line, saved)
        stripped = self.wg_quick(self.a, "strip")
        self.assertNotIn("Address", stripped)
        config = run("wg", "showconf", "site-a")
        file = self.lab.folder / "stripped"
        file.write_text(stripped)
        run("wg", "setconf", "site-a", file)
        self.assertEqual(config, run("wg", "showconf", "site-a"))
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.stop_both()


class Size(Scenario):
    def setUp(self):
        super().setUp()
        self.site = Bare(self.lab.host("host-a"), "site-a", []).start()

    def resident(self):
        return self.site.process.resident_bytes()

    def test_ten_thousand_peers_and_a_hundred_and_thirty_thousand_prefixes_in_seconds(self):
        before = self.resident()
        peers = "".join(f"public_key={os.urandom(31).hex()}40\nreplace_allowed_ips=true\n" + "".join(
            f"allowed_ip=10.{number >> 8}.{number & 255}.{host}/32\n" for host in range(13)) for number in range(10_000))
        began = time.monotonic()
        self.assertEqual("errno=0\n\n", self.site.ask("set=1\nreplace_peers=true\n" + peers + "\n"))
        set_seconds = time.monotonic() - began
        began = time.monotonic()
        answer = self.site.get()
        get_seconds = time.monotonic() - began
        self.assertEqual(10_000, answer.count("public_key="))
        self.assertEqual(130_000, answer.count("allowed_ip="))
        per_peer = (self.resident() - before) / 10_000
        print(f"10000 peers with 130000 allowed-ips: set {set_seconds:.2f} s, get {get_seconds:.2f} s, {per_peer:.0f} bytes per peer")
        if not os.environ.get("CULVERT_SANITIZED"):
            self.assertLess(per_peer, 8192)
        began = time.monotonic()
        config = run("wg", "showconf", "site-a")
        showconf_seconds = time.monotonic() - began
        file = self.lab.folder / "many"
        file.write_text(config)
        self.assertEqual("errno=0\n\n", self.site.ask("set=1\nreplace_peers=true\n\n"))
        self.assertEqual(0, self.site.get().count("public_key="))
        began = time.monotonic()
        run("wg", "setconf", "site-a", file)
        print(f"the same by wg: showconf {showconf_seconds:.2f} s, setconf {time.monotonic() - began:.2f} s")
        self.assertEqual(answer.count("allowed_ip="), self.site.get().count("allowed_ip="))
        self.assertEqual(sorted(config.splitlines()), sorted(run("wg", "showconf", "site-a").splitlines()))


if __name__ == "__main__":
    main()
