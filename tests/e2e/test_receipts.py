#!/usr/bin/python3
"""Two daemons: what was read, who is typing, drafts, and how a conversation is
kept, from RPC and the command line."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402


def send(daemon, conv, text):
    ident, = daemon.write(conv, [text])
    check("%s arrives" % text, daemon.came(ident))
    return ident


def conv(daemon, ident):
    return [c for c in daemon.call("conv.list")["items"]
            if c["conv"] == ident][0]


def off_by_default(alice, bob, to_bob, to_alice):
    first = send(alice, to_bob, "tea?")
    check("it is unread", conv(bob, to_alice)["unread"] == 1)
    bob.call("conv.read", conv=to_alice)
    # Bob's answer comes behind whatever he would have told.
    send(bob, to_alice, "yes")
    check("nobody hears of it unless that is chosen",
          alice.call("message.get", id=first)["state"] == "delivered")


def told(alice, bob, to_bob, to_alice):
    bob.call("conv.set", conv=to_alice, receipts="on")
    idents = [send(alice, to_bob, "%d" % i) for i in range(3)]
    bob.call("conv.read", conv=to_alice, up_to=idents[1])
    check("who waits for it hears of it",
          alice.came(idents[1], state="read"))
    data = alice.wait_event("message.read", conv=to_bob)["data"]
    check("one event names the newest", data["up_to"] == idents[1], data)
    states = [alice.call("message.get", id=i)["state"] for i in idents]
    check("all before it were read, none after it",
          states == ["read", "read", "delivered"], states)


def over_a_restart(alice, bob, to_bob, to_alice):
    ident = send(alice, to_bob, "and now?")
    bob.call("conv.read", conv=to_alice)
    bob.kill()  # mostly before the tick
    bob.start()
    check("it is told in the next session, too",
          alice.came(ident, state="read"))


def typing(alice, bob, to_bob, to_alice):
    with bob.rpc() as rpc:
        rpc.call("events.subscribe", types=["typing"])
        alice.call("typing.set", conv=to_bob, on=True)
        on = rpc.wait_event("typing", on=True)
        alice.call("typing.set", conv=to_bob, on=False)
        off = rpc.wait_event("typing", on=False)
    check("typing is seen, and its end",
          on["data"] == {"conv": to_alice, "on": True} and
          off["data"] == {"conv": to_alice, "on": False}, on, off)
    alice.refuses("nobody types to nobody", 202, "typing.set",
                  conv="2n6f4fxn5rzwevnp5344xf6xpy", on=True)


def kept(alice, to_bob):
    got = alice.call("conv.set", conv=to_bob, muted=True, pinned=True,
                     draft="what I\nmeant")
    check("it is kept so", got["muted"] and got["pinned"] and
          got["draft"] == "what I\nmeant", got)
    alice.stop()
    alice.start()
    got = conv(alice, to_bob)
    check("also after a restart", got["muted"] and got["pinned"] and
          got["has_draft"] and got["draft"] == "what I\nmeant", got)
    with open(os.path.join(alice.state, "btchat.db"), "rb") as f:
        found = f.read()
    if os.path.exists(os.path.join(alice.state, "btchat.db-wal")):
        with open(os.path.join(alice.state, "btchat.db-wal"), "rb") as f:
            found += f.read()
    check("a draft is sealed", b"what I" not in found)
    got = alice.call("conv.set", conv=to_bob, muted=False, draft="")
    check("and kept no longer", not got["muted"] and got["pinned"] and
          not got["has_draft"] and "draft" not in got, got)
    alice.refuses("a draft is UTF-8 of 64 KiB", 400, "conv.set", conv=to_bob,
                  draft="x" * 65537)
    alice.refuses("nobody keeps what is not there", 202, "conv.set",
                  conv="2n6f4fxn5rzwevnp5344xf6xpy", muted=True)


def by_command(alice, bob, to_bob, to_alice):
    ident = send(alice, to_bob, "by hand")
    row = bob.ctl("msg", "read", "alice").rows()[0]
    check("msg read says what is left", row == [to_alice, "0"], row)
    row = alice.ctl("send", "bob", "--wait=read", "--timeout", "0.1",
                    "last words", ok=False)
    check("send --wait=read waits longer than for delivery",
          row.status == 6, row.out, row.err)
    check("and what was read is told", alice.came(ident, state="read"))
    row = bob.ctl("conv", "set", "alice", "--pinned=yes",
                  "--receipts=off").rows()[0]
    check("conv set shows how it is kept now",
          row == [to_alice, "-", "pinned", "off", "0"], row)
    row = bob.ctl("conv", "ls").rows()[0]
    check("conv ls shows it, too", row[0] == to_alice and
          row[3:] == ["-", "pinned", "-"], row)
    check("neither yes nor no is a usage error",
          bob.ctl("conv", "set", "alice", "--muted=maybe",
                  ok=False).status == 2)


def main():
    need_build()
    with Net() as net:
        alice, bob, to_bob, to_alice = net.couple()
        off_by_default(alice, bob, to_bob, to_alice)
        told(alice, bob, to_bob, to_alice)
        over_a_restart(alice, bob, to_bob, to_alice)
        typing(alice, bob, to_bob, to_alice)
        kept(alice, to_bob)
        by_command(alice, bob, to_bob, to_alice)
    finish()


if __name__ == "__main__":
    main()
