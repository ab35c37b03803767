#!/usr/bin/python3
"""Two daemons: one forgets a conversation, with and without what waits."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402


def texts(daemon, conv):
    return [m["text"] for m in daemon.history(conv)]


def all_is_gone(alice, bob, to_bob, to_alice):
    for daemon, conv in ((alice, to_bob), (bob, to_alice)):
        check("words arrive", daemon.came(*daemon.write(conv, ["a", "b"])))
    alice.call("conv.set", conv=to_bob, muted=True, draft="begun")
    no = alice.ctl("--no-input", "conv", "clear", "bob", ok=False)
    check("nothing is cleared unasked", no.status == 1 and
          len(texts(alice, to_bob)) == 4, no.err)
    row = alice.ctl("conv", "clear", "bob", "--yes").rows()[0]
    check("conv clear says how many", row == [to_bob, "4", "0"], row)
    told = alice.wait_event("conv.cleared", conv=to_bob, messages=4)
    check("and an event does", told["data"]["unsent"] == 0, told)
    check("no text is left", texts(alice, to_bob) == [])
    check("no word of them is found",
          alice.call("message.search", query="a")["items"] == [])
    conv = alice.call("conv.list")["items"][0]
    check("how it is kept stays, and no draft, nothing unread", conv["muted"]
          and not conv["has_draft"] and conv["unread"] == 0 and
          "last" not in conv, conv)
    check("the other side keeps its own", len(texts(bob, to_alice)) == 4)
    again = alice.call("conv.clear", conv=to_bob)
    check("what is empty stays so", again["messages"] == 0, again)


def what_waits_is_sent(alice, bob, to_bob, to_alice):
    bob.stop()
    waits, = alice.write(to_bob, ["still on its way"])
    done = alice.call("conv.clear", conv=to_bob, client_id="c-1")
    check("what waits is counted", done["unsent"] == 1 and
          not done["duplicate"], done)
    check("and shown no more", texts(alice, to_bob) == [])
    later, = alice.write(to_bob, ["written since"])
    alice.kill()
    alice.start()
    done = alice.call("conv.clear", conv=to_bob, client_id="c-1")
    check("the same again does nothing, over a crash", done["duplicate"] and
          done["unsent"] == 1 and texts(alice, to_bob) == ["written since"],
          done)
    bob.start()
    check("what was written since comes", alice.came(later))
    check("so did what waited, in order, without a gap",
          texts(bob, to_alice)[-2:] == ["still on its way", "written since"]
          and not any(m.get("gap") for m in bob.history(to_alice)),
          bob.history(to_alice))
    alice.refuses("then nothing of it is left", 201, "message.get", id=waits)


def what_waits_is_dropped(alice, bob, to_bob, to_alice):
    bob.stop()
    alice.write(to_bob, ["never mind"])
    done = alice.call("conv.clear", conv=to_bob, unsent="drop")
    check("dropped, it is on no way", done["unsent"] == 0 and
          done["messages"] == 2, done)
    later, = alice.write(to_bob, ["but this"])
    bob.start()
    check("what follows comes", alice.came(later))
    check("and shows no gap, for nothing has left", [
        (m["text"], m.get("gap", False))
        for m in bob.history(to_alice)][-2:] ==
          [("written since", False), ("but this", False)],
          bob.history(to_alice))


def over_a_crash(alice, bob, to_bob, to_alice):
    bob.call("conv.clear", conv=to_alice)
    for daemon in (alice, bob):
        daemon.kill()
        daemon.start()
    check("all goes on", alice.came(*alice.write(to_bob, ["here"])))
    check("and nothing is shown again", texts(bob, to_alice) == ["here"])


def main():
    need_build()
    with Net() as net:
        alice, bob, to_bob, to_alice = net.couple()
        for story in (all_is_gone, what_waits_is_sent, what_waits_is_dropped,
                      over_a_crash):
            story(alice, bob, to_bob, to_alice)
    finish()


if __name__ == "__main__":
    main()
