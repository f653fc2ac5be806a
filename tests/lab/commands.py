"""What tests of `culvert netns` and `culvert link` share: calling culvert, and looking at what it did with others' tools."""

import json
import os
import pathlib

from lab import run
from scenario import Scenario
from sites import culvert_binary

DONE, FAILED, WRONG_USAGE, OWN_FAILURE, CANNOT_RUN, NOT_FOUND = 0, 1, 2, 125, 126, 127
NAMES = pathlib.Path("/run/netns")


class CommandScenario(Scenario):
    """Whatever named namespace is left is deleted in the end."""

    def setUp(self):
        super().setUp()
        self.lab.closing.callback(self.delete_names)

    @staticmethod
    def delete_names():
        for path in NAMES.iterdir():
            run("ip", "netns", "delete", path.name, check=False)

    @staticmethod
    def try_culvert(*words, inside=()):
        """The finished process, whatever its status; run by the words `inside`, as nsenter has them."""
        return run(*inside, culvert_binary(), *words, check=False)

    def culvert(self, *words, inside=()):
        done = self.try_culvert(*words, inside=inside)
        self.assertEqual(DONE, done.returncode, done.stderr)
        return done.stdout

    def culvert_json(self, *words, inside=()):
        return json.loads(self.culvert(*words, "--json", inside=inside))

    def refused(self, *words, said, status=FAILED, inside=()):
        """Expects a refusal that says all of this, in one line and on standard error alone."""
        done = self.try_culvert(*words, inside=inside)
        self.assertEqual(status, done.returncode, done.stdout + done.stderr)
        for part in said:
            self.assertIn(part, done.stderr)
        self.assertEqual((1, ""), (done.stderr.count("\n"), done.stdout))

    @staticmethod
    def inode(path):
        """Which namespace a file stands for."""
        status = os.stat(path)
        return status.st_dev, status.st_ino

    @staticmethod
    def links(name):
        """Names of the links in a named namespace, as ip tells them."""
        return {link["ifname"] for link in json.loads(run("ip", "-n", name, "-j", "link"))}

    @staticmethod
    def link(name, device):
        return json.loads(run("ip", "-n", name, "-j", "-d", "address", "show", "dev", device))[0]

    @staticmethod
    def whole_state():
        """Names, mounts and, per namespace, links with their addresses: equal before and after means that all was undone."""
        parts = [pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8")]
        for path in sorted(NAMES.iterdir()):
            parts.append(f"{path.name} {path.stat().st_ino}")
            for link in json.loads(run("ip", "-n", path.name, "-j", "-d", "address")):
                addresses = sorted(f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a["scope"] != "link")
                parts.append(f"{path.name} {link['ifindex']} {link['ifname']} {link['mtu']} {link.get('master')} {addresses} "
                             f"{'UP' in link['flags']}")
        return "\n".join(parts)


def without_capability(name):
    """The words that run a program without this capability, as in without_capability("sys_admin")."""
    return ["setpriv", f"--bounding-set=-{name}", f"--inh-caps=-{name}"]


def has_watches(pid, count):
    """Whether a process watches so many things by inotify."""
    watches = 0
    for path in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        watches += path.read_text(encoding="ascii").count("inotify wd:")
    return watches >= count
