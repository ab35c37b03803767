"""Our own DHT node as a process, see tests/tools/dhtnode.c."""
import json
import os
import queue
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
EXE = os.path.join(TOP, os.environ.get("B", "build/gcc-none"),
                   "tests/tools/dhtnode")


class DhtNode:
    """On loopback, or on a host of internet.py."""

    def __init__(self, port=0, host=None):
        command = [EXE, str(port)]
        if host:
            command = host.command(EXE, "%s:%d" % (host.addr, port))
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, bufsize=1)
        self.events = queue.Queue()
        self.n_lines = 0
        threading.Thread(target=self.read, daemon=True).start()
        self.port = self.events.get(timeout=10)["port"]
        self.at = (host.addr if host else "127.0.0.1", self.port)

    def read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))

    def close(self):
        self.process.stdin.close()
        return self.process.wait(10)

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.n_lines += 1
        return self.n_lines

    def ask(self, line, event, timeout_s=15):
        """Says a line; the event that ends it, with the values before it."""
        number = self.say(line)
        end = time.monotonic() + timeout_s
        values = []
        while time.monotonic() < end:
            try:
                e = self.events.get(timeout=0.1)
            except queue.Empty:
                continue
            if e.get("line") != number:
                continue
            if e["event"] == event:
                e["values"] = values
                return e
            values.append(e)
        return None

    def bootstrap(self, port):
        self.say("bootstrap %d" % port)

    def join(self, at):
        self.say("bootstrap %s:%d" % at)

    def put(self, seed, seq, text, salt=""):
        return self.ask("put %s %d %s %s" % (seed.hex(), seq, text, salt),
                        "put")

    def get(self, pk, salt=""):
        """The last, that is newest, value with all of its fields, or None."""
        e = self.ask("get %s %s" % (pk.hex(), salt), "get")
        return e["values"][-1] if e and e["values"] else None

    def stats(self):
        return self.ask("stats", "stats")

    def announce(self, info_hash, port):
        """How many nodes took it."""
        e = self.ask("announce %s %d" % (info_hash.hex(), port), "put")
        return e and e["n"]

    def peers(self, info_hash):
        """(address, port) of the peers of a torrent."""
        e = self.ask("peers %s" % info_hash.hex(), "get")
        return {tuple(p) for v in (e["values"] if e else ())
                for p in v["peers"]}

    def table(self):
        """(address, port) of its good nodes."""
        return {tuple(at) for at in self.ask("nodes", "nodes")["nodes"]}

    def ports(self):
        return {port for _, port in self.table()}

    def wait_for_nodes(self, ports, timeout_s=15):
        return self.wait_for(lambda: set(ports) <= self.ports(), timeout_s)

    def wait_for_table(self, ats, timeout_s=15):
        return self.wait_for(lambda: set(ats) <= self.table(), timeout_s)

    def wait_for(self, good, timeout_s):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if good():
                return True
            time.sleep(0.05)
        return False
