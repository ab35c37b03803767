"""identity.lock and identity.passphrase: locked is locked, in memory too, and
nothing is lost by it."""
import array
import hashlib
import json
import os
import resource
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import memory  # noqa: E402
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402
from rpc import RpcError  # noqa: E402

PASS = "correct horse battery"


def error(rpc, method, **params):
    """The error of a call that must fail; None if it does not."""
    try:
        rpc.call(method, **params)
    except RpcError as e:
        return e
    return None


def call_with(daemon, files, method, **params):
    """A call with files of these contents passed; gives the reply."""
    fds = [os.memfd_create("x") for _ in files]
    for fd, data in zip(fds, files):
        os.write(fd, data)
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    with daemon.rpc(timeout=60) as rpc:
        rpc.sock.sendmsg(
            [json.dumps(request).encode() + b"\n"],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        for fd in fds:
            os.close(fd)
        return rpc.reply(1)


def secrets_of(daemon):
    """Seed and store key, out of a key file that is not sealed."""
    with open(os.path.join(daemon.state, "identity.key"), "rb") as f:
        data = f.read()
    head = b"btchat key 1 plain\n"
    assert data.startswith(head)
    return data[len(head):len(head) + 32], data[len(head) + 32:len(head) + 64]


def open_book(net):
    """Somebody in a DHT, with seed and store key."""
    net.dht(3)
    alice = net.add("alice", bootstrap=net.entry[:3]).start()
    alice.address = alice.call(
        "identity.create", name="OWN-NAME-OF-ALICE")["address"]
    return alice, *secrets_of(alice)


# ---- the passphrase ----

def passphrases(net):
    d = net.add("paula").start()
    with d.rpc(timeout=60) as rpc:
        e = error(rpc, "identity.lock")
        check("nothing to lock is 206", e and e.code == 206, e)
        check("neither has it a passphrase", error(
            rpc, "identity.passphrase", passphrase="x").code == 206)
        address = rpc.call("identity.create")["address"]
        e = error(rpc, "identity.lock")
        check("what has no passphrase is not locked", e and
              e.name == "INVALID_STATE" and "passphrase" in e.message, e)
        key = os.path.join(d.state, "identity.key")
        old = os.open(key, os.O_RDONLY)
        check("a passphrase is set", rpc.call(
            "identity.passphrase", passphrase="one")["sealed"] is True)
        check("the plain key is overwritten where it stood",
              not os.pread(old, 4096, 0).strip(b"\0"))
        os.close(old)
        for params, code in (
                ({"passphrase": "two"}, 601), ({"remove": True}, 601),
                ({"old": "two", "passphrase": "two"}, 601),
                ({"old": "one"}, -32602), ({}, -32602),
                ({"old": "one", "passphrase": ""}, -32602),
                ({"old": "one", "passphrase": "x" * 1025}, -32602),
                ({"old": "one", "remove": True, "passphrase": "x"}, -32602),
                ({"old": "one", "remove": False}, -32602),
                ({"old": "one", "fd": 0}, -32602),
                ({"old": "one", "old_fd": 0, "passphrase": "x"}, -32602),
                ({"old": "one", "fd": 8}, -32602)):
            e = error(rpc, "identity.passphrase", **params)
            check("%s is %d" % (json.dumps(params)[:50], code),
                  e and e.code == code, e)
        check("it is changed", rpc.call(
            "identity.passphrase", old="one", passphrase="two")["sealed"])
    for files, params, good in (
            ([b"two\n", b"three\nmore\n"], {"old_fd": 0, "fd": 1}, True),
            ([b"four", b"three"], {"old_fd": 1, "fd": 0}, True),
            ([b"four"], {"old_fd": 0, "fd": 1}, False),
            ([b"\n"], {"old": "four", "fd": 0}, False),
            ([b"x" * 1025], {"old": "four", "fd": 0}, False)):
        reply = call_with(d, files, "identity.passphrase", **params)
        check("files %.30r: %s" % (files, "taken" if good else "refused"),
              ("result" in reply) == good, reply)
    d.stop()
    d.start()
    reply = call_with(d, [b"three\n"], "identity.unlock", fd=0)
    check("the old one opens it no more", reply.get("error", {}).get(
        "code") == 601, reply)
    reply = call_with(d, [b"four\n"], "identity.unlock", fd=0)
    check("the new one does, out of a file",
          reply.get("result", {}).get("address") == address, reply)
    with d.rpc(timeout=60) as rpc:
        check("and is removed", rpc.call(
            "identity.passphrase", old="four", remove=True)["sealed"] is False)
        rpc.call("events.subscribe", since="oldest",
                 types=["identity.changed"])
        kinds = [rpc.wait_event("identity.changed") for _ in range(5)]
        check("each change is an event", len(kinds) == 5)
    d.stop()
    d.start()
    check("without, it starts open", d.call("status")["locked"] is False)
    with open(d.log, errors="replace") as log:
        text = log.read()
    check("no passphrase is in the log", not any(
        word in text for word in ("four", "three")), text)
    check("nothing lies beside the key", sorted(
        n for n in os.listdir(d.state) if n.startswith("identity")) ==
        ["identity.key"], os.listdir(d.state))
    d.stop()


def made_with_a_file(net):
    """An identity whose passphrase stands in no line."""
    d = net.add("fiona").start()
    for files, params in (([b"one"], {"fd": 0, "passphrase": "one"}),
                          ([b"one"], {"fd": 1}), ([b"\n"], {"fd": 0}),
                          ([b"x" * 1025], {"fd": 0}), ([], {"fd": 0})):
        reply = call_with(d, files, "identity.create", **params)
        check("identity.create refuses %.30r, %s" % (files, params),
              reply.get("error", {}).get("code") == -32602, reply)
    check("and makes none", d.call("status")["state"] == "no-identity")
    reply = call_with(d, [b"x", b"horse\nmore\n"], "identity.create",
                      name="Fiona", fd=1)
    check("it takes the first line of a file", reply.get("result", {}).get(
        "sealed") is True and reply["result"]["name"] == "Fiona", reply)
    d.stop()
    d.start()
    check("which opens it", d.call("identity.unlock", passphrase="horse")[
        "address"] == reply["result"]["address"])
    d.stop()


# ---- the lock ----

def locked_out(alice, contact):
    with alice.rpc() as rpc:
        for method, params in (
                ("contact.list", {}), ("identity.show", {}),
                ("message.send", {"conv": contact, "text": "x"}),
                ("message.history", {"conv": contact}),
                ("message.search", {"query": "x"}), ("net.peers", {}),
                ("sync.snapshot", {}), ("invite.list", {}),
                ("identity.set", {"name": "x"}),
                ("identity.passphrase", {"passphrase": "x"})):
            e = error(rpc, method, **params)
            check("%s is 101 while it is locked" % method,
                  e and (e.code, e.name) == (101, "LOCKED"), e)
        status = rpc.call("status")
        check("status says locked", status["locked"] is True and
              status["state"] == "locked" and status["identity"] is None,
              status)
        check("locking again is no trouble", rpc.call(
            "identity.lock") == {"locked": True})


def lock_with_others(alice, to_bob, waiting):
    """Locks; two others are subscribed, one waits, one lags. Gives the two
    that stay."""
    sub, poll, wait = alice.rpc(), alice.rpc(), alice.rpc()
    cursor = sub.call("events.subscribe", types=[
        "identity.locked", "identity.unlocked", "message.new"])
    at = poll.send("events.poll", {
        "since": {"epoch": cursor["epoch"], "seq": cursor["head"]},
        "timeout_ms": 60000})
    until = wait.send("message.wait", {"id": waiting, "timeout_ms": 60000})
    poll.call("status"), wait.call("status")  # both wait now
    with alice.rpc() as rpc:
        # What comes with it on one wire is served before, or refused.
        first = rpc.send("contact.list")
        lock = rpc.send("identity.lock")
        after = rpc.send("message.send", {"conv": to_bob, "text": "LATE-PHRASE"})
        check("a call before the lock is answered",
              len(rpc.result(first)["items"]) == 1)
        check("the lock is", rpc.result(lock) == {"locked": True})
        check("a call behind it is locked out",
              rpc.reply(after).get("error", {}).get("code") == 101)
        e = rpc.reply(rpc.send("status"))
        check("the connection stays", "result" in e, e)
    sub.wait_event("identity.locked")
    check("who is subscribed is told", True)
    items = poll.result(at)["items"]
    check("and who polls", [i["type"] for i in items] == ["identity.locked"],
          items)
    reply = wait.reply(until)
    check("who waits for a message is told that it is locked",
          reply.get("error", {}).get("code") == 101, reply)
    poll.close(), wait.close()
    return sub, cursor


def unlock(alice):
    with alice.rpc(timeout=60) as rpc:
        return rpc.call("identity.unlock", passphrase=PASS)


def nothing_is_lost(alice, bob, to_bob, to_alice, sub, cursor, waiting):
    meanwhile = bob.call("message.send", conv=to_alice, text="MEANWHILE-PHRASE")
    unlock(alice)
    sub.wait_event("identity.unlocked")
    event = sub.wait_event("message.new", timeout=120)
    check("a subscription goes on after it, with what came meanwhile",
          event["data"]["text"] == "MEANWHILE-PHRASE" and
          event["seq"] > cursor["head"], event)
    check("what was queued before the lock arrives", alice.came(waiting))
    check("and what was sent to it meanwhile", bob.came(meanwhile["id"]))
    sub.close()
    with alice.rpc() as rpc:
        rpc.call("events.subscribe", types=[
            "identity.locked", "identity.unlocked"],
            since={"epoch": cursor["epoch"], "seq": cursor["head"]})
        check("both events are durable", [
            rpc.wait_event(k)["type"] for k in (
                "identity.locked", "identity.unlocked")])
    texts = [m["text"] for m in alice.history(to_bob)]
    check("the history is whole", texts.count("QUEUED-PHRASE") == 1 and
          "LATE-PHRASE" not in texts and "SEEN-PHRASE" in texts, texts)


def lagging(alice, to_bob):
    """Who does not read does not keep text in the daemon's memory."""
    for i in range(40):
        alice.call("message.send", conv=to_bob, text="LAG-PHRASE-%d " % i * 900)
    slow = alice.rpc()
    for _ in range(40):
        slow.send("message.history", {"conv": to_bob, "limit": 40})
    alice.call("status")
    return slow


# ---- memory ----

def may_look(daemon):
    try:
        return memory.find(daemon.process.pid, {"pid": b"\x7fELF"})[1] > 0
    except OSError as e:
        print("# no look at the memory: %s" % e)
        return False


def limits(daemon):
    pid = daemon.process.pid
    with open("/proc/%d/limits" % pid) as f:
        core = [line.split()[4:6] for line in f
                if line.startswith("Max core file size")]
    check("there are no core dumps", core == [["0", "0"]], core)
    uid = os.stat("/proc/%d/mem" % pid).st_uid
    check("nor traces: what is of it belongs to root", uid == 0, uid)
    with open("/proc/%d/coredump_filter" % pid) as f:
        f.read()


def keys_are_locked(daemon, seed, store):
    """At rest they stand in locked memory; with a limit of none, all does."""
    pid = daemon.process.pid
    found, _ = memory.find(pid, {"seed": seed, "store key": store})
    areas = memory.locked(pid)
    inside = {what for what, at, _ in found
              if any(a <= at < b for a, b in areas)}
    check("seed and store key are in locked memory",
          inside == {"seed", "store key"}, found, areas)
    check("the store key is nowhere else", all(
        any(a <= at < b for a, b in areas)
        for what, at, _ in found if what == "store key"), found)
    if no_limit(pid):
        check("with no limit all keys are", all(
            any(a <= at < b for a, b in areas) for _, at, _ in found), found)
        stack = [(a, b) for a, b, _, name in memory.areas(pid)
                 if name in ("[heap]", "[stack]")]
        check("and all else", all(
            any(a <= at < b for a, b in areas) for at, _ in stack), stack)


def no_limit(pid):
    """For this process: a daemon's that we started is the same."""
    with open("/proc/%d/status" % pid) as f:
        caps = [int(x.split()[1], 16) for x in f if x.startswith("CapEff")]
    return (resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == -1 or
            caps[0] >> 14 & 1)  # CAP_IPC_LOCK


def derived(seed, store):
    """Keys that are made of those two. [store_seal.c, RFC 8032]"""
    keys = {word: hashlib.blake2b(b"btchat/1 store " + word.encode(), key=store,
                                  digest_size=32).digest()
            for word in ("seal", "look", "keys")}
    keys["scalar"] = hashlib.sha512(seed).digest()[1:31]
    return keys


def is_wiped(when, daemon, needles):
    found, seen = memory.find(daemon.process.pid, needles)
    check("%s: no key, name or text in its %d KB" % (when, seen // 1024),
          not found and seen > 100000,
          [(what, hex(at), name) for what, at, name in found][:40])


def sanitized(daemon):
    with open("/proc/%d/maps" % daemon.process.pid) as f:
        return "asan" in f.read() or "asan" in os.environ.get("B", "")


def main():
    need_build()
    with Net() as net:
        passphrases(net)
        made_with_a_file(net)
        alice, seed, store = open_book(net)
        alice.call("identity.passphrase", passphrase=PASS)
        bob = net.person("bob")
        to_bob, to_alice = net.pair(alice, bob)
        bob.call("identity.set", profile="PROFILE-OF-BOB")
        alice.call("contact.set", contact=to_bob, name="NAME-FOR-BOB")
        alice.call("conv.set", conv=to_bob, draft="DRAFT-PHRASE")
        alice.call("invite.create", label="LABEL-OF-ALICE")
        seen = bob.call("message.send", conv=to_alice, text="SEEN-PHRASE")
        check("both talk", bob.came(seen["id"]))
        alice.call("message.react", id=seen["id"], reaction="REACTION-A")
        check("a search finds it", alice.call(
            "message.search", query="seen")["items"])
        needles = {
            "seed": seed, "store key": store, "own name": b"OWN-NAME-OF",
            "passphrase": PASS.encode(), "profile": b"PROFILE-OF",
            "name": b"NAME-FOR", "draft": b"DRAFT-PHRASE",
            "label": b"LABEL-OF", "reaction": b"REACTION-A",
            "text": b"-PHRASE", "address": alice.address.encode(),
            "bob's address": bob.address.encode(),
            "bob's id": bytes.fromhex(bob.call(
                "identity.show")["fingerprint"]),
            "own id": bytes.fromhex(alice.call(
                "identity.show")["fingerprint"]),
            **derived(seed, store)}
        look = not sanitized(alice) and may_look(alice)
        if look:
            limits(alice)
            keys_are_locked(alice, seed, store)
            found, _ = memory.find(alice.process.pid, needles)
            check("before, names, keys and texts can be found", {
                "seed", "store key", "own id", "seal", "look", "keys"} <= {f[0] for f in found},
                found)
        bob.stop()
        waiting = alice.call(
            "message.send", conv=to_bob, text="QUEUED-PHRASE",
            client_id="CLIENT-ID-OF")["id"]
        slow = lagging(alice, to_bob)
        sub, cursor = lock_with_others(alice, to_bob, waiting)
        locked_out(alice, to_bob)
        if look:
            is_wiped("after the lock", alice, needles)
        slow.close()
        bob.start()
        nothing_is_lost(alice, bob, to_bob, to_alice, sub, cursor, waiting)
        for _ in range(3):
            with bob.rpc() as rpc:
                rpc.call("events.subscribe", types=["presence"])
                if not rpc.call("net.peers", online_only=True)["items"]:
                    rpc.wait_event("presence", timeout=120, online=True)
                alice.call("identity.lock")
                rpc.wait_event("presence", timeout=120, online=False)
                check("the other side sees it go", True)
            alice.call("status")
            if look:
                is_wiped("and after another", alice, needles)
            unlock(alice)
        alice.call("identity.lock")
        alice.kill()
        alice.start()
        check("after a kill it is locked still",
              alice.call("status")["locked"] is True)
        unlock(alice)
        check("and opens", len(alice.call("contact.list")["items"]) == 1)
        check("it stops cleanly", alice.stop() == 0)
        if not look:
            print("# the memory was not looked at: no root, or a sanitizer")
    finish()


if __name__ == "__main__":
    main()
