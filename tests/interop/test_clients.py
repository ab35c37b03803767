#!/usr/bin/python3
"""Our nodes with Transmission and aria2 in one private DHT, each at a public
address in a network namespace of its own. Both are silent when they are asked
for an item, and that must cost us nothing but them.

BTCHAT_SEED chooses addresses and keys.
"""
import hashlib
import os
import random
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
import internet  # noqa: E402
import krpc  # noqa: E402
import report  # noqa: E402
from check import check, finish, skip  # noqa: E402
from dhtnode import DhtNode, EXE  # noqa: E402
from mainline import Aria2, Transmission  # noqa: E402

SEED = int(os.environ.get("BTCHAT_SEED", "1"), 0)
N_OURS = 8
N_EACH = 4  # of each program
ITEMS = 8
HARD_S = 3.0  # what a lookup that waits for silent nodes takes at least
JOIN_S = 40
ANNOUNCE_S = 150  # Transmission lets half a minute pass by itself


class Swarm:
    def __init__(self, net, folder):
        hosts = map(net.host, internet.addresses(random.Random(SEED)))
        self.ours = [DhtNode(krpc.PORT, next(hosts)) for _ in range(N_OURS)]
        for node in self.ours[1:]:
            node.join(self.ours[0].at)
        self.probe = krpc.Node(next(hosts), read_only=True)
        first = [n.at for n in self.ours]
        self.theirs = [
            program(next(hosts), folder, first, "%s %d" % (program, i))
            for program in (Transmission, Aria2) for i in range(N_EACH)]

    def of(self, program):
        return [t for t in self.theirs if isinstance(t, program)]

    def close(self):
        for node in self.theirs:
            node.close()

    def named_by(self, client):
        """How many of ours a client names when it is asked for them."""
        count = 0
        for node in self.ours:
            m = self.probe.ask(client.at, "find_node",
                               target=bytes.fromhex(node.stats()["id"]))
            count += bool(m) and any(
                at == node.at for _, at in krpc.nodes_of(m[b"r"]))
        return count

    def keepers(self, info_hash):
        """How many of ours keep peers of a torrent."""
        count = 0
        for node in self.ours:
            m = self.probe.ask(node.at, "get_peers", info_hash=info_hash)
            count += bool(m) and b"values" in m[b"r"]
        return count


def wait_for(good, timeout_s):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if good():
            return True
        time.sleep(0.25)
    return False


def tables(s):
    """Whom they keep, and whether we keep some of them."""
    for program in (Transmission, Aria2):
        clients = s.of(program)
        check("%s keeps most of ours" % program.program, wait_for(
            lambda: all(s.named_by(c) > N_OURS // 2 for c in clients),
            JOIN_S), [s.named_by(c) for c in clients], clients[0].log())
    theirs = {t.at for t in s.theirs}
    check("each of ours keeps some of them", wait_for(
        lambda: all(n.table() & theirs for n in s.ours), JOIN_S))


def ms(values):
    values = sorted(values)
    return "median %.0f, worst %.0f ms" % (
        values[len(values) // 2] * 1000, values[-1] * 1000)


def items(s):
    """Puts and gets where every second node knows neither."""
    times = {"put": [], "get": [], "miss": []}

    def timed(what, call, *args):
        begin = time.monotonic()
        ret = call(*args)
        times[what].append(time.monotonic() - begin)
        return ret
    n_put = n_got = 0
    for i in range(ITEMS):
        seed = hashlib.sha256(b"%d %d" % (SEED, i)).digest()
        writer, reader = s.ours[i % N_OURS], s.ours[(i + 3) % N_OURS]
        done = timed("put", writer.put, seed, 1 + i, "value")
        n_put += bool(done) and done["n"] >= N_OURS // 2
        pk = pk_of(seed)
        value = timed("get", reader.get, pk)
        n_got += bool(value) and value["seq"] == 1 + i
        timed("miss", reader.get, hashlib.sha256(pk).digest())
    check("all puts reach half of ours at least", n_put == ITEMS, n_put)
    check("all gets find them", n_got == ITEMS, n_got)
    for what, taken in times.items():
        print("# %s: %s" % (what, ms(taken)))
        check("silent nodes do not stall a %s" % what,
              sorted(taken)[ITEMS // 2] < HARD_S, taken)
    return times


def pk_of(seed):
    from ctypes import CDLL, create_string_buffer
    pk, sk = create_string_buffer(32), create_string_buffer(64)
    CDLL("libsodium.so.23").crypto_sign_seed_keypair(pk, sk, seed)
    return pk.raw


def announcements(s):
    """They store with us, and hear of us what we store with them."""
    for program in (Transmission, Aria2):
        clients = s.of(program)
        check("%s announces itself to ours" % program.program, wait_for(
            lambda: any(s.keepers(c.info_hash) for c in clients),
            ANNOUNCE_S), clients[0].log())
    found = [c for c in s.theirs if s.keepers(c.info_hash)]
    check("ours finds them as peers", found and all(
        c.at in s.ours[2].peers(c.info_hash) for c in found))
    info_hash = hashlib.sha1(b"ours %d" % SEED).digest()
    n = s.ours[1].announce(info_hash, 7001)
    check("ours announces itself to all kinds", n and n >= N_OURS, n)
    at = krpc.pack(s.ours[1].at[0], 7001)
    kept = {program: sum(at in s.probe.ask(
        c.at, "get_peers", info_hash=info_hash)[b"r"].get(b"values", ())
        for c in s.of(program)) for program in (Transmission, Aria2)}
    check("and some of theirs keep it", sum(kept.values()) > 0, kept)
    return kept


def main():
    why = (internet.missing() or Transmission.missing() or Aria2.missing())
    if why:
        skip(why)
    if not os.path.exists(EXE):
        skip("%s is not built" % EXE)
    print("# BTCHAT_SEED=%d" % SEED)
    with internet.Internet() as net, tempfile.TemporaryDirectory(
            prefix="btchat-", ignore_cleanup_errors=True) as folder:
        s = Swarm(net, folder)
        try:
            tables(s)
            items(s)
            kept = announcements(s)
            for program in (Transmission, Aria2):
                clients = s.of(program)
                named = [s.named_by(c) for c in clients]
                check("%s still keeps most of ours" % program.program,
                      all(n > N_OURS // 2 for n in named), named)
                report.row("%s: in the table" % program.program,
                           "%s of %d" % (named, N_OURS), sum(
                               c.at in n.table()
                               for n in s.ours for c in clients))
                report.row("%s: peer kept" % program.program,
                           "by %d of %d" % (kept[program], N_EACH),
                           "by %s of %d" % ([s.keepers(c.info_hash)
                                             for c in clients], N_OURS))
            times = items(s)
            report.row("put, get, miss of ours beside them",
                       ms(times["put"] + times["get"] + times["miss"]),
                       "silent on get")
        finally:
            s.close()
        check("our nodes end cleanly", all(n.close() == 0 for n in s.ours))
    report.show("the clients")
    finish()


if __name__ == "__main__":
    main()
