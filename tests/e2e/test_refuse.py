#!/usr/bin/python3
"""Two daemons: one has no room for what the other writes, and then has."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402


def main():
    need_build()
    with Net() as net:
        alice, bob, to_bob, to_alice = net.couple()
        check("a word arrives", alice.came(*alice.write(to_bob, ["hello"])))
        bob.stop()
        bob.extra += ["--set", "disk-reserve=1000000000"]
        bob.start()
        first, second = alice.write(to_bob, ["one", "two"])
        told = alice.wait_event("message.state", conv=to_bob, id=first,
                                reason="no_room")
        check("there is no room: it waits, with the reason",
              told["data"]["state"] == "queued", told)
        status = alice.call("message.status", id=first)["recipients"][0]
        check("which stays", (status["state"], status.get("reason")) ==
              ("queued", "no_room"), status)
        check("nothing of it is there",
              [m["text"] for m in bob.history(to_alice)] == ["hello"])
        check("what he writes comes", bob.came(*bob.write(to_alice, ["mine"])))
        bob.stop()
        bob.extra = bob.extra[:-2]
        for daemon in (alice, bob):
            daemon.kill()
            daemon.start()
        check("with room, all comes", alice.came(first, second))
        check("in order, without a gap",
              [m["text"] for m in bob.history(to_alice)] ==
              ["hello", "mine", "one", "two"] and
              not any(m.get("gap") for m in bob.history(to_alice)))
        check("and has no reason any more", "reason" not in alice.call(
            "message.get", id=first))
    finish()


if __name__ == "__main__":
    main()
