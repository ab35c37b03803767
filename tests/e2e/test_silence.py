"""2: random and near-valid datagrams draw not a byte but KRPC answers, and
disturb nobody. Prints its seed: test_silence.py [SEED]"""
import os
import random
import select
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import LONG, check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402
from wire import Malformed, Sniffer, bencode, krpc, may_sniff  # noqa: E402

RANDOM = 1000000 if LONG else 100000
NEAR = 100000 if LONG else 20000
BATCH = 64  # datagrams between two looks, so that no buffer runs over
SIZES = [168, 104, 56, 92, 156, 284, 540, 1052, 1228, 128, 256, 512, 1024,
         1232]


class Poker:
    """Sends to one daemon from one socket and collects what comes back."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.rpc = daemon.rpc()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.to = ("127.0.0.1", daemon.port)
        self.answers, self.sent = [], 0

    def read(self):
        while select.select([self.socket], [], [], 0)[0]:
            self.answers.append(self.socket.recv(70000))

    def taken(self):
        return self.rpc.call("net.status")["udp"]["in"]

    def poke(self, datagrams):
        """Sends all, waiting until each batch was taken."""
        batch = []
        for datagram in datagrams:
            batch.append(datagram)
            if len(batch) == BATCH:
                self.flush(batch)
        self.flush(batch)

    def flush(self, batch):
        before = self.taken()
        for datagram in batch:
            self.socket.sendto(datagram, self.to)
        self.sent += len(batch)
        for _ in range(2000):
            if self.taken() >= before + len(batch):
                break
        else:
            raise RuntimeError("datagrams are not taken")
        self.read()
        batch.clear()


def silent(name, poker):
    """True if nothing but KRPC came."""
    strange = []
    for answer in poker.answers:
        try:
            krpc(answer)
        except Malformed:
            strange.append(answer[:60])
    check("%s (%d sent, %d KRPC answers)" % (
        name, poker.sent, len(poker.answers) - len(strange)), not strange,
        strange[:5])
    poker.answers, poker.sent = [], 0


def random_ones(rng, count):
    for i in range(count):
        size = i % 1501 if i % 3 else rng.choice(SIZES)
        yield rng.randbytes(size)


def mutate(rng, data):
    data = bytearray(data)
    kind = rng.randrange(5)
    if kind == 0 and data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[rng.randrange(len(data) + 1):]
    elif kind == 2:
        data += rng.randbytes(1 + rng.randrange(4))
    elif kind == 3 and len(data) > 8:
        at = rng.randrange(len(data) - 4)
        data[at:at + 4] = rng.randbytes(4)
    elif data:
        at = rng.randrange(len(data))
        data[at:at + 1] = b""
    return bytes(data)


def near_krpc(rng, count):
    """KRPC that is almost right; never a query that is answered well, for
    then the daemon would keep us and talk to us."""
    base = [bencode({b"t": b"aa", b"y": b"q", b"q": q, b"a": {
        b"id": rng.randbytes(20), b"target": rng.randbytes(20),
        b"info_hash": rng.randbytes(20), b"token": b"x", b"v": b"y",
        b"port": 1}}) for q in (b"ping", b"find_node", b"get", b"put")]
    base += [bencode({b"t": b"aa", b"y": b"r", b"r": {
        b"id": rng.randbytes(20), b"nodes": rng.randbytes(26 * 8)}}),
        bencode({b"t": b"aa", b"y": b"e", b"e": [203, b"x" * 900]}),
        b"d" * 1000 + b"e" * 400, b"d1:ad" + b"l" * 700 + b"e",
        b"d1:t99999999999999999999:aae", b"de", b"d1:y1:qe"]
    for _ in range(count):
        data = mutate(rng, rng.choice(base))
        yield data if data[:1] == b"d" else b"d" + data


def recorded(net, alice, to_bob):
    """Real datagrams of a session to Alice, handshakes included."""
    sniffer = Sniffer()
    net.bob.kill()
    net.bob.start()
    for i in range(5):
        alice.ctl("send", to_bob, "note %d" % i, "--wait")
    packets = [d for s, p, d in sniffer.of([alice.port])
               if p == alice.port and d[:1] != b"d"]
    sniffer.stop()
    return packets


def near_real(rng, packets, count):
    for _ in range(count):
        packet = rng.choice(packets)
        kind = rng.randrange(8)
        if kind == 0:
            yield packet  # a replay, byte for byte
        elif len(packet) == 168 and kind < 3:
            at = rng.randrange(168 * 8)
            flipped = bytearray(packet)
            flipped[at // 8] ^= 1 << at % 8
            yield bytes(flipped)
        else:
            yield mutate(rng, packet)


def real_ones(rng, net, alice, to_bob):
    """3, 4, 6: flipped bits, cut and longer ones, replays from elsewhere."""
    packets = recorded(net, alice, to_bob)
    check("there is something to replay", any(len(p) == 168 for p in packets)
          and len(packets) > 5, [len(p) for p in packets])
    before = alice.call("session.info")["head"]
    poker = Poker(alice)
    poker.poke(p for p in near_real(rng, packets, NEAR))
    # Flips of a KRPC-looking first byte are KRPC's to answer.
    silent("3, 4, 6: altered and replayed datagrams are met with silence",
           poker)
    check("6: replays cause no event",
          alice.call("session.info")["head"] == before)
    done = alice.ctl("send", to_bob, "still there?", "--wait", ok=False)
    check("the session lives on", done.status == 0, done.err)


def main():
    need_build()
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 32)
    print("seed %d: %s %d" % (seed, sys.argv[0], seed), flush=True)
    rng = random.Random(seed)
    with Net() as net:
        net.dht(3)
        alice, net.bob = net.person("alice"), net.person("bob")
        to_bob, _ = net.pair(alice, net.bob)
        poker = Poker(alice)
        poker.poke([b"", b"x", b"\0" * 65507, rng.randbytes(65507)])
        silent("1: empty, tiny and huge datagrams", poker)
        poker.poke(random_ones(rng, RANDOM))
        silent("2: random datagrams of every length", poker)
        poker.poke(near_krpc(rng, NEAR))
        silent("31: near-valid KRPC", poker)
        done = alice.ctl("send", "bob", "alive?", "--wait", ok=False)
        check("the daemon is as before", done.status == 0, done.err)
        if may_sniff():
            real_ones(rng, net, alice, to_bob)
        else:
            print("ok altered real datagrams # SKIP no packet sockets")
    finish()


if __name__ == "__main__":
    main()
