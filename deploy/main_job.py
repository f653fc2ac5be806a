"""The main job, shown: two sites on one machine, a tunnel between them, and a listener on the uplink. Run by deploy/try.

      host-a                                       host-b
    ┌──────────────────────────┐                 ┌──────────────────────────┐
    │ site-a  10.9.0.1         │                 │ site-b  10.9.0.2         │
    │         uplink 10.0.0.1 ─┼─────────────────┼─ uplink 10.0.0.2         │
    └──────────────────────────┘                 └──────────────────────────┘
"""

import os
import sys
import time

from demonstration import MIB, Listener, Site, expect, show, status_of

import probes
import sites

SIZE = 256 * MIB


def main_job(place):
    """Does it all in an empty lab; returns the rows of the table, and no more text."""
    host_a, host_b = place.host("host-a"), place.host("host-b")
    place.link(host_a, host_b, ("10.0.0.1/24", "10.0.0.2/24"))
    before = host_a.state(), host_b.state()

    a = Site(host_a, "site-a", ["10.9.0.1/24"])
    b = Site(host_b, "site-b", ["10.9.0.2/24"])
    sites.introduce(a, b, left_at="10.0.0.1", right_at="10.0.0.2", psk=sites.generate_psk(sites.culvert_binary()))
    a.start()
    b.start()

    pings = probes.ping(host_a, "10.9.0.2", count=20)
    expect(pings.received == pings.sent, f"only {pings.received} of {pings.sent} pings came back")

    marker = os.urandom(32)
    with Listener(host_a, "uplink", marker) as uplink:
        transfer = probes.send_over_tcp(host_a, host_b, "10.9.0.2", SIZE, marker)
    seen = uplink.seen
    expect(not seen["marker"], "plaintext was seen on the uplink")
    expect(seen["bytes"] > SIZE, f"the listener saw only {seen['bytes']} bytes on the uplink, {seen['dropped']} frames escaped it")
    with Listener(host_a, "site-a", marker) as inside:
        probes.send_over_tcp(host_a, host_b, "10.9.0.2", MIB, marker)
    expect(inside.seen["marker"], "the listener does not even find plaintext inside the tunnel")

    peer = status_of(a)["peers"][0]
    age = time.time() - peer["latest_handshake"]
    expect(0 <= age + 1 < 120, "there was no handshake")
    expect(peer["sent_bytes"] > SIZE, f"culvert counts only {peer['sent_bytes']} bytes sent")

    expect((a.stop(), b.stop()) == (0, 0), "a site did not end well")
    expect((host_a.state(), host_b.state()) == before, "a site left something behind")

    return [
        ("round trip", f"{pings.round_trip * 1000:.2f} ms", f"mean of {pings.received} pings, none lost"),
        ("throughput", f"{8 * transfer.size / transfer.seconds / 1e6:.0f} Mbit/s", "one TCP stream, while being listened to"),
        ("sent", f"{transfer.size // MIB} MiB", "arrived unchanged"),
        ("on the uplink", f"{seen['bytes'] // MIB} MiB", f"in {seen['count']} frames, plaintext in none of them"),
        ("handshake", f"{max(age, 0):.0f} s ago", "renewed every two minutes while in use"),
    ], ""


if __name__ == "__main__":
    sys.exit(show(main_job, __doc__.split("\n", 2)[2]))
