#!/usr/bin/python3
"""Two daemons: texts that disappear, and what people want to be called."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402

SHORT_MS = 1000


def send(daemon, conv, text, **how):
    ident = daemon.call("message.send", conv=conv, text=text, **how)["id"]
    check("%s arrives" % text, daemon.came(ident))
    return ident


def is_gone(daemon, conv, ident):
    """Waits for the event; then it says nothing any more."""
    daemon.wait_event("message.deleted", conv=conv, id=ident)
    left = daemon.call("message.get", id=ident)
    return left["text"] == "" and left["deleted"]


def one_text(alice, bob, to_bob, to_alice):
    ident = send(alice, to_bob, "burn this", ttl_ms=SHORT_MS)
    check("ours is gone a time after it was delivered",
          is_gone(alice, to_bob, ident))
    kept = bob.call("message.get", id=ident)
    check("theirs stays until it was read", kept["text"] == "burn this" and
          kept["ttl_ms"] == SHORT_MS and "gone_ms" not in kept, kept)
    bob.call("conv.read", conv=to_alice)
    read = bob.call("message.get", id=ident)
    check("then it has a last moment", "gone_ms" in read or read["deleted"],
          read)
    check("and is gone", is_gone(bob, to_alice, ident))
    check("what stays is not touched",
          bob.call("message.history", conv=to_alice)["items"] != [])


def a_timer(alice, bob, to_bob, to_alice):
    bob.call("conv.set", conv=to_alice, timer_ms=SHORT_MS)
    told = alice.wait_event("conv.changed", conv=to_bob, timer_ms=SHORT_MS)
    check("the other side is told of a timer",
          told["data"]["direction"] == "in", told)
    ident = send(alice, to_bob, "by the timer")
    check("a text then has its time", alice.call(
        "message.get", id=ident).get("ttl_ms") == SHORT_MS)
    stays = send(alice, to_bob, "for ever", ttl_ms=0)
    bob.call("conv.read", conv=to_alice)
    check("it is gone at both sides", is_gone(alice, to_bob, ident) and
          is_gone(bob, to_alice, ident))
    check("one that is to stay stays",
          bob.call("message.get", id=stays)["text"] == "for ever")
    alice.ctl("conv", "set", "bob", "--timer=off")
    bob.wait_event("conv.changed", conv=to_alice, timer_ms=0, direction="in")
    check("either side may end it", "ttl_ms" not in bob.call(
        "message.get", id=send(bob, to_alice, "and this stays")))


def over_restarts(alice, bob, to_bob, to_alice):
    """The time runs while nothing does, and what waits keeps its time."""
    ident = send(alice, to_bob, "read and away", ttl_ms=SHORT_MS)
    bob.call("conv.read", conv=to_alice)
    bob.kill()
    bob.start()
    check("its time ran over a crash", is_gone(bob, to_alice, ident))
    bob.stop()
    waits = alice.call("message.send", conv=to_bob, text="not yet",
                       ttl_ms=SHORT_MS)["id"]
    after = alice.call("message.send", conv=to_bob, text="behind it")["id"]
    alice.kill()
    alice.start()
    check("what was never delivered is there",
          alice.call("message.get", id=waits)["text"] == "not yet")
    bob.start()
    check("all that waited arrives", alice.came(after))
    there = bob.call("message.get", id=waits)
    check("and arrives with its time, in order, without a gap",
          there["ttl_ms"] == SHORT_MS and not any(
              m.get("gap") for m in bob.history(to_alice)), there)
    check("and goes here", is_gone(alice, to_bob, waits))


def profiles(net, alice, bob, to_bob, to_alice):
    alice.call("identity.set", name="work", profile="Alice A.")
    told = bob.wait_event("contact.changed", id=to_alice, profile="Alice A.")
    check("contacts hear what we want to be called",
          told["data"]["name"] == "alice", told)
    known = bob.call("contact.get", contact=to_alice)
    check("and not what we call ourselves", known["profile"] == "Alice A." and
          "work" not in known.values(), known)
    carol = net.person("carol")
    to_carol, from_carol = net.pair(alice, carol)
    carol.wait_event("contact.changed", id=from_carol, profile="Alice A.")
    carol.call("contact.set", contact=from_carol, name="")
    listed = carol.ctl("contact", "ls", "--human").out
    check("who has no name of ours is marked", "~Alice A." in listed, listed)
    shown = alice.ctl("id", "set", "--profile=").pairs()
    check("it is taken back", shown["profile"] == "" and
          shown["name"] == "work", shown)
    bob.wait_event("contact.changed", id=to_alice, profile="")
    alice.refuses("no controls in a name", -32602, "identity.set",
                  profile="a\x1bb")


def main():
    need_build()
    with Net() as net:
        alice, bob, to_bob, to_alice = net.couple()
        send(alice, to_bob, "this stays")
        one_text(alice, bob, to_bob, to_alice)
        a_timer(alice, bob, to_bob, to_alice)
        over_restarts(alice, bob, to_bob, to_alice)
        profiles(net, alice, bob, to_bob, to_alice)
    finish()


if __name__ == "__main__":
    main()
