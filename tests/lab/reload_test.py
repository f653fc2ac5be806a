#!/usr/bin/env python3
"""culvert reload: a changed file put in force on a running tunnel.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ site-a  10.9.0.1     │  10.0.0.0/24    │ site-b  10.9.0.2     │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘
"""

import socket
import threading
import time

from lab import run, wait_until
from probes import Pinger, answers
from quick import Quick, system_state
from scenario import Scenario, main, redundant_under_sanitizers
from sites import Culvert, Keys, Peer, WireGuardGo, culvert_binary, generate_psk, introduce


class Reload(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.a = Quick(self.host_a, "site-a", ["10.9.0.1/24"], mtu=1300)
        self.b = self.other(self.host_b, "site-b", ["10.9.0.2/24"])
        introduce(self.a, self.b, right_at="10.0.0.2", left_keepalive=25)
        self.b.start()
        self.before = system_state(self.host_a)
        self.a.start()
        self.lab.closing.callback(lambda: self.a.journal.exists() and self.a.down())
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    other = Culvert

    def reload(self, *options, check=True):
        self.a.write_config()
        return self.a.runs_in.run(culvert_binary(), "reload", self.a.config_path, *options, check=check)

    def refused(self, text=None):
        """What a reload says that fails and changes nothing."""
        state, status = system_state(self.host_a), self.a.wg("showconf", "site-a")
        self.a.write_config(text)
        done = self.a.runs_in.run(culvert_binary(), "reload", self.a.config_path, check=False)
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertEqual((state, status), (system_state(self.host_a), self.a.wg("showconf", "site-a")))
        return done.stderr

    def addresses(self):
        return self.host_a.ip("-o", "address", "show", "dev", "site-a")

    def routes(self, *words):
        return self.host_a.ip("route", "show", "dev", "site-a", *words)

    # - what changes

    def test_the_same_file_changes_nothing(self):
        state = system_state(self.host_a)
        self.assertIn("nothing differs", self.reload())
        self.assertEqual(state, system_state(self.host_a))

    def test_everything_a_file_can_change_changes_and_the_session_goes_on(self):
        newcomer = Keys.generate()
        handshake = self.a.status_of(self.b).handshake_time
        endpoint = self.a.endpoint_of(self.b)
        self.a.addresses = ["10.9.0.1/24", "10.9.7.1/24", "fd09::1/64"]
        self.a.mtu = 1320
        self.a.interface_lines = ["FwMark = 77"]
        self.a.peers[0].allowed_ips += ["10.50.0.0/16"]
        self.a.peers[0].keepalive = 11
        self.a.peers.append(Peer(newcomer.public, ["10.60.0.0/16", "fd60::/64"], name="newcomer"))
        with Pinger(self.host_a, "10.9.0.2") as pings:
            said = self.reload()
            time.sleep(0.3)
        self.assertEqual(0, pings.lost)
        self.a.port = 51999  # by itself, since what is on its way to the old port is lost
        said += self.reload()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        for expected in ("Address +10.9.7.1/24 +fd09::1/64", "MTU: 1300 -> 1320", "ListenPort: 51820 -> 51999",
                         "FwMark: off -> 77", "routes +10.50.0.0/16 +10.60.0.0/16 +fd60::/64",
                         "AllowedIPs +10.50.0.0/16", "PersistentKeepalive: 25 -> 11", f"newcomer {newcomer.public}: comes"):
            self.assertIn(expected, said)
        self.assertIn("10.9.7.1/24", self.addresses())
        self.assertIn("fd09::1/64", self.addresses())
        for route in ("10.50.0.0/16", "10.60.0.0/16"):
            self.assertIn(route, self.routes())
        self.assertIn("mtu 1320", self.host_a.ip("link", "show", "site-a"))
        self.assertEqual("51999", self.a.wg("show", "site-a", "listen-port").strip())
        self.assertEqual("0x4d", self.a.wg("show", "site-a", "fwmark").strip())
        self.assertEqual(["10.9.0.2/32", "10.50.0.0/16"], sorted(self.a.status_of(self.b).allowed_ips, reverse=True))
        self.assertEqual((handshake, endpoint), (self.a.status_of(self.b).handshake_time, self.a.endpoint_of(self.b)))
        self.assertIn("nothing differs", self.reload())

        # And all the way back.
        self.a.addresses, self.a.mtu, self.a.interface_lines = ["10.9.0.1/24"], 1300, []
        self.a.peers = self.a.peers[:1]
        self.a.peers[0].allowed_ips.pop()
        said = self.reload()
        self.assertIn(f"{newcomer.public}: goes", said)
        self.assertNotIn("10.9.7.1", self.addresses())
        self.assertNotIn("10.50.0.0", self.routes())
        self.assertEqual([self.b.keys.public], list(self.a.status()))
        self.assertEqual(handshake, self.a.status_of(self.b).handshake_time)
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(self.before, system_state(self.host_a))

    def test_a_transfer_goes_on_through_reloads(self):
        """50 reloads that change a peer, an address and a route each, under TCP: the stream breaks nowhere."""
        newcomer = Keys.generate()
        received = []

        def receive(listener):
            with listener.accept()[0] as stream:
                while piece := stream.recv(1 << 16):
                    received.append(len(piece))

        with self.host_b.socket() as listener:
            listener.bind(("10.9.0.2", 5300))
            listener.listen()
            receiver = threading.Thread(target=receive, args=(listener,))
            receiver.start()
            with self.host_a.socket() as stream:
                stream.settimeout(20)
                stream.connect(("10.9.0.2", 5300))
                handshake = self.a.status_of(self.b).handshake_time
                for i in range(50):
                    self.a.addresses = ["10.9.0.1/24"] + [f"10.9.{i}.9/24"] * (i % 2)
                    self.a.peers[1:] = [Peer(newcomer.public, ["10.60.0.0/16"])] * (i % 2)
                    self.reload()
                    stream.sendall(b"x" * (1 << 18))
                stream.shutdown(socket.SHUT_WR)
                receiver.join(30)
        self.assertEqual(50 << 18, sum(received))
        self.assertEqual(handshake, self.a.status_of(self.b).handshake_time)

    def test_a_preshared_key_counts_from_the_next_handshake_on(self):
        key = generate_psk()
        self.a.peers[0].preshared_key = self.b.peers[0].preshared_key = key
        said = self.reload()
        self.assertIn("PresharedKey changes", said)
        self.assertNotIn(key, said)
        self.assertEqual([key], self.a.wg("show", "site-a", "preshared-keys").split()[1:])
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    def test_another_private_key_begins_anew(self):
        keys = Keys.generate()
        self.a.keys = keys
        said = self.reload()
        self.assertIn("PrivateKey changes", said)
        self.assertNotIn(keys.private, said)
        self.assertEqual(keys.public, self.a.wg("show", "site-a", "public-key").strip())
        self.b.wg("set", "site-b", "peer", self.b.peers[0].public_key, "remove")
        self.b.wg("set", "site-b", "peer", keys.public, "allowed-ips", "10.9.0.1/32")
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    def test_what_wg_set_meanwhile_is_taken_back_and_what_hooks_added_stays(self):
        stranger = Keys.generate()
        self.a.wg("set", "site-a", "peer", stranger.public, "allowed-ips", "10.70.0.0/16")
        self.host_a.ip("route", "add", "10.71.0.0/16", "dev", "site-a")
        self.host_a.ip("address", "add", "10.9.9.9/24", "dev", "site-a")
        self.assertIn(f"{stranger.public}: goes", self.reload())
        self.assertEqual([self.b.keys.public], list(self.a.status()))
        self.assertIn("10.71.0.0/16", self.routes())
        self.assertIn("10.9.9.9", self.addresses())

    def test_what_somebody_removed_is_made_again(self):
        self.host_a.ip("address", "flush", "dev", "site-a")
        self.host_a.ip("link", "set", "site-a", "mtu", "1280")
        said = self.reload()
        self.assertIn("Address +10.9.0.1/24", said)
        self.assertIn("MTU: 1280 -> 1300", said)
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    def test_a_peer_that_moved_is_not_pulled_back(self):
        self.host_b.ip("address", "add", "10.0.0.22/24", "dev", "uplink")
        self.host_b.ip("address", "del", "10.0.0.2/24", "dev", "uplink")
        self.b.wg("set", "site-b", "peer", self.a.keys.public, "persistent-keepalive", "1", "endpoint", "10.0.0.1:51820")
        wait_until(lambda: self.a.endpoint_of(self.b) == "10.0.0.22:51820", 10, "the peer to be followed")
        self.a.peers[0].keepalive = 12
        self.reload()
        self.assertEqual("10.0.0.22:51820", self.a.endpoint_of(self.b))
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    def test_an_endpoint_that_the_file_changes_is_used_at_once(self):
        self.host_b.ip("address", "add", "10.0.0.22/24", "dev", "uplink")
        self.a.peers[0].endpoint = "10.0.0.22:51820"
        self.assertIn("Endpoint: 10.0.0.2:51820 -> 10.0.0.22:51820", self.reload())
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    def test_a_default_route_comes_and_goes(self):
        main_routes = self.host_a.ip("route", "show", "table", "main")
        self.a.peers[0].allowed_ips = ["0.0.0.0/0"]
        said = self.reload()
        self.assertIn("routes +0.0.0.0/0 table 51820", said)
        self.assertIn("default dev site-a", self.host_a.ip("route", "show", "table", "51820"))
        self.assertIn("not from all fwmark 0xca6c lookup 51820", self.host_a.ip("rule"))
        self.assertIn("culvert-site-a", self.host_a.run("nft", "list", "ruleset"))
        self.host_b.ip("address", "add", "198.51.100.1/32", "dev", "lo")
        self.assertTrue(answers(self.host_a, "198.51.100.1"))
        # A rule that is gone is made again, as after `up`.
        self.host_a.ip("rule", "del", "table", "51820")
        wait_until(lambda: "lookup 51820" in self.host_a.ip("rule"), what="the rule to be there again")

        self.a.addresses = ["10.9.0.1/24", "10.9.5.1/24"]
        self.reload()
        self.assertIn("10.9.5.1", self.host_a.run("nft", "list", "ruleset"))
        self.assertEqual(1, self.host_a.ip("rule").count("lookup 51820"))

        self.a.interface_lines = ["FwMark = 4242"]
        self.reload()
        self.assertNotIn("51820", self.host_a.ip("rule"))
        self.assertIn("lookup 4242", self.host_a.ip("rule"))
        self.assertTrue(answers(self.host_a, "198.51.100.1"))

        self.a.interface_lines = []
        self.assertIn("FwMark: 4242 -> 51820", self.reload())
        self.assertIn("lookup 51820", self.host_a.ip("rule"))
        self.assertNotIn("lookup 4242", self.host_a.ip("rule"))
        self.assertTrue(answers(self.host_a, "198.51.100.1"))

        self.a.addresses = ["10.9.0.1/24"]
        self.a.peers[0].allowed_ips = ["10.9.0.2/32"]
        self.reload()
        self.assertEqual(main_routes, self.host_a.ip("route", "show", "table", "main"))
        self.assertNotIn("lookup 51820", self.host_a.ip("rule"))
        self.assertEqual("", self.host_a.run("nft", "list", "ruleset"))
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(self.before, system_state(self.host_a))

    def test_hooks_of_the_new_file_run_on_the_way_down_and_none_now(self):
        notes = self.lab.folder / "notes"
        self.a.interface_lines = [f"{key} = echo {key} >> {notes}" for key in ("PreUp", "PostUp", "PreDown", "PostDown")]
        self.assertIn("PreDown and PostDown", self.reload())
        self.assertFalse(notes.exists())
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(["PreDown", "PostDown"], notes.read_text().split())

    def test_a_reload_before_a_kill_is_undone_like_the_rest(self):
        self.a.peers[0].allowed_ips = ["0.0.0.0/0"]
        self.reload()
        self.a.kill()
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(self.before, system_state(self.host_a))

    def test_a_deleted_device_is_made_again_as_the_new_file_says(self):
        self.a.addresses = ["10.9.0.1/24", "10.9.5.1/24"]
        self.reload()
        self.host_a.ip("link", "delete", "site-a")
        wait_until(lambda: self.host_a.has_link("site-a") and "10.9.5.1" in self.addresses(), what="the device to be back")

    # - what does not

    def test_dry_run_tells_and_changes_nothing(self):
        state, shown = system_state(self.host_a), self.a.wg("showconf", "site-a")
        self.a.addresses = ["10.9.5.1/24"]
        self.a.peers[0].allowed_ips = ["0.0.0.0/0"]
        said = self.reload("--dry-run")
        for expected in ("Address -10.9.0.1/24 +10.9.5.1/24", "AllowedIPs -10.9.0.2/32 +0.0.0.0/0", "nothing was changed"):
            self.assertIn(expected, said)
        self.assertEqual((state, shown), (system_state(self.host_a), self.a.wg("showconf", "site-a")))

    def test_a_broken_file_is_named_by_line_and_column_and_changes_nothing(self):
        lines = self.a.config().splitlines()
        lines[2] = "ListenPort = many"
        self.assertIn(f"{self.a.config_path}:3:14: ", self.refused("\n".join(lines) + "\n"))

    def test_a_port_in_use_changes_nothing(self):
        with self.host_a.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("0.0.0.0", 51999))
            self.a.port, self.a.addresses = 51999, ["10.9.0.1/24", "10.9.5.1/24"]
            self.assertIn("Address already in use", self.refused())
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    def test_an_address_the_kernel_refuses_changes_nothing(self):
        newcomer = Keys.generate()
        handshake = self.a.status_of(self.b).handshake_time
        self.a.addresses = ["10.9.0.1/24", "10.9.5.1/24", "ff02::5/64"]
        self.a.peers.append(Peer(newcomer.public, ["10.60.0.0/16"]))
        self.assertIn("ff02::5", self.refused())
        self.assertEqual(handshake, self.a.status_of(self.b).handshake_time)
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    def test_another_namespace_is_refused_with_advice(self):
        self.lab.host("elsewhere")
        self.a.interface_lines = ["Namespace = elsewhere"]
        self.assertIn("culvert down site-a and culvert up", self.refused())

    def test_a_tunnel_that_does_not_run_or_has_no_file_is_said(self):
        self.assertEqual(0, self.a.down().returncode)
        self.assertIn("is it running", self.reload(check=False).stderr)
        bare = self.host_a.start(culvert_binary(), "-f", "site-a")
        wait_until(lambda: run("wg", "show", "site-a", check=False).returncode == 0, what="the bare device")
        self.assertIn("not run from a file", self.reload(check=False).stderr)
        bare.end()


@redundant_under_sanitizers
class ReloadBesideWireGuardGo(Reload):
    """The same with Debian's wireguard-go at the other end."""

    other = WireGuardGo


if __name__ == "__main__":
    main()
