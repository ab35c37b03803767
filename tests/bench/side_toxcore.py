"""libtoxcore's side of the comparison: two nodes of tests/bench/tox.c."""
import os
import subprocess
import time

from process import Crowd, Lines, Pair, Process


class Node(Process):
    def __init__(self, build, place, name, host="127.0.0.1"):
        self.host = host
        self.saved = os.path.join(place, name + ".tox")
        self.command = [os.path.join(build, "tests/bench/tox"), self.saved]
        super().__init__(build, place, name, self.command,
                         env={"BENCH_TOX": "1"},
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.introduce()

    def introduce(self):
        self.lines = Lines(self.child)
        _, self.port, self.dht_key, self.key = self.lines.line(10).split()

    def say(self, *words):
        self.child.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self.child.stdin.flush()

    def boot(self, other):
        self.say("boot", other.host, other.port, other.dht_key)

    def wait(self, word, seconds):
        while True:
            line = self.lines.line(seconds)
            if line.split()[0] == word:
                return line

    def again(self, kill, other):
        """Ends and starts again from what it saved, as a client does;
        milliseconds until it is online."""
        self.say("save", self.saved)
        self.wait("saved", 10)
        self.halt(kill)
        start = time.monotonic()
        self.launch(self.command)
        self.introduce()
        self.boot(other)
        self.wait("online", 120)
        return 1000 * (time.monotonic() - start)


class Side(Pair):
    CROWD_MAX = 100 # each of them is a whole DHT node with its timers

    def __init__(self, build, place, hosts):
        super().__init__()
        self.build, self.place, self.hosts = build, place, hosts

    def start(self):
        for name, host in zip(("a", "b"), self.hosts):
            self.processes.append(Node(self.build, self.place, name, host))

    def meet(self):
        a, b = self.processes
        a.boot(b)
        b.boot(a)
        start = time.monotonic()
        a.say("add", b.key)
        b.say("add", a.key)
        a.wait("online", 120)
        b.wait("online", 120)
        return 1000 * (time.monotonic() - start)

    def restart(self, kill):
        return self.processes[1].again(kill, self.processes[0])

    def eager(self, on):
        for p in self.processes:
            p.say("eager", int(on))

    def run(self, word, count):
        self.processes[0].say(word, count)
        return self.processes[0].wait(word, 120).split()[1:]

    def round_trips(self, count):
        """Until the receipt, which the library sends when its loop has slept;
        without a pause it takes longer."""
        return [int(us) / 1000 for us in self.run("rtt", min(count, 100))]

    def pings(self, count):
        """The other one sends a message back."""
        self.eager(True)
        self.processes[1].say("echo", 1)
        took = self.run("ping", count)
        self.processes[1].say("echo", 0)
        self.eager(False)
        return [int(us) for us in took]

    def flood(self, count):
        """The better one of an eager run and one as the library asks."""
        self.eager(True)
        _, ms = self.run("flood", count)
        self.eager(False)
        before = self.counters()[2]
        n, polite_ms = self.run("flood", 2000)
        cpu_ms = (self.counters()[2] - before) * len(self.processes)
        return {"delivered_s": max(1000 * count / float(ms),
                                   1000 * int(n) / float(polite_ms)),
                "cpu_us": 1000 * cpu_ms / int(n)}

    def file(self, mb, eager=True):
        """MB/s, and milliseconds of processor time for each MB."""
        self.eager(eager)
        before = self.counters()[2]
        size, ms = self.run("file", mb * 1000000)
        cpu_ms = (self.counters()[2] - before) * len(self.processes)
        self.eager(False)
        return int(size) / float(ms) / 1000, cpu_ms / mb

    @staticmethod
    def crowd(build, place):
        return Friends(build, place)


class Friends(Crowd):
    AT_ONCE = 100 # each takes ten seconds

    def __init__(self, build, place):
        hub = Node(build, place, "hub")
        super().__init__(
            hub, [os.path.join(build, "tests/bench/tox"), "crowd",
                  str(hub.port), hub.dht_key, hub.key])

    def invite(self):
        self.say("one more")
        while True:
            words = self.lines.line(10).split()
            if words[0] == "at":
                break
            self.online = int(words[1])
        self.hub.say("add", words[1])
