#!/usr/bin/python3
"""Figures of btchat beside those of libtoxcore, same machine, same run.

    tests/bench/bench.py [--build DIR] [--only btchat|toxcore] [--json]

BENCH_IDLE_S    length of the idle measurement (60)
BENCH_ROUNDS    round trips (500)
BENCH_FLOOD     pipelined messages (20000)
BENCH_LINK_S    seconds of each run without a store (3)

Two fresh nodes of each kind on loopback, each told the other's UDP address
and key. Nothing here passes or fails: the goals stand in the last column.
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

# key, what, unit, goal, better is "less" or "more"
FIGURES = (
    ("meet_ms", "both added until session up", "ms", "< 1000", "less"),
    ("idle_bytes", "idle, one contact online", "B/s", "< 200", "less"),
    ("idle_packets", "idle, one contact online", "packets/s", "< 1", "less"),
    ("idle_cpu_ms", "idle, processor time", "ms/min", "", "less"),
    ("rss_kib", "memory, resident", "KiB", "< 12288", "less"),
    ("fsync_ms", "one fsync of 4 KiB, median", "ms", "", "less"),
    ("rtt_p50_ms", "send until delivered, 3 syncs, median", "ms", "< 5", "less"),
    ("rtt_p99_ms", "send until delivered, 3 syncs, 99 %", "ms", "", "less"),
    ("stored_s", "pipelined, durable at sender", "messages/s", ">= 5000",
     "more"),
    ("delivered_s", "pipelined, delivered", "messages/s", "", "more"),
    # A Tox core has no store; ours is left out here.
    ("texts_s", "texts of 100 bytes, no store", "texts/s", ">= 2 x", "more"),
    ("cpu_us_text", "processor time of both, each", "us", "<= 1/2", "less"),
    ("bulk_mb_s", "bulk, loopback", "MB/s", ">= 1/2 of bare", "more"),
    ("bare_mb_s", "bare sendmmsg, the same AEAD", "MB/s", "", "more"),
    ("bulk_cpu_ms_mb", "bulk, processor time of both", "ms/MB", "", "less"),
)


def setting(name, default):
    return int(os.environ.get(name, default))


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))]


def idle(sides, seconds):
    """One window for all nodes of all sides; figures of a node's mean."""
    before = {side: side.counters() for side in sides}
    start = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - start
    for side in sides:
        after = side.counters()
        mean = [(a - b) / took for a, b in zip(after, before[side])]
        side.figures["idle_packets"] = mean[0]
        side.figures["idle_bytes"] = mean[1]
        side.figures["idle_cpu_ms"] = mean[2] * 60
        side.figures["rss_kib"] = side.rss_kib()


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


def attempt(side, name, work):
    """A figure that cannot be had is a gap in the table, not an end."""
    try:
        return work()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        side.notes.append(f"{name}: {error}")
        return None


def measure(side):
    side.start()
    side.figures["meet_ms"] = side.meet()


def measure_messages(side):
    rounds = side.round_trips(setting("BENCH_ROUNDS", 500))
    side.figures["rtt_p50_ms"] = percentile(rounds, 0.50)
    side.figures["rtt_p99_ms"] = percentile(rounds, 0.99)
    side.figures.update(side.flood(setting("BENCH_FLOOD", 20000)))


def measure_links(build):
    """Sessions alone, see link.c."""
    seconds = str(setting("BENCH_LINK_S", 3))
    said = {}
    for what in ("bare", "bulk", "words"):
        said[what] = json.loads(subprocess.run(
            [os.path.join(build, "tests/bench/link"), what, seconds],
            check=True, capture_output=True, timeout=60).stdout)
    return {"texts_s": said["words"]["texts_s"],
            "cpu_us_text": said["words"]["cpu_us_text"],
            "bulk_mb_s": said["bulk"]["mb_s"],
            "bulk_cpu_ms_mb": said["bulk"]["cpu_ms_mb"],
            "bare_mb_s": said["bare"]["mb_s"]}


def shown(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratio(ours, theirs, better):
    if not ours or not theirs:
        return "-"
    times = theirs / ours if better == "less" else ours / theirs
    return f"{times:,.1f} x" if times < 100 else f"{times:,.0f} x"


def table(ours, theirs):
    rows = [("figure", "unit", "btchat", "toxcore", "better by", "goal")]
    for key, what, unit, goal, better in FIGURES:
        a, b = ours.get(key), theirs.get(key)
        rows.append((what, unit, shown(a), shown(b), ratio(a, b, better),
                     goal))
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    for row in rows:
        print("  ".join(
            cell.ljust(widths[i]) if i < 2 else cell.rjust(widths[i])
            for i, cell in enumerate(row)))


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{os.cpu_count()} x {model}, Linux {os.uname().release}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default="build/gcc-none")
    parser.add_argument("--only", choices=("btchat", "toxcore"))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="btchat-bench-") as place:
        kinds = {"btchat": side_btchat.Side, "toxcore": side_toxcore.Side}
        sides = {name: kind(os.path.abspath(args.build), place)
                 for name, kind in kinds.items()
                 if args.only in (None, name)}
        try:
            for name, side in sides.items():
                attempt(side, "meet", lambda s=side: measure(s))
            seconds = setting("BENCH_IDLE_S", 60)
            print(f"idle for {seconds} s ...", file=sys.stderr)
            time.sleep(min(5, seconds))
            alive = [s for s in sides.values() if "meet_ms" in s.figures]
            idle(alive, seconds)
            for side in alive:
                attempt(side, "messages", lambda s=side: measure_messages(s))
            if "btchat" in sides: # Tox writes nothing
                sides["btchat"].figures["fsync_ms"] = fsync_ms(place)
                sides["btchat"].figures.update(attempt(
                    sides["btchat"], "links",
                    lambda: measure_links(args.build)) or {})
        finally:
            for side in sides.values():
                side.stop()
    figures = {name: side.figures for name, side in sides.items()}
    if args.json:
        print(json.dumps(figures, indent=1))
    else:
        print(machine())
        table(figures.get("btchat", {}), figures.get("toxcore", {}))
    for name, side in sides.items():
        for note in side.notes:
            print(f"{name}: {note}", file=sys.stderr)


if __name__ == "__main__":
    main()
