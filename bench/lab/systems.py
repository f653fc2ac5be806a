"""What bench/compare compares: ways from host-a to host-b over one uplink, and how each comes up."""

import itertools
import os
import pathlib
import shutil

import lab
import probes
import sites

MTU = 1420  # of every tunnel device, so that all carry packets of the same sizes
UPLINK = ("10.0.0.1", "10.0.0.2")
NUMBERS = itertools.count(1)


class System:
    """A way between the two hosts: its inner addresses, and the daemons that carry it. Subclasses say how it comes up."""

    kind = "peer"  # or "baseline", or "culvert"
    tool = None    # the program that must be there

    def __init__(self, name, title):
        self.name, self.title = name, title
        self.number = next(NUMBERS)
        self.daemons = []
        self.failure = None  # why it is out of the comparison, with the last lines of its log
        self.net = f"10.{self.number}.0"

    @property
    def addresses(self):
        return f"{self.net}.1", f"{self.net}.2"

    @property
    def devices(self):
        return f"{self.name}-a", f"{self.name}-b"

    @property
    def port(self):
        return 51820 + self.number

    def start(self, hosts):
        """Brings it up at both hosts; raises when it does not come."""
        raise NotImplementedError

    def try_to_start(self, hosts):
        """Brings it up until a ping is answered, or writes down why not."""
        try:
            if self.tool and not shutil.which(self.tool):
                raise lab.LabError(f"{self.tool} is not there")
            self.start(hosts)
            if not probes.answers(hosts[0], self.addresses[1], timeout=15):
                raise lab.LabError("no ping is answered within 15 s")
        except (lab.LabError, OSError, ValueError) as error:
            self.fail(str(error).splitlines()[0])

    def fail(self, reason):
        """Takes it out of the comparison."""
        logs = [f"{pathlib.Path(daemon.argv[-1]).name}: {line}"
                for daemon in self.daemons for line in daemon.output.splitlines()[-6:]]
        self.failure = "\n".join([reason, *logs])
        for daemon in self.daemons:
            if daemon.is_running:
                daemon.popen.kill()
                daemon.popen.wait()

    def carries(self, hosts):
        """Whether a ping is answered, which also wakes up a session that has expired meanwhile."""
        return probes.answers(hosts[0], self.addresses[1], timeout=5)

    def cpu_seconds(self):
        """Processor time used so far by the daemons of both ends with their threads and children."""
        return sum(_tree_cpu_seconds(daemon.pid) for daemon in self.daemons)

    def resident_bytes(self):
        """Resident memory of the larger of the two daemons; None without one."""
        return max((_resident_bytes(daemon.pid) for daemon in self.daemons), default=None)


def _tree_cpu_seconds(root):
    parents, ticks = {}, {}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        parents[int(entry.name)], ticks[int(entry.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    if root not in ticks:
        raise lab.LabError("a daemon has ended")
    tree = {root}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return sum(ticks[pid] for pid in tree) / os.sysconf("SC_CLK_TCK")


def _resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise lab.LabError("a daemon has ended")


class BareVeth(System):
    kind = "baseline"

    @property
    def addresses(self):
        return UPLINK

    def start(self, hosts):
        pass


class SitePair(System):
    """Two sites of tests/lab/sites.py that know each other."""

    def make_site(self, host, device, address):
        raise NotImplementedError

    def start(self, hosts):
        pair = [self.make_site(host, device, f"{address}/24") for host, device, address in zip(hosts, self.devices, self.addresses)]
        sites.introduce(*pair, left_at=UPLINK[0], right_at=UPLINK[1])
        for site in pair:
            try:
                site.start()
            finally:
                self.daemons += [site.process] if site.process else []


class CulvertSite(sites.Culvert):
    key_tool = sites.culvert_binary()


class Culvert(SitePair):
    kind = "culvert"
    tool = sites.culvert_binary()

    def __init__(self, name, title, lines=()):
        super().__init__(name, title)
        self.lines = list(lines)

    def make_site(self, host, device, address):
        return CulvertSite(host, device, [address], port=self.port, mtu=MTU, interface_lines=self.lines)


class WireGuardGo(SitePair):
    """A program that is called as wireguard-go is and set up by wg and ip."""

    def __init__(self, name, title, tool="wireguard-go"):
        super().__init__(name, title)
        self.tool = tool

    def make_site(self, host, device, address):
        if not shutil.which("wg"):
            raise lab.LabError("wg is not installed")
        return sites.WireGuardGo(host, device, [address], port=self.port, mtu=MTU, program=self.tool)


class Configured(System):
    """A daemon per host that reads a file of its own."""

    def write(self, host, name, text):
        path = host.lab.folder / f"{self.name}-{name}"
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        return path

    def launch(self, host, *argv):
        self.daemons.append(host.start(*argv))
        return self.daemons[-1]

    def wait_for_device(self, host, device, daemon):
        lab.wait_until(lambda: host.has_link(device) or not daemon.is_running, 10, f"{device} to be there")
        if not daemon.is_running:
            raise lab.LabError(f"{daemon.argv[3]} ended with {daemon.popen.returncode}")


class OpenVpn(Configured):
    """OpenVPN between two peers that know each other by the fingerprints of their certificates."""

    tool = "openvpn"

    def certificate(self, host):
        folder = host.lab.folder
        key, certificate = folder / f"{self.name}-{host.name}.key", folder / f"{self.name}-{host.name}.crt"
        lab.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 2,
                "-subj", f"/CN={host.name}", "-keyout", key, "-out", certificate)
        fingerprint = lab.run("openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256").split("=")[1].strip()
        return key, certificate, fingerprint

    def start(self, hosts):
        certificates = [self.certificate(host) for host in hosts]
        for own, other in ((0, 1), (1, 0)):
            key, certificate, _ = certificates[own]
            config = self.write(hosts[own], f"{hosts[own].name}.conf", f"""
dev {self.devices[own]}
dev-type tun
proto udp4
local {UPLINK[own]}
port {self.port}
remote {UPLINK[other]} {self.port}
ifconfig {self.addresses[own]} {self.addresses[other]}
{"tls-server" if own == 0 else "tls-client"}
{"dh none" if own == 0 else ""}
key {key}
cert {certificate}
peer-fingerprint {certificates[other][2]}
data-ciphers AES-256-GCM
cipher AES-256-GCM
allow-compression no
disable-dco
tun-mtu {MTU}
mssfix 0
verb 2
""")
            self.launch(hosts[own], "openvpn", "--config", config)
        for host, device, daemon in zip(hosts, self.devices, self.daemons):
            self.wait_for_device(host, device, daemon)


class Fastd(Configured):
    """fastd with the method it is mostly used with. One end calls and starts last: an unheard call is repeated after 20 s."""

    tool = "fastd"

    def start(self, hosts):
        keys = []
        for _ in hosts:
            secret = lab.run("fastd", "--machine-readable", "--generate-key").strip()
            public = lab.run("fastd", "--machine-readable", "--show-key", "--config", "-", stdin=f'secret "{secret}";\n').strip()
            keys.append((secret, public))
        for own, other in ((1, 0), (0, 1)):
            config = self.write(hosts[own], f"{hosts[own].name}.conf", f"""
mode tun;
interface "{self.devices[own]}";
bind {UPLINK[own]}:{self.port};
method "salsa2012+umac";
mtu {MTU};
secret "{keys[own][0]}";
peer "other" {{
  {f"remote {UPLINK[other]}:{self.port};" if own == 0 else ""}
  key "{keys[other][1]}";
}}
""")
            daemon = self.launch(hosts[own], "fastd", "--config", config)
            self.wait_for_device(hosts[own], self.devices[own], daemon)
            lab.wait_until(lambda daemon=daemon: "bound to" in daemon.output, what="fastd to listen")
            lab.add_address(hosts[own], self.devices[own], f"{self.addresses[own]}/24")
            hosts[own].ip("link", "set", self.devices[own], "up")


def known():
    """All systems by the name they are chosen by, in the order of the table."""
    found = [
        BareVeth("veth", "bare veth"),
        Culvert("culvert", "culvert, ChaCha20-Poly1305", ["Cipher = chacha20-poly1305"]),
        Culvert("culvert-aes", "culvert, AES-256-GCM", ["Cipher = aes-256-gcm"]),
        Culvert("culvert-none", "culvert, no cipher", ["Cipher = none", "Insecure = yes"]),
        WireGuardGo("wireguard-go", "wireguard-go (Debian)"),
        OpenVpn("openvpn", "OpenVPN, AES-256-GCM"),
        Fastd("fastd", "fastd, salsa2012+umac"),
    ]
    if program := os.environ.get("WIREGUARD_GO"):
        found.append(WireGuardGo("WIREGUARD_GO", f"{pathlib.Path(program).name} ($WIREGUARD_GO)", program))
    return {system.name: system for system in found}
