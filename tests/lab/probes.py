"""Probes: pings, transfers and eyes on the wire. What a test believes, it has seen here and not been told by the program under test."""

import contextlib
import dataclasses
import hashlib
import re
import socket
import struct
import threading
import time

from lab import LabError

ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
SOL_PACKET, PACKET_STATISTICS = 263, 6
PACKET_OUTGOING = 4


@dataclasses.dataclass
class Pings:
    sent: int
    received: int
    round_trip: float  # mean, seconds; None without an answer


def ping(host, address, count=3, interval=0.05, size=56, wait=1.0):
    """Pings from a host and counts the answers."""
    done = host.run("ping", "-n", "-q", "-c", count, "-i", interval, "-s", size, "-W", wait, address, check=False,
                    timeout=count * (interval + wait) + 10)
    counts = re.search(r"(\d+) packets transmitted, (\d+) received", done.stdout)
    if not counts:
        if "unreachable" in done.stderr:
            return Pings(count, 0, None)
        raise LabError(f"ping {address}: {done.stdout}{done.stderr}")
    times = re.search(r"= [\d.]+/([\d.]+)/", done.stdout)
    return Pings(int(counts[1]), int(counts[2]), float(times[1]) / 1000 if times else None)


def answers(host, address, timeout=10.0):
    """Whether a ping is answered within the time: for what may take a handshake or a retry first."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if ping(host, address, count=1, wait=0.5).received:
            return True
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
