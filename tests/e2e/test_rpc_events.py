"""Events: nothing is missed and nothing comes twice, over subscriptions,
reconnects, consumers and polls; responses come before their events."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402
from rpc import RpcError  # noqa: E402


def error(rpc, rpc_method, /, **params):
    try:
        rpc.call(rpc_method, **params)
    except RpcError as e:
        return e
    return None


def until_live(rpc):
    """Events up to sub.live, and the seq of that."""
    events = []
    while True:
        note = rpc.next_note()
        if note["method"] == "sub.live":
            return events, note["params"]["seq"]
        events.append(note["params"])


def seqs(events):
    return [e["seq"] for e in events]


def rises(numbers):
    return all(a < b for a, b in zip(numbers, numbers[1:]))


def replay(d, bob):
    with d.rpc() as rpc:
        sub = rpc.call("events.subscribe", since="oldest", ephemeral=False)
        old, live = until_live(rpc)
        check("old events come first, in order, then sub.live",
              rises(seqs(old)) and live == sub["head"], old)
        check("they tell of the contact and the messages",
              [e["type"] for e in old].count("message.new") == 3
              and "contact.added" in [e["type"] for e in old], old)
        # A response comes before the events of its call.
        ids = [rpc.send("message.send", {"conv": bob, "text": "t%d" % i,
                                         "client_id": "live%d" % i})
               for i in range(5)]
        order = [rpc.read_json() for _ in range(10)]
        at = {m.get("id"): i for i, m in enumerate(order) if "id" in m}
        news = {m["params"]["data"]["client_id"]: i
                for i, m in enumerate(order) if m.get("method") == "event"}
        check("a response comes before its event", all(
            at[ids[i]] < news["live%d" % i] for i in range(5)), order)
        events = [m["params"] for m in order if "method" in m]
        check("no gap and no overlap at the seam",
              rises(seqs(old) + seqs(events)))
        check("events carry the sender's client_id", sorted(
            e["data"]["client_id"] for e in events) ==
            ["live%d" % i for i in range(5)])
        rpc.call("events.unsubscribe", sub=sub["sub"])
        rpc.call("message.send", conv=bob, text="unheard")
        rpc.call("status")
        check("an ended subscription is silent", rpc.notes == [], rpc.notes)
        e = error(rpc, "events.unsubscribe", sub=sub["sub"])
        check("and cannot be ended again (207)",
              e and e.name == "SUBSCRIPTION_NOT_FOUND", e)
    return old + events


def reconnect(d, bob, seen):
    with d.rpc() as rpc:
        epoch = rpc.call("session.info")["epoch"]
        rpc.call("events.subscribe",
                 since={"epoch": epoch, "seq": seen[2]["seq"]})
        later, _ = until_live(rpc)
        check("a cursor goes on right behind it",
              seqs(later)[:len(seen) - 3] == seqs(seen[3:]), later)
        d_events = later
    d.kill()
    d.start()
    with d.rpc() as rpc:
        rpc.call("events.subscribe",
                 since={"epoch": epoch, "seq": seen[2]["seq"]})
        again, _ = until_live(rpc)
        check("also after the daemon was killed: the same events",
              again[:len(d_events)] == [
                  dict(e, sub=again[0]["sub"]) for e in d_events],
              again, d_events)


def bad_cursors(d):
    with d.rpc() as rpc:
        info = rpc.call("session.info")
        epoch, head = info["epoch"], info["head"]
        e = error(rpc, "events.subscribe",
                  since={"epoch": "0" * 16, "seq": 1})
        check("another epoch is 801 and says ours", e and e.code == 801
              and e.data["epoch"] == epoch and e.data["head"] == head, e)
        e = error(rpc, "events.subscribe",
                  since={"epoch": epoch, "seq": head + 1})
        check("a seq that is still to come is 801", e and e.code == 801, e)
        for bad in ("yesterday", 7, {}, {"epoch": epoch}, {"seq": 1}, [],
                    {"epoch": epoch, "seq": -1}, {"epoch": epoch, "seq": 1.5},
                    {"epoch": epoch, "seq": 1, "x": 1}):
            e = error(rpc, "events.subscribe", since=bad)
            check("since=%.40s is -32602" % bad, e and e.code == -32602
                  and e.data["param"] == "since", e)
        e = error(rpc, "events.subscribe", types=["message.nwe"])
        check("an unknown type is -32602", e and e.code == -32602, e)
        e = error(rpc, "events.subscribe", convs=["x"])
        check("so is a bad id", e and e.code == -32602, e)
        for _ in range(8):
            rpc.call("events.subscribe")
        e = error(rpc, "events.subscribe")
        check("a ninth subscription is 402", e and e.code == 402, e)


def filters(d, bob):
    with d.rpc() as rpc:
        rpc.call("events.subscribe", since="oldest", types=["contact.added"])
        got, _ = until_live(rpc)
        check("types chooses", {e["type"] for e in got} == {"contact.added"},
              got)
        rpc.call("events.subscribe", since="oldest", convs=["a" * 26])
        got, _ = until_live(rpc)
        check("convs chooses", got == [], got)
        rpc.call("events.subscribe", since="oldest", convs=[bob],
                 types=["message.new"])
        got, _ = until_live(rpc)
        check("both together", got and {(e["type"], e["data"]["conv"])
              for e in got} == {("message.new", bob)}, got)


def consumers(d, bob):
    with d.rpc() as rpc:
        e = error(rpc, "events.subscribe", consumer="Bad Name")
        check("a consumer has a plain name", e and e.code == -32602, e)
        rpc.call("events.subscribe", consumer="bridge", ephemeral=False)
        rpc.next_note()
        for i in range(3):
            rpc.call("message.send", conv=bob, text="c%d" % i)
        got = [rpc.next_note()["params"] for _ in range(3)]
        rpc.call("events.ack", consumer="bridge", seq=got[0]["seq"])
        with d.rpc() as newer:
            newer.call("events.subscribe", consumer="bridge")
            check("of two of one name the newer wins",
                  rpc.next_note()["method"] == "sub.replaced")
            again, _ = until_live(newer)
            check("and goes on after the last ack",
                  seqs(again) == seqs(got[1:]), again)
            newer.call("events.subscribe", consumer="bridge")
            check("also of two on one connection",
                  newer.next_note() == {
                      "jsonrpc": "2.0", "method": "sub.replaced",
                      "params": {"sub": 1}})
            again, _ = until_live(newer)
            check("which goes on the same", seqs(again) == seqs(got[1:]))
    d.stop()
    d.start()
    with d.rpc() as rpc:
        rpc.call("events.subscribe", consumer="bridge")
        again, _ = until_live(rpc)
        check("also after a restart", seqs(again) == seqs(got[1:]), again)
        head = rpc.call("session.info")["head"]
        e = error(rpc, "events.ack", consumer="bridge", seq=head + 1)
        check("nobody acks what is still to come", e and e.code == -32602, e)
        e = error(rpc, "events.ack", consumer="nobody", seq=1)
        check("nobody acks for nobody", e and e.code == 207, e)
        rpc.call("events.ack", consumer="bridge", seq=head)
        listed = rpc.call("events.consumers")["items"]
        check("events.consumers lists it",
              [(c["name"], c["seq"]) for c in listed] == [("bridge", head)],
              listed)
        for i in range(15):
            rpc.call("events.unsubscribe", sub=rpc.call(
                "events.subscribe", consumer="c-%d" % i)["sub"])
        e = error(rpc, "events.subscribe", consumer="one-more")
        check("a seventeenth name is 402", e and e.code == 402, e)
        e = error(rpc, "events.forget", consumer="one-more")
        check("a name that is not there cannot be forgotten",
              e and e.code == 207, e)
        check("one that is can be", rpc.call(
            "events.forget", consumer="bridge") == {})
        e = error(rpc, "events.ack", consumer="bridge", seq=head)
        check("it acknowledges no more", e and e.code == 207, e)
        rpc.call("message.send", conv=bob, text="still told")
        check("its subscription goes on", rpc.wait_event(
            "message.new")["data"]["text"] == "still told")
        sub = rpc.call("events.subscribe", consumer="one-more")
        check("there is room for another", sub["sub"] > 0)
        rpc.call("events.forget", consumer="one-more")
        sub = rpc.call("events.subscribe", consumer="bridge")
        check("a name that comes again begins anew",
              sub["from"] == sub["head"], sub)


def polls(d, bob):
    with d.rpc() as rpc, d.rpc() as other:
        page = rpc.call("events.poll", since="oldest", limit=2)
        got = list(page["items"])
        check("a poll gives a page", len(got) == 2 and page["more"], page)
        while page["more"]:
            page = rpc.call("events.poll", since=page["cursor"], limit=2)
            got += page["items"]
        whole = rpc.call("events.poll", since="oldest", limit=500)["items"]
        check("pages put together are the log", got == whole)
        check("nothing new is an empty page", rpc.call(
            "events.poll", since=page["cursor"])["items"] == [])
        waits = [rpc.send("events.poll", {"since": page["cursor"],
                                          "timeout_ms": 3600000})
                 for _ in range(3)]
        only = rpc.send("events.poll", {"since": page["cursor"],
                                        "types": ["contact.removed"],
                                        "timeout_ms": 3600000})
        check("a waiting poll holds up nobody", "state" in rpc.call("status"))
        sent = other.call("message.send", conv=bob, text="wake up")["id"]
        answers = [rpc.result(w)["items"] for w in waits]
        check("all of them see the event", [
            [e["data"]["id"] for e in a] for a in answers] == [[sent]] * 3,
            answers)
        check("but not the one that wants another", only not in rpc.replies)
        e = None
        for _ in range(63):
            rpc.send("events.poll", {"timeout_ms": 3600000})
        e = error(rpc, "events.poll", timeout_ms=1000)
        check("a 65th waiting call is -32002", e and e.code == -32002
              and e.data["max_in_flight"] == 64, e)
        check("what does not wait is served", "state" in rpc.call("status"))


def half_closed(d):
    with d.rpc() as rpc:
        rpc.send("events.subscribe", {"since": "oldest"})
        rpc.half_close()
        lines = []
        try:
            while True:
                lines.append(rpc.read_json())
        except Exception:
            pass
        check("after a half-close the replay is finished, then closed",
              lines[-1].get("method") in ("sub.live", "event")
              and any(m.get("method") == "sub.live" for m in lines),
              lines[-1:])


def presence(net):
    """Two daemons that meet: ephemeral events have no seq."""
    net.dht(2)
    a, b = net.person("a"), net.person("b")
    with a.rpc() as rpc:
        rpc.call("events.subscribe", types=["presence"])
        theirs, _ = net.pair(a, b)
        up = rpc.wait_event("presence", 60, online=True)
        check("presence comes without seq", "seq" not in up
              and up["data"]["contact"] == theirs, up)
        sent = rpc.call("message.send", conv=theirs, text="hi")
        done = rpc.call("message.wait", id=sent["id"], state="delivered",
                        timeout_ms=30000)
        check("message.wait sees it delivered",
              done["state"] == "delivered", done)
        check("contact.get shows the path",
              rpc.call("contact.get", contact=theirs)["path"].startswith(
                  "127.0.0.1:"))


def main():
    need_build()
    with Net() as net:
        d, other = net.add("alice").start(), net.add("bob").start()
        address = other.call("identity.create")["address"]
        with d.rpc() as rpc:
            rpc.call("identity.create")
            bob = rpc.call("contact.add", address=address)["contact"]
            for i in range(3):
                rpc.call("message.send", conv=bob, text="old %d" % i)
        other.stop()
        seen = replay(d, bob)
        reconnect(d, bob, seen)
        bad_cursors(d)
        filters(d, bob)
        polls(d, bob)
        consumers(d, bob)
        half_closed(d)
        d.stop()
        presence(net)
    finish()


main()
