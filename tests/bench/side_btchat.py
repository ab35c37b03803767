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
WINDOW = 1024 # requests under way of one that sends alone
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


class Flood:
    """One client sends, another reads the event log of the other side; both
    are here."""

    NEW = b'"type":"message.new"'

    def __init__(self, a, b, request, count):
        self.request, self.count = request, count
        self.client = rpc.Rpc.connect(a.path)
        self.reader = rpc.Rpc.connect(b.path)
        self.reader.call("events.subscribe", since="now",
                         types=["message.new"])
        self.out = b""
        self.sent = self.answered = self.seen = 0
        self.answer = self.rest = b""

    def send(self):
        while self.sent < self.count and len(self.out) < 1 << 16 and \
                self.sent - self.answered < WINDOW:
            n = min(WINDOW // 4, self.count - self.sent,
                    WINDOW - (self.sent - self.answered))
            self.out += self.request * n
            self.sent += n
        if self.out:
            try:
                done = self.client.sock.send(self.out, socket.MSG_DONTWAIT)
                self.out = self.out[done:]
            except BlockingIOError:
                pass

    def take_answers(self):
        got = self.client.sock.recv(1 << 18)
        if not got or b'"error"' in got:
            raise OSError(got.decode())
        self.answered += got.count(b"\n")
        self.answer = (self.answer + got)[-1000:]

    def take_events(self):
        got = self.reader.sock.recv(1 << 18)
        if not got:
            raise OSError("the reader was dropped")
        self.rest += got
        self.seen += self.rest.count(self.NEW)
        self.rest = self.rest[1 - len(self.NEW):]

    def run(self):
        """Messages a second: durable at the sender, in the other's event log
        and known at the sender to be there."""
        start, stored = time.monotonic(), 0
        client, reader = self.client.sock, self.reader.sock
        while self.seen < self.count:
            self.send()
            ready = select.select([client, reader],
                                  [client] if self.out else [], [], 30)
            if not any(ready):
                raise OSError(f"{self.seen} of {self.count} came")
            if client in ready[0]:
                self.take_answers()
                if self.answered == self.count:
                    stored = time.monotonic() - start
            if reader in ready[0]:
                self.take_events()
        last = json.loads(self.answer.split(b"\n")[-2])["result"]["id"]
        self.client.call("message.wait", id=last, state="delivered",
                         timeout_ms=30000)
        return {"stored_s": self.count / stored,
                "durable_s": self.count / (time.monotonic() - start)}

    def close(self):
        self.client.close()
        self.reader.close()


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

    def request(self):
        return json.dumps({
            "jsonrpc": "2.0", "id": 1, "method": "message.send",
            "params": {"conv": self.processes[0].contact,
                       "text": BODY}}).encode() + b"\n"

    def flood(self, count):
        """How fast, and what each message costs whom; nobody else listens."""
        for p in self.processes:
            p.events.close()
        flood = Flood(*self.processes, self.request(), count)
        cpu = [p.counters()[2] for p in self.processes]
        own, syncs = time.process_time(), self.processes[0].syncs()
        try:
            figures = flood.run()
        finally:
            flood.close()
        figures["clients_us"] = 1e6 * (time.process_time() - own) / count
        figures["sender_us"], figures["receiver_us"] = (
            1000 * (p.counters()[2] - before) / count
            for p, before in zip(self.processes, cpu))
        figures["all_us"] = sum(
            figures[f"{who}_us"] for who in ("clients", "sender", "receiver"))
        figures["group"] = count / max(1, self.processes[0].syncs() - syncs)
        for p in self.processes:
            p.subscribe()
        return figures

    def told_flood(self, count):
        """The same by many clients, while one at the sender is told of each
        message that it is new, sent, delivered."""
        a, request = self.processes[0], self.request()
        start = time.monotonic()
        busy = [Pipeline(a.path, request, count // PIPELINES)
                for _ in range(PIPELINES)]
        while busy:
            for sock in select.select([p.rpc.sock for p in busy], [], [],
                                      30)[0]:
                next(p for p in busy if p.rpc.sock is sock).take()
            busy = [p for p in busy if p.answered < p.count]
        count = count // PIPELINES * PIPELINES
        delivered = 0
        while delivered < count:
            line = a.events.read_line(60)
            delivered += b'"delivered"' in line
        return {"told_s": count / (time.monotonic() - start)}

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
