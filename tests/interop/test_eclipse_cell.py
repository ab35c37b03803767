#!/usr/bin/python3
"""The cell that a btchatd leaves for a contact, eclipsed: 8 hostile nodes know
where it will be and sit nearer to it than the 24 libtorrent nodes of the net.
They take it and give nothing back. The contact finds it all the same.

BTCHAT_SEED chooses addresses.
"""
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
from eclipse import Gang, mesh  # noqa: E402
from net import Net, need_build  # noqa: E402

SEED = int(os.environ.get("BTCHAT_SEED", "1"), 0)
N_HONEST = 24
TABLE = 8  # nodes that a daemon knows before it is told of its contact; of
           # those who answer late, on a busy machine, it knows none yet
WAIT_S = 60


def wait_for(good, timeout_s=WAIT_S):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if good():
            return True
        time.sleep(0.1)
    return False


def nodes_of(daemon):
    return sum(f["nodes"] for f in daemon.call("net.dht")["families"])


def join(net, daemons, hosts, rng):
    """Alice and Bob, whose cell is known before they meet; the net."""
    honest = [lt.Node(host=next(hosts)) for _ in range(N_HONEST)]
    people = [daemons.add(name, host=next(hosts), port=krpc.PORT, bootstrap=[
        n.at for n in rng.sample(honest, 4)]) for name in ("alice", "bob")]
    for daemon in people:
        daemon.start().create_identity()
    people[1].stop()  # he is away until she is
    key = bytes.fromhex(pair.where(*people)["pk"])
    gang = Gang(net, krpc.target_of(key), rng)
    probe = krpc.Node(next(hosts), read_only=True)
    mesh(honest, gang, probe, rng)
    check("the daemon knows the net",
          wait_for(lambda: nodes_of(people[0]) >= TABLE), nodes_of(people[0]))
    return honest, people, gang, probe, key


def main():
    why = internet.missing() or lt.missing()
    if why:
        skip(why)
    need_build()
    rng = random.Random(SEED)
    print("# BTCHAT_SEED=%d, libtorrent %s" % (
        SEED, lt.libtorrent.__version__))
    with internet.Internet() as net, Net() as daemons:
        hosts = map(net.host, internet.addresses(rng))
        honest, (alice, bob), gang, probe, key = join(
            net, daemons, hosts, rng)
        targets = [krpc.target_of(key, salt) for salt in (b"", b"1")]

        def copies():
            return [sum(probe.value(n.at, target) is not None
                        for n in honest) for target in targets]
        alice.ctl("contact", "add", bob.address, "--name", "bob")
        check("the hostile nodes are given the cell",
              wait_for(lambda: gang.newest > 0))
        check("and so are honest ones, here or under another salt",
              wait_for(lambda: max(copies()) > 0), copies())
        alice.stop()
        bob.start()
        bob.ctl("contact", "add", alice.address, "--name", "alice")
        seen = pair.wait_for_seen(bob, "alice")
        check("the contact reads it", seen)
        report.row("cell of btchatd", "honest copies %d, salt 1: %d" %
                   tuple(copies()), "found by the contact" if seen else
                   "not found")
        for node in honest:
            node.close()
    report.show("", "put%s", "get%s")
    finish()


if __name__ == "__main__":
    main()
