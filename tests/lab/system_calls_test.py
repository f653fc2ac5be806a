#!/usr/bin/env python3
"""The system calls that `culvert show --json` counts are those that strace sees, whichever way packets go.

      host-a                                 host-b
    ┌──────────────────────┐               ┌──────────────────────┐
    │ site-a  10.9.0.1/24  │  10.0.0.0/24  │ site-b  10.9.0.2/24  │
    │   strace  uplink .1 ─┼───────────────┼─ uplink .2           │
    └──────────────────────┘               └──────────────────────┘
"""

import json
import re
import signal
import subprocess

from lab import run, wait_until
from probes import answers, ping, send_over_tcp
from scenario import Scenario, main
from sites import Culvert, culvert_binary, introduce

MIB = 1 << 20
#: What moves packets and waits for them.
COUNTED = "readv,writev,sendmmsg,sendmsg,recvmmsg,epoll_wait,epoll_ctl,timerfd_settime"


class SystemCalls(Scenario):
    def report(self):
        [tunnel] = json.loads(run(culvert_binary(), "show", "site-a", "--json"))
        return tunnel

    def compare(self, *lines):
        host_a, host_b = self.two_hosts()
        site_a = Culvert(host_a, "site-a", ["10.9.0.1/24"], interface_lines=lines)
        site_b = Culvert(host_b, "site-b", ["10.9.0.2/24"], interface_lines=lines)
        introduce(site_a, site_b, left_at="10.0.0.1", right_at="10.0.0.2")
        site_b.start()
        site_a.start()
        self.assertTrue(answers(host_a, "10.9.0.2"))
        pid = self.report()["pid"]
        table = self.lab.folder / "calls"
        strace = subprocess.Popen(["strace", "-f", "-c", "-U", "calls,name", "-e", f"trace={COUNTED}", "-o", table, "-p", str(pid)],
                                  stderr=subprocess.PIPE, text=True)
        self.addCleanup(strace.stderr.close)
        self.addCleanup(strace.wait)
        self.addCleanup(strace.kill)
        self.assertIn("attached", strace.stderr.readline())
        before = self.report()["system_calls"]
        send_over_tcp(host_a, host_b, "10.9.0.2", 16 * MIB)
        send_over_tcp(host_b, host_a, "10.9.0.1", 16 * MIB, port=5202)
        self.assertEqual(200, ping(host_a, "10.9.0.2", count=200, interval=0.002).received)
        counted = self.report()["system_calls"] - before
        strace.send_signal(signal.SIGINT)
        strace.wait(timeout=30)
        wait_until(table.exists, timeout=10)
        [seen] = map(int, re.findall(r"^ *(\d+) total$", table.read_text(), re.MULTILINE))
        print(f"{counted} counted, {seen} seen", flush=True)
        self.assertGreater(seen, 1000)
        # Those that serve the control socket and set the timer again are not for packets.
        self.assertGreater(counted, 0.85 * seen)
        self.assertLess(counted, 1.15 * seen)

    def test_are_counted_with_offloads(self):
        self.compare()

    def test_are_counted_without_offloads(self):
        self.compare("Offloads = off")

    def test_are_counted_of_several_workers(self):
        self.compare("Queues = 2")


if __name__ == "__main__":
    main()
