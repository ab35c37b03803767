"""Whole daemons in a lab: public nodes, which are a DHT of their own, and
people who meet through it.

    with World('''
        home anna nat=port-restricted hosts=alice
        home bert nat=port-restricted hosts=bob
    ''') as world:
        alice, bob = world.people("alice", "bob")
        talk = Talk(alice, bob)

The control sockets are files, so they work from outside of the namespaces.
"""
import os
import random
import select
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
from net import Daemon, Failed, Net, net_daemon  # noqa: E402
from check import CTL, skip  # noqa: E402
from lab import Lab, missing  # noqa: E402

NODES = 6  # public hosts, each in a /16 of its own
HOPS = 5   # of each link to the core, behind its NAT
PORTS = range(20000, 60000)
LIMIT_S = 120.0  # for what must happen; a bound for something broken


def need_lab():
    for path in (net_daemon(), CTL):
        if not os.path.exists(path):
            skip("%s is not built" % path)
    why = missing()
    if why:
        skip(why)


class Peer(Daemon):
    """A daemon in a host of a lab, at any of its addresses."""

    asker = None

    def __init__(self, *words, **how):
        super().__init__(*words, **how)
        self.known = {}  # ids of contacts by their names

    def hang_up(self):
        if self.asker:
            self.asker.close()
        self.asker = None

    def spawn(self):
        self.hang_up()
        return super().spawn()

    def command(self):
        words = [net_daemon(), "--state", self.state, "--socket", self.socket,
                 "--set", "bootstrap-defaults=no", "--set",
                 "log-level=debug"]
        if self.host.addrs:
            words += ["--listen", "0.0.0.0:%d" % self.port]
        if self.host.has_v6:
            words += ["--listen", "[::]:%d" % self.port]
        for at in self.bootstrap:
            words += ["--bootstrap", at]
        return self.host.command(*words, *self.extra)

    def ask(self, method, **params):
        """A call by one connection for all, for who asks all the time."""
        self.asker = self.asker or self.rpc()
        return self.asker.call(method, **params)

    def why(self, name):
        """What it knows of reaching a contact."""
        if name not in self.known:
            self.known[name] = self.contact(name)
        return self.ask("contact.why", contact=self.known[name],
                        addresses=True)

    def is_settled(self):
        """A node of the DHT, which knows how the world sees it, whether its
        gateway maps ports, and who passes to it what strangers send."""
        status = self.ask("net.status")
        asked = all(m["state"] != "asking" for m in status["mapped"])
        return bool(status["endpoints"]) and (
            asked or "portmap" not in self.host.home.options) and (
                status["nat"] == "open" or status["introducers"] > 0)

    def wait_settled(self):
        end = time.monotonic() + LIMIT_S
        while not self.is_settled():
            if time.monotonic() > end:
                raise Failed("%s: %s" % (
                    self.name, self.call("net.status")))
            select.select([], [], [], 0.02)
        return self

    def ends(self):
        """Its address and port, one for each family."""
        return (["%s:%d" % (a, self.port) for a in self.host.addrs[:1]] +
                ["[%s]:%d" % (a, self.port) for a in self.host.addrs6[:1]])


class World(Net):
    """A lab, public nodes in it, and more daemons."""

    def __init__(self, topology, seed=1, nodes=NODES, node_options=""):
        super().__init__()
        self.seed, self.rng = seed, random.Random(seed)
        hosts = ["n%d" % (i + 1) for i in range(nodes)]
        self.lab = Lab("\n".join(
            "host %s v6=yes hops=%d %s" % (name, HOPS, node_options)
            for name in hosts) + "\n" + topology, seed)
        # They find out by themselves that they are reached, in ten minutes.
        self.nodes = [self.peer(name, [], ("--set", "reachable=yes")).spawn()
                      for name in hosts]
        for node in self.nodes:
            node.wait_ready()

    def peer(self, name, bootstrap, extra=()):
        daemon = Peer(self, name, port=self.rng.choice(PORTS), extra=extra,
                      host=self.lab[name], bootstrap=bootstrap or [
                          end for node in self.daemons[:2]
                          for end in node.ends()])
        self.daemons.append(daemon)
        return daemon

    def people(self, *names, extra=()):
        """Daemons with an identity."""
        made = [self.peer(name, [], extra).spawn() for name in names]
        for daemon in made:
            daemon.wait_ready().create_identity()
        return made

    def close(self):
        super().close()
        for daemon in self.daemons:
            daemon.hang_up()
        self.lab.close()


class Side:
    """One end of a talk: what it says, and what it hears."""

    def __init__(self, daemon, conv):
        self.daemon, self.conv = daemon, conv
        self.said, self.heard, self.delivered = [], [], set()
        self.asked = {}  # by the id of the request
        self.first_ms = None  # when the first one was heard, Unix time
        self.last, self.silence_s = time.monotonic(), 0.0
        self.rpc = daemon.rpc()
        self.rpc.call("events.subscribe", convs=[conv],
                      types=["message.new", "message.state"])

    def say(self, text=None):
        text = text or "%s %d" % (self.daemon.name, len(self.said) + 1)
        self.said.append(text)
        self.asked[self.rpc.send("message.send", {
            "conv": self.conv, "text": text,
            "client_id": text[:64]})] = text

    def take(self, message):
        if "id" in message:
            text = self.asked.pop(message["id"])
            if "error" in message:
                raise Failed("%.60s: %s" % (text, message["error"]))
            return
        event = message["params"]
        data = event.get("data", {})
        if event.get("type") == "message.state":
            if data["state"] == "delivered":
                self.delivered.add(data["client_id"])
        elif data.get("direction") == "in":
            now = time.monotonic()
            self.silence_s = max(self.silence_s, now - self.last)
            self.last = now
            self.first_ms = self.first_ms or event["ts_ms"]
            self.heard.append(data["text"])

    def read(self):
        """Everything that is there; never waits."""
        try:
            self.rpc.sock.setblocking(False)
            data = self.rpc.sock.recv(1 << 16)
            if not data:
                raise Failed("%s: the daemon has gone" % self.daemon.name)
            self.rpc.buffer += data
            while True:
                self.take(self.rpc.read_json(0))
        except (BlockingIOError, TimeoutError):
            return


class Talk:
    """Numbered messages both ways, all the time, and what became of them."""

    GAP_S = 0.05

    def __init__(self, a, b, convs):
        self.sides = [Side(a, convs[0]), Side(b, convs[1])]
        self.due = 0.0

    def __str__(self):
        return ", ".join("%s said %d, heard %d" % (
            side.daemon.name, len(side.said), len(side.heard))
            for side in self.sides)

    def turn(self, due):
        """Waits for a message, at most until then."""
        left = due - time.monotonic()
        select.select([side.rpc.sock for side in self.sides], [], [],
                      max(left, 0))
        for side in self.sides:
            side.read()

    def go_on(self, until, limit_s=LIMIT_S):
        """Talks until until() is true; the longest silence in ms."""
        end = time.monotonic() + limit_s
        for side in self.sides:
            side.last, side.silence_s = time.monotonic(), 0.0
        while not until():
            now = time.monotonic()
            if now > end:
                raise Failed("the talk does not go on: %s" % self)
            if now >= self.due:
                self.due = now + self.GAP_S
                for side in self.sides:
                    side.say()
            self.turn(self.due)
        return round(max(s.silence_s for s in self.sides) * 1000)

    def heard(self, count):
        """So many more messages are heard on both sides."""
        want = [len(side.heard) + count for side in self.sides]
        return lambda: all(len(side.heard) >= n
                           for side, n in zip(self.sides, want))

    def through(self):
        """Something that is said from now on is heard, both ways."""
        marks = [len(side.said) for side in self.sides]

        def is_through():
            a, b = self.sides
            return (set(a.said[marks[0]:]) & set(b.heard) and
                    set(b.said[marks[1]:]) & set(a.heard))
        return is_through

    def end(self, limit_s=LIMIT_S):
        """Nothing more is said; what broke the laws: a list of texts, which
        is to be empty."""
        a, b = self.sides
        end = time.monotonic() + limit_s
        while time.monotonic() < end and not all(
                len(x.heard) >= len(y.said) and not x.asked and
                len(x.delivered) >= len(x.said)
                for x, y in ((a, b), (b, a))):
            self.turn(time.monotonic() + 1)
        wrong = []
        for x, y in ((a, b), (b, a)):
            wrong += broken("event", x, y.said, x.heard)
            wrong += broken("history", x, y.said, [
                m["text"] for m in x.daemon.history(x.conv)
                if m["direction"] == "in"])
            wrong += ["%s is not known to be delivered" % text[:40]
                      for text in y.said if text[:64] not in y.delivered]
            x.rpc.close()
        return wrong


def broken(where, side, said, heard):
    """What was lost, came twice, in another order, or from nobody."""
    name = side.daemon.name
    count = {text: heard.count(text) for text in set(said) | set(heard)}
    wrong = ["%s: %s %.40s: %d times" % (name, where, text, n)
             for text, n in count.items()
             if n != 1 or text not in set(said)]
    if not wrong and heard != said:
        wrong.append("%s: %s in another order" % (name, where))
    return wrong
