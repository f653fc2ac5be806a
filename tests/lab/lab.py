"""The lab: hosts as network namespaces, links between them and processes inside them. Python's standard library and iproute2.

A program that uses it calls `enter()` first, which puts it into mount, network and process namespaces of its own, with an empty
/run and /var/lib. So the machine's own network is out of reach, two labs never meet, and whatever a lab made ends with it, even
when it is killed.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """Something the lab needed did not happen."""


class Unavailable(Exception):
    """This machine or user cannot have a lab; says why."""


# --- the ground the lab stands on ---------------------------------------------------------------------------------------------


def enter():
    """Goes on in namespaces of its own; the caller's process stays outside, hands on signals and ends with the same status.

    Without root a user namespace is made around it all. Raises Unavailable where that cannot be.
    """
    for tool in ("ip", "nsenter", "mount", "ping"):
        if not shutil.which(tool):
            raise Unavailable(f"{tool} is not installed")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise Unavailable("/dev/net/tun cannot be opened by this user")
    uid, gid = os.geteuid(), os.getegid()
    kinds = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | (0 if uid == 0 else CLONE_NEWUSER)
    if _libc.unshare(kinds) != 0:
        raise Unavailable(f"no namespaces of our own: {os.strerror(ctypes.get_errno())}")
    if uid != 0:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {uid} 1")
        _write("/proc/self/gid_map", f"0 {gid} 1")
    sys.stdout.flush()
    sys.stderr.flush()
    if child := os.fork():
        _stay_outside(child)
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The first process of a PID namespace ignores what it has no handler for.
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(128 + number))
    signal.signal(signal.SIGINT, _interrupt)
    empty = ["-t", "tmpfs", "-o", "mode=755", "tmpfs"]
    for mount in (["--make-rprivate", "/"], ["-t", "proc", "proc", "/proc"], [*empty, "/run"], [*empty, "/var/lib"]):
        subprocess.run(["mount", *mount], check=True)
    os.makedirs("/run/netns")
    _bring_checkout_within_reach()


def _bring_checkout_within_reach():
    """Ordinary users of a lab run the program, too, and cannot go through root's home, where the checkout may lie."""
    root = pathlib.Path(__file__).parents[2]
    program = pathlib.Path(os.environ.get("CULVERT") or root / "build/release/bin/culvert").absolute()
    if root not in program.parents or all(folder.stat().st_mode & stat.S_IXOTH for folder in root.parents):
        return
    within_reach = pathlib.Path("/srv")
    subprocess.run(["mount", "--bind", root, within_reach], check=True)
    os.environ["CULVERT"] = str(within_reach / program.relative_to(root))


def _interrupt(*_):
    # Once is enough: the terminal and the process outside both send it, and cleaning up must not be interrupted.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _stay_outside(child):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: os.kill(child, number))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def wait_until(condition, timeout=30.0, what="condition"):
    """The condition's first true value; LabError when it stays false."""
    deadline = time.monotonic() + timeout
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(0.02)


# --- processes ----------------------------------------------------------------------------------------------------------------


class Process:
    """A running program whose output goes to a file."""

    def __init__(self, argv, log, **options):
        self.argv, self.log = argv, pathlib.Path(log)
        with open(self.log, "ab") as output:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **options)

    @property
    def pid(self):
        return self.popen.pid

    @property
    def is_running(self):
        return self.popen.poll() is None

    @property
    def output(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def end(self, number=signal.SIGTERM, timeout=30.0):
        """Sends a signal and returns the exit status (negative: killed by that signal)."""
        if self.is_running:
            self.popen.send_signal(number)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise LabError(f"{self.argv[0]} did not end within {timeout:g} s of signal {number}:\n{self.output}") from None

    def wait(self, timeout=30.0):
        """The exit status, once it ends by itself."""
        wait_until(lambda: not self.is_running, timeout, f"the end of {' '.join(self.argv)}")
        return self.popen.returncode

    def cpu_seconds(self):
        """Processor time used so far, user and system."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        """Memory it holds, anonymous pages only: what grows when something leaks."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise LabError(f"process {self.pid} has no memory")


def run(*argv, check=True, stdin=None, timeout=60, env=None):
    """Runs a program to its end; returns its standard output, or with check=False the CompletedProcess."""
    done = subprocess.run([str(word) for word in argv], input=stdin, capture_output=True, text=True, timeout=timeout, check=False, env=env)
    if not check:
        return done
    if done.returncode != 0:
        raise LabError(f"{' '.join(map(str, argv))}: exit status {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


# --- hosts and links ----------------------------------------------------------------------------------------------------------


class Host:
    """A network namespace with a name, and what one does inside it."""

    def __init__(self, lab, name):
        self.lab, self.name, self.path = lab, name, f"/run/netns/{name}"
        run("ip", "netns", "add", name)
        self.ip("link", "set", "lo", "up")
        self.set("ipv4/conf/all/promote_secondaries", 1)  # an address outlives the one it was added beside

    def ip(self, *words):
        return run("ip", "-n", self.name, *words)

    def inside(self, *argv):
        """The command line that runs a program here."""
        return ["nsenter", f"--net={self.path}", "--", *map(str, argv)]

    def run(self, *argv, **options):
        return run(*self.inside(*argv), **options)

    def start(self, *argv, log=None, **options):
        """Starts a program here; the lab ends it."""
        return self.lab.start(*self.inside(*argv), log=log, **options)

    def set(self, key, value):
        """Sets a network sysctl, as in host.set("ipv4/ip_forward", 1)."""
        self.run("sh", "-c", f"echo {value} > /proc/sys/net/{key}")

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is here for a while: sockets made meanwhile stay here."""
        with open("/proc/thread-self/ns/net", "rb") as back, open(self.path, "rb") as there:
            _set_namespace(there)
            try:
                yield
            finally:
                _set_namespace(back)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        with self.entered():
            return socket.socket(family, kind, protocol)

    def has_link(self, name):
        return self.run("ip", "link", "show", "dev", name, check=False).returncode == 0

    def state(self):
        """Links, addresses, routes and rules as comparable text: equal before and after means that all was undone."""
        parts = []
        for link in json.loads(self.ip("-j", "-d", "address", "show")):
            addresses = sorted(f"{a['local']}/{a['prefixlen']} {a['scope']}" for a in link["addr_info"])
            parts.append(f"link {link['ifindex']} {link['ifname']} mtu {link['mtu']} {sorted(link['flags'])} {addresses}")
        for family in ("-4", "-6"):
            parts += [f"route {line.strip()}" for line in self.ip(family, "route", "show", "table", "all").splitlines()]
            parts += [f"rule {line.strip()}" for line in self.ip(family, "rule", "show").splitlines()]
        return sorted(parts)

    def delete(self):
        run("ip", "netns", "del", self.name)


def _set_namespace(file):
    if _libc.setns(file.fileno(), CLONE_NEWNET) != 0:
        raise LabError(f"setns: {os.strerror(ctypes.get_errno())}")


class Lab:
    """Everything one scenario is made of; a context manager that ends the processes and deletes the hosts.

    What else is to be undone before that goes to `closing`, an ExitStack.
    """

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="culvert-lab-", dir="/run"))
        self.hosts, self.processes, self.closing = {}, [], contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closing.close()
        for process in reversed(self.processes):
            if process.is_running:
                process.popen.kill()
            process.popen.wait()
        for name in self.hosts:
            run("ip", "netns", "del", name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
        for leftover in pathlib.Path("/run/wireguard").glob("*.sock"):
            leftover.unlink()

    def host(self, name):
        self.hosts[name] = Host(self, name)
        return self.hosts[name]

    def link(self, left, right, *addresses, name="uplink", mtu=None):
        """Joins two hosts by a veth pair; `addresses` are (left, right) pairs with prefix length. `name` may be a pair, too."""
        left_name, right_name = (name, name) if isinstance(name, str) else name
        left.ip("link", "add", left_name, "type", "veth", "peer", "name", right_name, "netns", right.name)
        ends = (left, left_name, 0), (right, right_name, 1)
        for host, device, index in ends:
            # No link-local address: it would come up, and speak, at a moment of its own.
            host.ip("link", "set", device, "addrgenmode", "none")
            for pair in addresses:
                add_address(host, device, pair[index])
            host.ip("link", "set", device, *(["mtu", mtu] if mtu else []), "up")
        for host, device, _ in ends:
            wait_until(lambda: "state UP" in host.ip("link", "show", "dev", device), what=f"{device} to be up")
        # The kernel makes the routes of IPv6 addresses a moment later.
        for host, device, index in ends:
            wanted = {pair[index].partition("/")[0] for pair in addresses if ":" in pair[index]}
            wait_until(lambda: wanted <= set(host.ip("-6", "route", "show", "table", "local", "dev", device).split()),
                       what=f"the IPv6 routes of {device}")

    def start(self, *argv, log=None, **options):
        process = Process(list(map(str, argv)), log or self.folder / f"process-{len(self.processes)}.log", **options)
        self.processes.append(process)
        return process

    def logs(self):
        """What the processes said, for a failure report."""
        return "".join(f"--- {' '.join(p.argv)}\n{p.output[-8000:]}\n" for p in self.processes if p.output)


def add_address(host, device, address):
    """Adds an address that works at once: no duplicate address detection."""
    host.ip("address", "add", address, "dev", device, *(["nodad"] if ":" in address else []))
