"""Probes: pings, transfers and eyes on the wire. What a test believes, it has seen here and not been told by the program under test."""

import contextlib
import dataclasses
import hashlib
import random
import socket
import struct
import threading
import time

from lab import LabError, wait_until

ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
SOL_PACKET, PACKET_STATISTICS = 263, 6
PACKET_OUTGOING = 4


@dataclasses.dataclass
class Pings:
    sent: int
    received: int
    round_trip: float  # mean, seconds; None without an answer


# How long one answer may be later than the next packet, once the other side has answered at all: this machine may be busy.
LATENESS = 5.0


def ping(host, address, count=3, interval=0.05, size=56, wait=1.0):
    """Pings from a host and counts the answers. `wait` is for an other side that may not answer at all.

    Not ping(8), which after its last packet waits no longer than two of its round trips took: on a busy machine the first answer
    may be quick and the last one slow.
    """
    probe = _Echo(host, address, size)
    with probe.socket:
        began = time.monotonic()
        for number in range(count):
            probe.listen(until=began + number * interval)  # who was late once does not stay late
            probe.send(number)
        last = time.monotonic()
        probe.listen(until=last + wait, for_all=True)
        if probe.round_trips:
            probe.listen(until=last + max(wait, LATENESS), for_all=True)
    times = probe.round_trips.values()
    return Pings(count, len(times), sum(times) / len(times) if times else None)


class _Echo:
    """Echo requests of one pinger (RFC 792, RFC 4443) and what came back."""

    def __init__(self, host, address, size):
        self.address, self.is_v6 = address, ":" in address
        self.socket = host.socket(socket.AF_INET6 if self.is_v6 else socket.AF_INET, socket.SOCK_RAW,
                                  socket.IPPROTO_ICMPV6 if self.is_v6 else socket.IPPROTO_ICMP)
        self.identity = random.randrange(1 << 16)
        self.payload = (random.randbytes(16) * (1 + size // 16))[:size]
        self.sent_at, self.round_trips, self.refused = {}, {}, set()

    def send(self, number):
        message = struct.pack(">BBHHH", 128 if self.is_v6 else 8, 0, 0, self.identity, number) + self.payload
        if not self.is_v6:
            message = message[:2] + internet_checksum(message) + message[4:]
        self.sent_at[number] = time.monotonic()
        try:
            self.socket.sendto(message, (self.address, 0))
        except OSError:  # no route, no such address any more, a filter: as good as lost
            self.refused.add(number)

    def listen(self, until, for_all=False):
        """Takes answers until then; with `for_all` no longer than there are some to come."""
        while not (for_all and len(self.round_trips.keys() | self.refused) == len(self.sent_at)):
            if (left := until - time.monotonic()) <= 0:
                return
            self.socket.settimeout(left)
            try:
                packet = self.socket.recv(1 << 16)
            except OSError:
                continue
            self._take(packet if self.is_v6 else packet[4 * (packet[0] & 15):])

    def _take(self, message):
        if len(message) < 8:
            return
        if message[0] == (129 if self.is_v6 else 0):
            identity, number = struct.unpack(">HH", message[4:8])
            if identity == self.identity and number in self.sent_at and message[8:] == self.payload:
                self.round_trips.setdefault(number, time.monotonic() - self.sent_at[number])
        elif message[0] in ((1, 2, 3, 4) if self.is_v6 else (3, 11, 12)):
            packet = message[8:]
            request = packet[40:] if self.is_v6 else packet[4 * (packet[0] & 15):] if packet else b""
            if len(request) >= 8 and request[0] == (128 if self.is_v6 else 8):
                identity, number = struct.unpack(">HH", request[4:8])
                if identity == self.identity:
                    self.refused.add(number)


class Pinger:
    """Pings all the time, from a first answer on; a context manager. Afterwards `sent` and `lost`: each answer had LATENESS to come."""

    def __init__(self, host, address, interval=0.02):
        self.sent = self.lost = 0
        self._probe, self._interval, self._is_ending = _Echo(host, address, 56), interval, False
        self._thread = threading.Thread(target=self._ping, daemon=True)

    def __enter__(self):
        self._thread.start()
        wait_until(lambda: self._probe.round_trips, 10, "a first answer")
        return self

    def __exit__(self, *_):
        self._is_ending = True
        self._thread.join()
        self._probe.socket.close()
        self.sent, self.lost = len(self._probe.sent_at), len(self._probe.sent_at) - len(self._probe.round_trips)

    def _ping(self):
        while not self._is_ending:
            self._probe.send(len(self._probe.sent_at))
            self._probe.listen(until=time.monotonic() + self._interval)
        self._probe.listen(until=time.monotonic() + LATENESS, for_all=True)


class Talker:
    """Sends a datagram with a marker to each of some addresses all the time, whatever becomes of it; a context manager."""

    def __init__(self, host, addresses, marker, interval=0.002):
        self.marker, self.attempts, self._interval, self._is_ending = marker, 0, interval, False
        self._ways = [(host.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM), (address, 9))
                      for address in addresses]
        self._thread = threading.Thread(target=self._talk, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_ending = True
        self._thread.join()
        for way, _ in self._ways:
            way.close()

    def _talk(self):
        while not self._is_ending:
            for way, target in self._ways:
                with contextlib.suppress(OSError):  # no route, or an ICMP error to an earlier one
                    way.sendto(self.marker, target)
            self.attempts += 1
            time.sleep(self._interval)


def internet_checksum(data):
    """RFC 1071."""
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", ~total & 0xFFFF)


def answers(host, address, timeout=10.0):
    """Whether a ping is answered within the time: for what may take a handshake or a retry first."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if ping(host, address, count=1, wait=0.5).received:
            return True
        time.sleep(0.02)  # some failures take no time
    return False


@dataclasses.dataclass
class Transfer:
    size: int
    seconds: float


def send_over_tcp(source, target, address, size, pattern=None, port=5201, timeout=60):
    """Sends bytes from one host to another over TCP; LabError unless they arrive in full and unchanged."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    block = ((pattern or b"culvert ") * (1 + (1 << 18) // len(pattern or b"culvert ")))[:1 << 18]
    outcome = {}

    def receive(listener):
        digest, total = hashlib.sha256(), 0
        try:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(timeout)
                while data := connection.recv(1 << 18):
                    digest.update(data)
                    total += len(data)
                outcome["digest"], outcome["total"] = digest.hexdigest(), total
                connection.sendall(b"done")
        except OSError as error:
            outcome["error"] = error

    with target.socket(family) as listener, source.socket(family) as sender:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.settimeout(timeout)
        listener.bind((address, port))
        listener.listen(1)
        receiver = threading.Thread(target=receive, args=(listener,), daemon=True)
        receiver.start()
        digest, left = hashlib.sha256(), size
        began = time.monotonic()
        sender.settimeout(timeout)
        sender.connect((address, port))
        while left:
            piece = block[:min(left, len(block))]
            sender.sendall(piece)
            digest.update(piece)
            left -= len(piece)
        sender.shutdown(socket.SHUT_WR)
        sender.recv(4)
        seconds = time.monotonic() - began
        receiver.join(timeout)
    if "error" in outcome:
        raise LabError(f"TCP to {address}: {outcome['error']}")
    if (outcome.get("total"), outcome.get("digest")) != (size, digest.hexdigest()):
        raise LabError(f"TCP to {address}: {outcome.get('total')} of {size} bytes arrived, or changed on the way")
    return Transfer(size, seconds)


class Capture:
    """Listens on a link of a host; a context manager. Frames are as on the wire, from the Ethernet header on.

    With `keep=False` only the counters and the searched-for patterns are kept, for long transfers.
    """

    def __init__(self, host, device, patterns=(), keep=True):
        self.patterns, self.keep = list(patterns), keep
        self.frames, self.count, self.bytes, self.dropped = [], 0, 0, 0
        self.seen = set()
        self._socket = host.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        with contextlib.suppress(PermissionError):  # in a user namespace: the default buffer, and `dropped` counts what did not fit
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self._socket.bind((device, ETH_P_ALL))
        self._socket.settimeout(0.1)
        self._is_ending = False
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        time.sleep(0.05)
        self._is_ending = True
        self._thread.join()
        self.dropped = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        self._socket.close()

    def _listen(self):
        buffer = bytearray(1 << 17)
        while True:
            try:
                size, address = self._socket.recvfrom_into(buffer)
            except TimeoutError:
                if self._is_ending:
                    return
                continue
            except OSError:
                return
            self.count += 1
            self.bytes += size
            for pattern in self.patterns:
                if buffer.find(pattern, 0, size) >= 0:
                    self.seen.add(pattern)
            if self.keep:
                self.frames.append((address[2] == PACKET_OUTGOING, bytes(buffer[:size])))

    def datagrams(self, outgoing=None, port=None):
        """UDP datagrams seen, decoded; fragments after the first are left out."""
        found = (decode_udp(frame) for is_outgoing, frame in self.frames if outgoing is None or outgoing == is_outgoing)
        return [d for d in found if d and (port is None or port in (d.source_port, d.target_port))]

    def contains(self, pattern):
        return pattern in self.seen or any(pattern in frame for _, frame in self.frames)


@dataclasses.dataclass
class Datagram:
    source: str
    target: str
    source_port: int
    target_port: int
    payload: bytes


def decode_udp(frame):
    """The UDP datagram in an Ethernet frame, or None."""
    kind, packet = frame[12:14], frame[14:]
    if kind == b"\x08\x00" and packet[9] == 17 and not struct.unpack(">H", packet[6:8])[0] & 0x1FFF:
        family, addresses, udp = socket.AF_INET, (packet[12:16], packet[16:20]), packet[4 * (packet[0] & 15):]
    elif kind == b"\x86\xdd" and packet[6] == 17:
        family, addresses, udp = socket.AF_INET6, (packet[8:24], packet[24:40]), packet[40:]
    else:
        return None
    source_port, target_port, length = struct.unpack(">HHH", udp[:6])
    source, target = (socket.inet_ntop(family, address) for address in addresses)
    return Datagram(source, target, source_port, target_port, udp[8:length] if length else udp[8:])
