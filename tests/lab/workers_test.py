#!/usr/bin/env python3
"""Four workers a device: nothing is lost, changed or out of order, whatever happens to the device meanwhile.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ site-a  10.9.0.1     │  10.0.0.0/24    │ site-b  10.9.0.2     │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘
"""

import concurrent.futures
import os
import pathlib
import socket
import struct
import threading
import time

from lab import run, wait_until
from probes import Pinger, answers, send_over_tcp
from scenario import Scenario, main
from sites import Culvert, WireGuardGo, culvert_binary, introduce

QUEUES = ["Queues = 4"]
SIZE = 2_000_000


class Workers(Scenario):
    def up(self, other=Culvert, lines=()):
        self.host_a, self.host_b = self.two_hosts()
        self.a = Culvert(self.host_a, "site-a", ["10.9.0.1/24"], interface_lines=[*QUEUES, *lines])
        self.b = other(self.host_b, "site-b", ["10.9.0.2/24"], interface_lines=[*QUEUES, *lines] if other is Culvert else ())
        introduce(self.a, self.b, left_at="10.0.0.1", right_at="10.0.0.2")
        self.b.start()
        self.a.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    def threads(self, site):
        # The program itself: nsenter becomes it.
        return len(os.listdir(f"/proc/{site.process.pid}/task"))

    def streams_both_ways(self, count=4):
        """That many TCP streams of random bytes at a time in either direction, each compared at the far end."""
        ends = (self.host_a, self.host_b, "10.9.0.2"), (self.host_b, self.host_a, "10.9.0.1")
        with concurrent.futures.ThreadPoolExecutor(2 * count) as pool:
            transfers = [pool.submit(send_over_tcp, source, target, address, SIZE, os.urandom(1 << 18), 5201 + number)
                         for number in range(count) for source, target, address in ends]
            for transfer in transfers:
                transfer.result()

    def disorder(self, source, target, address, datagrams=4000, answers_every=50):
        """Sends numbered datagrams of one flow, answered now and then; how many came after a later one."""
        numbers = []
        with target.socket(kind=socket.SOCK_DGRAM) as sink, source.socket(kind=socket.SOCK_DGRAM) as sender:
            sink.bind((address, 5300))
            sink.settimeout(1.5)

            def receive():
                try:
                    while not numbers or numbers[-1] != datagrams - 1:
                        data, back = sink.recvfrom(2048)
                        numbers.append(struct.unpack(">I", data[:4])[0])
                        if numbers[-1] % answers_every == 0:
                            sink.sendto(b"heard", back)
                except TimeoutError:
                    pass

            receiver = threading.Thread(target=receive)
            receiver.start()
            sender.connect((address, 5300))
            for number in range(datagrams):
                sender.send(struct.pack(">I", number) + bytes(600))
                if number % 40 == 0:
                    time.sleep(0.002)
            receiver.join()
        self.assertGreater(len(numbers), datagrams // 10)
        return sum(later < earlier for earlier, later in zip(numbers, numbers[1:]))

    def under_traffic(self, action):
        """Runs an action with pings and streams going on; how many pings were lost."""
        with Pinger(self.host_a, "10.9.0.2") as pinger, concurrent.futures.ThreadPoolExecutor(1) as pool:
            streams = pool.submit(self.streams_both_ways, 2)
            action()
            streams.result()
        return pinger.lost

    def check_carrying(self):
        self.assertIn("multi_queue numqueues 4 ", self.host_a.ip("-d", "link", "show", "site-a"))
        self.streams_both_ways()
        self.assertEqual(0, self.disorder(self.host_a, self.host_b, "10.9.0.2"))
        self.assertEqual(0, self.disorder(self.host_b, self.host_a, "10.9.0.1"))

    def test_streams_arrive_whole_and_a_flow_in_order(self):
        self.up()
        self.check_carrying()

    def test_the_same_with_aes(self):
        if "aes" not in pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii"):
            self.skipTest("this machine has no instructions for AES")
        self.up(lines=["Cipher = aes-256-gcm"])
        self.check_carrying()

    def test_the_same_with_wireguard_go_at_the_other_end(self):
        self.up(other=WireGuardGo)
        self.check_carrying()

    def test_changes_under_traffic_lose_nothing(self):
        self.up()

        def change():
            for _ in range(3):
                stripped = self.lab.folder / "stripped.conf"
                stripped.write_text(run(culvert_binary(), "strip", self.a.config_path), encoding="ascii")
                self.a.wg("syncconf", "site-a", stripped)
                self.host_a.run(culvert_binary(), "reload", self.a.config_path)

        self.assertEqual(0, self.under_traffic(change))
        self.assertEqual(0, self.disorder(self.host_a, self.host_b, "10.9.0.2"))

    def test_a_deleted_device_comes_back_with_its_workers(self):
        self.up()
        before = self.threads(self.a)
        with Pinger(self.host_a, "10.9.0.2"):
            self.host_a.ip("link", "del", "site-a")
            wait_until(lambda: self.host_a.has_link("site-a"), what="the device to be made again")
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        wait_until(lambda: self.threads(self.a) == before, what="as many threads as before")
        self.streams_both_ways(2)

    def test_a_peer_that_roams_goes_on_in_order(self):
        self.up()
        self.host_a.ip("address", "add", "10.0.0.11/24", "dev", "uplink")
        self.host_a.ip("address", "del", "10.0.0.1/24", "dev", "uplink")
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertEqual("10.0.0.11:51820", self.b.endpoint_of(self.a))
        self.assertEqual(0, self.disorder(self.host_b, self.host_a, "10.9.0.1"))

    def test_nothing_is_left_at_the_end(self):
        self.up()
        self.assertEqual(0, self.a.stop())
        self.assertFalse(self.host_a.has_link("site-a"))
        self.assertEqual("", self.host_a.run("ss", "-Hulpn", "sport", "=", ":51820"))
        self.assertFalse(pathlib.Path(f"/proc/{self.a.process.pid}/task").exists())


if __name__ == "__main__":
    main()
