"""btchat's side of the comparison: two daemons and their control sockets."""
import json
import os
import select
import socket
import sys
import tempfile
import time

from process import Pair, Process

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "e2e"))
import rpc

BODY = "x" * 100
PIPELINES = 8 # connections that send at the same time
IN_FLIGHT = 60 # requests of each without an answer; the limit is 64


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Pipeline:
    """A connection that keeps IN_FLIGHT requests under way."""

    def __init__(self, path, request, count):
        self.rpc = rpc.Rpc.connect(path)
        self.request, self.count = request, count
        self.sent = self.answered = 0
        self.fill()

    def fill(self):
        more = min(IN_FLIGHT - (self.sent - self.answered),
                   self.count - self.sent)
        if more > 0:
            self.rpc.send_raw(self.request * more)
            self.sent += more

    def take(self):
        """All answers that are there."""
        self.take_one()
        while b"\n" in self.rpc.buffer:
            self.take_one()
        self.fill()

    def take_one(self):
        line = self.rpc.read_line(30)
        if b'"result"' not in line:
            raise OSError(line.decode())
        self.answered += 1


class Daemon(Process):
    def __init__(self, build, place, name, port, other_port):
        self.port = port
        state = os.path.join(place, name)
        # A Unix socket's path is short; a temporary directory's may not be.
        self.run = tempfile.TemporaryDirectory(prefix="bb-", dir="/tmp")
        self.path = path = os.path.join(self.run.name, "s")
        self.log = open(os.path.join(place, name + ".log"), "wb")
        super().__init__(
            build, place, name,
            [os.path.join(build, "btchatd"), "--state", state,
             "--socket", path, "--listen", f"127.0.0.1:{port}",
             "--set", "bootstrap-defaults=no",
             "--bootstrap", f"127.0.0.1:{other_port}"],
            stdout=self.log, stderr=self.log)
        self.rpc = rpc.Rpc.connect(path, wait=20)
        self.events = rpc.Rpc.connect(path, wait=20)
        self.rpc.call("identity.create", name=name)
        self.address = self.rpc.call("identity.show")["address"]
        self.events.call("events.subscribe", since="now")

    def add(self, address):
        self.contact = self.rpc.call(
            "contact.add", address=address)["contact"]
        if isinstance(self.contact, dict):
            self.contact = self.contact["id"]

    def wait_ready(self, seconds):
        self.events.wait_event("contact.ready", seconds)

    def stop(self):
        super().stop()
        self.log.close()
        self.run.cleanup()


class Side(Pair):
    def __init__(self, build, place):
        super().__init__()
        self.build, self.place = build, place

    def start(self):
        ports = free_port(), free_port()
        for name, mine, other in (("a", 0, 1), ("b", 1, 0)):
            self.processes.append(Daemon(
                self.build, self.place, "btchat-" + name, ports[mine],
                ports[other]))

    def meet(self):
        a, b = self.processes
        start = time.monotonic()
        a.add(b.address)
        b.add(a.address)
        a.wait_ready(120)
        b.wait_ready(120)
        return 1000 * (time.monotonic() - start)

    def round_trips(self, count):
        """Send one, wait for its event "delivered", and so on."""
        a = self.processes[0]
        took = []
        for _ in range(count):
            start = time.monotonic()
            message = a.rpc.call("message.send", conv=a.contact, text=BODY)
            a.events.wait_event("message.state", 30, id=message["id"],
                                state="delivered")
            took.append(1000 * (time.monotonic() - start))
        return took

    def flood(self, count):
        """Messages a second until all are stored, and until all delivered."""
        a = self.processes[0]
        request = json.dumps({
            "jsonrpc": "2.0", "id": 1, "method": "message.send",
            "params": {"conv": a.contact, "text": BODY}}).encode() + b"\n"
        start = time.monotonic()
        busy = [Pipeline(a.path, request, count // PIPELINES)
                for _ in range(PIPELINES)]
        while busy:
            for sock in select.select([p.rpc.sock for p in busy], [], [],
                                      30)[0]:
                next(p for p in busy if p.rpc.sock is sock).take()
            busy = [p for p in busy if p.answered < p.count]
        count = count // PIPELINES * PIPELINES
        stored = time.monotonic() - start
        delivered = 0
        while delivered < count:
            line = a.events.read_line(60)
            delivered += b'"delivered"' in line
        return {"stored_s": count / stored,
                "delivered_s": count / (time.monotonic() - start)}
