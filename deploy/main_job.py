"""The main job, shown: two sites on one machine, a tunnel between them, and a listener on the uplink. Run by deploy/try.

      host-a                                       host-b
    ┌──────────────────────────┐                 ┌──────────────────────────┐
    │ site-a  10.9.0.1         │                 │ site-b  10.9.0.2         │
    │         uplink 10.0.0.1 ─┼─────────────────┼─ uplink 10.0.0.2         │
    └──────────────────────────┘                 └──────────────────────────┘
"""

import json
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests/lab"))

import lab
import probes
import sites

MIB = 1 << 20
SIZE = 256 * MIB


class Broken(Exception):
    """A promise did not hold; says which."""


class Site(sites.Culvert):
    key_tool = sites.culvert_binary()


class Listener:
    """Counts what passes a link, in a process of its own so that the transfer is not slowed down; a context manager."""

    def __init__(self, host, device, marker):
        self._reading, writing = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            self._listen(host, device, marker, writing)
        os.close(writing)
        os.read(self._reading, 1)

    @staticmethod
    def _listen(host, device, marker, writing):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with probes.Capture(host, device, [marker], keep=False) as capture:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
            os.write(writing, b".")
            signal.sigwait({signal.SIGUSR1})
        seen = {"count": capture.count, "bytes": capture.bytes, "dropped": capture.dropped, "marker": capture.contains(marker)}
        os.write(writing, json.dumps(seen).encode())
        os._exit(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self._child, signal.SIGUSR1)
        self.seen = json.loads(os.read(self._reading, 4096))
        os.close(self._reading)
        os.waitpid(self._child, 0)


def expect(holds, otherwise):
    if not holds:
        raise Broken(otherwise)


def status_of(site):
    """The one peer of a site, as `culvert show --json` tells it."""
    return json.loads(lab.run(sites.culvert_binary(), "show", site.name, "--json"))[0]["peers"][0]


def main_job(place):
    """Does it all in an empty lab; returns the rows of the table."""
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

    peer = status_of(a)
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
    ]


def main():
    try:
        lab.enter()
    except lab.Unavailable as reason:
        print(f"deploy/try: {reason}" + ("" if os.geteuid() == 0 else "; try: sudo deploy/try"), file=sys.stderr)
        return 1
    place = lab.Lab()
    try:
        with place:
            try:
                rows = main_job(place)
            except (Broken, lab.LabError, OSError) as problem:
                print(f"{place.logs()}\ndeploy/try: {problem}", file=sys.stderr)
                return 1
    except KeyboardInterrupt:
        print("\ninterrupted; everything is taken down", file=sys.stderr)
        return 130
    print(__doc__.split("\n", 2)[2].rstrip() + "\n")
    for name, value, remark in rows:
        print(f"    {name:<15}{value:>12}   {remark}")
    print("\n    All of it held, and everything is taken down again.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
