#!/usr/bin/python3
"""Two behind NATs that no direct path joins, and a contact of both who relays:
by him goes all they say, once and in order; he passes for nobody who has not
chosen him, and when he stops they go on without him."""
import os
import select
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from people import HOPS, LIMIT_S, Talk, World, need_lab  # noqa: E402
from check import check, finish  # noqa: E402
from net import Failed, add_contact  # noqa: E402

LONG = 300000  # bytes of words that an introducer would pass in a minute
# The relay's router lets in whom he has spoken to, and nobody else.
TOPOLOGY = """
defaults delay=20ms hops=%d
home anna nat=symmetric hosts=alice
home bert nat=symmetric hosts=bob
home cleo nat=restricted hosts=carol
""" % HOPS


def wait(what, until):
    """Until it is so; a bound for something broken."""
    end = time.monotonic() + LIMIT_S
    while not until():
        if time.monotonic() > end:
            raise Failed("never: %s" % what)
        select.select([], [], [], 0.05)


def way(daemon, name):
    contact = daemon.call("contact.get", contact=daemon.contact(name))
    return contact.get("way"), contact.get("relayed_by")


def steps(daemon, name):
    return {s["what"]: s for s in daemon.why(name)["steps"]}


def befriend(a, b):
    convs = add_contact(a, b), add_contact(b, a)
    wait("%s and %s meet" % (a.name, b.name), lambda: all(
        x.call("contact.get", contact=c)["online"]
        for x, c in zip((a, b), convs)))
    return convs


def words(talk, count):
    for i in range(count):
        for side in talk.sides:
            side.say("%s %d " % (side.daemon.name, len(side.said)) +
                     "x" * (LONG // count))


def bytes_of(carol):
    return carol.call("net.status")["relay"]["bytes"]


def main():
    need_lab()
    with World(TOPOLOGY, node_options="delay=10ms") as world:
        alice, bob = world.people("alice", "bob")
        carol, = world.people("carol", extra=("--set", "relay-contacts=yes"))
        for daemon in (alice, bob, carol):
            daemon.wait_settled()
        befriend(alice, carol)
        befriend(bob, carol)
        for daemon in (alice, bob):
            wait("%s has a path to carol" % daemon.name,
                 lambda d=daemon: way(d, "carol")[0] == "direct")
        convs = befriend(alice, bob)
        talk = Talk(alice, bob, convs)
        talk.go_on(talk.heard(3))
        check("without a choice nobody relays", way(alice, "bob")[0] ==
              "introducer" and bytes_of(carol) == 0, way(alice, "bob"))
        for daemon in (alice, bob):
            daemon.call("contact.set", contact=daemon.contact("carol"),
                        relay=True)
        wait("both are relayed", lambda: all(
            way(d, other)[0] == "relay"
            for d, other in ((alice, "bob"), (bob, "alice"))))
        check("it is carol", all(
            way(d, other)[1] == d.contact("carol")
            for d, other in ((alice, "bob"), (bob, "alice"))))
        begin, had = time.monotonic(), bytes_of(carol)
        words(talk, 10)
        talk.go_on(talk.heard(20))
        talk.go_on(lambda: all(len(a.heard) >= len(b.said) - 1 for a, b in (
            talk.sides, talk.sides[::-1])))
        print("# %d bytes each way by the relay in %.1f s" % (
            LONG, time.monotonic() - begin), flush=True)
        status = carol.call("net.status")["relay"]
        check("she says that she relays", status["on"] and
              status["contacts"] >= 1 and status["bytes"] > had + LONG,
              status)
        status = alice.call("net.status")["relay"]
        check("and they that they are relayed", status["used"] and
              status["sessions"] == 1, status)
        wait("why tells of both routers", lambda: [
            alice.why("bob")[key] for key in ("own_nat", "their_nat")] ==
            ["random", "random"])
        wait("and what was tried", lambda: "cross" in steps(alice, "bob"))
        cross = steps(alice, "bob")["cross"]
        check("in vain, with few packets", not cross["found"] and
              cross["many"] == "none" and cross["sent"] <= 40, cross)
        check("through introducers first", "pass" in steps(alice, "bob") or
              "pass" in steps(bob, "alice"))
        flows = world.lab.flows()
        check("nothing goes directly", ("alice", "bob") not in flows and
              ("bob", "alice") not in flows)
        carol.stop()
        silence = talk.go_on(talk.through())
        talk.go_on(talk.heard(5))
        print("# she stops: %d ms" % silence, flush=True)
        check("without her they go on", way(alice, "bob")[0] == "introducer",
              way(alice, "bob"))
        check("all arrived, once and in order", *talk_end(talk))
    finish()


def talk_end(talk):
    wrong = talk.end()
    return (not wrong, *wrong[:5])


if __name__ == "__main__":
    main()
