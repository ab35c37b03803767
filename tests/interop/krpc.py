"""KRPC by hand: a node that asks what it is told to and answers as it likes,
for looking into other people's nodes and for playing a hostile one.
[BEP 5] [BEP 42] [BEP 44]"""
import hashlib
import itertools
import os
import socket
import struct
import threading

PORT = 6881
ASK_S = 1.0  # how long one datagram is waited for
TRIES = 3


def encode(x):
    if isinstance(x, int):
        return b"i%de" % x
    if isinstance(x, str):
        x = x.encode()
    if isinstance(x, bytes):
        return b"%d:%s" % (len(x), x)
    if isinstance(x, list):
        return b"l" + b"".join(map(encode, x)) + b"e"
    keys = {k if isinstance(k, bytes) else k.encode(): v for k, v in x.items()}
    return b"d" + b"".join(
        encode(k) + encode(keys[k]) for k in sorted(keys)) + b"e"


def decode(data):
    value, end = decode_at(data, 0)
    if end != len(data):
        raise ValueError("trailing bytes")
    return value


def decode_at(data, at):
    kind = data[at:at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while data[at:at + 1] != b"e":
            item, at = decode_at(data, at)
            items.append(item)
        if kind == b"l":
            return items, at + 1
        return dict(zip(items[::2], items[1::2])), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1:end], end


def crc32c_table():
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82f63b78 if i & 1 else 0)
        yield i


CRC32C = tuple(crc32c_table())


def prefix(addr, salt):
    """The number whose upper 21 bits an id at that address begins with."""
    ip = socket.inet_aton(addr)
    masked = bytes(b & m for b, m in zip(ip, b"\x03\x0f\x3f\xff"))
    crc = 0xffffffff
    for b in bytes([masked[0] | (salt & 7) << 5]) + masked[1:]:
        crc = crc >> 8 ^ CRC32C[(crc ^ b) & 0xff]
    return crc ^ 0xffffffff


def id_for(addr, salt, rest=None):
    """An id that is right for an address; its free bits are rest's."""
    rest = rest or os.urandom(20)
    head = prefix(addr, salt) & 0xfffff800 | (
        int.from_bytes(rest[:4], "big") & 0x7ff)
    return struct.pack(">I", head) + rest[4:19] + bytes(
        [rest[19] & 0xf8 | salt & 7])


def verifies(node_id, addr):
    head = int.from_bytes(node_id[:4], "big")
    return (head ^ prefix(addr, node_id[19])) & 0xfffff800 == 0


def distance(a, b):
    return int.from_bytes(a, "big") ^ int.from_bytes(b, "big")


def pack(addr, port=PORT):
    return socket.inet_aton(addr) + struct.pack(">H", port)


def unpack(data):
    return socket.inet_ntoa(data[:4]), struct.unpack(">H", data[4:6])[0]


def nodes_of(r):
    """(id, (addr, port)) of each node in an answer."""
    text = r.get(b"nodes", b"")
    return [(text[i:i + 20], unpack(text[i + 20:i + 26]))
            for i in range(0, len(text) - 25, 26)]


def target_of(pk, salt=b""):
    return hashlib.sha1(pk + salt).digest()


class Node:
    """One at host.addr:port, with an id of its own choice. Who makes a
    kind of node out of it overrides answer."""

    def __init__(self, host, node_id=None, port=PORT, read_only=False):
        with host.inside():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host.addr, port))
        self.at = (host.addr, port)
        self.id = node_id or id_for(host.addr, 0)
        self.read_only = read_only
        self.count = itertools.count(1)
        self.waiting = {}
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def close(self):
        """Leaves; its reader sees a datagram of its own as the end."""
        self.thread, thread = None, self.thread
        self.socket.sendto(b"", self.at)
        thread.join()
        self.socket.close()

    def read(self):
        while self.thread:
            try:
                data, sender = self.socket.recvfrom(2048)
            except ConnectionError:  # something that has ended
                continue
            try:
                self.take(decode(data), sender)
            except (ValueError, KeyError, TypeError):
                pass

    def take(self, m, sender):
        if m[b"y"] == b"q":
            r = self.answer(m[b"q"], m[b"a"], sender)
            if r is not None and not self.read_only:
                self.send(sender, {"t": m[b"t"], "y": "r", "ip": pack(*sender),
                                   "r": {"id": self.id, **r}})
            return
        waiter = self.waiting.get((m[b"t"], sender))
        if waiter:
            waiter.answer = m
            waiter.set()

    def answer(self, method, args, sender):
        """What stands in r besides the id; None is silence."""
        return {}

    def send(self, to, m):
        try:
            self.socket.sendto(encode(m), to)
        except OSError:
            pass

    def ask(self, to, method, tries=TRIES, **args):
        """The whole answer, or None if there is none."""
        t = b"py%06d" % next(self.count)
        waiter = self.waiting[(t, to)] = threading.Event()
        query = {"t": t, "y": "q", "q": method, "a": {"id": self.id, **args}}
        if self.read_only:
            query["ro"] = 1
        try:
            for _ in range(tries):
                self.send(to, query)
                if waiter.wait(ASK_S):
                    return waiter.answer
        finally:
            del self.waiting[(t, to)]
        return None

    def prove(self, to):
        """Brings a token back, for nodes that give no value to an address
        that may be forged; true if it was taken."""
        v = os.urandom(8)
        target = hashlib.sha1(encode(v)).digest()
        m = self.ask(to, "get", target=target)
        m = m and self.ask(to, "put", v=v, token=m[b"r"][b"token"])
        return bool(m) and m[b"y"] == b"r"

    def value(self, to, target):
        """(seq, v) of what a node keeps there, or None."""
        m = self.ask(to, "get", target=target)
        r = m.get(b"r", {}) if m else {}
        return (r.get(b"seq"), r[b"v"]) if b"v" in r else None
