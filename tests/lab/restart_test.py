#!/usr/bin/env python3
"""Either side may end at any moment and come back: the tunnel heals without anyone touching the other side.

      host-a                                   host-b
    ┌──────────────────────┐                 ┌──────────────────────┐
    │ site-a  10.9.0.1     │  10.0.0.0/24    │ site-b  10.9.0.2     │
    │           uplink .1 ─┼─────────────────┼─ uplink .2           │
    └──────────────────────┘                 └──────────────────────┘
"""

import time

from probes import answers, ping
from scenario import Scenario, main
from sites import Subject, introduce


class Restart(Scenario):
    def setUp(self):
        super().setUp()
        self.host_a, self.host_b = self.two_hosts()
        self.a = Subject(self.host_a, "site-a", ["10.9.0.1/24"])
        self.b = Subject(self.host_b, "site-b", ["10.9.0.2/24"])

    def up(self, **known):
        introduce(self.a, self.b, **known)
        self.b.start()
        self.a.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2"))

    def test_each_side_restarts_and_speaks_first(self):
        self.up(left_at="10.0.0.1", right_at="10.0.0.2")
        for site, other_inside in ((self.a, "10.9.0.2"), (self.b, "10.9.0.1")):
            for end in (site.stop, site.kill):
                with self.subTest(site=site.name, end=end.__name__):
                    end()
                    site.start()
                    self.assertTrue(answers(site.host, other_inside, timeout=3))

    def test_the_other_side_notices_by_itself_that_its_session_is_lost(self):
        self.up(right_at="10.0.0.2")
        self.b.kill()
        self.b.start()  # knows no endpoint: only a can begin, and only its missing answers tell it to
        began = time.monotonic()
        self.assertTrue(answers(self.host_a, "10.9.0.2", timeout=25))
        self.assertLess(time.monotonic() - began, 22)

    def test_a_peer_that_starts_late_is_reached(self):
        introduce(self.a, self.b, right_at="10.0.0.2")
        self.a.start()
        self.assertEqual(0, ping(self.host_a, "10.9.0.2", count=3, wait=0.3).received)
        self.b.start()
        self.assertTrue(answers(self.host_a, "10.9.0.2", timeout=12), "the next attempt, five seconds after the first")

    def test_ten_restarts_in_a_row_heal_each_time(self):
        self.up(right_at="10.0.0.2")
        for _ in range(10):
            self.a.kill()
            self.a.start()
            self.assertTrue(answers(self.host_a, "10.9.0.2", timeout=20))


if __name__ == "__main__":
    main()
