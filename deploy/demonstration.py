"""What the demonstrations of deploy/try have in common: promises that are checked, a listener, and a table at the end."""

import json
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests/lab"))

import lab
import probes
import sites

MIB = 1 << 20


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
    """A site, as `culvert show --json` tells it."""
    return json.loads(lab.run(sites.culvert_binary(), "show", site.name, "--json"))[0]


def show(job, picture):
    """Does the job in an empty lab and prints the picture and what the job returns: rows of the table, and text to end with. The exit status."""
    try:
        lab.enter()
    except lab.Unavailable as reason:
        print(f"deploy/try: {reason}" + ("" if os.geteuid() == 0 else "; try: sudo deploy/try"), file=sys.stderr)
        return 1
    place = lab.Lab()
    try:
        with place:
            try:
                rows, text = job(place)
            except (Broken, lab.LabError, OSError) as problem:
                print(f"{place.logs()}\ndeploy/try: {problem}", file=sys.stderr)
                return 1
    except KeyboardInterrupt:
        print("\ninterrupted; everything is taken down", file=sys.stderr)
        return 130
    print(picture.rstrip() + "\n")
    for name, value, remark in rows:
        print(f"    {name:<15}{value:>12}   {remark}")
    if text:
        print("\n" + text.rstrip())
    print("\n    All of it held, and everything is taken down again.")
    return 0

