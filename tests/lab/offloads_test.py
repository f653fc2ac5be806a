#!/usr/bin/env python3
"""Super-frames and trains of datagrams change nothing but the speed: the same traffic with and without them, at either end.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ site-a  10.9.0.1     │  10.0.0.0/24    │ site-b  10.9.0.2     │
    │         fd09::1      │                 │         fd09::2      │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘
"""

import ctypes
import fcntl
import json
import os
import random
import socket
import struct
import threading
import time

from lab import run
from probes import Capture, answers, send_over_tcp
from scenario import Scenario, main
from sites import Culvert, WireGuardGo, culvert_binary, introduce

MIB = 1 << 20
UDP_SEGMENT = 103
SIOCETHTOOL, ETHTOOL_GTXCSUM, ETHTOOL_STXCSUM = 0x8946, 0x16, 0x17
INSIDE = (("10.9.0.1", "10.9.0.2"), ("fd09::1", "fd09::2"))


class Offloads(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()

    def up(self, left="auto", right="auto"):
        self.a = Culvert(self.host_a, "site-a", ["10.9.0.1/24", "fd09::1/64"], interface_lines=[f"Offloads = {left}"])
        if right == "wireguard-go":
            self.b = WireGuardGo(self.host_b, "site-b", ["10.9.0.2/24", "fd09::2/64"])
        else:
            self.b = Culvert(self.host_b, "site-b", ["10.9.0.2/24", "fd09::2/64"], interface_lines=[f"Offloads = {right}"])
        introduce(self.a, self.b, left_at="10.0.0.1", right_at="10.0.0.2")
        self.b.start()
        self.a.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    @staticmethod
    def report(site):
        [tunnel] = json.loads(run(culvert_binary(), "show", site.name, "--json"))
        return tunnel

    def carries_the_same(self, left, right, size=32 * MIB):
        self.up(left, right)
        for site, setting in ((self.a, left), (self.b, right)):
            if setting != "wireguard-go":
                self.check_paths(site, setting)
        for at_a, at_b in INSIDE:
            there, back = (self.host_a, self.host_b, at_b), (self.host_b, self.host_a, at_a)
            for source, target, address in (there, back):
                with self.subTest(left=left, right=right, to=address):
                    send_over_tcp(source, target, address, size if address == at_b else size // 4, os.urandom(200_003))
                    self.check_datagrams(source, target, address)
        for site, setting in ((self.a, left), (self.b, right)):
            if setting != "wireguard-go":
                self.assertNotIn("device_error", self.report(site)["drops"])
                self.check_paths(site, setting)

    def check_paths(self, site, setting):
        report = self.report(site)
        device, sending, receiving = (report[f"{part}_path"] for part in ("device", "sending", "receiving"))
        one_by_one = f"one packet at a time (Offloads = {setting})"
        if setting in ("auto", "device"):
            self.assertIn("TSO", device)
        else:
            self.assertEqual(one_by_one, device)
        trains = ("UDP_SEGMENT", "UDP_GRO") if setting in ("auto", "udp") else (one_by_one, one_by_one)
        self.assertEqual(trains, (sending, receiving))

    def check_datagrams(self, source, target, address, largest=1400):
        """Datagrams of each size up to `largest`, then trains of them, arrive as they were sent."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        numbers = random.Random(address)
        singles = [(numbers.randbytes(size), 0) for size in range(1, largest + 1)]
        trains = [(numbers.randbytes(count * size + size // 2), size) for size, count in
                  ((1, 20), (2, 63), (15, 40), (16, 63), (17, 40), (100, 63), (536, 40), (1000, 40), (1371, 45), (1372, 45)) if size <= largest]
        with target.socket(family, socket.SOCK_DGRAM) as receiver, source.socket(family, socket.SOCK_DGRAM) as sender:
            receiver.bind((address, 7777))
            receiver.settimeout(10)
            sender.connect((address, 7777))
            expected, arrived = [], []
            for index, (payload, segment_size) in enumerate(singles + trains):
                sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, segment_size)
                sender.send(payload)
                step = segment_size or len(payload)
                expected += [payload[at:at + step] for at in range(0, len(payload), step)]
                # In groups that fit the receiver's buffer.
                if segment_size or index % 20 == 19:
                    while len(arrived) < len(expected):
                        arrived.append(receiver.recv(65536))
            self.assertEqual([len(each) for each in expected], [len(each) for each in arrived])
            self.assertTrue(expected == arrived, "datagrams changed on the way, or their order did")

    def test_traffic_is_the_same_with_them_at_both_ends(self):
        self.carries_the_same("auto", "auto")

    def test_traffic_is_the_same_with_them_at_the_left_end(self):
        self.carries_the_same("auto", "off")

    def test_traffic_is_the_same_with_them_at_the_right_end(self):
        self.carries_the_same("off", "auto")

    def test_traffic_is_the_same_without_them(self):
        self.carries_the_same("off", "off")

    def test_traffic_is_the_same_with_one_half_of_them_at_each_end(self):
        self.carries_the_same("udp", "device")

    def test_traffic_is_the_same_against_wireguard_go(self):
        self.carries_the_same("auto", "wireguard-go")

    def largest_frame_written(self):
        with Capture(self.host_b, "site-b") as device:
            send_over_tcp(self.host_a, self.host_b, "10.9.0.2", 8 * MIB)
        return max(len(frame) for is_outgoing, frame in device.frames if not is_outgoing)

    def test_frames_are_merged_for_the_device_unless_switched_off(self):
        self.up()
        self.assertGreater(self.largest_frame_written(), 3000)
        for site in (self.a, self.b):
            site.stop()
        self.up(right="off")
        self.assertLessEqual(self.largest_frame_written(), 1420 + 14)

    def test_an_mtu_of_the_uplink_that_falls_and_rises_stalls_nothing(self):
        self.up()
        problems = []

        def transfer():
            try:
                send_over_tcp(self.host_a, self.host_b, "10.9.0.2", 64 * MIB, os.urandom(200_003))
            except Exception as problem:  # pylint: disable=broad-except
                problems.append(problem)

        thread = threading.Thread(target=transfer)
        thread.start()
        for mtu in (1300, 1500, 1300):
            time.sleep(0.15)
            for host in (self.host_a, self.host_b):
                host.ip("link", "set", "uplink", "mtu", mtu)
        thread.join()
        self.assertEqual([], problems)
        for source, target, address in ((self.host_a, self.host_b, "fd09::2"), (self.host_b, self.host_a, "10.9.0.1")):
            send_over_tcp(source, target, address, 4 * MIB)
            # What is larger than the path is dropped, and its sender told.
            self.check_datagrams(source, target, address, largest=1300 - 60 - 48)
        for site in (self.a, self.b):
            self.assertRegex(self.report(site)["sending_path"], r"^UDP_SEGMENT( \(.*MTU\))?$")

    def test_an_uplink_that_computes_no_checksums_works_and_older_kernels_say_why_it_is_slower(self):
        for host in (self.host_a, self.host_b):
            switch_off_checksums(host, "uplink")
        self.up()
        for source, target, address in ((self.host_a, self.host_b, "10.9.0.2"), (self.host_b, self.host_a, "fd09::1")):
            send_over_tcp(source, target, address, 4 * MIB)
            self.check_datagrams(source, target, address)
        # Since Linux 6.11 the kernel computes them itself.
        self.assertRegex(self.report(self.a)["sending_path"], r"^UDP_SEGMENT( \(.*EIO\))?$")


def switch_off_checksums(host, device):
    """As ethtool -K DEVICE tx off."""
    with host.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in (ETHTOOL_STXCSUM, ETHTOOL_GTXCSUM):
            value = (ctypes.c_uint32 * 2)(command, 0)
            fcntl.ioctl(control, SIOCETHTOOL, struct.pack("16sP16x", device.encode(), ctypes.addressof(value)))
        if value[1] != 0:
            raise OSError("the checksums of the uplink are still on")


if __name__ == "__main__":
    main()
