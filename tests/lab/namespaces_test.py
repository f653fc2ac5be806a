#!/usr/bin/env python3
"""The device in one network namespace, the socket in another, the process in a third; each named in any of three ways.

      host-p                 host-a                      host-b                                 remote
    ┌──────────────┐       ┌─────────────────────┐     ┌──────────────────────────┐          ┌─────────────────────┐
    │ the process  │       │ site-a  10.9.0.1/24 │     │ its UDP socket           │          │ site-r  10.9.0.2/24 │
    │ no network   │       │ no other link       │     │ uplink 10.0.0.1 ─────────┼──────────┼─ uplink 10.0.0.2    │
    └──────────────┘       └─────────────────────┘     └──────────────────────────┘          └─────────────────────┘

From host-a only what is inside the tunnel can be seen; in host-b only what is outside.
"""

import json
import os

from probes import Capture, answers, ping, send_over_tcp
from scenario import Scenario, main
from sites import Culvert, Subject, introduce

MIB = 1 << 20


class Namespaces(Scenario):
    def setUp(self):
        super().setUp()
        self.host_p, self.host_a, self.host_b, self.remote = (self.lab.host(name) for name in ("host-p", "host-a", "host-b", "remote"))
        self.lab.link(self.host_b, self.remote, ("10.0.0.1/24", "10.0.0.2/24"), ("fd00::1/64", "fd00::2/64"))
        self.before = [host.state() for host in (self.host_p, self.host_a, self.host_b)]
        self.r = Subject(self.remote, "site-r", ["10.9.0.2/24", "fd09::2/64"])

    def by_pid(self, host):
        return f"pid:{host.start('sleep', '600').pid}"

    def carries(self, device_in, socket_in, runs_in=None):
        lines = [f"Namespace = {device_in}"] if device_in else []
        lines += [f"SocketNamespace = {socket_in}"] if socket_in else []
        self.a = Culvert(self.host_a, "site-a", ["10.9.0.1/24", "fd09::1/64"], interface_lines=lines, runs_in=runs_in or self.host_p)
        introduce(self.a, self.r, right_at="10.0.0.2")
        self.r.start()
        self.a.start()
        for inside in ("10.9.0.2", "fd09::2"):
            self.assertTrue(answers(self.host_a, inside))
        self.assertEqual(3, ping(self.remote, "10.9.0.1").received)
        self.assertEqual(self.links(self.host_a), {"lo", "site-a"})
        self.assertEqual(self.links(self.host_b), {"lo", "uplink"})

    @staticmethod
    def links(host):
        return {link["ifname"] for link in json.loads(host.ip("-j", "link"))}

    def assert_undone(self):
        self.assertEqual(0, self.a.stop())
        self.assertEqual(self.before, [host.state() for host in (self.host_p, self.host_a, self.host_b)])

    def test_by_name(self):
        self.carries("host-a", "host-b")
        self.assert_undone()

    def test_by_path(self):
        self.carries("/run/netns/host-a", "/run/netns/host-b")
        self.assert_undone()

    def test_by_process(self):
        self.carries(self.by_pid(self.host_a), self.by_pid(self.host_b))
        self.assert_undone()

    def test_only_the_device_elsewhere(self):
        self.carries("host-a", None, runs_in=self.host_b)
        self.assert_undone()

    def test_only_the_socket_elsewhere(self):
        self.carries(None, "host-b", runs_in=self.host_a)
        self.assert_undone()

    def test_each_side_sees_only_its_own_half(self):
        self.carries("host-a", "host-b")
        marker = os.urandom(32)
        with Capture(self.host_b, "uplink", [marker], keep=False) as outside, Capture(self.host_a, "site-a", keep=True) as inside:
            send_over_tcp(self.host_a, self.remote, "10.9.0.2", MIB, marker)
        self.assertGreater(outside.bytes, MIB)
        self.assertFalse(outside.contains(marker), "plaintext in the socket's namespace")
        self.assertTrue(inside.contains(marker))
        outer = bytes([10, 0, 0, 1])
        self.assertFalse(any(outer in frame[12:20] for _, frame in inside.frames), "an outer header in the device's namespace")
        self.assertEqual("", self.host_a.run("ss", "-Hlun"), "a UDP socket in the device's namespace")
        self.assertIn(":51820", self.host_b.run("ss", "-Hlun"))
        self.assertEqual("", self.host_p.run("ss", "-Hlun"))

    def test_the_device_namespace_has_no_way_out_but_the_tunnel(self):
        self.carries("host-a", "host-b")
        self.a.kill()
        for address in ("10.0.0.2", "10.9.0.2", "fd00::2"):
            self.assertEqual(0, ping(self.host_a, address, count=1, wait=0.3).received)

    def test_the_device_namespace_cannot_name_the_socket_namespace(self):
        self.carries("host-a", "host-b")
        self.assertEqual("", self.host_a.ip("netns", "list-id").strip())

    def test_both_namespaces_deleted_by_name_are_kept_by_the_tunnel_until_it_ends(self):
        self.carries("host-a", "host-b")
        self.host_b.delete()
        self.assertEqual(3, ping(self.host_a, "10.9.0.2").received, "the socket keeps its namespace")
        self.assertEqual(0, self.a.stop())


if __name__ == "__main__":
    main()
