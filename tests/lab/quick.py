"""Tunnels that come and go by `culvert up` and `culvert down`, and the system around them as comparable text."""

import os
import pathlib
import signal

from lab import LabError, wait_until
from sites import Culvert, culvert_binary

FOLDER = pathlib.Path("/run/culvert")


class Quick(Culvert):
    """`culvert up FILE` and `culvert down FILE`. `hooks` are lines of [Interface] like "PostUp = …"."""

    def call(self, *words, check=True, **options):
        """`culvert WORD… FILE` at the host the process is to run at."""
        return self.runs_in.run(culvert_binary(), *words, self.config_path, check=check, **options)

    def start(self, **_):
        self.write_config()
        self.call("up")
        return self

    def up(self):
        """The same, but returns what it said, with its exit status."""
        self.write_config()
        return self.call("up", check=False)

    def down(self):
        return self.call("down", check=False)

    def stop(self, number=signal.SIGTERM):
        return self.down().returncode

    @property
    def journal(self):
        return FOLDER / f"{self.name}.journal"

    @property
    def pid(self):
        for line in self.journal.read_text(encoding="utf-8").splitlines():
            if line.startswith("owner\t"):
                return int(line.split("\t")[1])
        raise LabError(f"{self.journal} names no owner")

    def kill(self):
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: has_ended(pid), what=f"the end of process {pid}")

    @property
    def log(self):
        path = FOLDER / f"{self.name}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""


def has_ended(pid):
    """Whether a process is gone, or dead with nobody asking for its status yet: only its last thread gives up its descriptors."""
    try:
        if len(os.listdir(f"/proc/{pid}/task")) > 1:
            return False
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def system_state(*hosts):
    """Everything a tunnel might change at these hosts and on the machine; equal before and after means that all was undone."""
    parts = []
    for host in hosts:
        parts += [f"{host.name}: {line}" for line in host.state()]
        parts += [f"{host.name}: nft {line}" for line in host.run("nft", "list", "ruleset").splitlines()]
        for key in ("net.ipv4.conf.all.src_valid_mark", "net.ipv4.conf.all.rp_filter", "net.ipv4.ip_forward"):
            parts.append(f"{host.name}: {host.run('sysctl', key).strip()}")
    for folder in ("/run/wireguard", FOLDER):
        parts += [f"file {path}" for path in sorted(pathlib.Path(folder).glob("*")) if path.suffix not in (".log", "")]
    return parts


def by_wg_quick(site, while_up, text=None):
    """What `while_up` returns with the site's file, or `text`, put in force by wg-quick and wireguard-go."""
    site.write_config(text)
    wg_quick = ["env", "WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go", "LOG_LEVEL=silent", "wg-quick"]
    site.runs_in.run(*wg_quick, "up", site.config_path)
    try:
        return while_up()
    finally:
        site.runs_in.run(*wg_quick, "down", site.config_path)
        wait_until(lambda: not site.host.has_link(site.name), what="wireguard-go to end")
