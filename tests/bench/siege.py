#!/usr/bin/python3
"""What a flood costs a daemon, and those who talk with it meanwhile.

    tests/bench/siege.py [--build DIR]

BENCH_FLOOD_S   seconds of each row (10)

Two daemons on loopback send each other one message after the other; then
again while tests/tools/flood throws junk, or a recorded message 1 with a
right mac1 and without a cookie, at one of them from 16 addresses. A word:
from the call that sends it until it is durable at the other side and that is
known, three syncs of a disk; so the first row is what the others stand
beside. Nothing here passes or fails; tests/e2e/test_flood.py has the laws.
"""
import argparse
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
from figures import machine, percentile, setting  # noqa: E402

GOAL = "goal: 0 back to junk, a word's p99 < 50 ms, at most 100 % of a core"
HEAD = ("", "thrown/s", "taken/s", "back/s", "p50", "p99 ms", "core %",
        "us each")


def cpu_s(daemon):
    with open("/proc/%d/stat" % daemon.process.pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


class Row:
    def __init__(self, flood, alice, to_bob, seconds):
        self.flood, self.alice, self.to_bob = flood, alice, to_bob
        self.seconds = seconds

    def show(self, name, rate, *whole):
        udp = self.alice.call("net.status")["udp"]
        start, cpu = time.monotonic(), cpu_s(self.alice)
        if rate:
            thrower = self.flood.Thrower(self.alice.port, rate,
                                    1000 * self.seconds, *whole)
            took = self.flood.words(self.alice, self.to_bob, thrower.throws)
            seen = thrower.result()
        else:
            took = self.flood.words(self.alice, self.to_bob, lambda:
                               time.monotonic() < start + self.seconds)
            seen = {"sent": 0, "back": 0}
        took_s = time.monotonic() - start
        cpu = cpu_s(self.alice) - cpu
        taken = self.alice.call("net.status")["udp"]["in"] - udp["in"]
        cells = (name, seen["sent"] / took_s, taken / took_s,
                 seen["back"] / took_s, percentile(took, 0.5),
                 percentile(took, 0.99), 100 * cpu / took_s,
                 1e6 * cpu / max(taken, 1))
        line("%-26s" % cells[0], *("%.0f" % c for c in cells[1:4]),
             *("%.1f" % c for c in cells[4:]))


def line(name, *cells):
    print(name + "".join(c.rjust(10) for c in cells), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default="build/gcc-none")
    os.environ["B"] = parser.parse_args().build
    from net import Net  # reads B
    print(machine())
    print(GOAL)
    with Net() as net:
        import flood
        alice, bob, to_bob, to_alice = net.couple()
        call = flood.message_1(alice, bob, to_alice)
        row = Row(flood, alice, to_bob, setting("BENCH_FLOOD_S", 10))
        line("%-26s" % HEAD[0], *HEAD[1:])
        row.show("words alone", 0)
        row.show("junk", 100000)
        index = flood.live_index(alice, to_bob)
        if index:
            row.show("junk with a live index", 100000, *index)
        row.show("message 1, right mac1", 2000, call)
        row.show("the same, ten times more", 20000, call)
        row.show("junk of 168 bytes", 100000, "5a" * 168)
        row.show("words alone, again", 0)


if __name__ == "__main__":
    main()
