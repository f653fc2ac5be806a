#!/usr/bin/env python3
"""Everything into the tunnel: 0.0.0.0/0 and ::/0 by policy routing, with the local network still there and nothing beside it.

      host-c           host-a                                   host-b
    ┌────────────┐   ┌────────────────────────┐               ┌──────────────────────────┐
    │ a neighbour│   │ site-a  10.9.0.1       │  10.0.0.0/24  │ site-b  10.9.0.2         │
    │            │   │         fd09::1        │  fd00::/64    │         fd09::2          │
    │ lan .3 ────┼───┼─ lan .1    uplink .1 ──┼───────────────┼─ uplink .2               │
    └────────────┘   └────────────────────────┘               │  lo 203.0.113.1, fd55::1 │
       10.1.0.0/24      its default route goes to host-b      └──────────────────────────┘
"""

import contextlib
import re
import time

from lab import wait_until
from probes import Capture, Talker, answers, ping
from quick import Quick, by_wg_quick, system_state
from scenario import Scenario, main
from sites import Culvert, introduce

ABROAD = ("203.0.113.1", "fd55::1")


class AllAbroad(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.host_c = self.lab.host("host-c")
        self.lab.link(self.host_c, self.host_a, ("10.1.0.3/24", "10.1.0.1/24"), name="lan")
        for host in (self.host_a, self.host_b):
            host.set("ipv4/conf/all/rp_filter", 1)  # the strict one, which src_valid_mark is there for
        self.host_a.ip("route", "add", "default", "via", "10.0.0.2")
        self.host_a.ip("-6", "route", "add", "default", "via", "fd00::2")
        for address in ABROAD:
            self.host_b.ip("address", "add", address, "dev", "lo")
        self.a = Quick(self.host_a, "site-a", ["10.9.0.1/24", "fd09::1/64"])
        self.b = Culvert(self.host_b, "site-b", ["10.9.0.2/24", "fd09::2/64"])
        introduce(self.a, self.b, right_at="10.0.0.2")
        self.a.peers[0].allowed_ips = ["0.0.0.0/0", "::/0"]
        self.b.start()
        self.before = system_state(self.host_a)
        self.lab.closing.callback(lambda: self.a.journal.exists() and self.a.down())

    def assert_undone(self):
        self.assertEqual(0, self.a.down().returncode)
        self.assertEqual(self.before, system_state(self.host_a))


class DefaultRoute(AllAbroad):
    def test_all_goes_into_the_tunnel_and_only_its_datagrams_outside(self):
        self.a.start()
        self.assertTrue(answers(self.host_a, ABROAD[0]))
        with Capture(self.host_a, "uplink") as capture:
            for address in ABROAD:
                self.assertEqual(3, ping(self.host_a, address).received, address)
        sent = capture.datagrams(outgoing=True)
        # Datagrams of two pings may leave as one train.
        self.assertGreaterEqual(sum(len(datagram.payload) for datagram in sent), 6 * 96)
        self.assertEqual({51820}, {datagram.target_port for datagram in sent})
        self.assert_undone()

    def test_the_endpoint_itself_is_reached_through_the_tunnel_by_all_but_the_tunnel(self):
        self.a.start()
        self.assertTrue(answers(self.host_a, ABROAD[0]))
        self.assertIn("dev site-a", self.host_a.ip("route", "get", ABROAD[0]))
        self.assertIn("dev uplink", self.host_a.ip("route", "get", ABROAD[0], "mark", "51820"))

    def test_the_local_networks_stay_within_reach(self):
        self.a.start()
        self.assertEqual(3, ping(self.host_a, "10.1.0.3").received)
        self.assertEqual(3, ping(self.host_a, "10.0.0.2").received)
        self.assertEqual(3, ping(self.host_c, "10.1.0.1").received)
        self.assertIn("dev lan", self.host_a.ip("route", "get", "10.1.0.3"))

    def test_a_neighbour_cannot_reach_the_tunnels_address_from_outside(self):
        self.host_c.ip("route", "add", "10.9.0.1/32", "via", "10.1.0.1")
        self.host_a.set("ipv4/conf/lan/rp_filter", 0)
        self.host_a.set("ipv4/conf/all/rp_filter", 0)
        self.before = system_state(self.host_a)
        self.a.start()
        self.assertEqual(0, ping(self.host_c, "10.9.0.1", count=2, wait=0.3).received)
        self.assertEqual(3, ping(self.host_c, "10.1.0.1").received)
        self.assertTrue(answers(self.host_b, "10.9.0.1"), "from within it can be reached")
        self.assert_undone()

    def test_it_has_the_routes_and_rules_that_wg_quick_makes_and_one_for_what_finds_no_route(self):
        def rules_of(family):
            # Those of a tunnel come before all others; what priority that is depends on how many they are.
            return self.host_a.run("sh", "-c", f"ip {family} rule | sed 's/^[0-9]*://'")

        def network():
            text = "".join(rules_of(family) + self.host_a.ip(family, "route", "show", "table", "51820") +
                           self.host_a.ip(family, "route") for family in ("-4", "-6"))
            lines = [line.strip() for line in text.splitlines() if "fe80" not in line]
            # The packet filter's tables have names of their own.
            rules = self.host_a.run("nft", "list", "ruleset").replace("wg-quick-", "culvert-")
            # wireguard-go's devices have link-local addresses, which no router takes packets for.
            rules = "".join(line for line in rules.splitlines(keepends=True) if "fe80" not in line)
            return lines, rules, self.host_a.run("sysctl", "net.ipv4.conf.all.src_valid_mark")

        self.a.start()
        ours = network()
        self.assert_undone()
        self.a.peers[0].name = None
        theirs = by_wg_quick(self.a, network)
        refusal = "not from all fwmark 0xca6c unreachable"
        self.assertEqual(2, ours[0].count(refusal))
        self.assertEqual(theirs[0], [line for line in ours[0] if line != refusal])
        self.assertEqual(self.by_table(theirs[1]), self.by_table(ours[1]))
        self.assertEqual(theirs[2], ours[2])

    @staticmethod
    def by_table(ruleset):
        return sorted(re.split(r"^(?=table )", ruleset, flags=re.MULTILINE))

    def test_two_of_them_at_once_and_the_first_to_go_leaves_the_other_whole(self):
        second = Quick(self.host_a, "site-2", ["10.9.2.1/24"], port=51999)
        server = Culvert(self.host_b, "server-2", ["10.9.2.2/24"], port=51998)
        introduce(second, server, right_at="10.0.0.2")
        second.peers[0].allowed_ips = ["0.0.0.0/0"]
        server.start()
        self.before = system_state(self.host_a)
        self.lab.closing.callback(lambda: second.journal.exists() and second.down())
        self.a.start()
        first_only = system_state(self.host_a)
        second.start()
        self.assertTrue(answers(self.host_a, "10.9.2.2"))
        self.assertTrue(answers(self.host_a, "10.9.0.2"))
        self.assertEqual(0, second.down().returncode)
        self.assertEqual(first_only, system_state(self.host_a))
        second.start()
        self.assertEqual(0, self.a.down().returncode)
        self.assertTrue(answers(self.host_a, ABROAD[0]) or answers(self.host_a, "10.9.2.2"))
        self.assertEqual(3, ping(self.host_a, "10.1.0.3").received)
        self.assertIn("src_valid_mark = 1", self.host_a.run("sysctl", "net.ipv4.conf.all.src_valid_mark"))
        self.assertEqual(0, second.down().returncode)
        self.assertEqual(self.before, system_state(self.host_a))

    def test_rules_that_somebody_removes_are_made_again(self):
        self.a.start()
        up = system_state(self.host_a)
        for family in ("-4", "-6"):
            for rule in (("table", "main", "suppress_prefixlength", "0"), ("table", "51820"), ("unreachable",)):
                self.host_a.ip(family, "rule", "del", *rule)
        wait_until(lambda: system_state(self.host_a) == up, timeout=5, what="the rules")
        self.assertIn("somebody removed routing rules or default routes", self.a.log)
        self.host_a.ip("rule", "add", "from", "10.7.0.0/16", "table", "7")
        self.host_a.ip("rule", "del", "from", "10.7.0.0/16", "table", "7")
        self.assert_undone()
        time.sleep(0.5)
        self.assertEqual(self.before, system_state(self.host_a))

    def test_a_kill_leaves_nothing_once_down_was_called(self):
        self.a.start()
        self.a.kill()
        self.assertNotEqual(self.before, system_state(self.host_a))
        self.assert_undone()

    def test_a_device_apart_from_its_socket_needs_no_rules(self):
        inner = self.lab.host("inner")
        rules = inner.ip("rule") + self.host_a.ip("rule")
        self.a.host, self.a.runs_in = inner, self.host_a
        self.a.interface_lines = ["Namespace = inner"]
        self.a.start()
        self.assertTrue(answers(inner, "10.9.0.2"))
        self.assertEqual(rules, inner.ip("rule") + self.host_a.ip("rule"))
        self.assertIn("default dev site-a", inner.ip("route"))
        self.assert_undone()

    def test_the_deleted_device_comes_back_with_its_default_routes(self):
        self.a.start()
        self.host_a.ip("link", "del", "site-a")
        wait_until(lambda: "default dev site-a" in self.host_a.run("ip", "route", "show", "table", "51820", check=False).stdout,
                   what="the default route")
        self.assertTrue(answers(self.host_a, ABROAD[0]))


class Leaks(AllAbroad):
    """Whatever happens to device, routes, process and peer: what was not for the local network never goes out in the clear."""

    def setUp(self):
        super().setUp()
        self.assertTrue(self.goes_out_in_the_clear(), "without a tunnel it does")
        self.a.start()
        for address in ABROAD:
            self.assertTrue(answers(self.host_a, address), address)

    @contextlib.contextmanager
    def talking(self):
        """Yields the talker; afterwards nothing of what it said was seen outside."""
        marker = b"this is in the clear"
        with Capture(self.host_a, "uplink", patterns=[marker]) as capture:
            with Talker(self.host_a, ABROAD, marker) as talker:
                yield talker
        self.assertGreater(talker.attempts, 10)
        self.assertEqual(0, capture.dropped)
        self.assertFalse(capture.contains(marker))

    def goes_out_in_the_clear(self):
        try:
            with self.talking():
                time.sleep(0.1)
        except AssertionError:
            return True
        return False

    def default_routes(self):
        return [line for family in ("-4", "-6")
                for line in self.host_a.run("ip", family, "route", "show", "default", "table", "51820", check=False).stdout.splitlines()]

    def assert_works(self):
        for address in ABROAD:
            self.assertTrue(answers(self.host_a, address), address)
        self.assertEqual(3, ping(self.host_a, "10.1.0.3").received)

    def test_while_the_peer_is_silent(self):
        self.b.kill()
        with self.talking():
            time.sleep(0.5)

    def test_while_the_device_is_down_and_when_it_is_up_again_all_is_there(self):
        up = system_state(self.host_a)
        with self.talking():
            self.host_a.ip("link", "set", "site-a", "down")
            time.sleep(0.3)
            self.assertEqual([], self.default_routes())
            self.assertEqual(3, ping(self.host_a, "10.1.0.3").received)
            self.host_a.ip("link", "set", "site-a", "up")
            wait_until(lambda: system_state(self.host_a) == up, what="addresses and routes")
        self.assert_works()
        self.assert_undone()

    def test_while_the_device_is_deleted_and_comes_back(self):
        with self.talking():
            self.host_a.ip("link", "del", "site-a")
            wait_until(lambda: len(self.default_routes()) == 2, what="the default routes")
        self.assert_works()

    def test_while_somebody_removes_the_routes_and_they_are_made_again(self):
        with self.talking():
            for family in ("-4", "-6"):
                self.host_a.ip(family, "route", "flush", "table", "51820")
            wait_until(lambda: len(self.default_routes()) == 2, what="the default routes")
        self.assert_works()
        self.assertIn("somebody removed routing rules or default routes", self.a.log)

    def test_after_a_kill_until_it_is_taken_down(self):
        self.a.kill()
        with self.talking():
            time.sleep(0.3)
            self.assertEqual(3, ping(self.host_a, "10.1.0.3").received)
        self.assert_undone()
        self.assertTrue(self.goes_out_in_the_clear(), "without a tunnel it does")

    def test_while_a_reload_changes_the_mark(self):
        with self.talking():
            for lines in (["FwMark = 4242"], [], ["FwMark = 4243"]):
                self.a.interface_lines = lines
                self.a.write_config()
                self.a.call("reload")
        self.assert_works()
        self.assert_undone()


if __name__ == "__main__":
    main()
