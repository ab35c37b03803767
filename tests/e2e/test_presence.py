#!/usr/bin/python3
"""Two daemons: one is not to see when the other is there."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402


def online(daemon, conv):
    return daemon.call("contact.get", contact=conv)["online"]


def wait_offline(daemon, conv):
    with daemon.rpc() as rpc:
        rpc.call("events.subscribe", types=["presence"])
        if online(daemon, conv):
            rpc.wait_event("presence", 60, online=False)
    return not online(daemon, conv)


def main():
    need_build()
    with Net() as net:
        alice, bob, to_bob, to_alice = net.couple()
        check("a word arrives", alice.came(*alice.write(to_bob, ["hello"])))
        row = alice.ctl("contact", "set", "bob", "--presence=no").rows()[0]
        check("contact set says so", row[0] == to_bob and row[-1] == "-", row)
        alice.wait_event("contact.changed", id=to_bob, presence=False)
        check("there is no session", wait_offline(bob, to_alice) and
              not online(alice, to_bob))
        for daemon in (alice, bob):
            daemon.kill()
            daemon.start()
        shown = alice.call("contact.get", contact=to_bob)
        check("it stays so over a restart", not shown["presence"] and
              shown["state"] == "ready" and not shown["online"], shown)
        theirs, = bob.write(to_alice, ["are you there?"])
        bob.refuses("what he writes waits", 502, "message.wait", id=theirs,
                    timeout_ms=3000)
        ours, = alice.write(to_bob, ["here"])
        check("until we write", alice.came(ours) and bob.came(theirs))
        row = alice.ctl("contact", "set", "bob", "--presence=yes").rows()[0]
        check("and he is to see us again", row[-1] == "presence", row)
        check("as before", alice.came(*alice.write(to_bob, ["again"])) and
              bob.came(*bob.write(to_alice, ["good"])))
        check("nothing is missing or doubled",
              sorted(m["text"] for m in bob.history(to_alice)) ==
              ["again", "are you there?", "good", "hello", "here"] and
              not any(m.get("gap") for m in bob.history(to_alice)),
              bob.history(to_alice))
    finish()


if __name__ == "__main__":
    main()
