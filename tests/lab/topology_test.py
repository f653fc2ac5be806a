#!/usr/bin/env python3
"""What culvert topology shows is what plain ip says of each namespace, whoever made it.

    hub                                              blue                            anonymous (unshare -n sleep)
    ┌────────────────────────────────────────┐      ┌─────────────────────────┐     ┌──────────────────────┐
    │ br0 ── to-blue ────────────────────────┼──────┼─ eth0        to-anon ───┼─────┼─ eth0   loop-a ─┐    │
    │   ├─── tap0 (nobody's)                 │      │ site-a 10.9.0.1         │     │         loop-b ─┘    │
    │   └─── tap1 (a program's)              │      └─────────────────────────┘     └──────────────────────┘
    │ socket of site-a   to-red 10.0.2.1 ────┼──┐    red                             bound to a file
    │ lower0 ── mac1           to-pinned ────┼─┐│   ┌─────────────────────────┐     ┌──────────────────────┐
    └────────────────────────────────────────┘ │└───┼─ eth0 10.0.2.2          │  ┌──┼─ eth0   mac0@lower0  │
                                               │    │ site-b 10.9.0.2         │  │  └──────────────────────┘
                                               │    └─────────────────────────┘  │
                                               └─────────────────────────────────┘
"""

import json
import os
import pathlib
import re
import subprocess
import xml.etree.ElementTree as ElementTree

from lab import run, wait_until
from probes import answers
from scenario import Scenario, main
from sites import Culvert, WireGuardGo, culvert_binary, introduce

HOLDS_A_TAP = """
import fcntl, struct, time
tun = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"tap1", 0x0002 | 0x1000))
print("ready", flush=True)
time.sleep(600)
"""
SILENT_TUNNEL = """
import fcntl, os, socket, struct, time
tun = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"mute", 0x0001 | 0x1000))
os.makedirs("/run/wireguard", exist_ok=True)
server = socket.socket(socket.AF_UNIX)
server.bind("/run/wireguard/mute.sock")
server.listen()
print("ready", flush=True)
time.sleep(600)
"""
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")


def inode(path):
    return os.stat(path).st_ino


class Topology(Scenario):
    def enter(self, path):
        return ["nsenter", f"--net={path}", "--"]

    def process_in_fresh_namespace(self, *argv, wrapper=()):
        process = self.lab.start(*wrapper, *argv)
        own = inode("/proc/self/ns/net")

        def has_moved():
            name = pathlib.Path(f"/proc/{process.pid}/comm").read_text(encoding="ascii").strip()
            return name == "sleep" and inode(f"/proc/{process.pid}/ns/net") != own
        wait_until(has_moved, what="a process in a namespace of its own")
        return process

    def make_scene(self):
        self.hub, self.blue, self.red = (self.lab.host(name) for name in ("hub", "blue", "red"))
        self.anonymous = self.process_in_fresh_namespace("unshare", "-n", "sleep", "600")
        self.pin = self.lab.folder / "a pin"
        self.pin.touch()
        passing = self.process_in_fresh_namespace("unshare", "-n", "sleep", "600")
        run("mount", "--bind", f"/proc/{passing.pid}/ns/net", self.pin)
        self.lab.closing.callback(run, "umount", self.pin)
        self.hub.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        self.hub.ip("link", "set", "br0", "up")
        self.hub.ip("address", "add", "10.0.1.1/24", "dev", "br0")
        self.hub.ip("link", "add", "lower0", "mtu", "1400", "type", "bridge")
        self.hub.ip("link", "add", "link", "lower0", "name", "mac1", "type", "macvlan")
        self.hub.ip("link", "set", "lower0", "up")
        self.hub.ip("link", "add", "link", "lower0", "name", "mac0", "type", "macvlan", "mode", "bridge")
        self.hub.ip("link", "set", "mac0", "netns", passing.pid)
        self.hub.ip("link", "add", "to-pinned", "type", "veth", "peer", "name", "eth0", "netns", passing.pid)
        passing.end()
        self.lab.link(self.hub, self.blue, ("10.0.1.2/24", "10.0.1.3/24"), name=("to-blue", "eth0"))
        self.lab.link(self.hub, self.red, ("10.0.2.1/24", "10.0.2.2/24"), ("fd02::1/64", "fd02::2/64"), name=("to-red", "eth0"))
        self.hub.ip("link", "set", "to-blue", "master", "br0")
        self.blue.ip("link", "add", "to-anon", "type", "veth", "peer", "name", "eth0", "netns", self.anonymous.pid)
        run("nsenter", "-t", self.anonymous.pid, "-n", "ip", "link", "add", "loop-a", "type", "veth", "peer", "name", "loop-b")
        self.hub.ip("tuntap", "add", "tap0", "mode", "tap")
        self.holder = self.hub.start("python3", "-c", HOLDS_A_TAP)
        wait_until(lambda: "ready" in self.holder.output, what="the program to hold its tap")
        for tap in ("tap0", "tap1"):
            self.hub.ip("link", "set", tap, "master", "br0", "up")
        lines = ["Namespace = blue", "SocketNamespace = hub"]
        self.a = Culvert(self.blue, "site-a", ["10.9.0.1/24", "fd09::1/64"], interface_lines=lines, runs_in=self.hub)
        self.b = Culvert(self.red, "site-b", ["10.9.0.2/24"])
        introduce(self.a, self.b, left_at="10.0.2.1", right_at="10.0.2.2")
        self.b.start()
        self.a.start()
        self.assertTrue(answers(self.blue, "10.9.0.2", 30))
        self.places = {name: f"/run/netns/{name}" for name in ("hub", "blue", "red")}
        self.places |= {"pinned": self.pin, "anonymous": f"/proc/{self.anonymous.pid}/ns/net"}
        self.pairs = [(("hub", "to-blue"), ("blue", "eth0")), (("hub", "to-red"), ("red", "eth0")),
                      (("hub", "to-pinned"), ("pinned", "eth0")), (("blue", "to-anon"), ("anonymous", "eth0")),
                      (("anonymous", "loop-a"), ("anonymous", "loop-b"))]

    def topology(self, *options, where="hub"):
        return run(*self.enter(self.places[where]), "env", "LC_ALL=C.UTF-8", culvert_binary(), "topology", *options)

    def by_ip(self, name):
        return json.loads(run(*self.enter(self.places[name]), "ip", "-j", "-d", "address", "show"))

    def by_inode(self, topology, name):
        found = [space for space in topology["namespaces"] if space["inode"] == inode(self.places[name])]
        self.assertEqual(1, len(found), f"{name} is there once")
        return found[0]

    @staticmethod
    def kind_by_ip(link):
        kind = link.get("linkinfo", {}).get("info_kind")
        if kind == "tun":
            return link["linkinfo"]["info_data"]["type"]
        return kind or ("loopback" if link["link_type"] == "loopback" else "physical")

    def facts_by_ip(self, name):
        """What ip says of each link, in the words of culvert's JSON."""
        links = self.by_ip(name)
        index = {link["ifname"]: link["ifindex"] for link in links}
        facts = {}
        for link in links:
            information = link.get("linkinfo", {})
            is_port = information.get("info_slave_kind") == "bridge"
            facts[link["ifname"]] = {
                "index": link["ifindex"], "kind": self.kind_by_ip(link), "state": link["operstate"], "mtu": link["mtu"],
                "up": "UP" in link["flags"], "mac": link["address"] if link["link_type"] == "ether" else None,
                "addresses": sorted(f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"]),
                "master": index[link["master"]] if "master" in link else None,
                "port_state": information["info_slave_data"]["state"] if is_port else None,
                "detail": f"mode {information['info_data']['mode']}" if information.get("info_kind") == "macvlan" else None,
            }
        return facts

    @staticmethod
    def facts(space):
        keys = ("index", "kind", "state", "mtu", "up", "mac", "addresses", "master", "port_state", "detail")
        return {link["name"]: {key: sorted(link[key]) if key == "addresses" else link[key] for key in keys} for link in space["links"]}

    def link(self, topology, name, device):
        return next(link for link in self.by_inode(topology, name)["links"] if link["name"] == device)

    def end(self, name, device):
        [link] = [link for link in self.by_ip(name) if link["ifname"] == device]
        return {"namespace": inode(self.places[name]), "index": link["ifindex"], "name": device}

    def test_row_20_what_is_shown_is_what_ip_says_of_each_namespace(self):
        self.make_scene()
        topology = json.loads(self.topology("--json"))
        self.assertEqual(inode("/run/netns/hub"), topology["namespaces"][0]["inode"])
        self.assertEqual([True], [space["own"] for space in topology["namespaces"] if space["own"]])
        for name in self.places:
            space = self.by_inode(topology, name)
            self.assertEqual(self.facts_by_ip(name), self.facts(space), name)
            self.assertIsNone(space["problem"])
        self.assertEqual(["blue"], self.by_inode(topology, "blue")["names"])
        self.assertEqual([str(self.pin)], self.by_inode(topology, "pinned")["pins"])
        self.assertEqual(0, self.by_inode(topology, "pinned")["process_count"])
        self.assertEqual([{"pid": self.anonymous.pid, "name": "sleep"}], self.by_inode(topology, "anonymous")["processes"])

        for one, two in self.pairs:
            self.assertEqual(self.end(*two), self.link(topology, *one)["peer"])
            self.assertEqual(self.end(*one), self.link(topology, *two)["peer"])
        self.assertEqual(self.end("hub", "lower0"), self.link(topology, "pinned", "mac0")["parent"])
        self.assertEqual(self.end("hub", "lower0"), self.link(topology, "hub", "mac1")["parent"])
        edges = [(edge["from"], edge["to"]) for edge in topology["edges"] if edge["kind"] == "veth"]
        ends = [(self.end(*one), self.end(*two)) for one, two in self.pairs]
        self.assertEqual(len(ends), len(edges))
        for one, two in ends:
            self.assertTrue((one, two) in edges or (two, one) in edges)
        ports = {(edge["from"]["name"], edge["to"]["name"]) for edge in topology["edges"] if edge["kind"] == "port"}
        self.assertEqual({("to-blue", "br0"), ("tap0", "br0"), ("tap1", "br0")}, ports)

    def test_row_20_taps_and_tuns_are_shown_with_who_holds_them_and_with_their_tunnel(self):
        self.make_scene()
        text = self.topology("--json")
        topology = json.loads(text)
        self.assertEqual([], self.link(topology, "hub", "tap0")["holders"])
        self.assertEqual([self.holder.pid], [each["pid"] for each in self.link(topology, "hub", "tap1")["holders"]])
        self.assertIsNone(self.link(topology, "hub", "tap1")["tunnel"])
        a, b = self.link(topology, "blue", "site-a"), self.link(topology, "red", "site-b")
        self.assertEqual([[self.a.process.pid], [self.b.process.pid]], [[each["pid"] for each in link["holders"]] for link in (a, b)])
        self.assertEqual(["culvert"] * 2, [link["tunnel"]["program"] for link in (a, b)])
        self.assertEqual([self.a.keys.public, self.b.keys.public], [link["tunnel"]["public_key"] for link in (a, b)])
        self.assertEqual([inode("/run/netns/hub"), inode("/run/netns/red")], [link["tunnel"]["socket_namespace"] for link in (a, b)])
        [peer] = a["tunnel"]["peers"]
        self.assertEqual(("site-b", self.b.keys.public, "10.0.2.2:51820", ["10.9.0.2/32"]),
                         tuple(peer[key] for key in ("name", "public_key", "endpoint", "allowed_ips")))
        self.assertLess(peer["handshake_age"], 180)
        self.assertEqual(self.end("red", "site-b"), peer["device"])
        kinds = [(edge["kind"], edge["from"]["name"], edge["to"]["name"]) for edge in topology["edges"]]
        self.assertIn(("socket", "site-a", None), kinds)
        self.assertEqual(1, sum(kind == "peer" for kind, _, _ in kinds))
        for output in (text, self.topology(), self.topology("--svg")):
            for site in (self.a, self.b):
                self.assertNotIn(site.keys.private, output)

    def test_row_20_the_tree_says_the_same(self):
        self.make_scene()
        text = self.topology()
        paragraphs = {part.split("\n", 1)[0]: part for part in text.split("\n\n")}

        def paragraph(name):
            [found] = [part for head, part in paragraphs.items() if f"net:[{inode(self.places[name])}]" in head]
            return found
        row = re.compile(r"^[│├└─ ]+(\S+) +(\S+) +([A-Z]+) +mtu (\d+)(?:  (.*))?$", re.MULTILINE)
        for name in self.places:
            rows = {match[0]: match for match in row.findall(paragraph(name))}
            for device, facts in self.facts_by_ip(name).items():
                _, kind, state, mtu, words = rows[device]
                self.assertEqual((facts["kind"], facts["state"], str(facts["mtu"])), (kind, state, mtu))
                words = words.split("  ")
                for word in [*facts["addresses"], *filter(None, [facts["mac"], facts["port_state"]])]:
                    self.assertIn(word, words, f"{device} in {name}")
            self.assertEqual(len(rows), len(self.facts_by_ip(name)))
        self.assertIn("├─ to-blue ", paragraph("hub").replace("│  ", ""))
        self.assertIn("⇄ eth0 in blue", paragraph("hub"))
        self.assertIn("⇄ to-blue in hub", paragraph("blue"))
        self.assertIn("⇄ to-anon in blue", paragraph("anonymous"))
        self.assertIn(f"⇄ eth0 in {self.pin}", paragraph("hub"))
        self.assertIn("⇄ loop-b", paragraph("anonymous"))
        self.assertIn("on lower0 in hub", paragraph("pinned"))
        self.assertIn("└─ peer site-b", paragraph("blue"))
        self.assertIn("is site-b in red", paragraph("blue"))
        self.assertIn(f"held by culvert ({self.a.process.pid})  UDP port 51820 in hub", paragraph("blue"))
        self.assertTrue(run(*self.enter(self.places["hub"]), "env", "LC_ALL=C", culvert_binary(), "topology").isascii())

    def test_row_20_the_drawing_says_the_same(self):
        self.make_scene()
        path = self.lab.folder / "net.svg"
        self.assertEqual("", self.topology("--svg", path))
        root = ElementTree.fromstring(path.read_text(encoding="ascii"))
        names = "{http://www.w3.org/2000/svg}"
        texts = [element.text for element in root.iter(names + "text")]
        for name in self.places:
            for device, facts in self.facts_by_ip(name).items():
                self.assertIn(device, texts)
                self.assertIn(f"{facts['state']} {facts['mtu']}", texts)
                for address in facts["addresses"]:
                    self.assertTrue(any(address in text for text in texts), f"{address} of {device} in {name}")
        labels = {name: name for name in ("hub", "blue", "red")}
        labels |= {"pinned": str(self.pin), "anonymous": f"sleep ({self.anonymous.pid})"}
        titles = {title.text for title in root.iter(names + "title")}
        for one, two in self.pairs:
            one, two = (f"{device} in {labels[name]}" for name, device in (one, two))
            self.assertTrue({f"{one} - {two}", f"{two} - {one}"} & titles, f"{one} and {two} are joined")
        self.assertIn("site-a in blue - hub", titles)
        self.assertEqual(len(self.pairs) + 3, len(root.findall(f".//{names}path[@class='halo']")) - self.samples(root))

    @staticmethod
    def samples(root):
        """Lines of the legend."""
        words = {"veth pair", "made on (VLAN, macvlan)", "tunnel to peer", "tunnel's socket"}
        return sum(element.text in words for element in root.iter("{http://www.w3.org/2000/svg}text"))

    def test_a_drawing_is_put_in_its_place_whole_or_not_at_all(self):
        folder = self.lab.folder / "small"
        folder.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", folder)
        self.lab.closing.callback(run, "umount", folder)
        path = folder / "net.svg"
        path.write_text("what was there", encoding="ascii")
        path.chmod(0o640)
        (folder / "filler").write_bytes(b"x" * 4096)
        done = run(culvert_binary(), "topology", "--svg", path, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn(f"writing the drawing to {path}: No space left on device", done.stderr)
        self.assertEqual({"net.svg", "filler"}, set(os.listdir(folder)))
        self.assertEqual("what was there", path.read_text(encoding="ascii"))
        run("mount", "-o", "remount,size=1m", folder)
        run(culvert_binary(), "topology", "--svg", path)
        self.assertTrue(path.read_text(encoding="ascii").endswith("</svg>\n"))
        self.assertEqual(0o640, path.stat().st_mode & 0o777)
        self.assertEqual({"net.svg", "filler"}, set(os.listdir(folder)))

    def test_what_cannot_be_written_is_an_error_that_names_the_file(self):
        done = run(culvert_binary(), "topology", "--svg", "/nowhere/net.svg", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("/nowhere/net.svg", done.stderr)
        for number in range(30):  # more than fits into the memory in front of a file
            self.lab.host(f"one-of-many-{number}")
        for options in ("", "--json", "--svg"):
            done = run("sh", "-c", f"{culvert_binary()} topology {options} >/dev/full", check=False)
            self.assertEqual(1, done.returncode, options)
        self.assertEqual(2, run(culvert_binary(), "topology", "--json", "--svg", "x", check=False).returncode)

    def test_namespaces_and_processes_that_vanish_meanwhile_are_no_error(self):
        churn = self.lab.start("sh", "-c", """while :; do
            ip netns add short; ip -n short link add name left type veth peer name right; unshare -n ip link add name up type veth peer name down
            ip netns del short; done""")
        for _ in range(30):
            done = run(culvert_binary(), "topology", "--json", check=False)
            self.assertEqual((0, ""), (done.returncode, done.stderr))
            json.loads(done.stdout)
        self.assertTrue(churn.is_running)
        churn.end()
        run("ip", "netns", "del", "short", check=False)

    def test_a_namespace_that_only_a_tunnel_keeps_alive_is_shown(self):
        self.make_scene()
        number = inode("/run/netns/blue")
        self.blue.delete()
        found = [space for space in json.loads(self.topology("--json"))["namespaces"] if space["inode"] == number]
        self.assertEqual([{"lo", "eth0", "to-anon", "site-a"}], [{link["name"] for link in space["links"]} for space in found])

    def test_the_tunnel_of_a_process_with_a_run_folder_of_its_own_is_found(self):
        left, _ = self.two_hosts()
        self.places = {"left": left.path}
        site = Culvert(left, "site-a", ["10.9.0.1/24"])
        config = site.config()
        script = f"mount -t tmpfs tmpfs /run && cat >/run/site-a.conf && chmod 600 /run/site-a.conf && exec {culvert_binary()} run /run/site-a.conf"
        log = self.lab.folder / "apart.log"
        with open(log, "wb") as output:
            popen = subprocess.Popen(left.inside("unshare", "-m", "--propagation", "private", "sh", "-c", script),
                                     stdin=subprocess.PIPE, stdout=output, stderr=output)
        self.addCleanup(popen.wait)
        self.addCleanup(popen.terminate)
        popen.stdin.write(config.encode())
        popen.stdin.close()
        wait_until(lambda: "is up" in log.read_text(encoding="utf-8"), 45, "the tunnel to be up")
        self.assertFalse(pathlib.Path("/run/wireguard/site-a.sock").exists())
        tunnel = self.link(json.loads(self.topology("--json", where="left")), "left", "site-a")["tunnel"]
        self.assertEqual(site.keys.public, tunnel["public_key"])

    def test_a_namespace_that_has_its_name_in_another_mount_namespace_is_shown_with_it(self):
        script = "mount -t tmpfs tmpfs /run && mkdir /run/netns && ip netns add hidden && ip -n hidden link set lo up && echo made && exec sleep 600"
        process = self.lab.start("unshare", "-m", "--propagation", "private", "sh", "-c", script)
        wait_until(lambda: "made" in process.output, what="a namespace with a name that others do not see")
        topology = json.loads(run(culvert_binary(), "topology", "--json"))
        [found] = [space for space in topology["namespaces"] if space["foreign_pins"]]
        self.assertEqual([{"path": "/run/netns/hidden", "pid": process.pid}], found["foreign_pins"])
        self.assertEqual(([], []), (found["names"], found["pins"]))
        self.assertEqual([("lo", "UNKNOWN")], [(link["name"], link["state"]) for link in found["links"]])

    def test_a_tunnel_in_the_background_and_one_of_wireguard_go_are_found(self):
        left, right = self.two_hosts()
        self.places = {"left": left.path, "right": right.path}
        there = WireGuardGo(right, "wg-right", ["10.9.0.2/24"])
        here = Culvert(left, "site-a", ["10.9.0.1/24"])
        introduce(here, there, left_at="10.0.0.1", right_at="10.0.0.2")
        there.start()
        left.run(culvert_binary(), "up", here.write_config())
        self.lab.closing.callback(left.run, culvert_binary(), "down", here.config_path)
        self.assertTrue(answers(left, "10.9.0.2", 30))
        topology = json.loads(self.topology("--json", where="left"))
        one, two = self.link(topology, "left", "site-a"), self.link(topology, "right", "wg-right")
        self.assertEqual(["culvert", "wireguard"], [link["tunnel"]["program"] for link in (one, two)])
        self.assertEqual([here.keys.public, there.keys.public], [link["tunnel"]["public_key"] for link in (one, two)])
        self.assertEqual(self.end("right", "wg-right"), one["tunnel"]["peers"][0]["device"])
        self.assertEqual([inode(left.path), inode(right.path)], [link["tunnel"]["socket_namespace"] for link in (one, two)])

    def test_a_socket_that_never_answers_is_told_of_and_hides_nothing_else(self):
        host = self.lab.host("host")
        self.places = {"host": host.path}
        silent = host.start("python3", "-c", SILENT_TUNNEL)
        wait_until(lambda: "ready" in silent.output, what="the socket to listen")
        self.lab.closing.callback(pathlib.Path("/run/wireguard/mute.sock").unlink)
        topology = json.loads(self.topology("--json", where="host"))
        self.assertTrue(any(remark.startswith("the tunnel of mute: ") for remark in topology["remarks"]), topology["remarks"])
        link = self.link(topology, "host", "mute")
        self.assertEqual(([silent.pid], None), ([each["pid"] for each in link["holders"]], link["tunnel"]))
        silent.end()
        self.assertEqual([], json.loads(self.topology("--json", where="host"))["remarks"])

    def test_a_thousand_processes_do_not_make_it_slow(self):
        self.lab.start("sh", "-c", "for i in $(seq 1000); do sleep 600 & done; wait")
        wait_until(lambda: sum(name.isdigit() for name in os.listdir("/proc")) > 1000, what="a thousand processes")
        run(culvert_binary(), "topology", timeout=30)
        [own] = [space for space in json.loads(run(culvert_binary(), "topology", "--json", timeout=30))["namespaces"] if space["own"]]
        self.assertGreater(own["process_count"], 1000)
        self.assertLess(len(own["processes"]), 20)

    def test_an_ordinary_user_is_shown_what_can_be_seen_and_told_what_cannot(self):
        self.assertEqual(0, os.geteuid())
        blue = self.lab.host("blue")
        rootless = self.process_in_fresh_namespace("unshare", "-rn", "sleep", "600", wrapper=NOBODY)
        done = run(*NOBODY, culvert_binary(), "topology", "--json", check=False)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        topology = json.loads(done.stdout)
        spaces = {space["inode"]: space for space in topology["namespaces"]}
        self.assertEqual(["lo"], [link["name"] for link in topology["namespaces"][0]["links"]])
        closed = spaces[inode(blue.path)]
        self.assertIn("Operation not permitted", closed["problem"])
        self.assertEqual((["blue"], []), (closed["names"], closed["links"]))
        own = spaces[inode(f"/proc/{rootless.pid}/ns/net")]
        self.assertEqual((None, ["lo"]), (own["problem"], [link["name"] for link in own["links"]]))
        self.assertTrue(any("may not look at" in remark for remark in topology["remarks"]))

    def test_root_of_a_user_namespace_is_shown_what_is_in_it(self):
        script = f"ip link add name left type veth peer name right; exec {culvert_binary()} topology --json"
        done = run(*NOBODY, "unshare", "-rn", "sh", "-c", script, check=False)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        links = {link["name"]: link for link in json.loads(done.stdout)["namespaces"][0]["links"]}
        self.assertEqual({"lo", "left", "right"}, set(links))
        self.assertEqual("right", links["left"]["peer"]["name"])


if __name__ == "__main__":
    main()
