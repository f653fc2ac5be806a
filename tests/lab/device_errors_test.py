#!/usr/bin/env python3
"""What people and machines do to a running tunnel: its device deleted, moved, downed, resized, its uplink gone, junk thrown at it.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ site-a  10.9.0.1     │  10.0.0.0/24    │ site-b  10.9.0.2     │
    │         fd09::1      │  fd00::/64      │         fd09::2      │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘

After each of them traffic goes on, or the process has ended by itself; it never spins.
"""

import os
import resource
import socket
import threading
import time
import unittest

from lab import add_address, wait_until
from probes import answers, ping, send_over_tcp
from scenario import Scenario, main
from sites import Culvert, Subject, introduce

MIB = 1 << 20


class DeviceErrors(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.a = Subject(self.host_a, "site-a", ["10.9.0.1/24", "fd09::1/64"])
        self.b = Subject(self.host_b, "site-b", ["10.9.0.2/24", "fd09::2/64"])
        introduce(self.a, self.b, left_at="10.0.0.1", right_at="10.0.0.2")
        self.b.start()

    def up(self):
        self.a.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    def assert_idle(self, site, span=1.0):
        """An untroubled process uses next to no processor time when nothing is to do."""
        before = site.process.cpu_seconds()
        time.sleep(span)
        used = site.process.cpu_seconds() - before
        self.assertLess(used, 0.1 * span, f"{site.name} used {used:.2f} s of processor time in {span} s of idling")

    def test_a_deleted_device_heals_or_ends_the_process(self):
        self.up()
        self.host_a.ip("link", "del", "site-a")
        time.sleep(1)
        if self.a.process.is_running:
            self.assert_idle(self.a)
            self.assertTrue(answers(self.host_a, "10.9.0.2"))
            self.assertEqual(0, self.a.stop())
        self.assertFalse(self.host_a.has_link("site-a"))
        self.assertFalse(self.a.socket_path.exists())

    def test_a_device_deleted_again_and_again_under_traffic_leaks_no_descriptor(self):
        self.up()
        descriptors = len(os.listdir(f"/proc/{self.a.process.pid}/fd"))
        for _ in range(5):
            with self.traffic():
                self.host_a.run("ip", "link", "del", "site-a", check=False)
                time.sleep(0.3)
            if not self.a.process.is_running:
                return
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        # One more may be open for a moment, as while a timestamp is written.
        wait_until(lambda: len(os.listdir(f"/proc/{self.a.process.pid}/fd")) <= descriptors, what="no more descriptors than before")
        self.assert_idle(self.a)

    @unittest.skipIf(os.environ.get("CULVERT_SANITIZED"), "UndefinedBehaviorSanitizer needs a pipe to look at an object")
    def test_running_out_of_descriptors_costs_no_packet_and_the_device_comes_back_afterwards(self):
        self.up()
        if not isinstance(self.a, Culvert):
            self.skipTest("about culvert")
        pid = self.a.process.pid
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 2,) * 2)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(8)]
        for client in clients:
            client.connect(str(self.a.socket_path))
        time.sleep(0.3)
        self.assertEqual(20, ping(self.host_a, "10.9.0.2", count=20, interval=0.02).received)
        self.assert_idle(self.a)
        self.host_a.ip("link", "del", "site-a")
        time.sleep(0.5)
        self.assert_idle(self.a)
        self.assertTrue(self.a.process.is_running)
        for client in clients:
            client.close()
        wait_until(lambda: answers(self.host_a, "10.9.0.2", timeout=0.5), 10, "the device to come back")

    @unittest.skipIf(os.environ.get("CULVERT_SANITIZED"), "UndefinedBehaviorSanitizer needs a pipe to look at an object")
    def test_descriptors_that_suffice_for_some_queues_only_keep_the_device_away_no_longer_than_they_are_short(self):
        if not isinstance(self.a, Culvert):
            self.skipTest("about culvert")
        self.a.interface_lines = ["Queues = 4"]
        self.up()
        pid = self.a.process.pid
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        # Each further one lets the device come back by a step more.
        for missing in range(1, 24, 2):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors - missing, before[1]))
            self.host_a.ip("link", "del", "site-a")
            time.sleep(0.3)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            wait_until(lambda: answers(self.host_a, "10.9.0.2", timeout=0.5), 10, f"the device to come back, {missing} short")
        wait_until(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= descriptors, what="no more descriptors than before")
        self.assert_idle(self.a)

    def test_a_device_set_down_and_up_carries_on(self):
        self.up()
        for _ in range(3):
            self.host_a.ip("link", "set", "site-a", "down")
            ping(self.host_b, "10.9.0.1", count=20, interval=0.01, wait=0.1)  # what arrives cannot be written: EIO
            self.assert_idle(self.a, 0.5)
            self.host_a.ip("link", "set", "site-a", "up")
            self.assertEqual(3, ping(self.host_a, "10.9.0.2").received)

    def test_a_device_moved_to_another_namespace_carries_on(self):
        self.up()
        elsewhere = self.lab.host("elsewhere")
        self.host_a.ip("link", "set", "site-a", "netns", "elsewhere")
        self.assert_idle(self.a)
        for address in self.a.addresses:
            add_address(elsewhere, "site-a", address)
        elsewhere.ip("link", "set", "site-a", "up")
        self.assertEqual(3, ping(elsewhere, "10.9.0.2").received)
        self.assertEqual(3, ping(elsewhere, "fd09::2").received)
        self.assertEqual(0, ping(self.host_a, "10.9.0.2", count=1, wait=0.3).received)
        if self.a.mtu is None:  # a new MTU is noticed there, too
            elsewhere.ip("link", "set", "site-a", "mtu", 4000)
            ping(elsewhere, "10.9.0.2", count=1, size=3000)  # its sender is told what the path carries
            self.assertEqual(3, ping(elsewhere, "10.9.0.2", size=3000).received)
        self.assertEqual(0, self.a.stop())
        self.assertFalse(elsewhere.has_link("site-a"))

    def test_the_deleted_namespace_of_a_device_does_not_make_it_spin(self):
        inner = self.lab.host("inner")
        self.a = Culvert(inner, "site-a", ["10.9.0.1/24"], runs_in=self.host_a,
                         interface_lines=["Namespace = inner"], keys=self.a.keys)
        introduce(self.a, self.b, right_at="10.0.0.2")
        self.a.start()
        self.assertTrue(answers(inner, "10.9.0.2"))
        inner.delete()
        time.sleep(0.5)
        if self.a.process.is_running:
            self.assert_idle(self.a)
            self.assertIn(self.a.stop(), (0, 1))

    def test_an_unreachable_network_is_survived(self):
        self.up()
        for cut, mend in ((("link", "set", "uplink", "down"), ("link", "set", "uplink", "up")),
                          (("route", "del", "10.0.0.0/24"), ("route", "add", "10.0.0.0/24", "dev", "uplink"))):
            with self.subTest(cut=cut):
                self.host_a.ip(*cut)
                self.assertEqual(0, ping(self.host_a, "10.9.0.2", count=50, interval=0.01, wait=0.1).received)
                self.assert_idle(self.a)
                self.host_a.ip(*mend)
                self.assertTrue(answers(self.host_a, "10.9.0.2", timeout=20))

    def test_an_uplink_replaced_by_another_is_survived(self):
        self.up()
        self.host_a.ip("link", "del", "uplink")
        ping(self.host_a, "10.9.0.2", count=5, interval=0.01, wait=0.1)
        self.lab.link(self.host_a, self.host_b, ("10.0.0.1/24", "10.0.0.2/24"), name="uplink")
        self.assertTrue(answers(self.host_a, "10.9.0.2", timeout=20))

    def test_a_closed_port_at_the_peer_is_survived(self):
        self.up()
        self.b.stop()
        ping(self.host_a, "10.9.0.2", count=200, interval=0.002, wait=0.1)  # each datagram is refused with ICMP
        self.assert_idle(self.a)
        self.b.start()
        self.assertTrue(answers(self.host_b, "10.9.0.1"))

    def test_the_largest_datagrams_are_dropped_and_nothing_else_happens(self):
        self.up()
        for host, address in ((self.host_b, "10.0.0.1"), (self.host_b, "fd00::1"), (self.host_a, "127.0.0.1"), (self.host_a, "::1")):
            family, limit = (socket.AF_INET6, 65487) if ":" in address else (socket.AF_INET, 65507)
            with host.socket(family, socket.SOCK_DGRAM) as sender:
                for size in (0, 1, 2048, 4096, 4097, 9000, 65000, limit):
                    for kind in range(5):
                        sender.sendto(bytes([kind, 0, 0, 0])[:size] + bytes(max(0, size - 4)), (address, self.a.port))
        self.assertEqual(10, ping(self.host_b, "10.9.0.1", count=10).received)
        self.assert_idle(self.a)

    def test_the_mtu_changes_under_traffic(self):
        self.up()
        with self.traffic():
            for mtu in (9000, 1280, 65535, 576, 1420, 8900):
                for site in (self.a, self.b):
                    site.host.ip("link", "set", site.name, "mtu", mtu)
                time.sleep(0.2)
        self.assertEqual(3, ping(self.host_a, "10.9.0.2", size=8800).received)
        send_over_tcp(self.host_a, self.host_b, "10.9.0.2", 4 * MIB)
        for site in (self.a, self.b):
            site.host.ip("link", "set", site.name, "mtu", 65535)
        self.assertEqual(3, ping(self.host_a, "10.9.0.2", size=60000).received)

    def traffic(self):
        return Traffic(self.host_a, "10.9.0.2")


class Traffic:
    """Datagrams of all sizes into the tunnel for as long as the context lasts."""

    def __init__(self, host, address):
        self._sender = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._address, self._is_ending = (address, 9), False
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._is_ending = True
        self._thread.join()
        self._sender.close()

    def _send(self):
        size = 0
        while not self._is_ending:
            size = (size + 997) % 60000
            try:
                self._sender.sendto(bytes(size), self._address)
            except OSError:
                pass
            time.sleep(0.001)


if __name__ == "__main__":
    main()
