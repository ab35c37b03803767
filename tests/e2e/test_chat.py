"""Two daemons meet through a private DHT and chat; a third one is invited."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, free_port, need_build  # noqa: E402
from rpc import RpcError  # noqa: E402

TEXTS = ["hello", "wie geht's?", "\u4f60\u597d \U0001f600", "two\nlines\ttab",
         "x" * 65536, "\x1b[31mred\u202e"]


def seen(daemon, conv):
    return [(m["id"], m["direction"], m["text"])
            for m in daemon.history(conv)]


def mirror(history):
    other = {"in": "out", "out": "in"}
    return [(i, other[d], t) for i, d, t in history]


def say(sender, conv, text):
    """Sends and waits until it is durable at the other side."""
    with sender.rpc() as rpc:
        sent = rpc.call("message.send", conv=conv, text=text)
        done = rpc.call("message.wait", rpc_timeout=130, id=sent["id"],
                        state="delivered", timeout_ms=120000)
    return done["state"] == "delivered" and sent["id"]


def conversation(alice, bob, to_bob, to_alice):
    good = all(say(*who, text) for text in TEXTS
               for who in ((alice, to_bob), (bob, to_alice)))
    check("texts of all kinds arrive, both ways", good)
    ours, theirs = seen(alice, to_bob), seen(bob, to_alice)
    check("both histories are the same, in the same order",
          ours == mirror(theirs) and len(ours) == 2 * len(TEXTS),
          ours, theirs)
    check("texts are what was typed",
          [t for _, d, t in theirs if d == "in"] == TEXTS)
    for text in ("", "y" * 65537):
        try:
            alice.call("message.send", conv=to_bob, text=text)
            check("a text of %d bytes is refused" % len(text), False)
        except RpcError as error:
            check("26: a text of %d bytes is refused" % len(text),
                  error.code in (400, -32602), error)


def one_sided(net, alice):
    """Somebody who is added but does not add back hears nothing."""
    dave = net.person("dave")
    alice_at_dave = dave.ctl("contact", "add", alice.address, "--name",
                             "alice").rows()[0]
    check("one-sided adds wait", alice_at_dave[1] == "waiting", alice_at_dave)
    sent = dave.ctl("send", "alice", "let me in", "--wait", "--timeout", "3",
                    ok=False)
    check("nothing reaches who did not add us",
          sent.status == 6 and sent.rows()[0][1] == "queued", sent.out)
    check("and nothing is seen there",
          "dave" not in alice.ctl("contact", "ls").out)
    dave.stop()


def invitation(net, alice):
    carol = net.person("carol")
    invite = alice.ctl("invite", "new", "--label", "for carol").rows()[0]
    to_alice = carol.ctl("invite", "accept", "-", "--name", "alice",
                         stdin=invite[1] + "\n").rows()[0][0]
    used = alice.wait_event("invite.used")
    carol.wait_event("contact.ready", conv=to_alice)
    state = [row[1:] for row in alice.ctl("invite", "ls").rows()
             if row[0] == invite[0]][0]
    check("an invitation pairs", state[0] == "used", used, state)
    to_carol = state[-1]
    check("invited ones chat both ways",
          say(carol, to_alice, "thanks") and say(alice, to_carol, "welcome"))
    return carol, invite[1]


def invitation_twice(net, alice, invite):
    """71: the second user of an invitation meets silence."""
    eve = net.person("eve")
    before = len(alice.ctl("contact", "ls").rows())
    eve.ctl("invite", "accept", invite, "--name", "alice")
    sent = eve.ctl("send", "alice", "me too", "--wait", "--timeout", "5",
                   ok=False)
    check("71: an invitation works once", sent.status == 6, sent.out)
    check("71: exactly one contact came of it",
          len(alice.ctl("contact", "ls").rows()) == before)
    gone = alice.ctl("invite", "new").rows()[0]
    alice.ctl("invite", "revoke", gone[0])
    eve.ctl("contact", "rm", "alice", "--yes")
    eve.ctl("invite", "accept", gone[1], "--name", "alice")
    sent = eve.ctl("send", "alice", "me too", "--wait", "--timeout", "5",
                   ok=False)
    check("71: a revoked invitation is worthless", sent.status == 6, sent.out)
    changed = gone[1][:-1] + ("q" if gone[1][-1] != "q" else "p")
    bad = eve.ctl("invite", "accept", changed, ok=False)
    check("70: an altered invitation is refused", bad.status == 1, bad.err)
    eve.stop()


def invitation_race(net, alice):
    """71: two people at once."""
    people = [net.person("racer%d" % i) for i in range(2)]
    before = len(alice.ctl("contact", "ls").rows())
    invite = alice.ctl("invite", "new").rows()[0][1]
    convs = []
    for person in people:
        with person.rpc() as rpc:
            convs.append(rpc.call("invite.accept", uri=invite,
                                  name="alice")["contact"])
    reached = [p.ctl("send", c, "me", "--wait", "--timeout", "5",
                     ok=False).status for p, c in zip(people, convs)]
    check("71: of two at once one gets through", sorted(reached) == [0, 6],
          reached)
    check("71: and one contact came of it",
          len(alice.ctl("contact", "ls").rows()) == before + 1)
    for person in people:
        person.stop()


def sealed(net, alice):
    """While an identity is locked nothing is received; afterwards all is."""
    fred = net.add("fred", bootstrap=net.entry).start()
    path = os.path.join(fred.folder, "pass")
    with open(path, "w") as f:
        f.write("open sesame\n")
    fred.ctl("id", "create", "--passphrase-file", path)
    fred.address = fred.ctl("id", "show").pairs()["address"]
    to_fred, to_alice = net.pair(alice, fred)
    fred.stop()
    fred.start()
    sent = alice.ctl("send", "fred", "psst", "--wait", "--timeout", "2",
                     ok=False)
    check("a locked identity receives nothing", sent.status == 6, sent.out)
    fred.ctl("id", "unlock", "--passphrase-file", path)
    with alice.rpc() as rpc:
        done = rpc.call("message.wait", rpc_timeout=130, state="delivered",
                        id=sent.rows()[0][0], timeout_ms=120000)
    check("once it is unlocked, all that waited", done["state"] ==
          "delivered" and seen(fred, to_alice)[-1][2] == "psst", done)
    check("and it answers", say(fred, to_alice, "what?"))
    fred.stop()


def away(alice, bob, to_bob, to_alice):
    """Clean stop, kill, restart: what was sent meanwhile arrives once."""
    for how, end in (("stopped", bob.stop), ("killed", bob.kill)):
        end()
        sent = alice.ctl("send", "bob", "while you were " + how).rows()[0]
        check("a message to who is away is queued (%s)" % how,
              sent[1] == "queued", sent)
        bob.start()
        with alice.rpc() as rpc:
            done = rpc.call("message.wait", rpc_timeout=130, id=sent[0],
                            state="delivered", timeout_ms=120000)
        check("it arrives after the restart (%s)" % how,
              done["state"] == "delivered", done)
        check("exactly once (%s)" % how, [
            t for _, _, t in seen(bob, to_alice)].count(
                "while you were " + how) == 1)
    alice.stop()
    alice.start()
    check("a sender's restart keeps the history",
          seen(alice, to_bob) == mirror(seen(bob, to_alice)))
    check("and the conversation goes on", say(bob, to_alice, "back?"))


def many(alice, bob, to_bob, to_alice):
    """A thousand messages wait, over a restart of their sender too."""
    texts = ["many %d" % i for i in range(1000)]
    bob.kill()
    with alice.rpc() as rpc:
        for ident in [rpc.send("message.send", {"conv": to_bob, "text": text})
                      for text in texts]:
            last = rpc.result(ident)["id"]
    alice.kill()
    alice.start()
    bob.start()
    with alice.rpc() as rpc:
        done = rpc.call("message.wait", rpc_timeout=130, id=last,
                        state="delivered", timeout_ms=120000)
    check("a thousand waiting messages arrive, once and in order",
          done["state"] == "delivered" and
          [t for _, _, t in seen(bob, to_alice)][-1000:] == texts)


def moves(alice, bob, to_bob, to_alice):
    """Other ports: of one the other side's cell tells, of both both."""
    for name, movers in (("Bob", [bob]), ("Alice", [alice]),
                         ("both", [alice, bob])):
        for mover in movers:
            mover.kill()
            mover.port = free_port()
        for mover in movers:
            mover.start()
        check("they meet again after %s moved" % name,
              say(alice, to_bob, "here") and say(bob, to_alice, "there"))


def same_client_id(alice, bob, to_bob, to_alice):
    first = alice.call("message.send", conv=to_bob, text="once",
                       client_id="c-1")
    again = alice.call("message.send", conv=to_bob, text="once",
                       client_id="c-1")
    check("a client_id makes a send idempotent",
          first["id"] == again["id"] and again["duplicate"] and
          not first["duplicate"], first, again)
    try:
        alice.call("message.send", conv=to_bob, text="other",
                   client_id="c-1")
        check("a client_id for another text is refused", False)
    except RpcError as error:
        check("a client_id for another text is refused", error.code == 307)
    bob.wait_event("message.new", conv=to_alice, text="once")


def goodbye(alice, bob, to_bob):
    """A clean stop is told: nobody has to time out."""
    with alice.rpc() as rpc:
        rpc.call("events.subscribe", since="now", convs=[to_bob])
        bob.stop()
        for event in rpc.events(timeout=20):
            if event["type"] == "presence":
                break
        check("a clean stop is seen at once",
              event["type"] == "presence" and not event["data"]["online"],
              event)


def main():
    need_build()
    with Net() as net:
        alice, bob, to_bob, to_alice = net.couple()
        check("two who added each other meet", True)
        conversation(alice, bob, to_bob, to_alice)
        same_client_id(alice, bob, to_bob, to_alice)
        away(alice, bob, to_bob, to_alice)
        many(alice, bob, to_bob, to_alice)
        moves(alice, bob, to_bob, to_alice)
        one_sided(net, alice)
        _, invite = invitation(net, alice)
        invitation_twice(net, alice, invite)
        invitation_race(net, alice)
        sealed(net, alice)
        goodbye(alice, bob, to_bob)
        for daemon in net.daemons:
            if daemon.process:
                check("%s stops cleanly" % daemon.name, daemon.stop() == 0)
    finish()


if __name__ == "__main__":
    main()
