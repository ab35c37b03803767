"""A crowd at the control socket: many subscribers, some of whom never read,
while texts are written and the daemon is restarted and killed. Every durable
event reaches each who reads, in order, once per cursor; who does not read
costs a bounded buffer, and has missed nothing when he does.

BTCHAT_SEED chooses who reads how much at once; BTCHAT_LONG=1: a hundred of
them and 20,000 texts."""
import json
import os
import random
import re
import select
import socket
import sys
import time
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import LONG, check, finish  # noqa: E402
from handed import listen, spawn  # noqa: E402
from net import Net, need_build  # noqa: E402
from rpc import Rpc  # noqa: E402

READERS, STUCK, TEXTS = (90, 10, 20000) if LONG else (20, 5, 2000)
NAMED = 4           # of the readers have a consumer's name, and acknowledge
AHEAD = 200         # texts that wait for their answer
PATIENCE_S = 540    # for something broken
STUCK_KIB = 512     # for each who never reads
EVENT = re.compile(
    rb'\{"jsonrpc":"2\.0","method":"event","params":\{"sub":\d+,'
    rb'"seq":(\d+),(.*)\}\}$')


def connect(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(path)
    return s


def request(method, number, **params):
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method,
                       "params": params}).encode() + b"\n"


class Lines:
    """A connection that is made anew when the daemon ends it."""

    def __init__(self, path):
        self.path = path
        self.join()

    def join(self):
        self.sock, self.rest = connect(self.path), b""
        self.hello()

    def read(self, size=1 << 18):
        try:
            got = self.sock.recv(size)
        except ConnectionResetError:
            got = b""
        if not got:
            self.sock.close()
            self.join()
            return
        lines = (self.rest + got).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            self.take(line)

    def tell(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the next read will notice


class Reader(Lines):
    """Keeps (seq, checksum) of each event. With a name: what was not
    acknowledged comes again after a restart; that is dropped here, by seq."""

    def __init__(self, path, start, rng, name=None):
        self.seen, self.rng, self.name = [], rng, name
        self.cursor, self.again, self.answer = start, 0, None
        self.wrong = None
        super().__init__(path)

    def hello(self):
        how = {"consumer": self.name} if self.name else {"since": self.cursor}
        self.resumed = len(self.seen)
        self.tell(request("events.subscribe", 1, ephemeral=False, **how))

    def take(self, line):
        event = EVENT.match(line)
        if not event:
            if b'"error"' in line:
                self.wrong = line
            return
        seq = int(event[1])
        if seq <= self.cursor["seq"]:
            self.again += 1
            if not self.name:
                self.wrong = line
            return
        self.seen.append((seq, zlib.crc32(event[2])))
        self.cursor = dict(self.cursor, seq=seq)

    def work(self):
        self.read(self.rng.choice((100, 5000, 1 << 18)))
        if self.name and self.rng.random() < 0.05:
            self.tell(request("events.ack", 2, consumer=self.name,
                              seq=self.cursor["seq"]))


class Writer(Lines):
    """Writes texts; those without an answer again, under the same name."""

    def __init__(self, path, conv):
        self.conv, self.asked, self.open = conv, 0, set()
        super().__init__(path)

    def hello(self):
        for i in sorted(self.open):
            self.write(i)

    def write(self, i):
        self.open.add(i)
        self.tell(request("message.send", i, conv=self.conv,
                          text="text %d" % i, client_id="crowd-%d" % i))

    def more(self):
        while len(self.open) < AHEAD and self.asked < TEXTS:
            self.asked += 1
            self.write(self.asked)

    def take(self, line):
        reply = json.loads(line)
        if "result" in reply:
            self.open.discard(reply["id"])
        elif reply["id"] in self.open:
            self.write(reply["id"])  # it was stopping

    def work(self):
        self.read()
        self.more()

    def done(self):
        return self.asked - len(self.open)


class Stuck:
    """Subscribes to everything, and reads nothing until told to."""

    def __init__(self, path):
        self.path = path
        self.sock = connect(path)
        self.sock.sendall(request("events.subscribe", 1, since="oldest",
                                  ephemeral=False))


class Crowd:
    def __init__(self, d, sockets, conv, start, rng):
        self.d, self.sockets = d, sockets
        paths = [s.getsockname() for _, s in sockets]
        self.stuck = [Stuck(paths[i % 2]) for i in range(STUCK)]
        self.readers = [
            Reader(paths[i % 2], start, random.Random(rng.random()),
                   "reader-%d" % i if i < NAMED else None)
            for i in range(READERS)]
        self.writer = Writer(paths[1], conv)
        self.end = time.monotonic() + PATIENCE_S

    def turn(self):
        """Whoever has something to read reads. False: it took too long."""
        everyone = {c.sock: c for c in self.readers + [self.writer]}
        ready, _, _ = select.select(list(everyone), [], [], 1)
        for sock in ready:
            everyone[sock].work()
        return time.monotonic() < self.end

    def until(self, n):
        """n texts were answered."""
        self.writer.more()
        while self.writer.done() < n and self.turn():
            pass
        return self.writer.done() >= n

    def caught_up(self, head):
        while any(r.cursor["seq"] < head for r in self.readers):
            if not self.turn():
                break
        return all(r.cursor["seq"] == head for r in self.readers)

    def again(self, end):
        """The daemon ends and starts; the sockets stay."""
        end()
        spawn(self.d, self.sockets)
        self.d.wait_ready()
        for s in self.stuck:
            s.sock.close()
        self.stuck = [Stuck(s.path) for s in self.stuck]

    def close(self):
        for c in self.readers + self.stuck + [self.writer]:
            c.sock.close()


def rss_kib(d):
    with open("/proc/%d/status" % d.process.pid) as f:
        return next(int(line.split()[1]) for line in f
                    if line.startswith("VmRSS:"))


def is_instrumented():
    return not os.environ.get("B", "none").endswith("none")


def read_whole(path, sock, head):
    """All events of a subscription from the oldest to `head`."""
    seen, rest = [], b""
    sock.settimeout(60)
    while not seen or seen[-1][0] < head:
        got = sock.recv(1 << 18)
        if not got:
            break
        lines = (rest + got).split(b"\n")
        rest = lines.pop()
        for line in lines:
            event = EVENT.match(line)
            if event:
                seen.append((int(event[1]), zlib.crc32(event[2])))
    return seen


def settled(d):
    """What the daemon holds once it has nothing more to do for a while: the
    same twice."""
    before = -1
    while rss_kib(d) != before:
        before = rss_kib(d)
        with Rpc.connect(d.socket) as rpc:
            for _ in range(200):
                rpc.call("status")
    return before


def memory(d, path):
    """The first of them is not counted: for him the store fills its cache."""
    stuck = [Stuck(path)]
    before = settled(d)
    stuck += [Stuck(path) for _ in range(STUCK)]
    each = (settled(d) - before) / STUCK
    if not is_instrumented():
        check("who never reads costs at most %d KiB" % STUCK_KIB,
              each <= STUCK_KIB, each, before)
    print("%.0f KiB for each who never reads" % each)
    return stuck


def laws(crowd, truth):
    check("no reader was refused, or told again below his cursor",
          not any(r.wrong for r in crowd.readers),
          [r.wrong for r in crowd.readers if r.wrong])
    check("each reader saw every durable event, in order, the same",
          all(r.seen == truth for r in crowd.readers),
          [(r.name, len(r.seen), len(truth)) for r in crowd.readers
           if r.seen != truth])
    # sub.replaced cannot be: each name has one connection at a time.
    check("who has a name was told again what he had not acknowledged, "
          "at most", all(r.again == 0 or r.name for r in crowd.readers))


def texts(d, conv):
    names = [m.get("client_id") for m in d.history(conv)]
    check("each text that was answered is there once",
          sorted(names, key=lambda n: int(n[6:])) ==
          ["crowd-%d" % i for i in range(1, TEXTS + 1)], len(names))


def main():
    need_build()
    seed = os.environ.get("BTCHAT_SEED") or str(random.randrange(1 << 32))
    print("BTCHAT_SEED=%s" % seed)
    with Net() as net:
        d, other = net.add("alice"), net.add("bob").start()
        address = other.call("identity.create")["address"]
        other.stop()
        sockets = [(n, listen(os.path.join(d.folder, n)))
                   for n in ("control", "admin")]
        d.socket = sockets[1][1].getsockname()
        spawn(d, sockets)
        d.wait_ready()
        d.call("identity.create")
        conv = d.call("contact.add", address=address)["contact"]
        info = d.call("session.info")
        start = {"epoch": info["epoch"], "seq": info["head"]}
        crowd = Crowd(d, sockets, conv, start, random.Random(seed))
        for n, end in enumerate((d.stop, d.stop, d.stop, d.kill), 1):
            check("%d/5 of the texts are answered" % n,
                  crowd.until(n * TEXTS // 5))
            crowd.again(end)
        check("all texts are", crowd.until(TEXTS))
        head = d.call("session.info")["head"]
        check("all readers come to the head of the log",
              crowd.caught_up(head), head)
        whole = read_whole(crowd.stuck[0].path, crowd.stuck[0].sock, head)
        truth = [e for e in whole if e[0] > start["seq"]]
        check("the log has all texts", len(truth) >= TEXTS, len(truth))
        laws(crowd, truth)
        texts(d, conv)
        crowd.close()
        d.stop()
        spawn(d, sockets)
        d.wait_ready()
        stuck = memory(d, d.socket)
        check("who reads at last has missed nothing",
              read_whole(d.socket, stuck[-1].sock, head) == whole)
        for s in stuck:
            s.sock.close()
        d.stop()
        for _, s in sockets:
            s.close()
    finish()


main()
