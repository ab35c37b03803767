#!/usr/bin/python3
"""A cell eclipsed on real software. Among 24 libtorrent nodes as they come sit
8 hostile ones, each in a network of its own, with ids that BEP 42 finds in
order, all nearer to one cell than anybody honest. They take every put, and
then give nothing, what they had first, or a forgery.

libtorrent itself says that its put went well, and loses the value. Ours has
to leave copies with the honest and to read the newest one.

BTCHAT_SEED chooses addresses and keys.
"""
import ctypes
import hashlib
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
import internet  # noqa: E402
import krpc  # noqa: E402
import lt  # noqa: E402
import report  # noqa: E402
from check import check, finish, skip  # noqa: E402
from dhtnode import DhtNode, EXE  # noqa: E402
from eclipse import MODES, Gang, mesh  # noqa: E402

SEED = int(os.environ.get("BTCHAT_SEED", "1"), 0)
N_HONEST = 24
COPIES = 2  # with the honest, that a put of ours has to leave: one may go


class Lab:
    def __init__(self, net):
        rng = random.Random(SEED)
        hosts = map(net.host, internet.addresses(rng))
        self.seed = hashlib.sha256(b"eclipse %d" % SEED).digest()
        sodium = ctypes.CDLL("libsodium.so.23")
        pk, sk = (ctypes.create_string_buffer(n) for n in (32, 64))
        sodium.crypto_sign_seed_keypair(pk, sk, self.seed)
        self.pk, self.sk = pk.raw, lt.expand(self.seed)
        self.target = krpc.target_of(self.pk)
        self.honest = [lt.Node(host=next(hosts)) for _ in range(N_HONEST)]
        self.gang = Gang(net, self.target, rng)
        self.ours = [DhtNode(krpc.PORT, next(hosts)) for _ in range(2)]
        self.probe = krpc.Node(next(hosts), read_only=True)
        self.join(rng)

    def join(self, rng):
        mesh(self.honest, self.gang, self.probe, rng)
        for node in self.ours:
            for other in rng.sample(self.honest, 4):
                node.join(other.at)
        check("ours know enough of them", all(n.wait_for(
            lambda n=n: len(n.table()) >= 8, 20) for n in self.ours))

    def copies(self, seq):
        found = [self.probe.value(n.at, self.target) for n in self.honest]
        return sum(f is not None and f[0] == seq for f in found)


def stock(lab, mode):
    """libtorrent's own put and get; the seq that it wrote."""
    lab.gang.turn(mode)
    writer, reader = lab.honest[:2]
    n = writer.put_mutable(lab.sk, lab.pk, mode.encode())
    check("%s: libtorrent says that its put went well" % mode,
          n is not None and n >= len(lab.gang.member), n)
    copies = lab.copies(lab.gang.newest)
    check("%s: no honest node has it" % mode, copies == 0, copies)
    found = reader.get_mutable(lab.pk)
    check("%s: and libtorrent does not read it" % mode,
          found is None or lt.octets(found[0]) != mode.encode(), found)
    report.row("%s: libtorrent alone" % mode, "says %d, honest copies %d"
               % (n or 0, copies), "nothing" if found is None else
               "seq %d, %d was put" % (found[1], lab.gang.newest))


def ours(lab, mode, seq):
    lab.gang.turn(mode)
    done = lab.ours[0].put(lab.seed, seq, mode)
    copies = lab.copies(seq)
    check("%s: our put leaves copies with the honest" % mode,
          done and copies >= COPIES, done, copies)
    for name, node in zip(("another", "the same"), reversed(lab.ours)):
        found = node.get(lab.pk)
        check("%s: %s node of ours reads the newest" % (mode, name),
              found and found["seq"] == seq and
              found["v"] == krpc.encode(mode).hex(), found)
    report.row("%s: ours" % mode, "says %d, honest copies %d" % (
        done["n"] if done else 0, copies),
        "seq %d, %d was put" % (found["seq"], seq) if found else "nothing")


def main():
    why = internet.missing() or lt.missing()
    if why:
        skip(why)
    if not os.path.exists(EXE):
        skip("%s is not built" % EXE)
    print("# BTCHAT_SEED=%d, libtorrent %s" % (SEED, lt.libtorrent.__version__))
    with internet.Internet() as net:
        lab = Lab(net)
        for mode in MODES:
            stock(lab, mode)
        for i, mode in enumerate(MODES):
            ours(lab, mode, 100 + i)
        for node in lab.honest:
            node.close()
        check("our nodes end cleanly", all(n.close() == 0 for n in lab.ours))
    report.show("", "put%s", "get%s")
    finish()


if __name__ == "__main__":
    main()
