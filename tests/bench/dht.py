#!/usr/bin/python3
"""Our DHT beside libtorrent's: two nets of one shape, same machine, same run.

    tests/bench/dht.py [--build DIR] [--only btchat|libtorrent] [--json]

BENCH_ITEMS     items, and certain misses (150)
BENCH_NODES     nodes of each net (64)
BENCH_DEAD      of which are gone when the measurement begins (16)
BENCH_RTT_MS    round trip (85)
BENCH_LOSS      packets of 1000 that are lost, each way (20)
BENCH_PER_S     operations that begin each second, at most (4)
BENCH_AT_ONCE   operations under way, each from another node (48)

Every node has a public address in a /24 of its own in a network namespace.
Both answer with 8,000 bytes a second at most. What takes libtorrent 15 s and
us 0.3 s would be 50 times the load for ours if all began as soon as others end:
BENCH_PER_S=1000 measures who answers what when there is too much.
Nothing here passes or fails: the goals stand in the last column.
"""
import argparse
import hashlib
import json
import os
import sys
from typing import NamedTuple

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import net_btchat
import net_libtorrent
import wan
from figures import percentile, setting

FIRST = {"btchat": 1, "libtorrent": 101} # addresses

# figure, what, goals of median and 99 %
FIGURES = (
    ("put", "put, until reported", "< 1000", "< 3000"),
    ("first", "get, first value", "<= 1.2 x theirs", ""),
    ("got", "get, until certain", "< 1000", "< 3000"),
    ("miss", "certain miss", "< 1000", "< 3000"),
)


class Pace(NamedTuple):
    at_once: int
    per_s: int


class Key:
    """Of an item: the seed for us, the expanded key for libtorrent."""

    def __init__(self, name, public):
        self.seed = hashlib.sha256(name.encode()).digest()
        h = bytearray(hashlib.sha512(self.seed).digest())
        h[0] &= 248
        h[31] = h[31] & 63 | 64
        self.expanded = bytes(h)
        self.pk = public


def keys(build, name, count):
    """libtorrent wants to be told the public key, which nothing in Python's
    own library computes."""
    from ctypes import CDLL, create_string_buffer
    from ctypes.util import find_library
    sodium = CDLL(find_library("sodium"))
    made = []
    for i in range(count):
        key = Key(f"{name} {i}", b"")
        pk, sk = create_string_buffer(32), create_string_buffer(64)
        sodium.crypto_sign_seed_keypair(pk, sk, key.seed)
        key.pk = pk.raw
        made.append(key)
    return made


def measure(net, items, absent, dead):
    """Figures: lists of ms, and counts."""
    pace = Pace(setting("BENCH_AT_ONCE", 48), setting("BENCH_PER_S", 4))
    nodes = len(net.at)
    print(f"{net.name}: {nodes} nodes find each other ...", file=sys.stderr)
    least = net.settle(nodes // 4)
    live = list(range(1, nodes))
    gone = live[1::len(live) // dead][:dead] if dead else []
    live = [i for i in live if i not in gone]
    net.kill(gone)
    print(f"{net.name}: each knows {least}; {len(gone)} are gone; "
          f"{len(items)} items ...", file=sys.stderr)

    def jobs(keys_, shift):
        return [(live[(i + shift) % len(live)], key)
                for i, key in enumerate(keys_)]
    put = net.puts(jobs(items, 0), pace)
    got = net.gets(jobs(items, 17), pace)
    miss = net.gets(jobs(absent, 5), pace)
    return {
        "put": [ms for ms, _ in put if ms],
        "copies": [n for _, n in put],
        "first": [first for first, _ in got if first],
        "got": [ms for first, ms in got if first and ms],
        "miss": [ms for first, ms in miss if ms and not first],
        "items": len(items),
    }


def summary(figures):
    """Median and 99 % of each figure, and how many there were."""
    out = {}
    for key, _, _, _ in FIGURES:
        values = figures[key]
        out[key] = {"n": len(values), "of": figures["items"]}
        if values:
            out[key]["median_ms"] = percentile(values, 0.5)
            out[key]["p99_ms"] = percentile(values, 0.99)
    out["copies"] = percentile(figures["copies"], 0.5)
    return out


def cell(figure, key):
    if not figure or key not in figure:
        return "-"
    return f"{figure[key]:,.0f}"


def count(figure):
    return f"{figure['n']}/{figure['of']}" if figure else "-"


def table(ours, theirs):
    rows = [("ms", "", "btchat", "libtorrent", "goal")]
    for key, what, median, p99 in FIGURES:
        a, b = ours.get(key), theirs.get(key)
        rows.append((what, "median", cell(a, "median_ms"),
                     cell(b, "median_ms"), median))
        rows.append(("", "99 %", cell(a, "p99_ms"), cell(b, "p99_ms"), p99))
        rows.append(("", "done", count(a), count(b), "all"))
    rows.append(("copies of an item", "median", str(ours.get("copies", "-")),
                 str(theirs.get("copies", "-")), "8"))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        print("  ".join(
            text.ljust(widths[i]) if i < 2 else text.rjust(widths[i])
            for i, text in enumerate(row)).rstrip())


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default="build/gcc-none")
    parser.add_argument("--only", choices=tuple(FIRST))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    wan.enter()
    nodes = setting("BENCH_NODES", 64)
    rtt_ms, loss = setting("BENCH_RTT_MS", 85), setting("BENCH_LOSS", 20)
    dead = setting("BENCH_DEAD", 16)
    build = os.path.abspath(args.build)
    items = keys(build, "item", setting("BENCH_ITEMS", 150))
    absent = keys(build, "absent", setting("BENCH_ITEMS", 150))
    figures = {}
    way = wan.Wan(build, rtt_ms, loss)
    try:
        for name in FIRST:
            if args.only not in (None, name):
                continue
            if name == "btchat":
                net = net_btchat.Net(build, FIRST[name], nodes)
            elif net_libtorrent.libtorrent is None:
                print("python3-libtorrent is not installed", file=sys.stderr)
                continue
            else:
                net = net_libtorrent.Net(FIRST[name], nodes)
            try:
                figures[name] = summary(measure(net, items, absent, dead))
            finally:
                net.stop()
    finally:
        way.stop()
    if args.json:
        print(json.dumps(figures, indent=1))
        return
    print(f"{nodes} nodes, {dead} of them gone, {rtt_ms} ms round trip, "
          f"{loss / 10:g} % of packets lost each way")
    table(figures.get("btchat", {}), figures.get("libtorrent", {}))


if __name__ == "__main__":
    main()
