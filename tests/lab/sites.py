"""Sites: a tunnel endpoint at a host, run by culvert or by Debian's wireguard-go, behind one interface."""

import dataclasses
import os
import pathlib
import shutil
import signal
import time
import unittest

import lab as lab_module
from lab import LabError, run, wait_until


@dataclasses.dataclass
class Keys:
    private: str
    public: str

    @classmethod
    def generate(cls, tool="wg"):
        private = run(tool, "genkey").strip()
        return cls(private, run(tool, "pubkey", stdin=private + "\n").strip())


def generate_psk(tool="wg"):
    return run(tool, "genpsk").strip()


@dataclasses.dataclass
class Peer:
    public_key: str
    allowed_ips: list
    endpoint: str = None
    keepalive: int = None
    preshared_key: str = None
    name: str = None
    allow_bench: str = None


@dataclasses.dataclass
class PeerStatus:
    """One peer line of `wg show NAME dump`."""
    public_key: str
    has_psk: bool
    endpoint: str
    allowed_ips: list
    handshake_time: int
    received: int
    sent: int

    @property
    def handshake_age(self):
        """Seconds since the last handshake, None before the first."""
        return time.time() - self.handshake_time if self.handshake_time else None


class Site:
    """A tunnel device with a key, a UDP port and peers. Subclasses know how to run it."""

    key_tool = "wg"

    def __init__(self, host, name, addresses, port=51820, mtu=None, interface_lines=(), keys=None):
        self.host, self.lab, self.name, self.port, self.mtu = host, host.lab, name, port, mtu
        self.addresses, self.interface_lines = list(addresses), list(interface_lines)
        self.keys = keys or Keys.generate(self.key_tool)
        self.peers = []
        self.process = None
        self.starts = 0

    # - configuration

    @property
    def config_path(self):
        return self.lab.folder / f"{self.name}.conf"

    def config(self, wg_quick=True):
        """The wg-quick file; with wg_quick=False only what `wg setconf` understands."""
        lines = ["[Interface]", f"PrivateKey = {self.keys.private}", f"ListenPort = {self.port}"]
        if wg_quick:
            lines += [f"Address = {address}" for address in self.addresses]
            lines += [f"MTU = {self.mtu}"] if self.mtu else []
            lines += self.interface_lines
        for peer in self.peers:
            lines += ["", "[Peer]", f"PublicKey = {peer.public_key}", f"AllowedIPs = {', '.join(peer.allowed_ips)}"]
            lines += [f"Name = {peer.name}"] if peer.name and wg_quick else []
            lines += [f"AllowBench = {peer.allow_bench}"] if peer.allow_bench and wg_quick else []
            lines += [f"PresharedKey = {peer.preshared_key}"] if peer.preshared_key else []
            lines += [f"Endpoint = {peer.endpoint}"] if peer.endpoint else []
            lines += [f"PersistentKeepalive = {peer.keepalive}"] if peer.keepalive else []
        return "\n".join(lines) + "\n"

    def write_config(self, text=None):
        descriptor = os.open(self.config_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text if text is not None else self.config())
        return self.config_path

    # - life

    def start(self):
        raise NotImplementedError

    def stop(self, number=signal.SIGTERM):
        """Ends it as a user would; returns the exit status."""
        return self.process.end(number)

    def kill(self):
        return self.process.end(signal.SIGKILL)

    # - what it says of itself, through its WireGuard socket

    @property
    def socket_path(self):
        return pathlib.Path(f"/run/wireguard/{self.name}.sock")

    def wg(self, *words):
        return run("wg", *words)

    def status(self):
        """Peers by public key."""
        peers = {}
        for line in self.wg("show", self.name, "dump").splitlines()[1:]:
            key, psk, endpoint, allowed, handshake, received, sent, _ = line.split("\t")
            peers[key] = PeerStatus(key, psk != "(none)", None if endpoint == "(none)" else endpoint,
                                    [] if allowed == "(none)" else allowed.split(","), int(handshake), int(received), int(sent))
        return peers

    def status_of(self, other):
        return self.status()[other.keys.public]

    def endpoint_of(self, other):
        return self.status_of(other).endpoint

    def log_path(self):
        self.starts += 1
        return self.lab.folder / f"{self.name}-{self.starts}.log"


class Culvert(Site):
    """`culvert run FILE`. With `runs_in` the process is in that host's namespace, and the file says where device and socket go."""

    def __init__(self, *arguments, runs_in=None, **options):
        super().__init__(*arguments, **options)
        self.runs_in = runs_in or self.host

    def start(self, wait=True, options=(), **process_options):
        self.write_config()
        self.process = self.runs_in.start(culvert_binary(), *options, "run", self.config_path, log=self.log_path(), **process_options)
        if wait:
            wait_until(self._is_up, 45, f"{self.name} to be up")
        return self

    def _is_up(self):
        if not self.process.is_running:
            raise LabError(f"{self.name} ended with {self.process.popen.returncode}:\n{self.process.output}")
        return "is up" in self.process.output


class WireGuardGo(Site):
    """Debian's wireguard-go, or another `program` that is called as it is, set up by wg and ip."""

    def __init__(self, *arguments, program="wireguard-go", **options):
        super().__init__(*arguments, **options)
        self.program = program
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is not installed")

    def start(self):
        self.write_config(self.config(wg_quick=False))
        self.process = self.host.start(self.program, "-f", self.name, log=self.log_path())
        wait_until(self._answers, 30, f"{self.name} to answer")
        run("wg", "setconf", self.name, self.config_path)
        for address in self.addresses:
            lab_module.add_address(self.host, self.name, address)
        self.host.ip("link", "set", self.name, "mtu", self.mtu or 1420, "up")
        for prefix in (prefix for peer in self.peers for prefix in peer.allowed_ips):
            self.host.ip("route", "replace", prefix, "dev", self.name)
        return self

    def _answers(self):
        if not self.process.is_running:
            raise LabError(f"{self.name} ended with {self.process.popen.returncode}:\n{self.process.output}")
        # A killed predecessor's socket file may still be there: only an answer counts.
        return run("wg", "show", self.name, check=False).returncode == 0


def culvert_binary():
    """The program under test: $CULVERT, else the release build's."""
    path = os.environ.get("CULVERT") or pathlib.Path(__file__).parents[2] / "build/release/bin/culvert"
    return str(path)


# CULVERT=wireguard-go puts the reference implementation in culvert's place: a test of the tests.
TESTS_THE_TESTS = os.environ.get("CULVERT") == "wireguard-go"
Subject = WireGuardGo if TESTS_THE_TESTS else Culvert


def at(address, port):
    """ADDRESS:PORT as endpoints are written."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def host_prefixes(site):
    """What a site's own addresses are to its peer's AllowedIPs."""
    return [f"{address.split('/')[0]}/{128 if ':' in address else 32}" for address in site.addresses]


def introduce(left, right, left_at=None, right_at=None, psk=None, left_keepalive=None, right_keepalive=None):
    """Makes two sites peers. `left_at` is the address at which right finds left, `right_at` the other way round."""
    left.peers.append(Peer(right.keys.public, host_prefixes(right), at(right_at, right.port) if right_at else None,
                           left_keepalive, psk, right.name))
    right.peers.append(Peer(left.keys.public, host_prefixes(left), at(left_at, left.port) if left_at else None,
                            right_keepalive, psk, left.name))
