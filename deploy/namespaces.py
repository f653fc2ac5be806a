"""Namespaces joined, shown: a veth pair, a bridge, ways out by NAT and by bridge, and a sandbox. Run by `deploy/try namespaces`.

    blue ─── red        office: br0 ─┬─ ada           gate ─── world        gate ─── (sandbox)
    10.1.0.1  .2        10.2.0.254   ├─ bob        10.3.0.1    .2           answers one TCP message
                                     ├─ world      sees 10.3.0.1 for
                                     └─ (sandbox)  the (sandbox) behind NAT
"""

import json
import pathlib
import signal
import sys
import threading

from demonstration import expect, show

import lab
import probes
import sites

# Tells by which address the server sees it, and stays to be drawn.
ASK = """
import socket, sys, time
print("seen as", socket.create_connection((sys.argv[1], 80), 30).recv(100).decode(), flush=True)
time.sleep(1000)
"""
ANSWER = """
import os, socket, time
with socket.create_server(("", 4711)) as listener:
    print("process", os.getpid(), "of", socket.gethostname(), flush=True)
    connection, _ = listener.accept()
    connection.sendall(connection.recv(100).upper())
time.sleep(1000)
"""


def culvert(*words):
    return lab.run(sites.culvert_binary(), *words)


class Space(lab.Host):
    """A namespace that culvert has made."""

    def __init__(self, place, name):  # pylint: disable=super-init-not-called
        self.lab, self.name, self.path = place, name, f"/run/netns/{name}"
        culvert("netns", "add", name)
        culvert("link", "up", "lo", "-n", name)


class Scenes:
    """All that is made, so that it can be taken down whatever happens."""

    def __init__(self, place):
        self.place, self.spaces, self.sandboxes = place, {}, []
        place.closing.callback(self.take_down)

    def space(self, name):
        # Noted first: an interruption may come in between.
        self.spaces[name] = None
        self.spaces[name] = Space(self.place, name)
        return self.spaces[name]

    def cable(self, left, right, *addresses):
        words = [word for option, address in zip(("--address", "--peer-address"), addresses) if address for word in (option, address)]
        culvert("link", "veth", left, right, *words, "--up")

    def sandbox(self, space, *words):
        process = self.place.start(sites.culvert_binary(), "netns", "exec", space.name, sites.culvert_binary(), "sandbox", *words)
        self.sandboxes.append(process)
        return process

    def take_down(self):
        while self.sandboxes:
            self.sandboxes.pop().end(signal.SIGTERM)
        while self.spaces:
            name, _ = self.spaces.popitem()
            lab.run(sites.culvert_binary(), "netns", "delete", name, check=False)


def said(process):
    lab.wait_until(lambda: process.output or not process.is_running, what="a sandbox to speak")
    return process.output.strip()


def serve(space, address):
    """Tells each client by which address it is seen."""
    listener = space.socket()
    space.lab.closing.callback(listener.close)
    listener.bind((address, 80))
    listener.listen(5)

    def accept():
        try:
            while True:
                connection, client = listener.accept()
                with connection:
                    connection.sendall(client[0].encode())
        except OSError:
            pass

    threading.Thread(target=accept, daemon=True).start()


def veth_pair(scenes):
    blue, red = scenes.space("blue"), scenes.space("red")
    scenes.cable("left:blue", "right:red", "10.1.0.1/24", "10.1.0.2/24")
    for host, address in ((blue, "10.1.0.2"), (red, "10.1.0.1")):
        expect(probes.answers(host, address), f"{host.name} does not reach {address}")
    other = culvert("link", "peer-of", "left", "-n", "blue")
    expect("right" in other and "red" in other, f"the other end of left is not found: {other}")
    return "veth pair", "2 ends", "blue and red ping each other, and each finds the other's end"


def bridge(scenes):
    office = scenes.space("office")
    hosts = {name: scenes.space(name) for name in ("ada", "bob", "world")}
    culvert("link", "bridge", "add", "br0", "--address", "10.2.0.254/24", "--up", "-n", "office")
    for number, name in enumerate(hosts, 1):
        scenes.cable(f"to-{name}:office", f"eth0:{name}", None, f"10.2.0.{number}/24")
        culvert("link", "bridge", "port", "add", "br0", f"to-{name}", "-n", "office")
    for host in (office, *hosts.values()):
        for number in range(1, len(hosts) + 1):
            expect(probes.answers(host, f"10.2.0.{number}"), f"{host.name} does not reach 10.2.0.{number}")
    culvert("link", "bridge", "port", "remove", "br0", "to-bob", "-n", "office")
    expect(not probes.ping(hosts["ada"], "10.2.0.2", count=2, wait=0.5).received, "bob is still reached without his port")
    culvert("link", "bridge", "port", "add", "br0", "to-bob", "-n", "office")
    expect(probes.answers(hosts["ada"], "10.2.0.2"), "bob is not reached again")
    return "bridge", "3 ports", "all reach all; a port taken out is silent, and back it speaks"


def ways_out(scenes):
    gate, world, office = scenes.space("gate"), scenes.spaces["world"], scenes.spaces["office"]
    scenes.cable("uplink:gate", "uplink:world", "10.3.0.1/24", "10.3.0.2/24")
    serve(world, "10.3.0.2")
    serve(world, "10.2.0.3")
    rows = []
    ways = (gate, "10.3.0.2", "10.3.0.1", ["--nat"]), (office, "10.2.0.3", "10.2.0.77", ["--bridge", "br0", "--address", "10.2.0.77/24"])
    for space, server, wanted, words in ways:
        seen = said(scenes.sandbox(space, *words, "--", sys.executable, "-c", ASK, server))
        expect(seen == f"seen as {wanted}", f"by {words[0]} a sandbox should be seen as {wanted}: {seen}")
        rows.append(("out by " + words[0][2:], wanted, f"is how world sees a sandbox at {space.name}"))
    return rows


def container(scenes):
    gate = scenes.spaces["gate"]
    process = scenes.sandbox(gate, "--isolate", "--hostname", "small", "--address", "10.4.0.2/24", "--", sys.executable, "-c", ANSWER)
    expect(said(process) == "process 1 of small", f"the sandbox is not process 1 of its own: {process.output}")
    with gate.socket() as client:
        client.settimeout(30)
        client.connect(("10.4.0.2", 4711))
        client.sendall(b"hello")
        answer = client.recv(100)
    expect(answer == b"HELLO", f"the sandbox answered {answer}")
    return "sandbox", "process 1", "of its own namespaces, isolated; a TCP message there and back"


def namespaces(place):
    """Does it all in an empty lab; returns the rows of the table, and the tree."""
    scenes = Scenes(place)
    rows = [veth_pair(scenes), bridge(scenes), *ways_out(scenes), container(scenes)]
    tree = culvert("topology")
    for name in (*scenes.spaces, "br0", "10.2.0.77", "10.4.0.2"):
        expect(name in tree, f"the topology does not show {name}:\n{tree}")
    gate = scenes.spaces["gate"].state()
    expect(any("sandbox" in line for line in gate), "there are no sandboxes at gate")
    while scenes.sandboxes:
        status = scenes.sandboxes.pop().end(signal.SIGTERM)
        expect(status == -signal.SIGTERM, f"a sandbox ended with {status}")
    lab.wait_until(lambda: not any("sandbox" in line for line in scenes.spaces["gate"].state()), what="the links of sandboxes to go")
    expect(scenes.spaces["gate"].run("cat", "/proc/sys/net/ipv4/ip_forward").strip() == "0", "forwarding was not put back")
    scenes.take_down()
    expect(not json.loads(culvert("netns", "list", "--json")), "a namespace is left")
    expect(not list(pathlib.Path("/run/culvert").glob("sandbox/*.journal")), "a journal is left")
    return rows, "    What culvert topology drew of it:\n\n" + "\n".join(f"    {line}" for line in tree.splitlines())


if __name__ == "__main__":
    sys.exit(show(namespaces, __doc__.split("\n", 2)[2]))
