"""identity.delete: nothing is left of it, on the disk or in memory, all who
were connected know, and the daemon goes on as one that has no identity."""
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import LONG, check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402
from rpc import Closed  # noqa: E402
from test_backup import with_pass  # noqa: E402
from test_lock import (derived, is_wiped, may_look,  # noqa: E402
                       open_book, sanitized)

KILLS = 100 if LONG else 8
FILES = ("identity.key", "store.keys", "btchat.db")


def is_closed(rpc):
    """After what was still to be told."""
    try:
        while True:
            rpc.read_line(60)
    except Closed:
        return True
    except TimeoutError:
        return False


def refusals(net, alice):
    nobody = net.add("nobody").start()
    nobody.refuses("nothing to delete is 206", 206, "identity.delete",
                   confirm=alice.address)
    check("none is on the list", nobody.call("identity.list") ==
          {"items": []})
    nobody.stop()
    check("one is on the list", alice.call("identity.list")["items"] ==
          [alice.call("identity.show")])
    for wrong in ("", "yes", alice.address[:-1], alice.address.upper(),
                  "btchat:" + alice.address):
        alice.refuses("%.12s.. is not the address" % wrong, -32602,
                      "identity.delete", confirm=wrong)
    for words in (["--no-input"], ["--yes"], ["--confirm", alice.address],
                  ["--yes", "--confirm", alice.address[:-1]]):
        done = alice.ctl("id", "rm", *words, ok=False)
        check("id rm %s does nothing" % words[:2], done.status != 0, done.err)
    with alice.rpc() as rpc:
        rpc.send_raw(b'[{"jsonrpc":"2.0","id":1,"method":"identity.delete",'
                     b'"params":{"confirm":"%s"}}]\n' % alice.address.encode())
        reply, = rpc.read_json()
        check("it does not go into a batch",
              reply["error"]["code"] == -32600, reply)
    check("all is there", alice.call("identity.show")["address"] ==
          alice.address)


def locked(net):
    d = net.add("lotte").start()
    d.call("identity.create", passphrase="x")
    d.call("identity.lock")
    for method, params in (("identity.delete", {"confirm": "x"}),
                           ("identity.list", {})):
        d.refuses("%s of what is locked is 101" % method, 101, method,
                  **params)
    d.stop()


def left_in(folder, needles):
    """What of these stands in a file there."""
    found = []
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as f:
            data = f.read()
        found += [(name, what) for what, needle in needles.items()
                  if needle in data]
    return found


def delete_with_others(alice, waiting):
    """One is subscribed, one polls, one waits for a message."""
    sub, poll, wait, other = [alice.rpc() for _ in range(4)]
    cursor = sub.call("events.subscribe", types=["identity.changed"])
    at = {"epoch": cursor["epoch"], "seq": cursor["head"]}
    poll.send("events.poll", {"since": at, "timeout_ms": 60000,
                              "types": ["contact.added"]})
    until = wait.send("message.wait", {"id": waiting, "state": "read",
                                       "timeout_ms": 60000})
    wait.call("status")  # both wait now
    with alice.rpc() as rpc:
        first = rpc.send("contact.list")
        gone = rpc.send("identity.delete", {"confirm": alice.address})
        after = rpc.send("contact.list")
        check("a call before is answered",
              len(rpc.result(first)["items"]) == 1)
        check("so is identity.delete",
              rpc.result(gone) == {"deleted": True})
        check("a call behind it is 206",
              rpc.reply(after)["error"]["code"] == 206)
        check("a connection without subscriptions stays",
              rpc.call("status")["state"] == "no-identity" and
              other.call("status")["identity"] is None)
    told = sub.wait_event("identity.changed")
    check("who is subscribed is told", told["data"] == {"address": None},
          told)
    check("and disconnected", is_closed(sub))
    check("so is who polls", is_closed(poll))
    reply = wait.reply(until)
    check("who waits for a message waits no more",
          reply.get("error", {}).get("code") == 206, reply)
    for rpc in (sub, poll, wait, other):
        rpc.close()
    alice.refuses("a cursor of before is of another log", 801, "events.poll",
                  since=at)
    check("in which there is nothing",
          alice.call("session.info")["head"] == 0)
    check("nor is there a consumer",
          alice.call("events.consumers")["items"] == [])


def is_gone(alice, bob, look, needles, before):
    for name, fd in before.items():
        data = os.pread(fd, 1 << 26, 0)
        check("%s is zeros where it was" % name,
              data and not data.strip(b"\0"), len(data))
        os.close(fd)
    found = left_in(alice.state, needles)
    check("no file has a name, a text or a key", found == [], found)
    names = [n for n in os.listdir(alice.state) if "identity" in n]
    check("there is no key file", names == [], names)
    if look:
        is_wiped("after it", alice, needles)


def begins_again(net, alice, bob):
    """In the same process."""
    old, pid = alice.address, alice.process.pid
    path = os.path.join(net.folder, "identity")
    alice.create_identity()
    check("another identity is made", alice.address != old)
    to_bob, to_alice = net.pair(alice, bob)
    check("and talks", alice.came(*alice.write(to_bob, ["anew"])))
    check("who was a contact has what he had", [
        m["text"] for m in bob.history(bob.contact("once"))] == [
            "SEEN-PHRASE", "LATE-PHRASE"])
    with_pass(alice, "id", "export", path)
    address = alice.address
    done = alice.ctl("id", "rm", "--yes", "--confirm", address)
    check("id rm", alice.call("status")["state"] == "no-identity", done.out)
    with_pass(alice, "id", "import", path)
    check("the same one is taken back from a file",
          alice.call("identity.show")["address"] == address)
    check("without contacts", alice.call("contact.list")["items"] == [])
    with alice.rpc() as rpc:
        rpc.call("events.subscribe", since="oldest")
        check("that is the first event",
              rpc.wait_event("identity.changed")["seq"] == 1)
    check("all in one process", alice.process.pid == pid)
    alice.kill()
    alice.start()
    with_pass(alice, "id", "unlock")
    check("and after a kill it is there",
          alice.call("identity.show")["address"] == address)


def cut_off(net):
    """Killed behind the decision: the next start does the rest."""
    d = net.add("kurt").start().create_identity()
    address = d.address
    d.kill()
    key = os.path.join(d.state, "identity.key")
    os.rename(key, key + ".gone")
    d.start()
    check("a start ends what was begun",
          d.call("status")["state"] == "no-identity" and
          not os.path.exists(key + ".gone"), os.listdir(d.state))
    d.create_identity()
    check("and another can be made", d.address != address)
    d.kill()
    with open(key + ".gone", "wb") as f:
        f.write(b"x" * 100)
    d.start()
    check("a key that was put back since is not erased",
          d.call("identity.show")["address"] == d.address and
          not os.path.exists(key + ".gone"))
    check("it stops cleanly", d.stop() == 0)


def killed(net):
    """At moments that are a matter of time, not of events: all or nothing."""
    seed = int(os.environ.get("BTCHAT_SEED", 0)) or random.SystemRandom(
        ).randrange(1, 1 << 32)
    print("seed: BTCHAT_SEED=%d" % seed)
    dice, d = random.Random(seed), net.add("kim").start()
    gone = 0
    for _ in range(KILLS):
        if d.call("status")["state"] == "no-identity":
            d.create_identity()
            label = d.call("invite.create", label="kept")["id"]
        with d.rpc() as rpc:
            rpc.send("identity.delete", {"confirm": d.address})
            time.sleep(dice.random() ** 3 * 0.01)
            d.kill()
        d.start()
        if d.call("status")["state"] == "no-identity":
            gone += 1
            good = not [n for n in os.listdir(d.state) if "identity" in n]
        else:
            good = (d.call("identity.show")["address"] == d.address and
                    d.call("invite.list")["items"][0]["id"] == label)
        check("killed, it is there or gone", good, os.listdir(d.state))
    print("# %d of %d were gone" % (gone, KILLS))
    d.stop()


def main():
    need_build()
    with Net() as net:
        locked(net)
        cut_off(net)
        killed(net)
        alice, seed, store = open_book(net)
        bob = net.person("bob")
        to_bob, to_alice = net.pair(alice, bob)
        refusals(net, alice)
        bob.call("identity.set", profile="PROFILE-OF-BOB")
        bob.call("contact.set", contact=to_alice, name="once")
        seen = bob.call("message.send", conv=to_alice, text="SEEN-PHRASE")
        check("both talk", bob.came(seen["id"]))
        alice.call("contact.set", contact=to_bob, name="NAME-FOR-BOB")
        alice.call("conv.set", conv=to_bob, draft="DRAFT-PHRASE")
        alice.call("invite.create", label="LABEL-OF-ALICE")
        alice.call("events.subscribe", consumer="the-reader")
        alice.call("message.search", query="seen")
        needles = {
            "seed": seed, "store key": store, "own name": b"OWN-NAME-OF",
            "profile": b"PROFILE-OF", "name": b"NAME-FOR",
            "draft": b"DRAFT-PHRASE", "label": b"LABEL-OF",
            "text": b"-PHRASE", "consumer": b"the-reader",
            "bob's id": bytes.fromhex(bob.call(
                "identity.show")["fingerprint"]),
            "own id": bytes.fromhex(alice.call(
                "identity.show")["fingerprint"]), **derived(seed, store)}
        look = not sanitized(alice) and may_look(alice)
        before = {name: os.open(os.path.join(alice.state, name), os.O_RDONLY)
                  for name in FILES}
        with bob.rpc() as rpc:
            rpc.call("events.subscribe", types=["presence"])
            if not rpc.call("net.peers", online_only=True)["items"]:
                rpc.wait_event("presence", timeout=120, online=True)
            late = alice.call("message.send", conv=to_bob, text="LATE-PHRASE")
            alice.came(late["id"])
            delete_with_others(alice, late["id"])
            rpc.wait_event("presence", timeout=120, online=False)
            check("the other side sees it go", True)
        is_gone(alice, bob, look, needles, before)
        begins_again(net, alice, bob)
        if not look:
            print("# the memory was not looked at: no root, or a sanitizer")
    finish()


if __name__ == "__main__":
    main()
