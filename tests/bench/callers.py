#!/usr/bin/python3
"""What the control socket takes, and what clients cost who do not read.

    tests/bench/callers.py [--build DIR]

BENCH_CALLS     calls of status on one connection (200000)
BENCH_TEXTS     texts that are sent, and delivered to a second daemon (40000)
BENCH_ASKS      calls one at a time, for their percentiles (2000)
BENCH_RUNS      of each row but the percentiles, the fastest counts (5)

The client is C, tests/bench/caller.c, so that it is not what is measured; on a
machine that others use, what an event costs the daemon in processor time says
more than how many there are in a second. The log is replayed after a restart,
as a conversation leaves it: a new text, which is found and opened in the store,
and what became of it, which stands in the log itself; then each of these alone.
Nothing here passes or fails; tests/e2e/test_crowd.py has the laws.
"""
import argparse
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
from figures import machine, setting  # noqa: E402
from siege import cpu_s  # noqa: E402

STUCK = 10
GOAL = ("goal: 20000 calls/s, 300000 events/s; beside %d who do not read a "
        "p99 < 10 ms longer,\nat most 512 KiB for each of them" % STUCK)


def caller(build, daemon, *words):
    out = subprocess.run(
        [os.path.join(build, "tests/bench/caller"), daemon.socket,
         *map(str, words)], check=True, capture_output=True, text=True)
    return [float(w) for w in out.stdout.split()[1:]]


def row(name, text):
    print("%-34s%s" % (name, text), flush=True)


class Bench:
    def __init__(self, build, daemon):
        self.build, self.daemon = build, daemon

    def call(self, *words):
        return caller(self.build, self.daemon, *words)

    def rate(self, name, *words, runs=None):
        """The fastest of some runs."""
        best = (0, 0, 0)
        for _ in range(runs or setting("BENCH_RUNS", 5)):
            cpu = cpu_s(self.daemon)
            n, seconds = self.call(*words)
            cpu = cpu_s(self.daemon) - cpu
            best = max(best, (n / seconds, n, 1e6 * cpu / max(n, 1)))
        row(name, "%9.0f /s   %6.2f us of the daemon's processor each   (%d)"
            % (best[0], best[2], best[1]))

    def ask(self, name):
        n, p50, p99, most = self.call("ask", setting("BENCH_ASKS", 2000), 200)
        row(name, "p50 %6.0f us   p99 %6.0f us   longest %6.0f us" %
            (p50, p99, most))
        return p99


def rss_kib(daemon):
    with open("/proc/%d/status" % daemon.process.pid) as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise OSError("no VmRSS")


def stick(daemon):
    """One who asks for all there is, and reads his answer alone."""
    rpc = daemon.rpc()
    rpc.send_raw(b'{"jsonrpc":"2.0","id":1,"method":"events.subscribe",'
                 b'"params":{"since":"oldest"}}\n')
    while b"\n" not in rpc.buffer:
        rpc.buffer += rpc.sock.recv(1)
    return rpc


def gathered(daemon):
    """The words of the texts are gathered for the search after a start: until
    the processor has nothing to do for a while."""
    before = -1
    while cpu_s(daemon) - before > 0.01:
        before = cpu_s(daemon)
        time.sleep(0.5)


def stuck(bench):
    alone = bench.ask("a call, alone")
    before = rss_kib(bench.daemon)
    clients = [stick(bench.daemon) for _ in range(STUCK)]
    bench.call("ask", 100, 0)  # their events are where they will stay
    each = (rss_kib(bench.daemon) - before) / STUCK
    beside = bench.ask("beside %d who do not read" % STUCK)
    row("", "p99 %+.2f ms, %.0f KiB for each" %
        ((beside - alone) / 1000, each))
    for c in clients:
        c.close()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default="build/gcc-none")
    build = parser.parse_args().build
    os.environ["B"] = build
    from net import Net  # reads B
    print(machine())
    print(GOAL)
    n = setting("BENCH_TEXTS", 40000)
    with Net() as net:
        alice, bob, to, _ = net.couple()
        bench = Bench(build, alice)
        bench.rate("status, pipelined", "calls",
                   setting("BENCH_CALLS", 200000))
        bench.rate("message.send, durable", "fill", to, n, runs=1)
        last = alice.call("message.history", conv=to, limit=1)["items"][0]
        if not alice.came(last["id"]):
            raise SystemExit("the texts were not delivered")
        bob.stop()
        alice.stop()
        alice.start()
        gathered(alice)
        bench.rate("replay of the log", "replay", "all")
        bench.rate("of message.new alone", "replay", "message.new")
        bench.rate("of message.state alone", "replay", "message.state")
        stuck(bench)


if __name__ == "__main__":
    main()
