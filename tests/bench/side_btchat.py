"""btchat's side of the comparison: two daemons and their control sockets."""
import json
import os
import select
import socket
import sys
import tempfile
import time

from process import Crowd, Pair, Process

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
    def __init__(self, build, place, name, host, port, bootstrap=None):
        self.port = port
        state = os.path.join(place, name)
        # A Unix socket's path is short; a temporary directory's may not be.
        self.run = tempfile.TemporaryDirectory(prefix="bb-", dir="/tmp")
        self.path = os.path.join(self.run.name, "s")
        self.log = open(os.path.join(place, name + ".log"), "wb")
        self.command = [os.path.join(build, "btchatd"), "--state", state,
                        "--socket", self.path, "--listen", f"{host}:{port}",
                        "--set", "bootstrap-defaults=no"]
        if bootstrap:
            self.command += ["--bootstrap", bootstrap]
        super().__init__(build, place, name, self.command, stdout=self.log,
                         stderr=self.log)
        self.connect()
        self.rpc.call("identity.create", name=name)
        self.address = self.rpc.call("identity.show")["address"]
        self.subscribe()

    def connect(self):
        self.rpc = rpc.Rpc.connect(self.path, wait=20)

    def subscribe(self):
        self.events = rpc.Rpc.connect(self.path, wait=20)
        self.events.call("events.subscribe", since="now")

    def add(self, address):
        self.contact = self.rpc.call(
            "contact.add", address=address)["contact"]
        if isinstance(self.contact, dict):
            self.contact = self.contact["id"]

    def wait_ready(self, seconds):
        self.events.wait_event("contact.ready", seconds)

    def wait_online(self, seconds):
        """Until there is a session with somebody."""
        end = time.monotonic() + seconds
        while not any(c["online"]
                      for c in self.rpc.call("contact.list")["items"]):
            if time.monotonic() > end:
                raise OSError(f"not online in {seconds} s")
            time.sleep(0.002)

    def again(self, kill):
        """Ends and starts again; milliseconds until it is online."""
        self.halt(kill)
        start = time.monotonic()
        self.launch(self.command)
        self.connect()
        self.wait_online(60)
        took = 1000 * (time.monotonic() - start)
        self.subscribe()
        return took

    def stop(self):
        super().stop()
        self.log.close()
        self.run.cleanup()


class Side(Pair):
    CROWD_MAX = 1000

    def __init__(self, build, place, hosts):
        super().__init__()
        self.build, self.place, self.hosts = build, place, hosts

    def start(self):
        ports = free_port(), free_port()
        for name, mine, other in (("a", 0, 1), ("b", 1, 0)):
            self.processes.append(Daemon(
                self.build, self.place, name, self.hosts[mine], ports[mine],
                f"{self.hosts[other]}:{ports[other]}"))

    def meet(self):
        a, b = self.processes
        start = time.monotonic()
        a.add(b.address)
        b.add(a.address)
        a.wait_ready(120)
        b.wait_ready(120)
        return 1000 * (time.monotonic() - start)

    def restart(self, kill):
        return self.processes[1].again(kill)

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
                "durable_s": count / (time.monotonic() - start)}

    @staticmethod
    def crowd(build, place):
        return Guests(build, place)


class Guests(Crowd):
    def __init__(self, build, place):
        hub = Daemon(build, place, "hub", "127.0.0.1", free_port())
        super().__init__(
            hub, [os.path.join(build, "tests/bench/nodes"), "crowd",
                  str(hub.port)])

    def invite(self):
        self.say(self.hub.rpc.call("invite.create")["uri"])
