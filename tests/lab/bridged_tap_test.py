#!/usr/bin/env python3
"""Bridge and BridgePort in a file: two LANs become one through a tap at each end, and all is undone however the tunnel ends.

      station-a        host-a                          host-b        station-b
    ┌────────────┐   ┌───────────────┐  10.0.0.0/24  ┌───────────────┐   ┌────────────┐
    │ lan .1 ────┼───┼─ lan   uplink ┼───────────────┼ uplink   lan ─┼───┼─── lan .2  │
    └────────────┘   │   └ br0 ┘     │               │     └ br0 ┘   │   └────────────┘
       10.44.0.0/24  │     lan-a tap ~~~~~ tunnel ~~~~~ lan-b tap    │
                     └───────────────┘               └───────────────┘
"""

import json

from lab import add_address, wait_until
from probes import Pinger, answers, ping
from quick import Quick, has_ended
from scenario import Scenario, main
from sites import culvert_binary, introduce


class Bridged(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.station_a, self.station_b = self.lab.host("station-a"), self.lab.host("station-b")
        for host, station, number in ((self.host_a, self.station_a, 1), (self.host_b, self.station_b, 2)):
            self.lab.link(host, station, name="lan")
            add_address(station, "lan", f"10.44.0.{number}/24")
        self.a = Quick(self.host_a, "lan-a", [], interface_lines=["Mode = tap", "Bridge = br0", "BridgePort = lan"])
        self.b = Quick(self.host_b, "lan-b", [], interface_lines=["Mode = tap", "Bridge = br0", "BridgePort = lan"])
        introduce(self.a, self.b, left_at="10.0.0.1", right_at="10.0.0.2")
        self.before = self.host_a.state()
        self.lab.closing.callback(self.clean_up)

    def clean_up(self):
        for site in (self.a, self.b):
            if site.journal.exists():
                site.down()

    def refused(self, *said):
        done = self.a.up()
        self.assertEqual(1, done.returncode, done.stderr)
        for words in said:
            self.assertIn(words, done.stderr)

    def link(self, name):
        return json.loads(self.host_a.ip("-j", "-d", "link", "show", name))[0]

    def test_makes_one_lan_of_two_and_takes_it_back(self):
        self.a.start()
        self.b.start()
        self.assertTrue(answers(self.station_a, "10.44.0.2", timeout=30))
        self.assertEqual(5, ping(self.station_b, "10.44.0.1", count=5, size=1400).received)
        self.assertEqual("br0", self.link("lan-a")["master"])
        self.assertEqual(self.link("lan")["address"], self.link("br0")["address"])
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(self.before, self.host_a.state())

    def test_is_undone_by_the_next_start_after_a_kill(self):
        self.a.start()
        self.a.kill()
        wait_until(lambda: not self.host_a.has_link("lan-a"), what="the tap to go")
        self.assertTrue(self.host_a.has_link("br0"))
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(self.before, self.host_a.state())

    def test_is_undone_on_failure(self):
        self.a.interface_lines.append("PostUp = exit 3")
        self.refused("ended with status 3")
        self.assertEqual(self.before, self.host_a.state())

    def test_refuses_a_port_with_addresses_and_says_what_to_do(self):
        add_address(self.host_a, "lan", "10.44.0.9/24")
        before = self.host_a.state()
        self.refused("BridgePort = lan has addresses", "culvert bridge attach --nic lan --bridge br0 --confirm 60")
        self.assertEqual(before, self.host_a.state())

    def test_refuses_an_mtu_smaller_than_the_bridge_has(self):
        self.a.mtu = 1400
        self.refused("MTU = 1400 is less than the 1500 of br0")
        self.assertEqual(self.before, self.host_a.state())

    def test_leaves_a_bridge_that_was_there_with_its_mac_and_mtu(self):
        # Without a port of its own the kernel would give it the tap's MAC address, and an MTU that fits all ports.
        self.host_a.ip("link", "add", "br0", "type", "bridge")
        self.host_a.ip("link", "set", "br0", "addrgenmode", "none", "up")
        self.host_a.ip("link", "set", "lan", "mtu", "1600")
        before, bridge = self.host_a.state(), self.link("br0")
        self.a.start()
        self.assertEqual((bridge["address"], bridge["mtu"]), (self.link("br0")["address"], self.link("br0")["mtu"]))
        self.assertEqual(1500, self.link("lan-a")["mtu"])
        self.assertEqual(0, self.a.down().returncode)
        self.assertFalse(self.host_a.has_link("lan-a"))
        self.assertEqual([line for line in before if "br0" not in line], [line for line in self.host_a.state() if "br0" not in line])

    def test_a_tap_that_somebody_deletes_comes_back_into_its_bridge(self):
        self.a.start()
        self.host_a.ip("link", "del", "lan-a")
        wait_until(lambda: self.host_a.has_link("lan-a") and self.link("lan-a").get("master") == "br0", what="the tap to be back")

    def test_b13_a_host_loses_nothing_while_its_tunnel_restarts(self):
        # The uplink itself is bridged, with its address, and the tap joins that bridge.
        for site in (self.a, self.b):
            site.interface_lines.remove("BridgePort = lan")
        self.host_a.run(culvert_binary(), "bridge", "attach", "--nic", "uplink", "--bridge", "br0", "--confirm", "60")
        self.host_a.run(culvert_binary(), "bridge", "confirm")
        self.a.start()
        with Pinger(self.host_b, "10.0.0.1") as pinger:
            self.assertEqual(0, self.a.down().returncode)
            self.a.start()
            self.a.kill()
            self.a.start()
            self.assertEqual("br0", self.link("lan-a")["master"])
        print(f"B-13: {pinger.lost} of {pinger.sent} pings lost over two restarts (wanted: 0)", flush=True)
        self.assertEqual(0, pinger.lost)
        self.assertEqual(0, self.a.down().returncode)
        guardians = [entry.get("guardian") for entry in json.loads(self.host_a.run(culvert_binary(), "bridge", "status", "--json"))]
        self.host_a.run(culvert_binary(), "bridge", "detach", "--nic", "uplink")
        wait_until(lambda: all(has_ended(pid) for pid in guardians if pid), what="the guardian to end")
        self.assertEqual(self.before, self.host_a.state())


if __name__ == "__main__":
    main()
