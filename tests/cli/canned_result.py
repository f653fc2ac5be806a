"""A result as culvert bench --json writes it, with plausible numbers that are the same each time."""

import json
import random
import sys

MODES = {"uplink": 1.0, "tun": 0.36, "tap": 0.34, "tap+bridge": 0.29}
CIPHERS = {"none": 0.7, "chacha20-poly1305": 1.0, "aes-256-gcm": 0.85}
SIZES = (64, 128, 256, 512, 1024, 1280, 1420, 8920)
RUNGS = {"off": 0.25, "udp": 0.5, "device": 0.7, "on": 1.0}
SHARES = ("time_crypto", "time_engine", "time_copies", "time_kernel")


def figure(random_source, value, spread=0.03, rounds=5):
    values = [value * (1 + random_source.uniform(-spread, spread)) for _ in range(rounds)]
    ordered = sorted(values)
    return {"median": ordered[rounds // 2], "least": ordered[0], "most": ordered[-1], "wide": False, "rounds": values}


def cell(mode, measure, size, cipher="chacha20-poly1305", offloads="on", streams=1, **figures):
    return {"mode": mode, "cipher": "" if mode == "uplink" else cipher, "offloads": offloads, "queues": 1, "streams": streams,
            "packet_size": size, "measure": measure, "limited_by_generator": mode == "uplink" and measure == "ndr",
            "figures": figures, "drops": {"replayed": 0} if mode != "uplink" else {}}


def shares(source):
    parts = [source.uniform(1, 3), source.uniform(0.5, 1), source.uniform(1, 2), source.uniform(2, 4)]
    return {name: figure(source, part / sum(parts), 0.01) for name, part in zip(SHARES, parts)}


def cells(source):
    for mode, speed in MODES.items():
        is_tunnel = mode != "uplink"
        for cipher, cost in CIPHERS.items() if is_tunnel else [("", 0.5)]:
            def cpu(name, value):
                return {name: figure(source, value * cost / speed * 0.3, 0.02), "system_calls": figure(source, 0.1 / speed, 0.02),
                        **shares(source)} if is_tunnel else {}
            for size in SIZES if cipher != "none" else (1420,):
                yield cell(mode, "tcp-up", size, cipher, throughput=figure(source, 25e9 * speed / cost * min(1, size / 1300)),
                           **cpu("cpu_per_gib", 0.9))
                yield cell(mode, "ndr", size, cipher, rate=figure(source, 2.2e6 * speed / cost / (1 + size / 9000)),
                           **cpu("cpu_per_mpacket", 1.1))
                yield cell(mode, "pdr", size, cipher, rate=figure(source, 2.4e6 * speed / cost / (1 + size / 9000)),
                           **cpu("cpu_per_mpacket", 1.2))
        for measure, streams in (("tcp-down", 1), ("tcp-both", 1), ("tcp-up", 4), ("tcp-down", 4), ("tcp-both", 4)):
            yield cell(mode, measure, 1420, streams=streams, throughput=figure(source, 24e9 * speed, 0.3 if mode == "tap" and streams == 4 else 0.05))
        for load, wait in (("rtt-idle", 1), ("rtt-half", 1.6), ("rtt-full", 9)):
            yield cell(mode, load, 64, p50=figure(source, 14 * wait / speed ** 0.7, 0.05), p99=figure(source, 31 * wait / speed ** 0.8, 0.2),
                       p99_9=figure(source, 90 * wait / speed, 0.3))
        for rung, factor in RUNGS.items() if is_tunnel else ():
            if rung != "on":
                yield cell(mode, "tcp-up", 1420, offloads=rung, throughput=figure(source, 25e9 * speed * factor))
                yield cell(mode, "ndr", 64, offloads=rung, rate=figure(source, 2.2e6 * speed * (0.5 + factor / 2)))


def result(factor=1.0, seed=7):
    """`factor`: how much more throughput and packets go through taps than usual."""
    source = random.Random(seed)
    made = list(cells(source))
    for one in made:
        for name in ("throughput", "rate"):
            if one["mode"] == "tap" and name in one["figures"]:
                numbers = one["figures"][name]
                for part in ("median", "least", "most"):
                    numbers[part] *= factor
                numbers["rounds"] = [value * factor for value in numbers["rounds"]]
    return {
        "schema": "culvert-bench", "version": 1, "kind": "default", "rounds": 5, "seed": str(seed), "seconds": 281.4,
        "machine": {"kernel": "Linux 6.1.0-18-amd64", "cpu": "Plausible CPU <E5> @ 2.40 GHz", "cpus": 2, "memory": 8321499136,
                    "virtualization": "kvm", "culvert": "0.1.0",
                    "versions": [{"name": "libsodium", "value": "1.0.18"}, {"name": "BoringSSL", "value": "13"}],
                    "offloads": [{"name": "tun device", "value": "TSO, USO"}, {"name": "UDP", "value": "GSO & GRO"}]},
        "generator": {"timestamps": figure(source, 0.011, 0.2)},
        "notes": ["more than one queue: not measured, two processors are too few"],
        "cells": made,
    }


if __name__ == "__main__":
    json.dump(result(*map(float, sys.argv[1:2])), sys.stdout)
