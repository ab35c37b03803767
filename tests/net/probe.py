"""Sockets in the hosts of a lab, all in this process, and what they tell of
the NATs between: the tests of RFC 5780, without a protocol. What does not
arrive is known by what was sent behind it and does."""
import collections
import itertools
import select
import socket
import struct
import time

WAIT_S = 20.0  # for something that must come; never spent when it does
PORTS = (7001, 7002)
UNTAKEN = 64  # packets: a kernel drops what waits for wan beyond some 500

Kind = collections.namedtuple("Kind", "mapping filtering hairpin keeps")
tokens = itertools.count(1)


def udp(host, addr=None, port=0, six=False):
    with host.inside():
        sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET,
                             socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind((addr or ("::" if six else "0.0.0.0"), port))
    sock.settimeout(WAIT_S)
    return sock


def name(sock):
    return sock.getsockname()[:2]


def token():
    return b"token %d" % next(tokens)


def seen(sock, to):
    """Where a datagram of sock to another socket seems to come from."""
    mark = token()
    sock.sendto(mark, name(to))
    while True:
        data, sender = to.recvfrom(2048)
        if data == mark:
            return sender[:2]


def comes(sock, first, second):
    """True if the first datagram arrives, False if the second one does."""
    while True:
        data = sock.recv(2048)
        if data in (first, second):
            return data == first


def passes(sock, to, at=None):
    """A datagram of sock arrives at another socket, whose address is at."""
    mark = token()
    sock.sendto(mark, at or name(to))
    return comes(to, mark, None)


def wait_for(what):
    """True once what() is; False if it never is."""
    end = time.monotonic() + WAIT_S
    while not what():
        if time.monotonic() > end:
            return False
        select.select([], [], [], 0.005)
    return True


def is_lost(lab, node, why, send):
    """What send() sends is dropped at a node for that reason."""
    before = lab.drops(node).get(why, 0)
    send()
    return wait_for(lambda: lab.drops(node).get(why, 0) > before)


class Server:
    """Two addresses with two ports each; the first two share an address."""

    def __init__(self, host, six=False):
        addrs = host.addrs6 if six else host.addrs
        self.six = six
        self.socks = [udp(host, addr, port, six)
                      for addr in addrs[:2] for port in PORTS]

    def close(self):
        for sock in self.socks:
            sock.close()

    def client(self, host, port=0):
        return udp(host, port=port, six=self.six)

    def mapping(self, sock):
        """How its outside port depends on where it sends, and those seen."""
        ends = [seen(sock, to) for to in self.socks]
        if len(set(ends)) == 1:
            return "EIM", ends
        same = ends[0] == ends[1] and ends[2] == ends[3]
        return ("ADM" if same else "APDM"), ends

    def gets_in(self, host, other):
        """A fresh socket, which has sent to the first of ours alone, is
        reached by another one."""
        with self.client(host) as sock:
            end = seen(sock, self.socks[0])
            first, second = token(), token()
            self.socks[other].sendto(first, end)
            self.socks[0].sendto(second, end)
            return comes(sock, first, second)

    def filtering(self, host):
        if self.gets_in(host, 3):
            return "EIF"
        return "ADF" if self.gets_in(host, 1) else "APDF"

    def hairpin(self, host):
        """One socket reaches another by the outside address of that."""
        with self.client(host) as a, self.client(host) as b:
            from_a, to_b = seen(a, self.socks[0]), seen(b, self.socks[0])
            first, second = token(), token()
            b.sendto(token(), from_a)  # opens the way back
            a.sendto(first, to_b)
            seen(b, self.socks[0])
            seen(a, self.socks[0])  # now the others have been decided
            self.socks[0].sendto(second, to_b)
            return comes(b, first, second)

    def kind(self, host):
        """All of it; hairpin is None where nothing is translated."""
        with self.client(host) as sock:
            mapping, ends = self.mapping(sock)
            own = host.addrs6 if self.six else host.addrs
            hairpin = None if ends[0][0] in own else self.hairpin(host)
            return Kind(mapping, self.filtering(host), hairpin,
                        ends[0][1] == sock.getsockname()[1])


def captured(path, source, to):
    """UDP payloads of IPv4 from one address to another in a pcap file."""
    with open(path, "rb") as f:
        data = f.read()
    found, at = [], 24
    while at < len(data):
        n = struct.unpack_from("=I", data, at + 8)[0]
        packet = data[at + 16:at + 16 + n]
        if packet[0] == 0x45 and packet[9] == socket.IPPROTO_UDP and (
                packet[12:20] == socket.inet_aton(source) +
                socket.inet_aton(to)):
            found.append(packet[28:])
        at += 16 + n
    return found


class Flow:
    """What became of numbered datagrams from one host to another."""

    def __init__(self, count):
        self.count, self.got, self.delays_ms = count, [], []

    def lost(self):
        return self.count - len(set(self.got))

    def doubled(self):
        return len(self.got) - len(set(self.got))

    def reordered(self):
        top, late = -1, 0
        for n in dict.fromkeys(self.got):
            late += n < top
            top = max(top, n)
        return late

    def median_ms(self):
        return sorted(self.delays_ms)[len(self.delays_ms) // 2]


def flow(lab, source, sink, count, size=100, gap_s=0.0):
    """Sends count datagrams; over when none is on its way any more."""
    result, sent = Flow(count), []
    taken, given = taken_from(lab, source)[0], given_to(lab, source, sink)
    with udp(source) as out, udp(sink) as back:
        to = (sink.addr, back.getsockname()[1])
        begin = time.monotonic()
        back.setblocking(False)
        while True:
            now = time.monotonic()
            while len(sent) < count and now >= begin + len(sent) * gap_s:
                sent.append(now)
                out.sendto(b"%0*d" % (size, len(sent) - 1), to)
                if len(sent) % UNTAKEN == 0:
                    break
            take(back, sent, result)
            while taken_from(lab, source)[0] < taken + len(sent) - UNTAKEN:
                take(back, sent, result)
            if (len(sent) == count and
                    taken_from(lab, source) == (taken + count, 0) and
                    given_to(lab, source, sink) == given + len(result.got)):
                return result


def taken_from(lab, host):
    """Packets that wan has taken from it; those of all on their way."""
    stats = lab.stats()
    return (sum(h["sent"] for h in stats["hosts"] if h["host"] == host.name),
            stats["in_flight"])


def given_to(lab, source, sink):
    return lab.flows().get((source.name, sink.name), 0)


def take(sock, sent, result):
    while True:
        try:
            n = int(sock.recv(2048))
        except BlockingIOError:
            return
        result.got.append(n)
        result.delays_ms.append((time.monotonic() - sent[n]) * 1000)
