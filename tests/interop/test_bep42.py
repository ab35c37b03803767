#!/usr/bin/python3
"""Our nodes among libtorrent nodes that insist on BEP 42, each at a public
address in a network namespace of its own. Who stores what is asked of every
node by KRPC, not believed.

BTCHAT_SEED chooses addresses and keys.
"""
import ctypes
import hashlib
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
import internet  # noqa: E402
import krpc  # noqa: E402
import lt  # noqa: E402
import pair  # noqa: E402
import report  # noqa: E402
from check import check, finish, skip  # noqa: E402
from dhtnode import DhtNode, EXE  # noqa: E402
from net import Net, need_build  # noqa: E402

SEED = int(os.environ.get("BTCHAT_SEED", "1"), 0)
N_THEIRS = 12
FIRST = 4  # of theirs, that ours begin with: enough votes for an id
K = 8
STRICT = {"dht_enforce_node_id": True}


def key(name):
    """seed, pk and libtorrent's sk of a key that SEED and name give."""
    seed = hashlib.sha256(b"%d %s" % (SEED, name.encode())).digest()
    sodium = ctypes.CDLL("libsodium.so.23")
    pk, sk = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
    sodium.crypto_sign_seed_keypair(pk, sk, seed)
    return seed, pk.raw, lt.expand(seed)


class Swarm:
    """Two of our nodes, a daemon of ours and theirs; probe asks them all."""

    def __init__(self, net, daemons):
        hosts = map(net.host, internet.addresses(random.Random(SEED)))
        self.theirs = [lt.Node(host=next(hosts), **STRICT)
                       for _ in range(N_THEIRS)]
        first = self.their_ats()[:FIRST]
        self.ours = [DhtNode(krpc.PORT, next(hosts)) for _ in range(2)]
        self.probe = krpc.Node(next(hosts), read_only=True)
        # One of a home user whose program knows nothing of BEP 42.
        self.odd = krpc.Node(next(hosts), node_id=os.urandom(20))
        for node in self.ours:
            for at in first:
                node.join(at)
        self.alice = daemons.add("alice", host=next(hosts), port=krpc.PORT,
                                 bootstrap=first)
        self.alice.start().create_identity()
        for node in self.theirs:
            for at in self.our_ats() + [self.odd.at]:
                node.add_node(at)

    def our_ats(self):
        return [n.at for n in self.ours] + [self.alice.at()]

    def their_ats(self):
        return [n.at for n in self.theirs]

    def holders(self, target, seq, ats):
        """How many of the nodes return that seq (None: what has none)."""
        found = [self.probe.value(at, target) for at in ats]
        return sum(f is not None and f[0] == seq for f in found)

    def node_id(self, at):
        m = self.probe.ask(at, "ping")
        return m[b"r"][b"id"] if m else b"\0" * 20


def known(s):
    """Ids that fit, tables both ways."""
    at = set(s.our_ats())
    check("every libtorrent node that enforces BEP 42 keeps ours",
          all(n.wait_for_table(lambda table: at <= table)
              for n in s.theirs), [n.table() for n in s.theirs], at)
    check("our ids fit our addresses",
          all(krpc.verifies(s.node_id(a), a[0]) for a in at))
    check("who brings a token back has proven its address",
          all(s.probe.prove(a) for a in at))
    check("none of them keeps a node whose id does not fit",
          not any(s.odd.at in n.table() for n in s.theirs))
    theirs = set(s.their_ats()[FIRST:])  # never those that one begins with
    check("our tables hold theirs", all(
        n.wait_for_table(theirs) for n in s.ours), [
            theirs - n.table() for n in s.ours])
    n = sum(a in [node for _, node in krpc.nodes_of(s.probe.ask(
        t.at, "find_node", target=s.node_id(a))[b"r"])]
        for a in at for t in s.theirs)
    check("they name us to whoever asks near us",
          n == len(at) * len(s.theirs), n)
    report.row("kept in the table, id verified",
               "%d of %d" % (n, len(at) * len(s.theirs)),
               "%d of %d" % (len(theirs), len(theirs)))


def timed(call, *args):
    begin = time.monotonic()
    ret = call(*args)
    return ret, "%.0f ms" % ((time.monotonic() - begin) * 1000)


def our_items(s):
    seed, pk, _ = key("ours")
    for salt in ("", "1"):
        target = krpc.target_of(pk, salt.encode())
        done, took = timed(s.ours[0].put, seed, 7, "x" * 500, salt)
        n = s.holders(target, 7, s.their_ats())
        check("our put lives on their nodes, salt %r" % salt,
              done and done["n"] >= K and n >= K // 2, done, n)
        found = [node.get_mutable(pk, salt.encode()) for node in s.theirs[:3]]
        check("they return it to one another, salt %r" % salt,
              all(f and f[:2] == (b"x" * 500, 7) for f in found), found)
    report.row("mutable item stored, copies", "%d, in %s" % (n, took),
               their_item(s))


def their_item(s):
    _, pk, sk = key("theirs")
    n, took = timed(s.theirs[5].put_mutable, sk, pk, b"value")
    check("libtorrent puts among us", n is not None and n >= K, n)
    for node in s.ours:
        v = node.get(pk)
        check("we read what it put", v and v["seq"] == 1 and
              v["v"] == krpc.encode("value").hex(), v)
    return "%d, in %s" % (n or 0, took)


def stored_here(s):
    """What is nearest to ours is stored there: keys are tried until the
    target shares the most bits with one of our ids."""
    ids = [(s.node_id(n.at), n) for n in s.ours]
    _, node, _, pk, sk = min(
        (krpc.distance(i, krpc.target_of(pk)), node, *key(str(j)))
        for j in range(64) for i, node in ids for _, pk, _ in [key(str(j))])
    s.theirs[0].put_mutable(sk, pk, b"near")
    n = s.holders(krpc.target_of(pk), 1, [node.at])
    check("our node near a target stores libtorrent's item and returns it",
          n == 1)


def immutable(s):
    value = b"never changes %d" % SEED
    target = s.theirs[1].put_immutable(value)
    check("the target of an immutable item is the hash of its value",
          target == hashlib.sha1(krpc.encode(value)).digest())
    n = s.holders(target, None, s.their_ats() + s.our_ats())
    check("libtorrent's immutable item lives on eight", n >= K, n)
    # Put by hand at one of ours, as nobody knows who will be the nearest.
    at, v = s.ours[0].at, b"immutable, too"
    target = hashlib.sha1(krpc.encode(v)).digest()
    m = s.probe.ask(at, "get", target=target)
    m = s.probe.ask(at, "put", v=v, token=m[b"r"][b"token"])
    check("our node takes an immutable item", m and m[b"y"] == b"r", m)
    check("and returns it", s.probe.value(at, target) == (None, v))
    report.row("immutable item", "no such call", "stored and returned")


def peers(s, folder):
    """Torrents: who announces where, who samples whom."""
    # Each is nearest to one of ours, so that it is stored there.
    ours, theirs = (s.node_id(n.at)[:16] + os.urandom(4)
                    for n in reversed(s.ours))
    n = s.ours[0].announce(ours, 7001)
    check("our announcement is taken", n is not None and n >= K, n)
    at = (s.ours[0].at[0], 7001)
    check("libtorrent finds us as a peer", all(
        at in node.peers(ours) for node in s.theirs[:3]))
    s.theirs[4].announce(theirs, folder)
    check("we find a peer that libtorrent announced", s.ours[1].wait_for(
        lambda: s.theirs[4].at in s.ours[1].peers(theirs), 20))
    for node, name in zip(s.ours, (theirs, ours)):
        m = s.probe.ask(node.at, "get_peers", info_hash=name)
        check("our node keeps the peers that are announced near it",
              m and len(m[b"r"].get(b"values", ())) == 1, m)
    found = s.theirs[6].sample(s.ours[1].at, ours)
    check("libtorrent samples the infohashes that we keep",
          found and ours in found[0], found)
    check("and gets nodes with them",
          found and set(found[1]) & set(s.their_ats()), found)
    report.row("peers announced, found, sampled", "yes", "yes")


def cells(s, daemons):
    """A daemon's cell and theirs for it."""
    bob = daemons.add("bob").start().create_identity()
    bob.stop()  # only his key is needed
    s.alice.ctl("contact", "add", bob.address, "--name", "bob")
    found = pair.wait_for_cell(s.alice, bob, lambda where: (
        s.theirs[2].get_mutable(bytes.fromhex(where["pk"]), timeout_s=5)))
    if check("libtorrent returns a cell that btchatd published", found):
        where, (value, seq, _) = found
        target = krpc.target_of(bytes.fromhex(where["pk"]))
        n = s.holders(target, seq, s.their_ats())
        check("it lives on their nodes", n >= K // 2, n)
        opened = pair.open_cell(s.alice, bob, seq, lt.octets(value))
        check("and opens with Bob's key",
              s.alice.port in opened["ports"], opened)
    sealed = pair.seal(bob, s.alice, 1, 9)
    n = s.theirs[3].put_mutable(*(bytes.fromhex(sealed[name]) for name in (
        "sk", "pk", "value")))
    check("libtorrent stores a cell of Bob's", n is not None and n >= K, n)
    check("btchatd reads it", pair.wait_for_seen(s.alice, "bob"))
    report.row("pair cell of btchatd", "stored, returned, opened",
               "found by btchatd")


def main():
    why = internet.missing() or lt.missing()
    if why:
        skip(why)
    need_build()
    if not os.path.exists(EXE):
        skip("%s is not built" % EXE)
    print("# BTCHAT_SEED=%d, libtorrent %s" % (SEED, lt.libtorrent.__version__))
    with internet.Internet() as net, Net() as daemons:
        s = Swarm(net, daemons)
        known(s)
        our_items(s)
        stored_here(s)
        immutable(s)
        peers(s, daemons.folder)
        cells(s, daemons)
        for node in s.theirs:
            node.close()
        check("our nodes end cleanly", all(n.close() == 0 for n in s.ours))
    report.show("libtorrent")
    finish()


if __name__ == "__main__":
    main()
