"""libtoxcore's side of the comparison: two nodes of tests/bench/tox.c."""
import os
import select
import subprocess
import time

from process import Pair, Process


class Node(Process):
    def __init__(self, build, place, name):
        super().__init__(build, place, name,
                         [os.path.join(build, "tests/bench/tox")],
                         env={"BENCH_TOX": "1"},
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.rest = b""
        _, self.port, self.dht_key, self.key = self.line(10).split()

    def say(self, *words):
        self.child.stdin.write(" ".join(words).encode() + b"\n")
        self.child.stdin.flush()

    def line(self, seconds):
        end = time.monotonic() + seconds
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.child.stdout], [], [],
                                              left)[0]:
                raise OSError(f"no answer in {seconds} s")
            got = os.read(self.child.stdout.fileno(), 1 << 16)
            if not got:
                raise OSError("toxcore's node ended")
            self.rest += got
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode()

    def wait(self, word, seconds):
        while True:
            line = self.line(seconds)
            if line.split()[0] == word:
                return line


class Side(Pair):
    def __init__(self, build, place):
        super().__init__()
        self.build, self.place = build, place

    def start(self):
        for name in ("tox-a", "tox-b"):
            self.processes.append(Node(self.build, self.place, name))

    def meet(self):
        a, b = self.processes
        a.say("boot", b.port, b.dht_key)
        b.say("boot", a.port, a.dht_key)
        start = time.monotonic()
        a.say("add", b.key)
        b.say("add", a.key)
        a.wait("online", 120)
        b.wait("online", 120)
        return 1000 * (time.monotonic() - start)

    def round_trips(self, count):
        # Its loop sleeps up to 50 ms; more rounds would only take longer.
        count = min(count, 100)
        self.processes[0].say("rtt", str(count))
        line = self.processes[0].wait("rtt", 120)
        return [int(us) / 1000 for us in line.split()[1:]]

    def flood(self, count):
        count = min(count, 2000)
        before = self.counters()[2]
        self.processes[0].say("flood", str(count))
        _, number, ms = self.processes[0].wait("flood", 120).split()
        cpu_ms = (self.counters()[2] - before) * len(self.processes)
        # Nothing is durable in a Tox core, so there is one rate only.
        rate = 1000 * int(number) / float(ms)
        return {"delivered_s": rate, "texts_s": rate,
                "cpu_us_text": 1000 * cpu_ms / int(number)}
