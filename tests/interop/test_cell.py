#!/usr/bin/python3
"""A pair's cell between a real btchatd and a real libtorrent.

A libtorrent node in the DHT of a btchatd returns the very cell that the
daemon published, and the daemon reads a cell that libtorrent put: it then
knocks at the address that stands in it.
"""
import os
import select
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
import lt  # noqa: E402
import pair  # noqa: E402
from check import check, finish, skip  # noqa: E402
from dhtnode import DhtNode  # noqa: E402
from net import Net  # noqa: E402

MESSAGE_1 = 168
WAIT_S = pair.WAIT_S


def published(alice, bob, node):
    """libtorrent finds what Alice left for Bob; Bob's key opens it."""
    found = pair.wait_for_cell(alice, bob, lambda keys: node.get_mutable(
        bytes.fromhex(keys["pk"]), timeout_s=5))
    if not check("libtorrent returns the cell that btchatd published",
                 found is not None):
        return
    value, seq, _ = found[1]
    value = lt.octets(value)
    check("its value is 512 bytes", len(value) == 512, len(value))
    opened = pair.open_cell(alice, bob, seq, value)
    check("Bob's key opens it, and it names Alice's port",
          alice.port in opened["ports"], opened)


def read(alice, bob, node):
    """Alice reads a cell of Bob's that libtorrent put, and knocks."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        sealed = pair.seal(bob, alice, 1, door.getsockname()[1])
        stored = node.put_mutable(
            bytes.fromhex(sealed["sk"]), bytes.fromhex(sealed["pk"]),
            bytes.fromhex(sealed["value"]))
        check("libtorrent stores Bob's cell", bool(stored), stored)
        ready, _, _ = select.select([door], [], [], WAIT_S)
        if check("btchatd reads it and knocks where it says", bool(ready)):
            data, sender = door.recvfrom(2048)
            check("with a message 1", len(data) == MESSAGE_1, len(data))
            check("from the port of the daemon", sender[1] == alice.port)
    peer = [p for p in alice.call("net.peers")["items"]
            if p["name"] == "bob"][0]
    check("and says that it saw the cell", peer["meeting"]["cell_seen"], peer)


def rival(alice, carol, node):
    """33: somebody who knows the key of Alice's cell for Carol writes the
    highest seq there is; Alice's cell is then found under salt "1"."""
    where = pair.where(alice, carol)
    other = DhtNode()
    other.bootstrap(alice.port)
    other.wait_for_nodes({alice.port, node.port})
    put = other.put(bytes.fromhex(where["seed"]), (1 << 63) - 1, "mine!")
    check("33: a rival takes the place of a cell", put and put["n"] > 0, put)
    alice.ctl("contact", "add", carol.address, "--name", "carol")
    alice.wait_event("security.warning")
    found = pair.wait_for_cell(alice, carol, lambda keys: node.get_mutable(
        bytes.fromhex(keys["pk"]), salt=b"1", timeout_s=5))
    if check('33: the cell is found under salt "1"', found is not None):
        value, seq, _ = found[1]
        opened = pair.open_cell(alice, carol, seq, lt.octets(value))
        check("33: and is Alice's", alice.port in opened["ports"], opened)
    carol.start()
    carol.ctl("contact", "add", alice.address, "--name", "alice")
    carol.wait_event("contact.ready")
    check("33: and the two meet all the same", True)
    other.close()


def main():
    why = lt.missing()
    if why:
        skip(why)
    with Net() as net:
        bob = net.add("bob").start().create_identity()
        bob.stop()  # only his key is needed: he stays away
        alice = net.add("alice").start().create_identity()
        carol = net.add("carol", bootstrap=[alice.port])
        carol.start().create_identity()
        carol.stop()
        nodes = [lt.Node() for _ in range(4)]
        for node in nodes:
            node.add_node(alice.port)
        with alice.rpc() as rpc:
            for node in nodes:
                rpc.call("net.bootstrap", node="127.0.0.1:%d" % node.port)
        check("libtorrent's nodes know the daemon",
              all(node.wait_for_nodes({alice.port}) for node in nodes))
        alice.ctl("contact", "add", bob.address, "--name", "bob")
        published(alice, bob, nodes[0])
        read(alice, bob, nodes[1])
        rival(alice, carol, nodes[2])
        for node in nodes:
            node.close()
    finish()


main()
