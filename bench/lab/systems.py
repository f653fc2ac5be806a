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
    layer = 3      # or 2, of systems that carry Ethernet: peers are compared with their like
    ends = None    # the two hosts that talk over it, if they are not those that the daemons run on

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
            if not probes.answers((self.ends or hosts)[0], self.addresses[1], timeout=15):
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
        return probes.answers((self.ends or hosts)[0], self.addresses[1], timeout=5)

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


class CulvertTap(Culvert):
    layer = 2

    def __init__(self, name, title, lines=()):
        super().__init__(name, title, ["Mode = tap", *lines])


class CulvertBridged(CulvertTap):
    """Two hosts more, each behind a NIC that a bridge joins with the tunnel's device, with the MTU of Ethernet.

      station-a          host-a                          host-b          station-b
      nic 10.N.0.1 ───── nic ─ bridge ─ tap ══════════ tap ─ bridge ─ nic ───── nic 10.N.0.2
    """

    def make_site(self, host, device, address):
        return CulvertSite(host, device, [], port=self.port, interface_lines=self.lines)

    def start(self, hosts):
        super().start(hosts)
        self.ends = []
        for host, device, address in zip(hosts, self.devices, self.addresses):
            station = host.lab.host(f"station-{device[-1]}")
            bridge, nic = f"{self.name}-br", f"{self.name}-nic"
            host.lab.link(station, host, name=("nic", nic))
            lab.add_address(station, "nic", f"{address}/24")
            host.ip("link", "add", bridge, "type", "bridge")
            for port in (device, nic):
                host.ip("link", "set", port, "master", bridge)
            host.ip("link", "set", bridge, "up")
            self.ends.append(station)


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

    def __init__(self, name, title, layer=3):
        super().__init__(name, title)
        self.layer = layer

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
dev-type {"tun" if self.layer == 3 else "tap"}
proto udp4
local {UPLINK[own]}
port {self.port}
remote {UPLINK[other]} {self.port}
ifconfig {self.addresses[own]} {self.addresses[other] if self.layer == 3 else "255.255.255.0"}
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

    def __init__(self, name, title, layer=3):
        super().__init__(name, title)
        self.layer = layer

    def start(self, hosts):
        keys = []
        for _ in hosts:
            secret = lab.run("fastd", "--machine-readable", "--generate-key").strip()
            public = lab.run("fastd", "--machine-readable", "--show-key", "--config", "-", stdin=f'secret "{secret}";\n').strip()
            keys.append((secret, public))
        for own, other in ((1, 0), (0, 1)):
            config = self.write(hosts[own], f"{hosts[own].name}.conf", f"""
mode {"tun" if self.layer == 3 else "tap"};
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


class Tinc(Configured):
    """tinc 1.0 as a switch, with its own choice of cipher."""

    tool = "tincd"
    layer = 2

    def start(self, hosts):
        folders = []
        for own, other in ((0, 1), (1, 0)):
            folder = hosts[own].lab.folder / f"{self.name}-{hosts[own].name}"
            (folder / "hosts").mkdir(parents=True)
            names = [host.name.replace("-", "_") for host in hosts]
            (folder / "tinc.conf").write_text(f"""
Name = {names[own]}
Mode = switch
DeviceType = tap
Device = /dev/net/tun
Interface = {self.devices[own]}
AddressFamily = ipv4
BindToAddress = {UPLINK[own]} {self.port}
{f"ConnectTo = {names[other]}" if own == 0 else ""}
""", encoding="utf-8")
            (folder / "hosts" / names[own]).write_text(f"Address = {UPLINK[own]} {self.port}\nPMTU = {MTU + 14}\n", encoding="utf-8")
            lab.run("tincd", "-c", folder, "-K", 2048, stdin="\n\n")
            folders.append((folder, names[own]))
        for own, other in ((0, 1), (1, 0)):
            shutil.copy(folders[other][0] / "hosts" / folders[other][1], folders[own][0] / "hosts")
        for own in (1, 0):
            folder, _ = folders[own]
            daemon = self.launch(hosts[own], "tincd", "-D", f"--pidfile={folder / 'pid'}", "-c", folder)
            self.wait_for_device(hosts[own], self.devices[own], daemon)
            hosts[own].ip("link", "set", self.devices[own], "mtu", MTU, "up")
            lab.add_address(hosts[own], self.devices[own], f"{self.addresses[own]}/24")


def known():
    """All systems by the name they are chosen by, in the order of the table."""
    found = [
        BareVeth("veth", "bare veth"),
        Culvert("culvert", "culvert, ChaCha20-Poly1305", ["Cipher = chacha20-poly1305"]),
        Culvert("culvert-auto", "culvert, as it comes"),
        Culvert("culvert-aes", "culvert, AES-256-GCM", ["Cipher = aes-256-gcm"]),
        Culvert("culvert-none", "culvert, no cipher", ["Cipher = none", "Insecure = yes"]),
        WireGuardGo("wireguard-go", "wireguard-go (Debian)"),
        OpenVpn("openvpn", "OpenVPN, AES-256-GCM"),
        Fastd("fastd", "fastd, salsa2012+umac"),
        CulvertTap("culvert-tap", "culvert tap, as it comes"),
        CulvertBridged("bridged", "culvert tap between bridged NICs, as it comes"),
        OpenVpn("openvpn-tap", "OpenVPN tap, AES-256-GCM", layer=2),
        Fastd("fastd-tap", "fastd tap, salsa2012+umac", layer=2),
        Tinc("tinc", "tinc, switch"),
    ]
    if program := os.environ.get("WIREGUARD_GO"):
        found.append(WireGuardGo("WIREGUARD_GO", f"{pathlib.Path(program).name} ($WIREGUARD_GO)", program))
    return {system.name: system for system in found}
