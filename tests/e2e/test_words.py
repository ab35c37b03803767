"""Two daemons: replies, edits, deletions and reactions, at once and after a
restart, from RPC and the command line."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402


def delivered(daemon, method, **params):
    """Calls, and waits until the other side has it; the result."""
    done = daemon.call(method, **params)
    check("%s is delivered" % method, daemon.came(done["id"]))
    return done


def at(daemon, conv, ident):
    """A message as its history shows it."""
    found = [m for m in daemon.history(conv) if m["id"] == ident]
    return found[0] if found else None


def replies(alice, bob, to_bob, to_alice):
    first = delivered(alice, "message.send", conv=to_bob, text="tea?")["id"]
    answer = delivered(bob, "message.send", conv=to_alice, text="yes",
                       reply_to=first)["id"]
    check("a reply says to what", at(alice, to_bob, answer)["reply_to"] ==
          first and at(bob, to_alice, answer)["reply_to"] == first)
    alice.refuses("nobody replies to what is not there", 201,
                  "message.send", conv=to_bob, text="x",
                  reply_to="2n6f4fxn5rzwevnp5344xf6xpy")
    return first, answer


def edits(alice, bob, to_bob, to_alice, first):
    edit = delivered(alice, "message.edit", id=first, text="coffee?")
    told = bob.wait_event("message.edited", id=first)["data"]
    check("an edit is told", told["text"] == "coffee?" and
          told["direction"] == "in" and told["conv"] == to_alice, told)
    for who, conv in ((alice, to_bob), (bob, to_alice)):
        check("both see what is said now",
              at(who, conv, first)["text"] == "coffee?" and
              at(who, conv, first)["edited_ms"] > 0)
        check("an edit is no message of its own",
              at(who, conv, edit["id"]) is None)
    bob.refuses("nobody edits what is another's", 302, "message.edit",
                id=first, text="beer?")
    alice.refuses("an edit says something", -32602, "message.edit",
                  id=first, text="")
    again = [alice.call("message.edit", id=first, text="water?",
                        client_id="e-1") for _ in range(2)]
    check("an edit with a client_id is sent once",
          again[0]["id"] == again[1]["id"] and again[1]["duplicate"], again)


def reactions(alice, bob, to_bob, to_alice, first):
    delivered(bob, "message.react", id=first, reaction="\U0001f44d")
    delivered(bob, "message.react", id=first, reaction="\u2764\ufe0f")
    delivered(alice, "message.react", id=first, reaction="!")
    seen = [(r["direction"], r["text"])
            for r in at(alice, to_bob, first)["reactions"]]
    check("one reaction of each side", seen == [
        ("out", "!"), ("in", "\u2764\ufe0f")], seen)
    delivered(alice, "message.react", id=first, reaction="")
    seen = at(bob, to_alice, first)["reactions"]
    check("one is taken back", [r["direction"] for r in seen] == ["out"], seen)
    alice.refuses("a reaction is short", 400, "message.react", id=first,
                  reaction="x" * 65)


def deletions(alice, bob, to_bob, to_alice, first, answer):
    delivered(alice, "message.delete", id=first)
    for who, conv in ((alice, to_bob), (bob, to_alice)):
        gone = at(who, conv, first)
        check("both forget it", gone["deleted"] and gone["text"] == "" and
              "reactions" not in gone and "edited_ms" not in gone, gone)
    alice.refuses("what is gone cannot be edited", 201, "message.edit",
                  id=first, text="back")
    alice.refuses("nobody deletes what is another's", 302, "message.delete",
                  id=answer)
    alice.call("message.delete", **{"id": answer, "for": "me"})
    check("at one side alone", at(alice, to_bob, answer)["deleted"] and
          at(bob, to_alice, answer)["text"] == "yes")


def away(net, alice, bob, to_bob, to_alice):
    """What was changed before it could be sent arrives changed, in order."""
    bob.stop()
    with alice.rpc() as rpc:
        kept = rpc.call("message.send", conv=to_bob, text="one")["id"]
        gone = rpc.call("message.send", conv=to_bob, text="secret")["id"]
        rpc.call("message.edit", id=kept, text="two")
        rpc.call("message.delete", id=gone)
        last = rpc.call("message.edit", id=kept, text="three")["id"]
    check("here at once", at(alice, to_bob, kept)["text"] == "three" and
          at(alice, to_bob, gone)["text"] == "")
    alice.kill()
    alice.start()
    bob.start()
    check("there after both came back", alice.came(last))
    check("and as it is here", at(bob, to_alice, kept)["text"] == "three" and
          at(bob, to_alice, gone)["deleted"])
    check("nothing is missing between",
          not any(m.get("gap") for m in bob.history(to_alice)))


def command_line(alice, bob, to_bob, to_alice):
    sent = alice.ctl("send", "bob", "by hand", "--wait").rows()[0][0]
    alice.ctl("msg", "edit", sent, "by", "foot")
    alice.ctl("msg", "react", sent, "+1")
    shown = dict(alice.ctl("msg", "show", sent).rows())
    check("msg show", shown["text"] == "by foot" and
          shown["reactions.text"] == "+1", shown)
    reply = alice.ctl("send", "bob", "yes", "--reply", sent).rows()[0][0]
    check("send --reply", alice.call("message.get", id=reply)["reply_to"] ==
          sent)
    look = alice.ctl("log", "bob", "--human", "-n", "2").out
    check("log shows what was done", "by foot  (edited)  [you: +1]" in look
          and "\u21aa yes" in look, look)
    row = alice.ctl("msg", "rm", sent, "--yes").rows()[0]
    check("msg rm", row[0] == sent and row[2] == "queued", row)
    check("log shows what is gone", "(deleted)" in alice.ctl(
        "log", "bob", "--human").out)
    check("msg rm asks", alice.ctl("msg", "rm", reply, ok=False).status == 1
          and at(alice, to_bob, reply)["text"] == "yes")
    row = alice.ctl("msg", "rm", reply, "--here", "--yes").rows()[0]
    check("msg rm --here", row == [reply], row)


def main():
    need_build()
    with Net() as net:
        alice, bob, to_bob, to_alice = net.couple()
        first, answer = replies(alice, bob, to_bob, to_alice)
        edits(alice, bob, to_bob, to_alice, first)
        reactions(alice, bob, to_bob, to_alice, first)
        deletions(alice, bob, to_bob, to_alice, first, answer)
        away(net, alice, bob, to_bob, to_alice)
        command_line(alice, bob, to_bob, to_alice)
    finish()


if __name__ == "__main__":
    main()
