#!/usr/bin/env python3
"""`Namespace = NAME`: made when missing, used when there; chains of tunnels; devices that move and namespaces that are deleted.

      host-a                      blue (made by culvert)                         host-b
    ┌───────────────────────┐   ┌──────────────────────┐                       ┌─────────────────────────┐
    │ culvert up, the socket│   │ site-a   10.9.0.1    │     10.0.0.0/24       │ site-b   10.9.0.2       │
    │             uplink .1 ┼───┼──────────────────────┼───────────────────────┼─ uplink .2              │
    └───────────────────────┘   │ the socket of        │                       │ outer-b  10.8.0.2       │
                                │ inner-a (chains)     │                       │                         │
                                └──────────────────────┘                       └─────────────────────────┘
"""

import json
import os

from lab import Host, run, wait_until
from probes import Capture, answers, ping
from quick import Quick, system_state
from scenario import Scenario, main
from sites import Culvert, culvert_binary, introduce


def names():
    return {space["name"] for space in json.loads(run("ip", "-j", "netns", "list") or "[]")}


class Made(Host):
    """A namespace that culvert has made, as a host of the lab."""

    def __init__(self, lab, name):  # pylint: disable=super-init-not-called
        self.lab, self.name, self.path = lab, name, f"/run/netns/{name}"


class OwnNamespace(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.a = Quick(self.host_a, "site-a", ["10.9.0.1/24"], interface_lines=["Namespace = blue"])
        self.b = Culvert(self.host_b, "site-b", ["10.9.0.2/24"])
        introduce(self.a, self.b, right_at="10.0.0.2")
        self.b.start()
        self.before = self.state()
        self.lab.closing.callback(lambda: self.a.journal.exists() and self.a.down())

    def state(self):
        return system_state(self.host_a), names()

    def carries(self):
        blue = Made(self.lab, "blue")
        self.assertTrue(answers(blue, "10.9.0.2"))
        self.assertEqual(3, ping(self.host_b, "10.9.0.1").received)
        return blue

    def test_is_made_when_missing_and_removed_on_the_way_down(self):
        self.a.start()
        blue = self.carries()
        self.assertEqual({"lo", "site-a"}, {link["ifname"] for link in json.loads(blue.ip("-j", "link"))})
        self.assertIn("LOOPBACK,UP", blue.ip("link", "show", "lo"))
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(self.before, self.state())

    def test_is_used_when_there_and_left_there(self):
        run("ip", "netns", "add", "blue")
        self.lab.closing.callback(run, "ip", "netns", "del", "blue")
        before = self.state()
        self.a.start()
        self.carries()
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(before, self.state())

    def test_is_gone_after_a_failure(self):
        self.a.peers[0].allowed_ips += ["::/0"]
        self.a.mtu = 1000
        done = self.a.up()
        self.assertEqual(1, done.returncode)
        self.assertIn("::/0", done.stderr)
        self.assertEqual(self.before, self.state())

    def test_is_removed_by_down_after_a_kill_and_made_anew_by_up(self):
        self.a.start()
        self.a.kill()
        self.assertIn("blue", names())
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(self.before, self.state())
        self.a.start()
        self.a.kill()
        self.a.start()
        self.carries()
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(self.before, self.state())

    def test_chains_the_socket_of_one_tunnel_is_where_the_device_of_another_is(self):
        # inner-a's datagrams go through site-a's device, and so, encrypted twice, through the uplink.
        inner_a = Quick(self.host_a, "inner-a", ["10.8.0.1/24"], port=51821, interface_lines=["Namespace = green", "SocketNamespace = blue"])
        inner_b = Culvert(self.host_b, "inner-b", ["10.8.0.2/24"], port=51821)
        introduce(inner_a, inner_b, right_at="10.9.0.2")
        inner_b.start()
        before = self.state()
        self.a.start()
        inner_a.start()
        green = Made(self.lab, "green")
        marker = os.urandom(24).hex()
        with Capture(self.host_a, "uplink", keep=True) as outside, Capture(Made(self.lab, "blue"), "site-a", keep=True) as middle:
            self.assertTrue(answers(green, "10.8.0.2"))
            green.run("bash", "-c", f"echo {marker} > /dev/udp/10.8.0.2/9")
        self.assertFalse(outside.contains(marker.encode()) or middle.contains(marker.encode()))
        self.assertTrue(outside.datagrams(port=51820))
        self.assertFalse(outside.datagrams(port=51821), "the inner tunnel's datagrams are inside the outer one's")
        self.assertIn(bytes([10, 9, 0, 2]), b"".join(frame for _, frame in middle.frames))
        # Whichever goes first, the namespace goes with the last.
        self.assertEqual(0, self.a.down().returncode)
        self.assertIn("blue", names())
        self.a.start()
        self.assertTrue(answers(green, "10.8.0.2"))
        self.assertEqual(0, inner_a.down().returncode)
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(before, self.state())

    def test_deleted_while_its_device_is_there(self):
        self.a.start()
        blue = self.carries()
        keeper = self.lab.start(*blue.inside("sleep", "600"))
        run("ip", "netns", "del", "blue")
        self.assertEqual(3, ping(self.host_b, "10.9.0.1").received, "the tunnel keeps it")
        self.assertIn("deleted by somebody", run(culvert_binary(), "show", "site-a"))
        self.assertTrue(json.loads(run(culvert_binary(), "show", "site-a", "--json"))[0]["namespace_deleted"])
        self.assertEqual(0, self.a.down().returncode)
        self.assertIn("'blue' was deleted", self.a.log)
        self.assertEqual(self.before, self.state())
        keeper.end()

    def test_deleted_while_its_socket_is_there(self):
        red = self.lab.host("red")
        self.lab.link(red, self.host_b, ("10.1.0.1/24", "10.1.0.2/24"), name=("uplink", "link-b"))
        self.a.interface_lines.append("SocketNamespace = red")
        self.a.peers[0].endpoint = "10.1.0.2:51820"
        before = self.state()[0]
        self.a.start()
        self.carries()
        red.delete()
        self.assertEqual(3, ping(self.host_b, "10.9.0.1").received, "the tunnel keeps it")
        self.assertIn("deleted by somebody", run(culvert_binary(), "show", "site-a"))
        self.assertEqual(0, self.a.down().returncode)
        self.assertIn("'red' was deleted", self.a.log)
        self.assertEqual((before, self.before[1]), self.state())

    def test_row_18_device_in_one_namespace_socket_in_another_and_later_moves_of_either(self):
        self.a.start()
        blue = self.carries()
        marker = os.urandom(24).hex().encode()
        with Capture(self.host_a, "uplink", [marker], keep=False) as outside, Capture(blue, "site-a", [marker], keep=True) as inside:
            blue.run("bash", "-c", f"for i in 1 2 3 4 5; do echo {marker.decode()} > /dev/udp/10.9.0.2/9; done")
            self.assertTrue(answers(blue, "10.9.0.2"))
        self.assertTrue(inside.contains(marker))
        self.assertFalse(outside.contains(marker), "plaintext in the socket's namespace")
        self.assertGreater(outside.bytes, 0)
        # From the device's namespace nothing of the tunnel can be seen: no socket, no way to the other namespace.
        self.assertEqual("", blue.run("ss", "-Hlun"))
        self.assertEqual("", blue.ip("netns", "list-id").strip())
        self.assertEqual(0, ping(blue, "10.0.0.2", count=1, wait=0.3).received)

        # The device moves on, with nothing but its name, and is followed.
        green = self.lab.host("green")
        blue.ip("link", "set", "site-a", "netns", "green")
        green.ip("address", "add", "10.9.0.1/24", "dev", "site-a")
        green.ip("link", "set", "site-a", "up")
        self.assertTrue(answers(green, "10.9.0.2"))
        green.ip("link", "set", "site-a", "mtu", "1300")
        self.assertTrue(answers(green, "10.9.0.2"))
        self.assertEqual(["site-a"], [link["ifname"] for link in json.loads(green.ip("-j", "link")) if link["ifname"] != "lo"])

        # The uplink moves to another namespace, and the socket after it, by the file.
        red = self.lab.host("red")
        self.host_a.ip("link", "set", "uplink", "netns", "red")
        red.ip("address", "add", "10.0.0.1/24", "dev", "uplink")
        red.ip("link", "set", "uplink", "up")
        self.a.interface_lines.append("SocketNamespace = red")
        self.assertEqual(0, self.a.down().returncode)
        self.a.start()
        with Capture(red, "uplink", [marker], keep=False) as outside:
            blue = Made(self.lab, "blue")
            self.assertTrue(answers(blue, "10.9.0.2"))
            blue.run("bash", "-c", f"echo {marker.decode()} > /dev/udp/10.9.0.2/9")
            self.assertTrue(answers(blue, "10.9.0.2"))
        self.assertGreater(outside.bytes, 0)
        self.assertFalse(outside.contains(marker))
        self.assertEqual("", self.host_a.run("ss", "-Hlun"))

    def reload(self, *lines):
        self.a.interface_lines = ["Namespace = blue", *lines]
        self.a.write_config()
        return self.a.call("reload", check=False)

    def test_row_18_a_reload_moves_the_socket_to_another_namespace_and_back_to_none(self):
        red = self.lab.host("red")
        self.lab.link(red, self.host_b, ("10.1.0.1/24", "10.1.0.2/24"), name=("uplink", "link-b"))
        self.a.start()
        blue = self.carries()
        handshake = self.a.status_of(self.b).handshake_time
        red.ip("route", "add", "10.0.0.0/24", "via", "10.1.0.2")
        before = self.state()
        for line, there, old, seen_at in (("SocketNamespace = red", red, self.host_a, "10.1.0.1"), (None, self.host_a, red, "10.0.0.1")):
            done = self.reload(*[line] if line else [])
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertIn("SocketNamespace: " + ("none -> red" if line else "red -> none"), done.stdout)
            # It is told at once, and what it says first arrives.
            wait_until(lambda at=seen_at: self.b.endpoint_of(self.a) == f"{at}:51820", what=f"the other end to see {seen_at}")
            marker = os.urandom(24).hex().encode()
            with Capture(there, "uplink", keep=True) as new, Capture(old, "uplink", keep=True) as former:
                self.assertEqual(3, ping(self.host_b, "10.9.0.1").received)
                self.assertTrue(answers(blue, "10.9.0.2"))
                blue.run("bash", "-c", f"echo {marker.decode()} > /dev/udp/10.9.0.2/9")
                self.assertTrue(answers(blue, "10.9.0.2"))
            self.assertGreater(new.bytes, 0)
            self.assertTrue(new.datagrams(port=51820))
            self.assertFalse(new.contains(marker))
            self.assertFalse(former.datagrams(port=51820), "datagrams in the namespace that the socket has left")
            self.assertIn(":51820", there.run("ss", "-Hlun"))
            self.assertEqual("", old.run("ss", "-Hlun"))
            self.assertIn("nothing differs", self.reload(*[line] if line else []).stdout)
            shown = run(culvert_binary(), "show", "site-a")
            self.assertEqual(bool(line), "red" in shown, shown)
        self.assertEqual(handshake, self.a.status_of(self.b).handshake_time, "the session goes on")
        self.assertEqual(before, self.state())

    def test_row_18_a_socket_that_cannot_move_stays(self):
        red = self.lab.host("red")
        self.a.start()
        blue = self.carries()
        handshake, state = self.a.status_of(self.b).handshake_time, (self.state(), blue.state())
        journal = self.a.journal.read_text(encoding="utf-8")
        done = self.reload("SocketNamespace = nowhere")
        self.assertEqual(1, done.returncode)
        self.assertIn("'nowhere'", done.stderr)
        self.assertIn("no such name", done.stderr)
        # The file names the port, and somebody has it there.
        taker = self.lab.start(*red.inside("python3", "-c", "import socket, time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                                           "s.bind(('', 51820))\ntime.sleep(600)"))
        wait_until(lambda: ":51820" in red.run("ss", "-Hlun"), what="the port to be taken")
        done = self.reload("SocketNamespace = red")
        self.assertEqual(1, done.returncode)
        self.assertIn("SocketNamespace red: Address already in use", done.stderr)
        # All but the last step is done.
        taker.end()
        self.a.mtu = 1300
        self.a.addresses = ["10.9.0.1/24", "ff02::5/64"]
        done = self.reload("SocketNamespace = red")
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertIn("ff02::5", done.stderr)
        self.assertEqual("", red.run("ss", "-Hlun"))
        self.assertIn(":51820", self.host_a.run("ss", "-Hlun"))
        self.assertTrue(answers(blue, "10.9.0.2"))
        self.assertEqual((handshake, state), (self.a.status_of(self.b).handshake_time, (self.state(), blue.state())))
        self.assertEqual(journal, self.a.journal.read_text(encoding="utf-8"))

    def test_row_18_a_socket_that_moves_takes_its_part_of_the_namespace_along(self):
        inner = Quick(self.host_a, "inner-a", ["10.8.0.1/24"], port=51821, interface_lines=["Namespace = green"])
        self.lab.closing.callback(lambda: inner.journal.exists() and inner.down())
        before = self.state()
        self.a.start()
        inner.start()
        self.assertEqual(0, self.reload("SocketNamespace = green").returncode)
        self.assertEqual(0, inner.down().returncode)
        self.assertIn("green", names())
        self.assertEqual(0, self.reload().returncode)
        self.assertNotIn("green", names())
        self.carries()
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(before, self.state())

    def test_row_18_the_socket_comes_to_a_device_with_the_default_route_and_leaves_it(self):
        red = self.lab.host("red")
        self.a.interface_lines = ["SocketNamespace = red"]
        self.a.peers[0].allowed_ips = ["0.0.0.0/0"]
        self.lab.link(red, self.host_b, ("10.1.0.1/24", "10.1.0.2/24"), name=("uplink", "link-b"))
        red.ip("route", "add", "10.0.0.0/24", "via", "10.1.0.2")
        self.a.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        handshake, state = self.a.status_of(self.b).handshake_time, self.state()
        for lines in ([], ["SocketNamespace = red"]):
            self.a.interface_lines = lines
            self.a.write_config()
            self.a.call("reload")
            self.assertTrue(answers(self.host_a, "10.9.0.2"))
            self.assertEqual(not lines, "lookup 51820" in self.host_a.ip("rule"))
            self.assertIn("site-a", self.host_a.ip("route", "get", "192.0.2.1"))
        self.assertEqual((handshake, state), (self.a.status_of(self.b).handshake_time, self.state()))
        self.assertEqual(0, self.a.down().returncode)


if __name__ == "__main__":
    main()
