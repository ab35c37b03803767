"""session.restrict: what a connection gave away it never has again, and who is
confined to a conversation learns nothing of another, whatever he calls."""
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import openrpc  # noqa: E402
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402
from rpc import Closed, RpcError  # noqa: E402

# Not called: they end the daemon, its identity or the subscription.
NEVER = {"daemon.shutdown", "events.unsubscribe", "identity.lock",
         "session.restrict"}
# Not with a conversation of one's own, which is needed afterwards.
HARMFUL = {"contact.block", "contact.delete", "conv.clear"}


def code(rpc, rpc_method, /, **params):
    """The error code of a call; None: it has a result."""
    try:
        rpc.call(rpc_method, **params)
    except RpcError as e:
        return e.code
    return None


def tiers(d, conv):
    with d.rpc() as rpc:
        check("no tier is wider than it is", rpc.call(
            "session.restrict", tier="admin")["tier"] == "admin")
        info = rpc.call("session.restrict", tier="read")
        check("a narrower one is taken", info["tier"] == "read" and
              "message.send" not in info["methods"] and
              "message.get" in info["methods"], info)
        check("and holds", code(rpc, "message.send", conv=conv,
                                text="x") == 100)
        info = rpc.call("session.restrict", tier="chat")
        check("there is no way back", info["tier"] == "read" and
              code(rpc, "message.send", conv=conv, text="x") == 100, info)
    with d.rpc() as rpc:
        check("other connections are as they were",
              rpc.call("session.info")["tier"] == "admin")


def methods(d, conv):
    with d.rpc() as rpc:
        check("a method that is not there is -32602", code(
            rpc, "session.restrict", methods=["status", "stat"]) == -32602)
        check("and nothing is restricted", code(rpc, "contact.list") is None)
        info = rpc.call("session.restrict",
                        methods=["status", "message.send"])
        check("only those named are left, and session.*",
              set(info["methods"]) == {
                  "status", "message.send", "session.hello", "session.info",
                  "session.restrict"}, info["methods"])
        check("the others are 102", code(rpc, "contact.list") == 102)
        check("those are served", code(rpc, "message.send", conv=conv,
                                       text="x") is None)
        rpc.call("session.restrict", methods=["contact.list", "status"])
        check("a second time narrows, and gives none back",
              code(rpc, "contact.list") == 102 and
              code(rpc, "message.send", conv=conv, text="x") == 102 and
              code(rpc, "status") is None)
        rpc.call("session.restrict", methods=[])
        check("an empty list leaves nothing", code(rpc, "status") == 102)
    with d.rpc() as rpc:
        rpc.notify("session.restrict", tier="read")
        reply = rpc.read_json()
        check("it needs an id: nobody is to believe that he is restricted",
              reply["error"]["code"] == -32600 and reply["id"] is None and
              rpc.call("session.info")["tier"] == "admin", reply)


def until(d):
    with d.rpc() as rpc:
        rpc.call("events.subscribe")
        rpc.next_note()
        far = int(time.time() * 1000) + 3600000
        info = rpc.call("session.restrict", until_ms=far)
        check("a time is told", info["until_ms"] == far, info)
        info = rpc.call("session.restrict", until_ms=far + 1)
        check("it does not come later", info["until_ms"] == far, info)
        soon = int(time.time() * 1000) + 300
        rpc.call("session.restrict", until_ms=soon)
        try:
            rpc.read_line()
            check("it is closed then", False)
        except Closed:
            check("it is closed then", time.time() * 1000 >= soon - 5)
    with d.rpc() as rpc:
        check("a time that is over is answered", rpc.call(
            "session.restrict", until_ms=0)["until_ms"] > 0)
        try:
            rpc.read_line()
            check("and is over", False)
        except Closed:
            check("and is over", True)


class Secret:
    """What is known of a conversation, to be looked for in what comes."""

    def __init__(self, d, address, name):
        self.address, self.name = address, name
        self.conv = d.call("contact.add", address=address,
                           name=name)["contact"]
        self.ids = d.write(self.conv, [name + " old", name + " older"])

    def words(self):
        return [w.encode() for w in [self.conv, self.name, self.address] +
                self.ids]

    def is_in(self, data):
        return [w for w in self.words() if w in data]


def value_for(schema, name, secret):
    """What fits a parameter, about the secret where it may be."""
    if name in ("conv", "contact"):
        return secret.conv
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("pattern"):
        return secret.ids[0]
    if "oneOf" in schema:
        return "oldest"
    if name == "query":
        return secret.name
    return {"string": "x", "boolean": True, "array": [],
            "integer": max(schema.get("minimum", 0), 1)}[schema["type"]]


def asks(doc, secret, mine):
    """Calls of every method: with what it needs, with all it takes, and with
    a mixture of both conversations."""
    for m in doc["methods"]:
        if m["name"] in NEVER:
            continue
        need = {p["name"]: value_for(p["schema"], p["name"], secret)
                for p in m["params"] if p["required"]}
        take = {p["name"]: value_for(p["schema"], p["name"], secret)
                for p in m["params"]}
        for p in (need, take):
            yield m["name"], p
            if set(p) & {"conv", "contact"} and m["name"] not in HARMFUL:
                yield m["name"], dict(p, **{
                    k: mine.conv for k in p if k in ("conv", "contact")})
            if "timeout_ms" in p:
                yield m["name"], dict(p, timeout_ms=0)


def drained(rpc, seen):
    """All that came, with the reply to one last call."""
    last = rpc.send("session.info")
    while True:
        line = rpc.read_line()
        if line.startswith(b'{"jsonrpc":"2.0","id":%d,' % last):
            return
        seen.append(line)


def confined(d, doc, mine, secret):
    with d.rpc() as rpc:
        rpc.call("events.subscribe", since="oldest")
        before = rpc.send("events.poll", {"timeout_ms": 3600000})
        drained(rpc, [])
        info = rpc.call("session.restrict", convs=[mine.conv])
        check("it says to which", info["convs"] == [mine.conv], info)
        seen = []
        for method, params in asks(doc, secret, mine):
            rpc.send(method, params)
        drained(rpc, seen)
        # Things happen in both.
        told = [d.write(s.conv, [s.name + " new"])[0]
                for s in (secret, mine)]
        secret.ids.append(told[0])
        drained(rpc, seen)
        leaks = [(line, secret.is_in(line)) for line in seen
                 if secret.is_in(line)]
        check("of another conversation he learns nothing", not leaks,
              *leaks[:5])
        events = [json.loads(x) for x in seen if b'"method":"event"' in x]
        check("of his own he is told", told[1] in [
            e["params"]["data"].get("id") for e in events], events)
        check("a call that waited before is narrowed, too", {
            e["data"].get("conv") or e["data"]["id"]
            for x in map(json.loads, seen)
            if x.get("id") == before for e in x["result"]["items"]} ==
            {mine.conv}, [x for x in map(json.loads, seen)
                          if x.get("id") == before])
        check("his own he may use", all(code(rpc, m, **p) is None for m, p in (
            ("message.send", {"conv": mine.conv, "text": "x"}),
            ("message.history", {"conv": mine.conv}),
            ("message.get", {"id": mine.ids[0]}),
            ("contact.get", {"contact": mine.conv}),
            ("conv.set", {"conv": mine.conv, "muted": True}))))
        check("the other is 102", code(rpc, "message.send", conv=secret.conv,
                                       text="x") == 102)
        check("its messages are not there", code(
            rpc, "message.edit", id=secret.ids[0], text="x") == 201)
        check("nor are lists of all", {code(rpc, m) for m in (
            "contact.list", "conv.list", "sync.snapshot", "invite.list",
            "net.peers")} == {102})
        info = rpc.call("session.restrict", convs=[secret.conv])
        check("another one cannot be had instead", info["convs"] == [] and
              code(rpc, "message.send", conv=secret.conv, text="x") == 102
              and code(rpc, "message.send", conv=mine.conv,
                       text="x") == 102, info)
    check("the other was not touched", all(
        d.call("message.get", id=i)["text"].startswith(secret.name)
        for i in secret.ids) and not d.call(
            "contact.get", contact=secret.conv)["verified"])


def main():
    need_build()
    with Net() as net:
        d, other = net.add("alice").start(), net.add("bob").start()
        address = [other.call("identity.create")["address"]]
        other.stop()
        other = net.add("carol").start()
        address.append(other.call("identity.create")["address"])
        other.stop()
        d.call("identity.create")
        mine = Secret(d, address[0], "Minerva")
        secret = Secret(d, address[1], "Zorro")
        tiers(d, mine.conv)
        methods(d, mine.conv)
        until(d)
        confined(d, openrpc.load(), mine, secret)
        check("it stops with 0", d.stop() == 0)
    finish()


main()
