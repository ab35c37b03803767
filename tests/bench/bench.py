#!/usr/bin/python3
"""Figures of btchat beside those of libtoxcore, same machine, same run.

    tests/bench/bench.py [--build DIR] [--only btchat|toxcore] [--json]
                         [PART...]

PARTs: connect idle messages links far files words memory; without any, all.

BENCH_IDLE_S    length of the idle measurement (60)
BENCH_ROUNDS    round trips (500)
BENCH_FLOOD     pipelined messages (20000)
BENCH_LINK_S    seconds of each run without a store (3)
BENCH_WORDS_S   seconds of words beside a file (40)
BENCH_CROWD     most sessions at one time (1000); Tox has 100 at most

Two fresh nodes of each kind, each told the other's UDP address and key, on
loopback or in a network namespace with distance and loss. Nothing here passes
or fails: the goals stand in the last column. A Tox core may run its loop
without a pause (which gives its best figures) or with those it asks for (which
its processor time is taken from).
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import side_btchat
import side_toxcore
import wan
from figures import machine, percentile, setting, table

KINDS = {"btchat": side_btchat.Side, "toxcore": side_toxcore.Side}
RATE, BUFFER_MS = 2500000, 300 # of a bottleneck of 20 Mbit/s


class Bench:
    def __init__(self, build, place, only):
        self.build, self.place = build, place
        self.names = [name for name in KINDS if only in (None, name)]
        self.figures = {name: {} for name in self.names}
        self.notes = []
        self.n_pairs = 0

    def try_to(self, name, what, work):
        """A figure that cannot be had is a gap in the table, not an end."""
        try:
            self.figures[name].update(work())
            return True
        except (OSError, ValueError, KeyError, side_btchat.rpc.RpcError,
                side_btchat.rpc.Closed, subprocess.SubprocessError) as error:
            self.notes.append(f"{name}: {what}: {error!r}")
            return False

    def pairs(self, hosts=("127.0.0.1", "127.0.0.1")):
        """A fresh pair of each kind, started and met."""
        sides = {}
        for name in self.names:
            self.n_pairs += 1
            place = os.path.join(self.place, f"{name}{self.n_pairs}")
            os.mkdir(place)
            side = KINDS[name](self.build, place, hosts)
            sides[name] = side

            def meet(side=side):
                side.start()
                return {"meet_ms": side.meet()}
            before = dict(self.figures[name])
            if not self.try_to(name, "meet", meet):
                side.stop()
                del sides[name]
            if "meet_ms" in before: # only the first pair's is a figure
                self.figures[name]["meet_ms"] = before["meet_ms"]
        return sides

    def link(self, what, seconds, *addresses):
        """See link.c."""
        return self.tool("link", what, seconds, *addresses)

    def tool(self, tool, *arguments):
        print(f"{tool} {' '.join(map(str, arguments))} ...", file=sys.stderr)
        return json.loads(subprocess.run(
            [os.path.join(self.build, "tests/bench", tool),
             *map(str, arguments)], check=True, stdout=subprocess.PIPE,
            timeout=600).stdout)

    # ---- parts ----

    def part_connect(self, sides):
        for name, side in sides.items():
            self.try_to(name, "restart", lambda s=side: {
                "restart_ms": s.restart(kill=False)})
            self.try_to(name, "kill", lambda s=side: {
                "kill_ms": s.restart(kill=True)})

    def part_idle(self, sides):
        """One window for all nodes of all sides; figures of a node's mean."""
        seconds = setting("BENCH_IDLE_S", 60)
        print(f"idle for {seconds} s ...", file=sys.stderr)
        time.sleep(min(5, seconds))
        before = {name: side.counters() for name, side in sides.items()}
        start = time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - start
        for name, side in sides.items():
            mean = [(a - b) / took
                    for a, b in zip(side.counters(), before[name])]
            self.figures[name].update(
                idle_packets=mean[0], idle_bytes=mean[1],
                idle_cpu_ms=60 * mean[2])

    def part_messages(self, sides):
        for name, side in sides.items():
            def work(side=side):
                rounds = side.round_trips(setting("BENCH_ROUNDS", 500))
                return {"rtt_p50_ms": percentile(rounds, 0.50),
                        "rtt_p99_ms": percentile(rounds, 0.99),
                        **side.flood(setting("BENCH_FLOOD", 20000))}
            self.try_to(name, "messages", work)
        if "btchat" in sides: # Tox writes nothing
            self.try_to("btchat", "fsync",
                        lambda: {"fsync_ms": fsync_ms(self.place)})
            self.try_to("btchat", "told", lambda: sides["btchat"].told_flood(
                setting("BENCH_FLOOD", 20000)))
            self.try_to("btchat", "rows", self.bare_rows)

    def bare_rows(self):
        """The rows of the sender by SQLite alone, in groups as it had."""
        group = round(self.figures["btchat"]["group"])
        with tempfile.TemporaryDirectory(dir=self.place) as place:
            rows = self.tool("rows", place, setting("BENCH_FLOOD", 20000),
                             max(1, group))
        return {"rows_s": rows["rows_s"], "rows_us": rows["cpu_us"]}

    def part_links(self, sides):
        """Without a store, on loopback."""
        if "toxcore" in sides:
            self.try_to("toxcore", "pings", lambda: {
                "ping_us": percentile(sides["toxcore"].pings(1000), 0.5)})
        if "btchat" not in self.names:
            return
        s = setting("BENCH_LINK_S", 3)

        def work():
            nodes, node_ping = (self.tool("nodes", "texts", s),
                                self.tool("nodes", "ping", s))
            texts, ping, echo = (self.link(what, s)
                                 for what in ("texts", "ping", "echo"))
            return {
                "delivered_s": nodes["texts_s"],
                "cpu_us": each_us(nodes),
                "node_us": node_ping["p50_us"],
                "texts_s": texts["texts_s"], "texts_cpu_us": each_us(texts),
                "ping_us": ping["p50_us"],
                "echo_us": echo["p50_us"]}
        self.try_to("btchat", "links", work)

    def part_far(self, _):
        """Round trips at a distance."""
        hosts = wan.address(1), wan.address(2)
        for ms in (50, 150):
            way = wan.Wan(self.build, ms, 0, n_hosts=2)
            try:
                for name, side in self.pairs(hosts).items():
                    self.try_to(name, f"{ms} ms", lambda s=side: {
                        f"rtt_{ms}_ms": percentile(s.round_trips(50), 0.5)})
                    self.try_to(name, f"{ms} ms", lambda n=name, s=side: {
                        f"ping_{ms}_ms": self.ping_ms(n, s, hosts)})
                    side.stop()
            finally:
                way.stop()

    def ping_ms(self, name, side, hosts):
        if name == "btchat":
            return self.link("ping", 5, *hosts)["p50_us"] / 1000
        return percentile(side.pings(50), 0.5) / 1000

    def part_files(self, sides):
        s = setting("BENCH_LINK_S", 3)
        if "btchat" in self.names:
            def loopback():
                bulk, bare = self.link("bulk", s), self.link("bare", s)
                return {"bulk_mb_s": bulk["bulk_mb_s"],
                        "bulk_cpu_ms": mb_ms(bulk),
                        "bare_mb_s": bare["bulk_mb_s"],
                        "bare_cpu_ms": mb_ms(bare)}
            self.try_to("btchat", "bulk", loopback)
        if "toxcore" in sides:
            self.try_to("toxcore", "file", lambda: {
                "bulk_mb_s": sides["toxcore"].file(20)[0],
                "bulk_cpu_ms": sides["toxcore"].file(5, eager=False)[1]})

    def part_far_files(self, _):
        hosts = wan.address(1), wan.address(2)
        for loss, key in ((0, "bulk_50_mb_s"), (10, "bulk_50_1_mb_s")):
            way = wan.Wan(self.build, 50, loss, n_hosts=2)
            try:
                if "btchat" in self.names:
                    self.try_to("btchat", key, lambda k=key: {
                        k: self.link("bulk", 10, *hosts)["bulk_mb_s"]})
                self.tox_file(hosts, key)
            finally:
                way.stop()

    def tox_file(self, hosts, key):
        names, self.names = self.names, [
            n for n in self.names if n == "toxcore"]
        for name, side in self.pairs(hosts).items():
            self.try_to(name, key, lambda s=side: {key: s.file(10)[0]})
            side.stop()
        self.names = names

    def part_words(self, _):
        """Ours alone: a Tox core knows no file that goes behind words."""
        hosts = wan.address(1), wan.address(2)
        seconds = setting("BENCH_WORDS_S", 40)
        if "btchat" not in self.names:
            return
        way = wan.Wan(self.build, 50, 0, n_hosts=2, rate=RATE,
                      buffer_ms=BUFFER_MS)

        def work():
            alone = self.link("words", seconds, *hosts)
            busy = self.link("busy", seconds, *hosts)
            return {"words_p99_ms": alone["p99_us"] / 1000,
                    "busy_p99_ms": busy["p99_us"] / 1000,
                    "busy_mb_s": busy["bulk_mb_s"]}
        try:
            self.try_to("btchat", "words", work)
        finally:
            way.stop()

    def part_memory(self, _):
        for name in self.names:
            place = os.path.join(self.place, name + "-crowd")
            os.mkdir(place)
            self.try_to(name, "memory", lambda n=name, p=place: memory(
                KINDS[n], self.build, p, self.notes))


def memory(kind, build, place, notes):
    """Of one node, while more and more meet it."""
    most = setting("BENCH_CROWD", 1000)
    figures, last = {}, None
    hub = kind.crowd(build, place)
    try:
        for n in (1, 100, 1000):
            if n > min(most, kind.CROWD_MAX):
                break
            online = hub.grow(n)
            if online < n:
                notes.append(f"{place}: {online} of {n} are online")
            kib = hub.rss_kib()
            figures[f"rss_{n}_kib"] = kib
            if last and online > last[0]:
                figures["rss_each_kib"] = (kib - last[1]) / (online - last[0])
            last = (online, kib)
    finally:
        hub.stop()
    return figures


def each_us(said):
    return 1e6 * said["cpu_s"] / said["seconds"] / said["texts_s"]


def mb_ms(said):
    return 1e3 * said["cpu_s"] / said["seconds"] / said["bulk_mb_s"]


def fsync_ms(place):
    """What the disk asks for each of the syncs of a durable message."""
    path = os.path.join(place, "fsync")
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    took = []
    for i in range(100):
        os.pwrite(fd, b"x" * 4096, 4096 * i)
        start = time.monotonic()
        os.fsync(fd)
        took.append(1000 * (time.monotonic() - start))
    os.close(fd)
    os.unlink(path)
    return percentile(took, 0.5)


# Those with a pair on loopback, and those with a network of their own.
NEAR = ("connect", "idle", "messages", "links", "files")
FAR = ("far", "files", "words")


def run(bench, parts, has_wan):
    near = [p for p in NEAR if p in parts]
    if near:
        sides = bench.pairs()
        try:
            for part in near:
                getattr(bench, "part_" + part)(sides)
        finally:
            for side in sides.values():
                side.stop()
    for part in FAR if has_wan else ():
        if part in parts:
            getattr(bench, "part_far_files" if part == "files"
                    else "part_" + part)(None)
    if "memory" in parts:
        bench.part_memory(None)


def main():
    names = tuple(dict.fromkeys(NEAR + FAR + ("memory",)))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default="build/gcc-none")
    parser.add_argument("--only", choices=tuple(KINDS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("part", nargs="*", metavar="PART",
                        help=" ".join(names))
    args = parser.parse_args()
    for part in args.part:
        if part not in names:
            parser.error(f"no part {part}")
    has_wan = wan.enter(must=False)
    if has_wan:
        wan.run("ip", "link", "set", "lo", "up")
    with tempfile.TemporaryDirectory(prefix="btchat-bench-") as place:
        bench = Bench(os.path.abspath(args.build), place, args.only)
        run(bench, args.part or names, has_wan)
    if args.json:
        print(json.dumps(bench.figures, indent=1))
    else:
        print(machine())
        table(bench.figures.get("btchat", {}),
              bench.figures.get("toxcore", {}))
    for note in bench.notes:
        print(note, file=sys.stderr)


if __name__ == "__main__":
    main()
