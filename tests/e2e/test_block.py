#!/usr/bin/python3
"""Two daemons: one blocks the other, over restarts, and lets it in again."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402
from rpc import RpcError  # noqa: E402


def refused(name, daemon, code, method, **params):
    try:
        check(name, False, daemon.call(method, **params))
    except RpcError as error:
        check(name, error.code == code, error)


def online(daemon, conv):
    return daemon.call("contact.get", contact=conv)["online"]


def delivered(daemon, ident):
    with daemon.rpc() as rpc:
        return rpc.call("message.wait", rpc_timeout=130, id=ident,
                        state="delivered", timeout_ms=120000)["state"]


def main():
    need_build()
    with Net() as net:
        net.dht(4)
        alice, bob = net.person("alice"), net.person("bob")
        to_bob, to_alice = net.pair(alice, bob)
        before = alice.call("message.send", conv=to_bob, text="hello")["id"]
        delivered(alice, before)
        row = alice.ctl("contact", "block", "bob").rows()[0]
        check("contact block says so", row == [to_bob, "blocked"], row)
        alice.wait_event("contact.blocked", id=to_bob, state="blocked")
        with bob.rpc() as rpc:
            rpc.call("events.subscribe", types=["presence"])
            if online(bob, to_alice):
                rpc.wait_event("presence", 60, online=False)
        check("there is no session", not online(alice, to_bob) and
              not online(bob, to_alice))
        refused("nobody writes to who is blocked", alice, 303, "message.send",
                conv=to_bob, text="x")
        refused("he is not added again", alice, 300, "contact.add",
                address=bob.address)
        check("the history stays", alice.call(
            "message.get", id=before)["text"] == "hello")
        again = alice.call("contact.block", contact=to_bob)
        check("to block twice changes nothing", again["state"] == "blocked")
        wrote = bob.call("message.send", conv=to_alice, text="why?")["id"]
        for daemon in (alice, bob):
            daemon.kill()
            daemon.start()
        check("blocked over a restart", alice.call(
            "contact.get", contact=to_bob)["state"] == "blocked")
        row = alice.ctl("contact", "unblock", "bob").rows()[0]
        check("contact unblock says so", row == [to_bob, "ready"], row)
        check("what was written meanwhile comes", delivered(
            bob, wrote) == "delivered")
        after = alice.call("message.send", conv=to_bob, text="here")["id"]
        check("and all goes on", delivered(alice, after) == "delivered")
        check("nothing is missing or doubled",
              [m["text"] for m in bob.history(to_alice)] ==
              ["hello", "why?", "here"] and
              not any(m.get("gap") for m in bob.history(to_alice)),
              bob.history(to_alice))
    finish()


if __name__ == "__main__":
    main()
