"""The measurements of bench/compare. Each gives numbers by metric; what could not be measured is None."""

import contextlib
import itertools
import json
import math
import pathlib
import re
import time

import lab

LOSS = 0.001  # of the datagrams may be lost at a rate that counts as carried
SMALL, LARGE = 64, 1372
GIB = 1 << 30
TCP_PORT, UDP_PORT = 5201, 5202


class Metric:
    """One line group of the table: a name for JSON, a title and unit for people, and which way is better."""

    def __init__(self, name, title, unit, scale=1.0, less_is_better=False):
        self.name, self.title, self.unit, self.scale, self.less_is_better = name, title, unit, scale, less_is_better


METRICS = [
    Metric("tcp_1_a_to_b", "TCP, 1 stream, A to B", "Gbit/s", 1e-9),
    Metric("tcp_1_b_to_a", "TCP, 1 stream, B to A", "Gbit/s", 1e-9),
    Metric("tcp_4_a_to_b", "TCP, 4 streams, A to B", "Gbit/s", 1e-9),
    Metric("tcp_4_b_to_a", "TCP, 4 streams, B to A", "Gbit/s", 1e-9),
    Metric("udp_64_rate", "UDP, 64 bytes, highest rate at ≤ 0.1 % loss", "kpps", 1e-3),
    Metric("udp_1372_rate", "UDP, 1372 bytes, highest rate at ≤ 0.1 % loss", "kpps", 1e-3),
    Metric("udp_64_flood", "UDP, 64 bytes, delivered under flood", "kpps", 1e-3),
    Metric("rtt_idle_p50", "round trip, idle, median", "µs", 1e6, less_is_better=True),
    Metric("rtt_idle_p99", "round trip, idle, 99th percentile", "µs", 1e6, less_is_better=True),
    Metric("rtt_load_p50", "round trip beside a TCP stream, median", "µs", 1e6, less_is_better=True),
    Metric("rtt_load_p99", "round trip beside a TCP stream, 99th percentile", "µs", 1e6, less_is_better=True),
    Metric("cpu_per_gib", "processor time of both daemons per GiB, TCP, 1 stream, A to B", "s", less_is_better=True),
    Metric("resident", "resident memory of the larger daemon", "MiB", 1 / (1 << 20), less_is_better=True),
]

# Metrics that --quick does without, and the steps that measure them.
LEFT_OUT_QUICKLY = {"tcp_4_b_to_a": "TCP, 4 streams, B to A", "udp_1372_rate": "UDP, 1372 bytes, search"}


class Traffic:
    """Puts load on a system between two hosts and reads what arrives."""

    def __init__(self, hosts):
        self.hosts = hosts
        self.program = hosts[0].lab.folder / "blast"
        self.runs = itertools.count(1)
        source = pathlib.Path(__file__).with_name("blast.c")
        lab.run("cc", "-O2", "-o", self.program, source)

    def ends(self, system):
        return system.ends or self.hosts

    def _start(self, host, *arguments):
        return host.start(self.program, *arguments, log=host.lab.folder / f"blast-{next(self.runs)}.log")

    @contextlib.contextmanager
    def _receiver(self, host, *arguments):
        process = self._start(host, *arguments)

        def is_ready():
            if not process.is_running:
                raise lab.LabError(f"the receiver ended: {process.output.strip()}")
            return "ready" in process.output

        try:
            lab.wait_until(is_ready, 15, "the receiver to listen")
            yield process
        finally:
            self._forget(process)

    @staticmethod
    def _counted(receiver):
        """What a receiver that has ended counted."""
        if receiver.popen.returncode != 0:
            raise lab.LabError(f"the receiver failed: {receiver.output.strip()}")
        return json.loads(receiver.output.splitlines()[1])

    def _forget(self, process):
        """Ends it if it must; the lab would otherwise collect thousands."""
        if process.is_running:
            process.popen.kill()
            process.popen.wait()
        self.hosts[0].lab.processes.remove(process)
        process.log.unlink()

    def tcp(self, system, streams, seconds, is_reversed=False):
        """Bytes and seconds as the receiver saw them, and the sender's retransmits."""
        with self._streams(system, streams, seconds, is_reversed) as (receiver, sender):
            lab.wait_until(lambda: not sender.is_running, seconds + 10, "the sender to end")
            if sender.popen.returncode != 0:
                raise lab.LabError(f"the sender failed: {sender.output.strip()}")
            lab.wait_until(lambda: not receiver.is_running, 10, "the rest of the streams")
            result = json.loads(sender.output) | self._counted(receiver)
        if not result["bytes"] or not result["seconds"]:
            raise lab.LabError("nothing arrived")
        return result

    def beside_tcp(self, system, action):
        """What the action gives while a stream flows from A to B, from before it begins until after it ends."""
        with self._streams(system, 1, 60) as (_, sender):
            time.sleep(0.2)  # its slow start is over
            result = action()
            if not sender.is_running:
                raise lab.LabError(f"the stream ended: {sender.output.strip()}")
        return result

    @contextlib.contextmanager
    def _streams(self, system, streams, seconds, is_reversed=False):
        source, target = reversed(self.ends(system)) if is_reversed else self.ends(system)
        address = system.addresses[0 if is_reversed else 1]
        with self._receiver(target, "tcp-receive", address, TCP_PORT, streams) as receiver:
            sender = self._start(source, "tcp-send", address, TCP_PORT, streams, seconds)
            try:
                yield receiver, sender
            finally:
                self._forget(sender)

    def udp(self, system, size, rate, seconds):
        """Datagrams at a rate (0: flat out) from A to B: how many were sent and delivered, and each per second."""
        (source, target), address, run = self.ends(system), system.addresses[1], next(self.runs)
        with self._receiver(target, "udp-receive", address, UDP_PORT, run) as receiver:
            sent = json.loads(source.run(self.program, "udp-send", address, UDP_PORT, run, size, f"{rate:.0f}", seconds,
                                                timeout=seconds + 20))
            receiver.popen.terminate()
            lab.wait_until(lambda: not receiver.is_running, 10, "the last datagrams")
            counted = self._counted(receiver)
        return Datagrams(sent["sent"], sent["seconds"], counted["delivered"], counted["seconds"], counted["reordered"])

    def round_trips(self, system, count, interval=0.002):
        """Round trips of pings from A to B in seconds, sorted; a lost one is infinitely long."""
        done = self.ends(system)[0].run("ping", "-n", "-i", interval, "-c", count, "-W", 1, system.addresses[1], check=False,
                                 timeout=count * interval + 20)
        times = sorted(float(text) / 1000 for text in re.findall(r"time=([\d.]+) ms", done.stdout))
        return times + [math.inf] * (count - len(times))


class Datagrams:
    """One try: what was sent, and what of it arrived."""

    def __init__(self, sent, sending_seconds, delivered, arriving_seconds=0.0, reordered=0):
        self.sent, self.delivered, self.reordered = sent, delivered, reordered
        self.sent_rate = sent / sending_seconds
        self.delivered_rate = min(delivered / sending_seconds, delivered / arriving_seconds if arriving_seconds else math.inf)

    @property
    def loss(self):
        return 1 - self.delivered / self.sent if self.sent else 1.0


def highest_rate(attempt, first, tries):
    """The highest delivered rate seen at a loss of at most LOSS, or None. `attempt` sends at a rate and gives Datagrams.

    From the first rate on it goes up or down by growing steps, then halves what lies between the highest rate that held and the
    lowest that did not, until the two are close or its tries are used up: as many for the one as for the other. A rate that fails
    by little gets a second chance: one hiccup of the machine is not a limit of the system.
    """
    best = held = broken = None
    offered, step, left = first, 1.2, [tries, tries]
    while left[is_between := bool(held and broken)] > 0 and not (is_between and broken / held < 1.04):
        for _ in range(2):
            left[is_between] -= 1
            outcome = attempt(offered)
            if outcome.loss <= LOSS or outcome.loss > 30 * LOSS:
                break
        if outcome.loss <= LOSS:
            best = max(best or 0, outcome.delivered_rate)
            held = offered
            if outcome.sent_rate < 0.8 * offered:
                break  # the sender gives no more
        else:
            broken = offered
        if held and broken:
            offered = math.sqrt(held * broken)
        else:
            offered = offered * step if held else offered / step
            step = min(step * step, 4)
    return best


def percentile(times, share):
    """Of sorted times; None when it falls on a lost one."""
    value = times[min(len(times) - 1, math.ceil(share * len(times)) - 1)]
    return None if math.isinf(value) else value


class Step:
    """Something measured in one go: a title for the progress line, about how long it takes, and how."""

    def __init__(self, title, seconds, measure):
        self.title, self.seconds, self.measure = title, seconds, measure


def steps(traffic, seconds, tries, is_quick=False):
    """The steps of a round in order, each measure(system, earlier) -> {metric: value}; `earlier` are the system's values so far.

    Quickly, what the others let one expect is left out."""
    datagram_seconds, pings = max(0.05, seconds / 4), max(20, round(seconds / 2 / 0.002))

    def tcp(streams, is_reversed):
        name = f"tcp_{streams}_{'b_to_a' if is_reversed else 'a_to_b'}"

        def measure(system, earlier):
            before = system.cpu_seconds()
            result = traffic.tcp(system, streams, seconds, is_reversed)
            used = system.cpu_seconds() - before
            found = {name: 8 * result["bytes"] / result["seconds"], f"{name}_retransmits": result["retransmits"]}
            if streams == 1 and not is_reversed and system.daemons:
                found["cpu_per_gib"] = used / (result["bytes"] / GIB)
            return found

        return measure

    def flood(system, earlier):
        outcome = traffic.udp(system, SMALL, 0, max(0.1, seconds / 2))
        return {"udp_64_flood": outcome.delivered_rate, "udp_64_flood_sent": outcome.sent_rate,
                "udp_64_flood_reordered": outcome.reordered}

    def search(size, name):
        def measure(system, earlier):
            # Where the last round ended; in the first round, where another measurement lets it be expected.
            found = [value for other in ("udp_64_flood", "udp_64_rate", name) for value in earlier.get(other, []) if value]
            first = found[-1] if found else 20000.0
            return {name: highest_rate(lambda rate: traffic.udp(system, size, rate, datagram_seconds), first, tries)}

        return measure

    def idle(system, earlier):
        times = traffic.round_trips(system, pings)
        return {"rtt_idle_p50": percentile(times, 0.5), "rtt_idle_p99": percentile(times, 0.99)}

    def loaded(system, earlier):
        times = traffic.beside_tcp(system, lambda: traffic.round_trips(system, pings))
        return {"rtt_load_p50": percentile(times, 0.5), "rtt_load_p99": percentile(times, 0.99)}

    def resident(system, earlier):
        return {"resident": system.resident_bytes()}

    search_seconds = (tries + 2) * (datagram_seconds + 0.25)
    left_out = LEFT_OUT_QUICKLY.values() if is_quick else ()
    return [step for step in (
        Step("TCP, 1 stream, A to B", seconds + 0.2, tcp(1, False)),
        Step("TCP, 1 stream, B to A", seconds + 0.2, tcp(1, True)),
        Step("TCP, 4 streams, A to B", seconds + 0.2, tcp(4, False)),
        Step("TCP, 4 streams, B to A", seconds + 0.2, tcp(4, True)),
        Step("UDP, 64 bytes, flood", seconds / 2 + 0.3, flood),
        Step("UDP, 64 bytes, search", search_seconds, search(SMALL, "udp_64_rate")),
        Step("UDP, 1372 bytes, search", search_seconds, search(LARGE, "udp_1372_rate")),
        Step("round trips, idle", 0.002 * pings + 0.2, idle),
        Step("round trips beside TCP", 0.002 * pings + 0.6, loaded),
        Step("memory", 0.05, resident),
    ) if step.title not in left_out]
