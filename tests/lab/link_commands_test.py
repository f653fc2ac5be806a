#!/usr/bin/env python3
"""culvert link, row by row of what people do with ip link, brctl and by hand; each makes what the other uses.

      blue                 switch                  red
    ┌───────────┐        ┌──────────────┐        ┌───────────┐
    │ eth .1 ───┼────────┼ p1  br0   p2 ┼────────┼─── eth .2 │     and veth pairs from one namespace straight to the other
    └───────────┘        └──────────────┘        └───────────┘
                            10.0.0.0/24
"""

import http.client
import json
import pathlib
import socket
import time

from commands import NAMES, WRONG_USAGE, CommandScenario, without_capability
from lab import add_address, run, wait_until
from probes import ETH_P_ALL, Capture, answers, ping
from scenario import main
from sites import Culvert, culvert_binary, introduce


class Links(CommandScenario):
    """Veth pairs and single links."""

    def setUp(self):
        super().setUp()
        self.blue, self.red = self.lab.host("blue"), self.lab.host("red")

    def pair(self, *options):
        self.culvert("link", "veth", "left:blue", "right:red", "--address", "10.0.0.1/24", "--peer-address", "10.0.0.2/24",
                     "--peer-address", "fd00::2/64", *options)

    def test_row_08_a_veth_pair_carries_packets_once_both_ends_are_up_and_goes_as_a_whole(self):
        self.pair()
        self.assertEqual(({"lo", "left"}, {"lo", "right"}), (self.links("blue"), self.links("red")))
        self.assertEqual("", run("ip", "-o", "link", "show", "type", "veth"), "neither end was left here")
        self.assertEqual(["10.0.0.1"], [a["local"] for a in self.link("blue", "left")["addr_info"]])
        self.assertEqual(0, ping(self.blue, "10.0.0.2", count=1).received)
        self.culvert("link", "up", "left", "-n", "blue")
        self.assertIn("NO-CARRIER", self.link("blue", "left")["flags"])
        self.assertEqual(0, ping(self.blue, "10.0.0.2", count=1).received)
        self.culvert("link", "-n", "red", "up", "right")
        self.assertTrue(answers(self.blue, "10.0.0.2") and answers(self.red, "10.0.0.1"))
        self.culvert("link", "delete", "right", "-n", "red")
        self.assertEqual(({"lo"}, {"lo"}), (self.links("blue"), self.links("red")))

    def test_row_08_ends_take_default_names_and_any_way_to_name_a_namespace(self):
        process = self.red.start("sleep", "600")
        wait_until(lambda: self.inode(f"/proc/{process.pid}/ns/net") == self.inode(NAMES / "red"), what="a process in the namespace")
        self.assertEqual(f"veth0 in blue, veth0 in pid:{process.pid}\n", self.culvert("link", "veth", ":blue", f":pid:{process.pid}"))
        self.assertEqual([("veth1", "blue"), ("right", str(NAMES / "red"))],
                         [(end["ifname"], end["namespace"]) for end in
                          self.culvert_json("link", "veth", "right:" + str(NAMES / "red"), ":blue")][::-1])
        self.assertEqual(({"lo", "veth0", "veth1"}, {"lo", "veth0", "right"}), (self.links("blue"), self.links("red")))
        self.assertEqual("veth2 in blue, veth3 in blue\n", self.culvert("link", "-n", "blue", "veth"))

    def test_row_08_a_pair_that_ip_made_is_used_and_one_end_there_is_moved_and_addressed(self):
        run("ip", "link", "add", "left", "type", "veth", "peer", "name", "right")
        self.culvert("link", "move", "left", "blue")
        self.culvert("netns", "move", "right", "red", "--name", "eth")
        self.culvert("link", "address", "add", "left", "10.0.0.1/24", "-n", "blue")
        self.culvert("link", "address", "add", "10.0.0.2/24", "dev", "eth", "-n", "red")
        self.culvert("link", "up", "left", "-n", "blue")
        self.culvert("link", "up", "eth", "-n", "red")
        self.assertTrue(answers(self.blue, "10.0.0.2"))
        self.culvert("link", "address", "delete", "eth", "10.0.0.2/24", "-n", "red")
        self.assertEqual(0, ping(self.blue, "10.0.0.2", count=1).received)
        self.culvert("link", "down", "left", "-n", "blue")
        self.assertNotIn("UP", self.link("blue", "left")["flags"])

    def test_row_08_what_links_there_are_is_shown_as_ip_shows_it(self):
        self.pair("--up")
        wait_until(lambda: self.link("blue", "left")["operstate"] == "UP", what="the pair to be up")
        shown = {link["ifname"]: link for link in self.culvert_json("link", "show", "-n", "blue")}
        listed = {link["ifname"]: link for link in json.loads(self.blue.ip("-j", "-d", "address"))}
        self.assertEqual(listed.keys(), shown.keys())
        for name, link in listed.items():
            for key in ("ifindex", "mtu", "operstate", "link_index", "link_netnsid"):
                self.assertEqual(link.get(key), shown[name].get(key), (name, key))
            self.assertEqual([(a["local"], a["prefixlen"]) for a in link["addr_info"]],
                             [(a["local"], a["prefixlen"]) for a in shown[name]["addr_info"]])
        self.assertEqual(listed["left"]["address"], shown["left"]["address"])
        self.assertEqual("veth", shown["left"]["linkinfo"]["info_kind"])
        self.assertIn("left: up, mtu 1500, veth to interface", self.culvert("link", "show", "left", "-n", "blue"))

    def test_row_09_the_other_end_of_a_veth_is_found_with_the_namespace_it_lives_in(self):
        self.red.ip("link", "add", "filler", "type", "bridge")
        self.pair("--up")
        for host, name, other_host, other in ((self.blue, "left", "red", "right"), (self.red, "right", "blue", "left")):
            iflink = int(run("ip", "netns", "exec", host.name, "cat", f"/sys/class/net/{name}/iflink"))
            self.assertEqual(self.link(other_host, other)["ifindex"], iflink)
            found = self.culvert_json("link", "peer-of", name, "-n", host.name)
            self.assertEqual((iflink, other, other_host), (found["ifindex"], found["ifname"], found["namespace"]))
            self.assertEqual(f"{iflink}: {other}: in network namespace '{other_host}', number {found['nsid']}\n",
                             self.culvert("link", "peer-of", name, "-n", host.name))
            # From inside it is the same.
            self.assertEqual(found, self.culvert_json("link", "peer-of", name, inside=host.inside()))
        self.refused("link", "peer-of", "lo", "-n", "blue", said=["'lo'", "'blue'", "no other end"])
        self.refused("link", "peer-of", "none", "-n", "blue", said=["'none'", "'blue'"])

    def test_row_09_from_inside_a_container_the_other_end_is_found_as_far_as_can_be_seen(self):
        # No name, but a process.
        self.pair("--up")
        process = self.red.start("sleep", "600")
        wait_until(lambda: self.inode(f"/proc/{process.pid}/ns/net") == self.inode(NAMES / "red"), what="a process in the namespace")
        self.red.delete()
        found = self.culvert_json("link", "peer-of", "left", inside=self.blue.inside())
        self.assertEqual((f"pid:{process.pid}", "right"), (found["namespace"], found["ifname"]))
        # Neither: processes, mounts and names of its own.
        container = [*self.blue.inside(), "unshare", "--pid", "--fork", "--mount", "--mount-proc", "sh", "-c",
                     'mount -t tmpfs tmpfs /run; exec "$0" "$@"']
        found = self.culvert_json("link", "peer-of", "left", inside=container)
        iflink = int(run("ip", "netns", "exec", "blue", "cat", "/sys/class/net/left/iflink"))
        self.assertEqual((iflink, "right"), (found["ifindex"], found["ifname"]))
        self.assertIsNone(found["namespace"])
        self.assertRegex(self.culvert("link", "peer-of", "left", inside=container), "no process seen from here .*ask outside")

    def test_row_09_from_inside_a_container_that_sees_the_names_the_other_end_has_its_namespaces(self):
        self.pair("--up")
        container = [*self.blue.inside(), "unshare", "--pid", "--fork", "--mount", "--mount-proc"]
        found = self.culvert_json("link", "peer-of", "left", inside=container)
        self.assertEqual(("red", "right"), (found["namespace"], found["ifname"]))
        self.assertIn("in network namespace 'red'", self.culvert("link", "peer-of", "left", inside=container))

    def fetch(self, host, address):
        """What a web server answers to a host."""
        connection = http.client.HTTPConnection(address, 80, timeout=30)
        with host.entered():
            connection.connect()
        connection.request("GET", "/")
        return connection.getresponse().read().decode()

    def test_row_12_each_namespace_has_a_server_on_port_80_with_its_own_content(self):
        client = self.lab.host("client")
        for number, name in enumerate(("one", "two", "three"), 1):
            self.culvert("netns", "add", name)
            self.culvert("link", "veth", f"to-{name}:client", f"eth:{name}", "--address", f"10.{number}.0.2/24",
                         "--peer-address", f"10.{number}.0.1/24", "--up")
            folder = self.lab.folder / name
            folder.mkdir()
            (folder / "index.html").write_text(f"this is {name}\n", encoding="ascii")
            self.lab.start(culvert_binary(), "netns", "exec", name, "python3", "-m", "http.server", "80", "--directory", folder)
        for number, name in enumerate(("one", "two", "three"), 1):
            def answer(address=f"10.{number}.0.1"):
                try:
                    return self.fetch(client, address)
                except OSError:
                    return None
            self.assertEqual(f"this is {name}\n", wait_until(answer, what=f"the server of {name}"))
        for process in self.lab.processes:
            process.end()

    def test_row_13_a_process_neither_sees_anothers_packets_nor_its_links(self):
        self.pair("--up")
        spy = [culvert_binary(), "netns", "exec", "spy"]
        everything = self.lab.host("spy").socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        with everything, Capture(self.red, "right") as known:
            self.assertTrue(answers(self.blue, "10.0.0.2"))
            self.assertEqual(10, ping(self.blue, "10.0.0.2", count=10).received)
            time.sleep(0.2)
            everything.setblocking(False)
            with self.assertRaises(BlockingIOError, msg="the spy got a packet"):
                everything.recv(1 << 16)
        self.assertGreaterEqual(known.count, 20, "there was something to see")
        self.assertEqual(["lo"], [link["ifname"] for link in self.culvert_json("link", "show", inside=spy)])
        self.assertEqual(["lo"], [link["ifname"] for link in json.loads(run(*spy, "ip", "-j", "link"))])
        for name in ("left", "right"):
            self.refused("link", "down", name, said=[f"'{name}'", "No such device"], inside=spy)
            self.assertNotEqual(0, run(*spy, "ip", "link", "set", name, "down", check=False).returncode)
        self.assertTrue(answers(self.blue, "10.0.0.2"))

    def test_row_14_a_device_is_moved_by_name_and_by_the_pid_of_a_process_and_virtual_ones_vanish_with_the_last_process(self):
        # Hardware, which returns to the first namespace, is not to be had in a lab.
        self.culvert("link", "veth", "one", "two")
        process = self.lab.start("unshare", "--net", "sleep", "600")
        here = self.inode("/proc/self/ns/net")
        wait_until(lambda: self.inode(f"/proc/{process.pid}/ns/net") != here, what="a namespace of its own")
        inside = ["nsenter", f"--net=/proc/{process.pid}/ns/net"]
        self.culvert("link", "move", "one", process.pid)
        self.culvert("netns", "move", "two", "blue")
        self.assertEqual("", run("ip", "-o", "link", "show", "type", "veth"))
        self.assertIn("one", run(*inside, "ip", "link"))
        self.assertEqual({"lo", "two"}, self.links("blue"))
        self.culvert("link", "move", "two", f"pid:{process.pid}", "-n", "blue", "--name", "other")
        self.assertIn("other", run(*inside, "ip", "link"))
        run(*inside, "ip", "link", "set", "other", "netns", NAMES / "blue")
        process.end()
        wait_until(lambda: self.links("blue") == {"lo"}, what="the pair to vanish with the namespace")

    def test_row_14_refused_moves_move_nothing(self):
        self.pair()
        self.red.ip("link", "add", "left", "type", "bridge")
        before = self.whole_state()
        for words, said in ((("none", "red"), ["'none'", "'blue'"]), (("left", "nowhere"), ["'nowhere'", "no such name"]),
                            (("left", "red"), ["'left'", "'red'", "already"]), (("lo", "red", "--name", "x"), ["'lo'", "loopback"]),
                            (("left", "red", "--name", "n" * 16), ["15 bytes"]), (("left", "red", "--name", "a/b"), ["'a/b'"]),
                            (("left", "pid:999999999"), ["pid:999999999", "no such process"])):
            with self.subTest(words=words):
                self.refused("link", "move", *words, "-n", "blue", said=said)
        self.refused("link", "move", "left", "red", "--name", "y", "-n", "blue", said=["left", "'blue'", "CAP_NET_ADMIN"],
                     inside=without_capability("net_admin"))
        self.assertEqual(before, self.whole_state())

    def test_a_pair_is_made_with_all_that_belongs_to_it_or_not_at_all(self):
        self.blue.ip("link", "add", "taken", "type", "bridge")
        before = self.whole_state()
        for words, said in ((("taken:blue", "x:red"), ["'taken'", "'blue'", "already"]), (("x:red", "taken:blue"), ["'taken'", "'blue'"]),
                            (("x:nowhere", "y"), ["'nowhere'", "no such name"]), (("x", "y:nowhere"), ["'nowhere'"]),
                            (("x:", "y"), ["'x:'"]), (("a/b", "y"), ["'a/b'"]), (("n" * 16, "y"), ["15 bytes"]), (("x", "x"), ["'x'"]),
                            (("x:blue", "y:red", "--address", "10.0.0.1/24", "--address", "10.0.0.1/24", "--up"), ["10.0.0.1/24", "x", "'blue'"]),
                            (("x:blue", "y:red", "--peer-address", "10.0.0.1/24", "--peer-address", "10.0.0.1/24"), ["10.0.0.1/24", "y", "'red'"]),
                            (("x:blue", "y:red", "--address", "10.0.0.256/24"), ["10.0.0.256/24"]),
                            (("x:blue", "y:red", "--mtu", "1"), ["x"]), (("x:blue", "y:red", "--mtu", "1200", "--up", "--address", "fd00::1/64"), ["fd00::1/64"])):
            with self.subTest(words=words):
                self.refused("link", "veth", *words, said=said)
        self.refused("link", "veth", "x:blue", "y:red", said=["x", "'blue'", "CAP_NET_ADMIN"], inside=without_capability("net_admin"))
        self.assertEqual(before, self.whole_state())
        for words in (("veth", "a", "b", "c"), ("up",), ("veth", "--mtu", "x"), ("unknown",)):
            with self.subTest(words=words):
                self.assertEqual(WRONG_USAGE, self.try_culvert("link", *words).returncode)

    def test_a_signal_leaves_a_whole_pair_or_none(self):
        made = {True: 0, False: 0}
        delay = 0.005
        for _ in range(60):
            process = self.lab.start(culvert_binary(), "link", "veth", "left:blue", "right:red", "--address", "10.0.0.1/24",
                                     "--peer-address", "10.0.0.2/24", "--up")
            time.sleep(delay)
            process.popen.terminate()
            process.popen.wait()
            is_made = "left" in self.links("blue")
            made[is_made] += 1
            # Around the moment at which it is being made.
            delay *= 0.85 if is_made else 1.2
            if is_made:
                for end, address in ((("blue", "left"), "10.0.0.1"), (("red", "right"), "10.0.0.2")):
                    self.assertEqual([address], [a["local"] for a in self.link(*end)["addr_info"] if a["scope"] == "global"])
                    self.assertIn("UP", self.link(*end)["flags"])
                self.culvert("link", "delete", "left", "-n", "blue")
            self.assertEqual(({"lo"}, {"lo"}), (self.links("blue"), self.links("red")))
        self.assertTrue(all(made.values()), made)

    def test_unknown_links_and_addresses_are_refused_by_name(self):
        self.pair()
        before = self.whole_state()
        for words, said in ((("up", "none"), ["'none'", "'blue'"]), (("down", "left", "none"), ["'none'"]), (("delete", "none"), ["'none'"]),
                            (("show", "none"), ["'none'"]), (("address", "add", "none", "10.0.0.9/24"), ["'none'"]),
                            (("address", "add", "left", "10.0.0.9/33"), ["'10.0.0.9/33'"]), (("address", "add", "left"), ["name an address"]),
                            (("address", "add", "left", "10.0.0.9/24", "10.0.0.1/24"), ["10.0.0.1/24", "left", "'blue'", "there already"]),
                            (("address", "delete", "left", "10.0.0.9/24"), ["10.0.0.9/24", "left", "'blue'"])):
            with self.subTest(words=words):
                self.refused("link", *words, "-n", "blue", said=said)
        self.assertEqual(before, self.whole_state())


class Bridges(CommandScenario):
    """Bridges, their ports and what cannot be one."""

    def setUp(self):
        super().setUp()
        self.switch = self.lab.host("switch")

    def station(self, number, port, name):
        host = self.lab.host(name)
        self.culvert("link", "veth", f"eth:{name}", f"{port}:switch", "--address", f"10.0.0.{number}/24", "--up")
        return host

    def states(self):
        """Ports and their states, as bridge(8) tells them."""
        return {port["ifname"]: (port["master"], port["state"]) for port in json.loads(self.switch.run("bridge", "-j", "link"))}

    def test_row_10_namespaces_reach_each_other_through_a_bridge_and_not_without_a_port(self):
        hosts = [self.station(number, f"p{number}", name) for number, name in enumerate(("blue", "red", "green"), 1)]
        for bridge_options in (["bridge", "-n", "switch", "add", "br0", "--port", "p1", "--port", "p2", "--address", "10.0.0.254/24", "--up"],
                               ["bridge", "port", "add", "br0", "p3", "-n", "switch"]):
            self.culvert("link", *bridge_options)
        for host in hosts:
            for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.254"):
                self.assertTrue(answers(host, address), f"{host.name} to {address}")
        wait_until(lambda: set(self.states().values()) == {("br0", "forwarding")}, what="all ports to forward")
        bridge, = self.culvert_json("link", "bridge", "show", "-n", "switch")
        self.assertEqual({name: ("br0", state) for name, (_, state) in self.states().items()},
                         {port["ifname"]: (bridge["ifname"], port["state"]) for port in bridge["ports"]})
        self.assertEqual("10.0.0.254", bridge["addr_info"][0]["local"])
        shown = self.culvert("link", "bridge", "show", "br0", "-n", "switch")
        self.assertIn("br0: up", shown)
        self.assertEqual(3, shown.count(": forwarding, priority 32, cost 2"))
        self.culvert("link", "bridge", "port", "remove", "br0", "p3", "-n", "switch")
        self.assertEqual({"p1", "p2"}, set(self.states()))
        self.assertEqual(0, ping(hosts[2], "10.0.0.1", count=2).received)
        self.assertTrue(answers(hosts[0], "10.0.0.2"))
        self.culvert("link", "down", "p2", "-n", "switch")
        self.assertEqual("disabled", self.states()["p2"][1])
        self.assertIn("p2: disabled", self.culvert("link", "bridge", "show", "-n", "switch"))
        self.culvert("link", "bridge", "delete", "br0", "-n", "switch")
        self.assertEqual({"lo", "p1", "p2", "p3"}, self.links("switch"))

    def test_row_10_a_bridge_that_ip_made_takes_ports(self):
        hosts = [self.station(number, f"p{number}", name) for number, name in enumerate(("blue", "red"), 1)]
        self.switch.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        self.switch.ip("link", "set", "br0", "up")
        self.culvert("link", "bridge", "port", "add", "br0", "p1", "p2", "-n", "switch")
        self.assertTrue(answers(hosts[0], "10.0.0.2"))

    def test_a_bridge_is_made_with_all_its_ports_or_not_at_all(self):
        for number, name in enumerate(("blue", "red"), 1):
            self.station(number, f"p{number}", name)
        self.switch.ip("link", "add", "br1", "type", "bridge")
        self.switch.ip("link", "set", "p2", "master", "br1")
        before = self.whole_state()
        for words, said in ((("add", "br0", "--port", "p1", "--port", "none", "--up"), ["'none'", "'switch'"]),
                            (("add", "br0", "--port", "p1", "--port", "p2", "--up"), ["p2", "br1 already"]),
                            (("add", "br0", "--port", "p1", "--address", "10.0.0.9/24", "--address", "10.0.0.9/24"), ["10.0.0.9/24", "br0"]),
                            (("add", "br0", "--port", "p1", "--port", "lo"), ["loopback"]), (("add", "br1"), ["'br1'", "already"]),
                            (("add", "n" * 16), ["15 bytes"]), (("add", "a/b"), ["'a/b'"]), (("delete", "p1"), ["'p1'", "no bridge"]),
                            (("delete", "none"), ["'none'"]), (("show", "p1"), ["'p1'", "no bridge"]),
                            (("port", "add", "br1", "p1", "none"), ["'none'"]), (("port", "add", "p1", "p2"), ["'p1'", "no bridge"]),
                            (("port", "add", "br1", "br1"), ["bridge in a bridge"]), (("port", "remove", "br1", "p2", "p1"), ["'p1'", "no port"])):
            with self.subTest(words=words):
                self.refused("link", "bridge", *words, "-n", "switch", said=said)
        self.refused("link", "bridge", "add", "br0", "-n", "switch", said=["br0", "'switch'", "CAP_NET_ADMIN"], inside=without_capability("net_admin"))
        self.assertEqual(before, self.whole_state())

    def test_row_17_a_tun_is_refused_as_a_port_with_the_reason_and_what_to_do(self):
        self.culvert("link", "bridge", "add", "br0", "-n", "switch")
        self.switch.ip("tuntap", "add", "t0", "mode", "tun")
        before = self.whole_state()
        for words in (("port", "add", "br0", "t0"), ("add", "br1", "--port", "t0")):
            self.refused("link", "bridge", *words, "-n", "switch", said=["t0", "IP packets and no Ethernet", "net.ipv4.ip_forward=1", "tap"])
        self.assertEqual(before, self.whole_state())

    def two_sites(self, interface_lines=()):
        """Tunnels of host-a and host-b over an uplink, and a station behind host-a's NIC "lan"."""
        host_a, host_b = self.two_hosts()
        station = self.lab.host("station")
        self.culvert("link", "veth", "lan:host-a", "eth:station", "--up")
        self.a = Culvert(host_a, "site-a", [] if interface_lines else ["10.9.0.1/24"], interface_lines=interface_lines)
        self.b = Culvert(host_b, "site-b", ["10.9.0.2/24"], interface_lines=interface_lines)
        return host_a, host_b, station

    def test_row_17_a_tun_reaches_a_nic_by_forwarding(self):
        host_a, host_b, station = self.two_sites()
        introduce(self.a, self.b, left_at="10.0.0.1", right_at="10.0.0.2")
        self.b.peers[0].allowed_ips.append("10.44.0.0/24")
        self.culvert("link", "address", "add", "lan", "10.44.0.254/24", "-n", "host-a")
        self.culvert("link", "address", "add", "eth", "10.44.0.1/24", "-n", "station")
        station.ip("route", "add", "default", "via", "10.44.0.254")
        self.a.start()
        self.b.start()
        self.assertTrue(answers(host_b, "10.9.0.1", 30))
        self.assertEqual(0, ping(host_b, "10.44.0.1", count=2).received, "not without forwarding")
        host_a.set("ipv4/ip_forward", 1)
        self.assertTrue(answers(host_b, "10.44.0.1", 30))
        self.refused("link", "bridge", "add", "br0", "--port", "lan", "--port", "site-a", "-n", "host-a", said=["lan", "address"])

    def test_row_17_a_bridged_tap_exchanges_arp_with_the_nics_lan(self):
        host_a, host_b, station = self.two_sites(["Mode = tap"])
        introduce(self.a, self.b, left_at="10.0.0.1", right_at="10.0.0.2")
        for site in (self.a, self.b):
            site.peers[0].allowed_ips = []
        add_address(station, "eth", "10.9.0.44/24")
        self.a.start()
        self.b.start()
        self.culvert("link", "bridge", "add", "br0", "--port", "lan", "--port", "site-a", "--up", "-n", "host-a")
        with Capture(station, "eth") as seen:
            self.assertTrue(answers(host_b, "10.9.0.44", 30))
        mac = json.loads(station.ip("-j", "link", "show", "eth"))[0]["address"]
        neighbour, = [entry for entry in json.loads(host_b.ip("-j", "neigh", "show", "dev", "site-b")) if entry["dst"] == "10.9.0.44"]
        self.assertEqual(mac, neighbour["lladdr"])
        arp = [frame for _, frame in seen.frames if frame[12:14] == b"\x08\x06"]
        self.assertTrue(arp, "ARP of the far host on the NIC's LAN")


if __name__ == "__main__":
    main()
