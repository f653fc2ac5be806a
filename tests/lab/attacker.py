"""An attacker: a host beside the target that speaks from any of 65 536 addresses and keeps a ledger of what comes back."""

import collections
import socket

from probes import Capture

NETWORK = "10.66.0.0/16"
TARGET = "10.6.0.1"


class Attacker:
    def __init__(self, lab, target):
        self.host = lab.host("host-m")
        lab.link(target, self.host, (f"{TARGET}/24", "10.6.0.2/24"), name="side")
        # Every address of the network is local to the attacker, and the target knows the way back.
        self.host.ip("route", "add", "local", NETWORK, "dev", "lo")
        target.ip("route", "add", NETWORK, "via", "10.6.0.2")
        self.sent = collections.Counter()
        self._sockets = {}
        lab.closing.callback(self.close)

    @staticmethod
    def address(number):
        """The attacker's n-th address."""
        return f"10.66.{number >> 8 & 255}.{number & 255}"

    def send(self, payload, number, port):
        """Sends one datagram to the target from the n-th address."""
        if number not in self._sockets:
            if len(self._sockets) >= 500:
                self._sockets.pop(next(iter(self._sockets))).close()
            sender = self.host.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sender.bind((self.address(number), 0))
            self._sockets[number] = sender
        self._sockets[number].sendto(payload, (TARGET, port))
        self.sent[self.address(number)] += len(payload)

    def listening(self):
        """A context in which everything the target answers is recorded."""
        return Ledger(self.host, "side")

    def close(self):
        for sender in self._sockets.values():
            sender.close()
        self._sockets.clear()


class Ledger(Capture):
    """What the target sent to the attacker's addresses."""

    def replies(self):
        return self.datagrams(outgoing=False)

    def received(self):
        """Payload bytes by address."""
        counter = collections.Counter()
        for datagram in self.replies():
            counter[datagram.target] += len(datagram.payload)
        return counter
