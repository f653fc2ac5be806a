#!/usr/bin/env python3
"""check, strip, save and SaveConfig, beside wg-quick's own.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ site-a  10.9.0.1     │  10.0.0.0/24    │ site-b  10.9.0.2     │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘
"""

import stat
import time

from lab import run, wait_until
from name_server import NameServer, use_name_server
from probes import answers
from quick import Quick, by_wg_quick
from scenario import Scenario, main
from sites import Culvert, Keys, Peer, introduce


class Files(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.a = Quick(self.host_a, "site-a", ["10.9.0.1/24", "fd09::1/64"], mtu=1300)
        self.b = Culvert(self.host_b, "site-b", ["10.9.0.2/24"])
        introduce(self.a, self.b, right_at="10.0.0.2", left_keepalive=25)
        self.b.start()
        self.lab.closing.callback(lambda: self.a.journal.exists() and self.a.down())

    # - what wg-quick takes

    def in_force(self):
        """What a file has brought about, but for what wireguard-go and wg-quick have of their own: a link-local address, a mark."""
        device, *peers = [line.split("\t") for line in self.a.wg("show", "site-a", "dump").splitlines()]
        peers = sorted([*peer[:3], sorted(peer[3].split(",")), peer[7]] for peer in peers)
        addresses = [line.split()[3] for line in self.host_a.ip("-o", "address", "show", "dev", "site-a").splitlines()]
        routes = [" ".join(line.split()) for family in ("-4", "-6") for line in self.host_a.ip(family, "route", "show", "dev", "site-a").splitlines()]
        keep = lambda lines: sorted(line for line in lines if not line.startswith("fe80"))  # noqa: E731
        return device[:3], peers, keep(addresses), keep(routes), self.host_a.ip("link", "show", "site-a").split(" mtu ")[1].split()[0]

    def test_files_as_generators_and_careless_people_write_them_do_what_they_do_with_wg_quick(self):
        key, peer, psk, other = self.a.keys.private, self.b.keys.public, Keys.generate().private, Keys.generate().public
        head = f"[Interface]\nPrivateKey = {key}\nListenPort = 51820\nAddress = 10.9.0.1/24\nMTU = 1300\n"
        tail = f"[Peer]\nPublicKey = {peer}\nAllowedIPs = 10.9.0.2/32\nEndpoint = 10.0.0.2:51820\n"
        files = {
            "keys left empty": head + "PreUp = \nPostUp =\nPreDown =\nPostDown =\nDNS =\nTable =\nMTU =\n" + tail,
            "true in capitals": head + "SaveConfig = False\n" + tail,
            "a key twice": head + "MTU = 1310\nListenPort = 51821\n" + tail + "PersistentKeepalive = 5\nPersistentKeepalive = 7\n",
            "the interface twice": head + tail + "[Interface]\nAddress = 10.9.1.1/24\nListenPort = 51822\n",
            "a peer twice": head + tail + f"PresharedKey = {psk}\n[Peer]\nPublicKey = {other}\nAllowedIPs = 10.9.0.5/32\n"
                            f"[Peer]\nPublicKey = {peer}\nAllowedIPs = 10.9.0.9/32, 10.9.0.5/32\nPersistentKeepalive = 9\n",
            "keys in small letters, no blanks": (head + tail).replace(" = ", "=").replace("PublicKey", "publickey").replace("MTU", "mtu"),
            "lines of Windows": (head + tail).replace("\n", "\r\n"),
            "comments and several lists": head + "Address = fd09::1/64, 10.9.2.1/32 # two\n# nothing\n\n" + tail + "AllowedIPs=10.8.0.0/16,fd08::/64\n",
        }
        for what, text in files.items():
            with self.subTest(what):
                # wg-quick keeps the carriage return in what it reads itself.
                theirs = by_wg_quick(self.a, self.in_force, text.replace("\r", ""))
                self.a.write_config(text)
                self.a.call("up")
                try:
                    self.assertEqual(theirs, self.in_force())
                finally:
                    self.assertEqual(0, self.a.down().returncode)

    # - strip

    def test_strip_prints_what_wg_takes_and_sets_nothing_else(self):
        self.a.interface_lines = ["DNS = 10.9.0.2", "PostUp = true", "SaveConfig = false", "Namespace = elsewhere"]
        self.a.write_config()
        stripped = self.a.call("strip")
        for key in ("Address", "DNS", "MTU", "PostUp", "Namespace", "Name ", "SaveConfig"):
            self.assertNotIn(key, stripped)
        self.host_a.start("wireguard-go", "-f", "reference")
        wait_until(lambda: run("wg", "show", "reference", check=False).returncode == 0, what="the reference to answer")
        (self.lab.folder / "stripped").write_text(stripped)
        run("wg", "setconf", "reference", self.lab.folder / "stripped")
        (self.lab.folder / "plain").write_text(self.a.config(wg_quick=False))
        before = run("wg", "showconf", "reference")
        run("wg", "setconf", "reference", self.lab.folder / "plain")
        self.assertEqual(before, run("wg", "showconf", "reference"))

    def test_a_stripped_file_changes_nothing_of_a_tunnel_that_runs_by_it(self):
        self.a.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        before = self.a.status_of(self.b).handshake_time
        (self.lab.folder / "stripped").write_text(self.a.call("strip"))
        self.a.wg("syncconf", "site-a", self.lab.folder / "stripped")
        self.assertEqual(before, self.a.status_of(self.b).handshake_time)

    # - save

    def change_the_tunnel(self):
        self.newcomer = Keys.generate()
        self.a.wg("set", "site-a", "peer", self.newcomer.public, "allowed-ips", "10.9.0.3/32,fd09::3/128")
        self.host_a.ip("address", "add", "10.9.1.1/24", "dev", "site-a")
        self.host_a.ip("link", "set", "site-a", "mtu", 1290)

    def assert_saved(self):
        text = self.a.config_path.read_text()
        self.assertEqual(0o600, stat.S_IMODE(self.a.config_path.stat().st_mode))
        for line in (f"PrivateKey = {self.a.keys.private}", "Address = 10.9.1.1/24", "Address = fd09::1/64", "MTU = 1290",
                     f"PublicKey = {self.newcomer.public}", "AllowedIPs = 10.9.0.3/32, fd09::3/128", "PersistentKeepalive = 25",
                     f"PublicKey = {self.b.keys.public}", "Name = site-b", "PostUp = true", "ListenPort = 51820"):
            self.assertIn(line + "\n", text)
        for absent in ("fe80", "FwMark", ".tmp"):
            self.assertNotIn(absent, text)
        self.assertFalse(self.a.config_path.with_suffix(".conf.tmp").exists())
        return text

    def test_save_writes_what_is(self):
        self.a.interface_lines = ["PostUp = true"]
        self.a.peers[0].allowed_ips.append("0.0.0.0/0")  # which chooses a mark that is not to be saved
        self.a.start()
        self.change_the_tunnel()
        self.a.call("save")
        text = self.assert_saved()
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(text, self.a.config_path.read_text())
        self.a.call("up")
        self.assertIn(self.newcomer.public, self.a.wg("show", "site-a", "peers"))
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    def test_save_writes_no_mark_that_was_chosen_because_that_of_the_file_is_off(self):
        self.a.peers[0].allowed_ips.append("0.0.0.0/0")
        for off in ("off", "0"):
            self.a.interface_lines = [f"FwMark = {off}"]
            self.a.start()
            self.assertEqual("0xca6c", self.a.wg("show", "site-a", "fwmark").strip())
            self.a.call("save")
            self.assertNotIn("FwMark", self.a.config_path.read_text())
            self.assertEqual(0, self.a.down().returncode)

    def test_save_of_what_does_not_run_changes_nothing(self):
        self.a.write_config()
        before = self.a.config_path.read_text()
        done = self.a.call("save", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("site-a.sock", done.stderr)
        self.assertEqual(before, self.a.config_path.read_text())

    def test_save_config_saves_on_the_way_down_after_predown(self):
        self.a.interface_lines = ["SaveConfig = true", "PostUp = true",
                                  "PreDown = wg set %i peer $(wg show %i peers | head -1) persistent-keepalive 25"]
        self.a.start()
        self.change_the_tunnel()
        self.assertEqual(0, self.a.down().returncode)
        self.assertIn("SaveConfig = true\n", self.assert_saved())

    def test_save_config_saves_nothing_of_a_tunnel_that_did_not_come_up(self):
        self.a.interface_lines = ["SaveConfig = true", "PostUp = false"]
        self.assertEqual(1, self.a.up().returncode)
        self.assertEqual(self.a.config(), self.a.config_path.read_text())

    def test_a_save_that_fails_is_reported_and_down_goes_on(self):
        self.a.interface_lines = ["SaveConfig = true", f"PreDown = rm {self.a.config_path}"]
        self.a.start()
        done = self.a.down()
        self.assertEqual(1, done.returncode)
        self.assertIn("site-a.conf", done.stderr)
        self.assertFalse(self.host_a.has_link("site-a"))

    # - check

    def test_check_says_ok_and_warns_of_what_bites(self):
        self.a.write_config()
        done = self.a.call("check", check=False)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.a.mtu = 1480
        self.a.peers[0].allowed_ips = ["10.0.0.0/24"]
        self.a.peers.append(Peer(Keys.generate().public, ["10.0.0.0/24"]))
        self.a.write_config()
        self.a.config_path.chmod(0o644)
        self.lab.folder.chmod(0o755)
        done = self.a.call("check", check=False)
        self.assertEqual(0, done.returncode)
        for said in ("others can read the file", "AllowedIPs 10.0.0.0/24 belongs to the peer in line", "lies in AllowedIPs 10.0.0.0/24"):
            self.assertIn(said, done.stderr)
        self.a.peers.pop()
        self.a.peers[0].allowed_ips = ["10.8.0.0/24"]
        self.a.write_config()
        self.assertIn("MTU 1480 is more than the 1440", self.a.call("check", check=False).stderr)

    def test_check_looks_the_names_of_endpoints_up(self):
        use_name_server(self.lab)
        self.a.peers[0].endpoint = "far.test:51820"
        self.a.write_config()
        with NameServer(self.host_a, {"far.test": ["10.0.0.2"]}) as server:
            done = self.a.call("check", check=False)
            self.assertEqual((0, ""), (done.returncode, done.stderr))
            server.records["far.test"] = ["10.9.0.77"]
            self.assertIn("Endpoint far.test (10.9.0.77) lies in Address 10.9.0.1/24", self.a.call("check", check=False).stderr)
            server.is_silent = True
            began = time.monotonic()
            done = self.a.call("check", check=False)
        self.assertEqual(0, done.returncode)
        self.assertIn("Endpoint far.test: no address is known for this name now", done.stderr)
        self.assertLess(time.monotonic() - began, 15)

    def test_a_file_without_private_key_gets_it_from_a_hook(self):
        key = self.lab.folder / "key"
        key.write_text(self.a.keys.private + "\n")
        self.a.write_config()
        lines = [line for line in self.a.config().splitlines() if not line.startswith("PrivateKey")]
        lines.insert(1, f"PostUp = wg set %i private-key {key}")
        self.a.write_config("\n".join(lines) + "\n")
        self.a.call("up")
        self.assertTrue(answers(self.host_a, "10.9.0.2"))


if __name__ == "__main__":
    main()
