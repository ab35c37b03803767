#!/usr/bin/python3
"""Two daemons: one blocks the other, over restarts, and lets it in again."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402


def online(daemon, conv):
    return daemon.call("contact.get", contact=conv)["online"]


def main():
    need_build()
    with Net() as net:
        alice, bob, to_bob, to_alice = net.couple()
        before, = alice.write(to_bob, ["hello"])
        check("a word arrives", alice.came(before))
        row = alice.ctl("contact", "block", "bob").rows()[0]
        check("contact block says so", row == [to_bob, "blocked"], row)
        alice.wait_event("contact.blocked", id=to_bob, state="blocked")
        with bob.rpc() as rpc:
            rpc.call("events.subscribe", types=["presence"])
            if online(bob, to_alice):
                rpc.wait_event("presence", 60, online=False)
        check("there is no session", not online(alice, to_bob) and
              not online(bob, to_alice))
        alice.refuses("nobody writes to who is blocked", 303, "message.send",
                      conv=to_bob, text="x")
        alice.refuses("he is not added again", 300, "contact.add",
                      address=bob.address)
        alice.refuses("what the contact would hear of is refused", 303,
                      "conv.set", conv=to_bob, draft="x", timer_ms=1000)
        check("and nothing of that call is done", not alice.call(
            "conv.list")["items"][0]["has_draft"])
        check("the history stays", alice.call(
            "message.get", id=before)["text"] == "hello")
        again = alice.call("contact.block", contact=to_bob)
        check("to block twice changes nothing", again["state"] == "blocked")
        wrote, = bob.write(to_alice, ["why?"])
        for daemon in (alice, bob):
            daemon.kill()
            daemon.start()
        check("blocked over a restart", alice.call(
            "contact.get", contact=to_bob)["state"] == "blocked")
        row = alice.ctl("contact", "unblock", "bob").rows()[0]
        check("contact unblock says so", row == [to_bob, "ready"], row)
        check("what was written meanwhile comes", bob.came(wrote))
        check("and all goes on", alice.came(*alice.write(to_bob, ["here"])))
        check("nothing is missing or doubled",
              [m["text"] for m in bob.history(to_alice)] ==
              ["hello", "why?", "here"] and
              not any(m.get("gap") for m in bob.history(to_alice)),
              bob.history(to_alice))
    finish()


if __name__ == "__main__":
    main()
