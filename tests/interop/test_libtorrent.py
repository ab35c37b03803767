#!/usr/bin/python3
"""Our DHT node among real libtorrent nodes, both ways round.

Each step is a claim, "ok ..." or "not ok ...". BTCHAT_SEED chooses the keys.
"""
import ctypes
import hashlib
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
import lt  # noqa: E402
from check import check, finish, skip  # noqa: E402
from dhtnode import DhtNode, EXE  # noqa: E402

SEED = int(os.environ.get("BTCHAT_SEED", "1"), 0)


def key(name):
    """seed, pk and libtorrent's sk of a key that SEED and name give."""
    seed = hashlib.sha256(b"%d %s" % (SEED, name.encode())).digest()
    sodium = ctypes.CDLL("libsodium.so.23")
    pk, sk = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
    sodium.crypto_sign_seed_keypair(pk, sk, seed)
    return seed, pk.raw, lt.expand(seed)


def bencoded(text):
    return (b"%d:%s" % (len(text), text.encode())).hex()


def timed(what, call, *args):
    begin = time.monotonic()
    ret = call(*args)
    print("# %s: %.1f ms" % (what, (time.monotonic() - begin) * 1000))
    return ret


def mixed_net():
    """Two of ours and six of theirs; ours is the one that all begin with."""
    ours = [DhtNode(), DhtNode()]
    theirs = [lt.Node() for _ in range(6)]
    for node in theirs:
        node.add_node(ours[0].port)
    ours[1].bootstrap(theirs[0].port)
    ports = [n.port for n in ours]
    check("libtorrent's tables hold our nodes",
          all(n.wait_for_nodes(ports) for n in theirs),
          [sorted(n.live_nodes()) for n in theirs], ports)
    check("our tables hold libtorrent's nodes",
          all(n.wait_for_nodes({t.port for t in theirs}) for n in ours),
          [n.ports() for n in ours])
    return ours, theirs


def ours_to_theirs(ours, theirs):
    seed, pk, _ = key("ours")
    text = "x" * 500
    for salt in ("", "1"):
        done = timed("our put", ours[0].put, seed, 41, text, salt)
        check("our put is taken by the whole net, salt %r" % salt,
              done and done["n"] >= 6, done)
        found = [timed("their get", n.get_mutable, pk, salt.encode())
                 for n in theirs]
        check("every libtorrent node returns our item, salt %r" % salt,
              all(f and f[0] == text.encode() and f[1] == 41 for f in found),
              found)
    done = ours[1].put(seed, 42, "newer")
    check("a newer one of another of our nodes is taken",
          done and done["n"] >= 6, done)
    found = [n.get_mutable(pk) for n in theirs]
    check("and replaces the old one",
          all(f and f[:2] == (b"newer", 42) for f in found), found)
    done = ours[0].put(seed, 41, "older")
    check("an older one is refused by all", done and done["n"] == 0, done)


def theirs_to_ours(ours, theirs):
    _, pk, sk = key("theirs")
    for salt in (b"", b"foobar"):
        n = timed("their put", theirs[3].put_mutable, sk, pk, b"value", salt)
        check("libtorrent stores among us, salt %r" % salt,
              n is not None and n >= 6, n)
        for node in ours:
            v = timed("our get", node.get, pk, salt.decode())
            check("we read what libtorrent put, salt %r" % salt,
                  v and v["v"] == bencoded("value") and v["seq"] == 1, v)
    theirs[4].put_mutable(sk, pk, b"second")
    v = ours[0].get(pk)
    check("and its next version",
          v and v["v"] == bencoded("second") and v["seq"] == 2, v)
    check("what nobody put is not found",
          ours[0].get(key("nobody")[1]) is None)
    check("nor by libtorrent", theirs[0].get_mutable(key("nobody")[1]) is None)


def only_ours_stores():
    """One of theirs puts at one of ours and leaves, another one comes."""
    node = DhtNode()
    writer = lt.Node()
    _, pk, sk = key("alone")
    writer.add_node(node.port)
    writer.wait_for_nodes([node.port])
    n = writer.put_mutable(sk, pk, b"kept", b"s")
    check("libtorrent puts at our node", n is not None and n >= 1, n)
    check("which stores it", node.stats()["items"] == 1, node.stats())
    writer.close()
    reader = lt.Node()
    reader.add_node(node.port)
    reader.wait_for_nodes([node.port])
    found = reader.get_mutable(pk, b"s", first=True)
    check("and returns it to another libtorrent",
          found and found[:2] == (b"kept", 1), found)
    reader.close()
    check("our node ends cleanly", node.close() == 0)


def main():
    why = lt.missing()
    if why:
        skip(why)
    if not os.path.exists(EXE):
        skip("%s is not built" % EXE)
    print("# BTCHAT_SEED=%d, libtorrent %s" % (SEED, lt.libtorrent.__version__))
    ours, theirs = mixed_net()
    ours_to_theirs(ours, theirs)
    theirs_to_ours(ours, theirs)
    for node in ours:
        s = node.stats()
        check("nothing of theirs was refused", s["dropped"] == 0, s)
    for node in theirs:
        node.close()
    check("our nodes end cleanly", all(n.close() == 0 for n in ours))
    only_ours_stores()
    finish()


if __name__ == "__main__":
    main()
