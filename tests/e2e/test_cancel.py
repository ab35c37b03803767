"""Two daemons: what has not left is taken back, and never heard of; what has
failed is sent once more; over kills at random moments, too.

    test_cancel.py [SEED [MOMENTS]]
"""
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import LONG, check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402
from rpc import RpcError  # noqa: E402


def texts(daemon, conv):
    return [m["text"] for m in daemon.history(conv)]


def refused_with(daemon, method, **params):
    """The data of an INVALID_STATE; None: it was no such error."""
    try:
        daemon.call(method, **params)
    except RpcError as e:
        return e.data if e.code == 302 else None
    return None


def no_gap(daemon, conv):
    check("nothing is missing between", not any(
        m.get("gap") for m in daemon.history(conv)), daemon.history(conv))


def taken_back(alice, bob, to_bob, to_alice):
    bob.stop()
    first, gone, last = alice.write(to_bob, ["first", "gone", "last"])
    edit = alice.call("message.edit", id=gone, text="gone, too")["id"]
    alice.call("message.react", id=gone, reaction="+")
    answer = alice.call("message.send", conv=to_bob, text="an answer",
                        reply_to=gone)["id"]
    done = alice.call("message.cancel", id=gone)
    check("it has failed, and says why", done == {
        "id": gone, "conv": to_bob, "state": "failed",
        "reason": "cancelled"}, done)
    told = alice.wait_event("message.state", conv=to_bob, id=gone,
                            state="failed")["data"]
    check("an event says so", told["reason"] == "cancelled", told)
    told = alice.wait_event("message.state", conv=to_bob, id=edit,
                            state="failed")["data"]
    check("of what was said about it, too", told["reason"] == "cancelled",
          told)
    check("who waits for it hears it", alice.call(
        "message.wait", id=gone)["recipients"][0]["reason"] == "cancelled")
    check("taken back twice is taken back", alice.call(
        "message.cancel", id=gone, conv=to_bob) == done)
    alice.kill()
    alice.start()
    kept = alice.call("message.get", id=gone)
    check("it is so after a crash, and the text is there",
          (kept["state"], kept.get("reason"), kept["text"]) ==
          ("failed", "cancelled", "gone, too"), kept)
    bob.start()
    check("the others come", alice.came(first, last, answer))
    check("the other side has not heard of it", texts(bob, to_alice) ==
          ["first", "last", "an answer"], texts(bob, to_alice))
    no_gap(bob, to_alice)
    bob.refuses("not even by its name", 201, "message.get", id=gone)
    return first, gone


def not_taken_back(alice, bob, to_bob, to_alice, first):
    theirs = bob.write(to_alice, ["theirs"])
    check("theirs comes", bob.came(*theirs))
    for method in ("message.cancel", "message.retry"):
        check("%s: what is there stays there" % method, refused_with(
            alice, method, id=first) == {
                "name": "INVALID_STATE", "retryable": False,
                "state": "delivered"}, refused_with(alice, method, id=first))
        data = refused_with(alice, method, id=theirs[0])
        check("%s: what is theirs is theirs" % method,
              data and data["state"] == "received", data)
        alice.refuses("%s: there must be one" % method, 201, method,
                      id="2n6f4fxn5rzwevnp5344xf6xpy")


def sent_again(alice, bob, to_bob, to_alice, gone):
    done = alice.call("message.retry", id=gone)
    check("it is on its way again, under its id", done["id"] == gone and
          done["conv"] == to_bob and done["state"] in ("queued", "sent") and
          "reason" not in done, done)
    check("and comes", alice.came(gone))
    with alice.rpc() as rpc:
        rpc.call("events.subscribe", since="oldest", types=["message.state"])
        seen = []
        while seen[-1:] != ["delivered"]:
            told = rpc.next_note()["params"]["data"]
            if told["id"] == gone:
                seen.append(told["state"])
    check("the events say how", seen == ["failed", "queued", "sent",
                                         "delivered"], seen)
    for daemon, conv in ((alice, to_bob), (bob, to_alice)):
        check("both have it once, as the newest",
              texts(daemon, conv)[-1:] == ["gone, too"] and
              texts(daemon, conv).count("gone, too") == 1,
              texts(daemon, conv))
    shown = alice.history(to_bob)[-1]
    check("with what was thought of it, and no reason", shown["id"] == gone
          and "reason" not in shown and shown["reactions"] == [
              {"direction": "out", "text": "+"}], shown)
    no_gap(bob, to_alice)
    alice.call("message.delete", id=gone)
    data = refused_with(alice, "message.retry", id=gone)
    check("there it cannot be sent", data and data["state"] == "delivered",
          data)


def blocked(alice, bob, to_bob, to_alice):
    """What waits for who is blocked fails."""
    bob.stop()
    sent = alice.call("message.send", conv=to_bob, text="for later",
                      ttl_ms=3600000, client_id="b-1")["id"]
    alice.call("contact.block", contact=to_bob)
    status = alice.call("message.status", id=sent)
    check("it has failed", status["state"] == "failed", status)
    alice.refuses("nothing is sent to who is blocked", 303, "message.retry",
                  id=sent)
    alice.call("contact.unblock", contact=to_bob)
    for _ in range(2):
        check("then it is queued, once", alice.call(
            "message.retry", id=sent)["state"] == "queued")
    bob.start()
    check("and comes", alice.came(sent))
    check("once", texts(bob, to_alice).count("for later") == 1)
    shown = alice.call("message.get", id=sent)
    check("it is what it was", shown["client_id"] == "b-1" and
          shown["ttl_ms"] == 3600000, shown)
    again = alice.call("message.send", conv=to_bob, text="for later",
                       ttl_ms=3600000, client_id="b-1")
    check("and its client_id is remembered", again["duplicate"] and
          again["id"] == sent and again["state"] == "delivered", again)
    gone, = alice.write(to_bob, ["not for long"])
    check("what is there", alice.came(gone))


def edited_meanwhile(alice, bob, to_bob, to_alice):
    """The text came, its edit did not, and alice knows of neither."""
    bob.process.send_signal(signal.SIGSTOP)
    sent, = alice.write(to_bob, ["said first"])
    alice.came(sent, state="sent")
    alice.kill()
    alice.start()
    alice.call("message.edit", id=sent, text="said then")
    alice.call("contact.block", contact=to_bob)
    bob.process.send_signal(signal.SIGCONT)
    bob.wait_event("message.new", id=sent)
    alice.call("contact.unblock", contact=to_bob)
    check("what was edited goes on its way again", alice.call(
        "message.retry", id=sent)["state"] in ("queued", "sent"))
    check("and comes", alice.came(sent))
    bob.wait_event("message.edited", id=sent)
    for daemon, conv in ((alice, to_bob), (bob, to_alice)):
        shown = daemon.call("message.get", id=sent)
        check("both have what it says now", shown["text"] == "said then" and
              shown["edited_ms"], shown)
    check("once", texts(bob, to_alice).count("said then") == 1 and
          "said first" not in texts(bob, to_alice))


def held(alice, bob, to_bob, to_alice):
    """What they do not take for now has left."""
    bob.stop()
    bob.extra += ["--set", "disk-reserve=1000000000"]
    bob.start()
    first, second = alice.write(to_bob, ["one", "two"])
    alice.wait_event("message.state", conv=to_bob, id=first, reason="no_room")
    for _ in range(2):
        data = refused_with(alice, "message.cancel", id=first)
        check("it left, and is queued with a reason", data and
              (data["state"], data["reason"]) == ("queued", "no_room"), data)
        alice.kill()
        alice.start()
    bob.stop()
    bob.extra = bob.extra[:-2]
    bob.start()
    check("both come", alice.came(first, second))
    no_gap(bob, to_alice)


def gone_contact(net, alice):
    carol = net.person("carol")
    to_carol, _ = net.pair(alice, carol)
    carol.stop()
    sent, = alice.write(to_carol, ["to nobody"])
    alice.call("contact.delete", contact=to_carol)
    alice.refuses("nobody is there to send it to", 200, "message.retry",
                  id=sent)
    data = refused_with(alice, "message.cancel", id=sent)
    check("nor to take it back from", data and data["state"] == "failed",
          data)


def command_line(alice, bob, to_bob, to_alice):
    bob.stop()
    sent, = alice.write(to_bob, ["by hand"])
    row = alice.ctl("msg", "cancel", sent).rows()[0]
    check("msg cancel", row == [sent, "failed"], row)
    look = alice.ctl("log", "bob", "--human", "-n", "1").out
    check("log says why", "cancelled" in look, look)
    row = alice.ctl("msg", "retry", sent).rows()[0]
    check("msg retry", row == [sent, "queued"], row)
    bob.start()
    check("it comes", alice.came(sent))
    done = alice.ctl("msg", "cancel", sent, ok=False)
    check("then it is too late, and says so", done.status == 1 and
          "the message is delivered" in done.err, done.err)
    no_gap(bob, to_alice)


def one_moment(rng, alice, bob, to_bob, number):
    """Writes while bob is away, takes some back, is killed meanwhile; what
    was to come, and what not."""
    bob.stop()
    ids = alice.write(to_bob, ["%d %d" % (number, i) for i in range(6)])
    some = rng.sample(ids, 3)
    with alice.rpc() as rpc:
        asked = [rpc.send("message.cancel", {"id": i}) for i in some]
        sure = rng.randrange(len(asked) + 1)
        for i in asked[:sure]:
            rpc.result(i)
        time.sleep(rng.random() * 0.003)
        alice.kill()
    alice.start()
    states = {i: alice.call("message.get", id=i) for i in ids}
    check("each is taken back or still queued", all(
        (m["state"], m.get("reason")) in (("queued", None),
                                          ("failed", "cancelled"))
        for m in states.values()), states)
    check("what was answered is taken back", all(
        states[i]["state"] == "failed" for i in some[:sure]), some, states)
    check("and nothing else is", all(
        states[i]["state"] == "queued" for i in ids if i not in some))
    bob.start()
    return [i for i in ids if states[i]["state"] == "queued"]


def killed(rng, moments, alice, bob, to_bob, to_alice):
    check("begin with what is there", alice.came(
        *alice.write(to_bob, ["before"])))
    wanted = []
    before = len(bob.history(to_alice))
    for number in range(moments):
        queued = one_moment(rng, alice, bob, to_bob, number)
        check("the rest comes", alice.came(*queued))
        wanted += queued
    got = [m["id"] for m in bob.history(to_alice)[before:]]
    check("the rest comes, once, in order, and nothing else", got == wanted,
          got, wanted)
    no_gap(bob, to_alice)


def main():
    need_build()
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 32)
    moments = int(sys.argv[2]) if len(sys.argv) > 2 else 40 if LONG else 6
    print("seed %d: %s %d %d" % (seed, sys.argv[0], seed, moments), flush=True)
    with Net() as net:
        alice, bob, to_bob, to_alice = net.couple()
        first, gone = taken_back(alice, bob, to_bob, to_alice)
        not_taken_back(alice, bob, to_bob, to_alice, first)
        sent_again(alice, bob, to_bob, to_alice, gone)
        blocked(alice, bob, to_bob, to_alice)
        edited_meanwhile(alice, bob, to_bob, to_alice)
        held(alice, bob, to_bob, to_alice)
        command_line(alice, bob, to_bob, to_alice)
        gone_contact(net, alice)
        killed(random.Random(seed), moments, alice, bob, to_bob, to_alice)
    finish()


if __name__ == "__main__":
    main()
