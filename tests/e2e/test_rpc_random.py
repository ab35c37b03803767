"""Random calls, good and bad, from several clients at once: every line gets
one reply of the documented form, and the daemon lives."""
import json
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import openrpc  # noqa: E402
from check import LONG, check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402

CALLS = 200000 if LONG else 4000
NEVER = {"daemon.shutdown", "identity.create", "identity.lock",
         "identity.passphrase", "identity.unlock", "session.restrict"}
ODD = [None, True, False, 0, -1, 1.5, 1e300, 2**53, "", "x", "\x1b[2J",
       "\u202e", "a" * 26, "A" * 26, "y" * 300, [], ["x"], [1], {},
       {"epoch": "x", "seq": 1}, {"seq": -1}, "now", "oldest", "sent"]


class World:
    def __init__(self, seed, doc):
        self.dice = random.Random(seed)
        self.methods = [m for m in doc["methods"] if m["name"] not in NEVER]
        self.ids = ["a" * 26]
        self.cursors = [{"epoch": "0", "seq": 0}]

    def learn(self, v):
        """Ids and cursors of results are what later calls are made of."""
        todo = [v]
        while todo:
            v = todo.pop()
            if isinstance(v, dict):
                if set(v) == {"epoch", "seq"}:
                    self.cursors = (self.cursors + [v])[-20:]
                todo += v.values()
            elif isinstance(v, list):
                todo += v
            elif isinstance(v, str) and len(v) == 26 and " " not in v:
                self.ids = (self.ids + [v])[-100:]

    def good(self, schema):
        dice = self.dice
        if "oneOf" in schema:
            return dice.choice(self.cursors + ["now", "oldest"])
        if "enum" in schema:
            return dice.choice(schema["enum"])
        if schema.get("pattern"):
            return dice.choice(self.ids)
        kind = schema["type"]
        if kind == "integer":
            return dice.randint(schema["minimum"],
                                min(schema["maximum"],
                                    schema["minimum"] + 500))
        if kind == "boolean":
            return dice.random() < 0.5
        if kind == "array":
            return [self.good(schema["items"])
                    for _ in range(dice.randint(0, 2))]
        return dice.choice(["", "c1", "c2", "text \u00e9", "z" * 60])

    def request(self, number):
        m = self.dice.choice(self.methods)
        params = {}
        for p in m["params"]:
            if not p["required"] and self.dice.random() < 0.5:
                continue
            odd = self.dice.random() < 0.1
            params[p["name"]] = (self.dice.choice(ODD) if odd
                                 else self.good(p["schema"]))
        if "timeout_ms" in [p["name"] for p in m["params"]]:
            params["timeout_ms"] = self.dice.choice([0, 0, 1, 20])
        if self.dice.random() < 0.02:
            params["zz"] = 1
        return m["name"], {"jsonrpc": "2.0", "id": number,
                           "method": m["name"], "params": params}


def run(d, seed, doc):
    world, schema = World(seed, doc), openrpc.Schema(doc)
    codes = {e["code"] for e in doc["components"]["errors"].values()}
    allowed = {m["name"]: set(m["x-errors"]) for m in doc["methods"]}
    common = {"PARSE", "INVALID_REQUEST", "INVALID_PARAMS", "INTERNAL"}
    clients = [d.rpc() for _ in range(5)]
    strange = []
    for number in range(CALLS):
        rpc = world.dice.choice(clients)
        if world.dice.random() < 0.01:  # one leaves, perhaps in the middle
            clients.remove(rpc)
            rpc.send("events.poll", {"timeout_ms": 1000})
            rpc.close()
            clients.append(d.rpc())
            continue
        name, request = world.request(number)
        rpc.send_raw(json.dumps(request).encode() + b"\n")
        reply = rpc.reply(number)
        rpc.notes.clear()
        if "result" in reply:
            schema.result(name, reply["result"])
            world.learn(reply["result"])
            continue
        e = reply["error"]
        if (e["code"] not in codes or e["data"]["name"] not in
                allowed[name] | common or e["code"] == -32603):
            strange.append((request, e))
    check("every result is as documented", schema.bad == [],
          schema.bad[:10])
    check("every error is one that its method documents", strange == [],
          strange[:10])
    for rpc in clients:
        rpc.close()


def main():
    need_build()
    seed = int(os.environ.get("TEST_SEED", 0)) or random.SystemRandom(
        ).randrange(1, 1 << 32)
    print("seed: TEST_SEED=%d" % seed)
    doc = openrpc.load()
    with Net() as net:
        d, other = net.add("alice").start(), net.add("bob").start()
        address = other.call("identity.create")["address"]
        other.stop()
        d.call("identity.create", name="A")
        bob = d.call("contact.add", address=address, name="B")["contact"]
        for i in range(20):
            d.call("message.send", conv=bob, text="t%d" % i)
        run(d, seed, doc)
        check("it lives, and stops with 0", d.stop() == 0, d.tail())
    finish()


main()
