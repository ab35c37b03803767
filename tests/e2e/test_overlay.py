# runner: alone
"""The overlay on the wire: two daemons and eight nodes of nothing else leave
no plain packet, and nothing that is seen joins who writes a cell with who
reads it. The same search does join them on Mainline."""
import collections
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import BUILD, check, finish, skip  # noqa: E402
from net import Net, need_build  # noqa: E402
from wire import (HANDSHAKE, LARGEST_MAX, LARGEST_MIN, OVERLAY,  # noqa: E402
                  TRANSPORT, Sniffer, need_sniffer)

NODES = 8
WORD = 8  # bytes in common that are no accident
SEED = "5e" * 32
PK = ("8146640f02493af4fbc54fe33388e75d"
      "c2c937ae0b7727cc2b2afb1b75199a3e")  # of SEED
TOOL = os.path.join(BUILD, "tests", "tools", "dhtnode")


class Node:
    """tests/tools/dhtnode."""

    def __init__(self, overlay):
        words = [TOOL, "0"] + (["overlay"] if overlay else [])
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.line = 0
        self.port = self.read()["port"]

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise EOFError("dhtnode has ended")
        return json.loads(line)

    def say(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        self.line += 1

    def ask(self, *words, event=None):
        """The event of that name that the command gives."""
        self.say(*words)
        while True:
            found = self.read()
            if found["event"] == (event or words[0]) and (
                    found["line"] == self.line):
                return found

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def crowd(overlay, count):
    """Nodes that know each other."""
    nodes = [Node(overlay) for _ in range(count)]
    for node in nodes[1:]:
        for other in nodes[:2]:
            if other is not node:
                node.say("bootstrap", other.port)
    for node in nodes:
        while node.ask("stats")["good"] < min(count - 1, 7):
            pass
    return nodes


def conversation(net, nodes):
    how = {"bootstrap": [n.port for n in nodes[:3]],
           "extra": ["--set", "dht=overlay"]}
    alice, bob = net.person("alice", **how), net.person("bob", **how)
    net.pair(alice, bob)
    alice.ctl("send", "bob", "hello there", "--wait")
    bob.ctl("send", "alice", "and back", "--wait")
    bob.kill()
    alice.ctl("send", "bob", "while you were away")
    bob.start()
    bob.wait_event("message.new", text="while you were away")
    for person in (alice, bob):
        dht = person.call("net.dht")
        check("%s takes no part in Mainline" % person.name,
              not any(f["on"] for f in dht["families"]))
        check("%s knows nodes of the overlay" % person.name,
              dht["overlay"][0]["nodes_good"] >= 3, dht["overlay"])
        person.stop()
    return alice, bob


def check_wire(packets):
    sizes = collections.Counter(len(data) for _, _, data in packets)
    odd = {n: c for n, c in sizes.items()
           if n not in HANDSHAKE | TRANSPORT | OVERLAY and
           not LARGEST_MIN <= n <= LARGEST_MAX}
    check("there was traffic of the overlay and of sessions",
          sizes[512] > 20 and sizes[168] > 0, dict(sizes))
    check("only sizes of the classes", not odd, odd)
    check("no datagram begins like bencode",
          not any(data[:1] == b"d" for _, _, data in packets))
    words = (b"find_node", b"1:y1:q", b"1:y1:r", b"2:id20:", b"6:target20:")
    check("no word of KRPC stands anywhere",
          not any(w in data for _, _, data in packets for w in words))


def daemons_in_the_overlay():
    sniffer = Sniffer()
    nodes = crowd(True, NODES)
    try:
        with Net() as net:
            people = conversation(net, nodes)
            ports = [p.port for p in people] + [n.port for n in nodes]
            packets = sniffer.of(ports)
            check("the sniffer missed nothing", sniffer.lost() == 0)
            print("%d datagrams" % len(packets))
            check_wire(packets)
    finally:
        for node in nodes:
            node.stop()
        sniffer.stop()


# ---- who writes, who reads ----

def words_of(packets, port, other):
    """Where each string of eight bytes stands in what a node sent or got;
    the line between the two nodes themselves says nothing."""
    found = {}
    for source, to, data in packets:
        if port not in (source, to) or other in (source, to):
            continue
        for at in range(len(data) - WORD + 1):
            found.setdefault(data[at:at + WORD], (source, to, at))
    return found


def repeated_tags(packets):
    """Tags that stand in more than a query and its answer."""
    seen = collections.Counter()
    ways = collections.defaultdict(set)
    for source, to, data in packets:
        if len(data) in OVERLAY:
            seen[data[:WORD]] += 1
            ways[data[:WORD]].add((source, to))
    return [tag for tag, count in seen.items()
            if count > 2 or len({frozenset(w) for w in ways[tag]}) > 1 or
            count > len(ways[tag])]


def store_and_read(overlay):
    """The capture of a put by one node and a get by another."""
    nodes = crowd(overlay, NODES + 2)
    writer, reader = nodes[3], nodes[6]
    sniffer = Sniffer()
    try:
        stored = writer.ask("put", SEED, 5, "v" * 500)
        check("the cell is stored", stored["found"] and stored["n"] >= 4,
              stored)
        check("and it is read", reader.ask("get", PK)["found"])
        packets = sniffer.of([n.port for n in nodes])
        check("the sniffer missed nothing", sniffer.lost() == 0)
        return packets, writer.port, reader.port
    finally:
        sniffer.stop()
        for node in nodes:
            node.stop()


def joins(packets, writer, reader):
    left = words_of(packets, writer, reader)
    right = words_of(packets, reader, writer)
    return {word: (left[word], right[word]) for word in left.keys() &
            right.keys()}


def writer_and_reader():
    packets, writer, reader = store_and_read(False)
    check("on Mainline the search joins writer and reader",
          len(joins(packets, writer, reader)) > 100)
    packets, writer, reader = store_and_read(True)
    common = joins(packets, writer, reader)
    print("%d datagrams, %d strings in common" % (len(packets), len(common)))
    check("in the overlay nothing does", not common,
          list(common.items())[:3])
    check("a tag stands in one query and its answer",
          not repeated_tags(packets), repeated_tags(packets)[:3])
    check("sizes are of the classes",
          {len(data) for _, _, data in packets} <= OVERLAY)


def main():
    need_build()
    if not os.path.exists(TOOL):
        skip("dhtnode is not built")
    need_sniffer(skip)
    daemons_in_the_overlay()
    writer_and_reader()
    finish()


if __name__ == "__main__":
    main()
