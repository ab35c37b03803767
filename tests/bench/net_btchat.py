"""A net of our DHT nodes, see tests/bench/crowd.c."""
import json
import os
import select
import subprocess
import time

import process
import wan

PORT = 6881
JOIN_S = 60


class Net:
    name = "btchat"

    def __init__(self, build, first, count):
        """`count` nodes on the addresses from number `first` on."""
        self.at = [wan.address(first + i) for i in range(count)]
        self.child = subprocess.Popen(
            [os.path.join(build, "tests/bench/crowd"), str(PORT)] + self.at,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.n_lines, self.rest, self.said = 0, b"", []
        for i in range(1, count):
            self.say(f"join {i} {self.at[0]}")

    def say(self, text):
        self.child.stdin.write(text.encode() + b"\n")
        self.child.stdin.flush()
        self.n_lines += 1
        return self.n_lines

    def event(self, seconds):
        """The next one, or None."""
        end = time.monotonic() + seconds
        while not self.said:
            left = end - time.monotonic()
            if left < 0 or not select.select([self.child.stdout], [], [],
                                             left)[0]:
                return None
            got = os.read(self.child.stdout.fileno(), 1 << 16)
            if not got:
                raise OSError("our nodes ended")
            *lines, self.rest = (self.rest + got).split(b"\n")
            self.said = [json.loads(line) for line in lines]
        return self.said.pop(0)

    def settle(self, wanted):
        """Waits until every node knows that many good ones."""
        end = time.monotonic() + JOIN_S
        least = 0
        while least < wanted and time.monotonic() < end:
            line = self.say("nodes 0")
            while True:
                e = self.event(5)
                if e is None:
                    raise OSError("no answer")
                if e["line"] == line:
                    break
            least = e["n"]
            time.sleep(0.2)
        return least

    def kill(self, nodes):
        for i in nodes:
            self.say(f"kill {i}")

    def run(self, jobs, pace, say, over, patience_s=60):
        """say(job) is a line; its results, in ms: first value, end, end's
        event; for jobs in their order."""
        results = [None] * len(jobs)
        firsts, open_lines, n = {}, {}, 0
        began = time.monotonic()
        while n < len(jobs) or open_lines:
            more = n < len(jobs) and len(open_lines) < pace.at_once
            wait_s = began + n / pace.per_s - time.monotonic()
            if more and wait_s <= 0:
                open_lines[self.say(say(jobs[n]))] = n
                n += 1
                continue
            e = self.event(wait_s if more else patience_s)
            if e is None and more:
                continue
            if e is None:
                break
            if e["line"] not in open_lines:
                continue
            if e["event"] == "value":
                firsts.setdefault(e["line"], e["ms"])
            elif e["event"] == over:
                results[open_lines.pop(e["line"])] = (
                    firsts.get(e["line"]), e["ms"], e)
        return results

    def puts(self, jobs, pace):
        """jobs: (node, key). (ms or None, nodes that took it) for each."""
        got = self.run(jobs, pace,
                       lambda j: f"put {j[0]} {j[1].seed.hex()} 1", "put")
        return [(r[1], r[2]["n"]) if r and r[2]["n"] else (None, 0)
                for r in got]

    def gets(self, jobs, pace):
        """(first value's ms or None, ms until all is known) for each."""
        got = self.run(jobs, pace,
                       lambda j: f"get {j[0]} {j[1].pk.hex()}", "get")
        return [(r[0], r[1]) if r else (None, None) for r in got]

    def stop(self):
        process.end(self.child, self.child.stdin.close)
