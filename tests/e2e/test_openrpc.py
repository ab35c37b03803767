"""Every example of proto/openrpc.json is run: it draws a result of the form
that the document gives, or the error that it shows. What the document forbids
is refused, and what it says of a daemon without an identity, or locked, is so.

The examples tell one story. An id, an address or an epoch that one of them
shows in its result stands for what came instead; the params of those that
follow are filled in so."""
import array
import json
import os
import re
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import openrpc  # noqa: E402
from check import check, finish  # noqa: E402
from net import Net, add_contact, need_build  # noqa: E402

# The order of the story; what is not named is run between, as it stands there.
BEGINS = ["identity.show", "session.info", "contact.list", "message.send",
          "invite.create", "events.subscribe"]
ENDS = ["message.edit", "message.react", "message.delete", "conv.clear",
        "events.unsubscribe", "events.forget", "invite.revoke",
        "contact.block", "contact.unblock", "contact.delete", "contact.add",
        "invite.accept", "session.restrict"]
# On a daemon of its own, for there is nothing after them.
APART = ["identity.create", "identity.export", "backup.create",
         "backup.verify", "identity.lock", "identity.unlock",
         "identity.passphrase", "identity.delete", "identity.import"]
AGAIN = ["backup.restore", "daemon.shutdown"]
WAITING = ["message.cancel", "message.retry"]  # of what nobody takes
WRITES = {"identity.export", "backup.create"}  # to a file that is passed
READS = {"backup.verify": "backup.create", "backup.restore": "backup.create",
         "identity.import": "identity.export"}

# What stands for something else in another net.
NAME = re.compile(r"[a-z2-7]{26}|(btchat:)?bt(chat|invite)1[a-z0-9]+|"
                  r"[0-9a-f]{16}|[0-9]{5}( [0-9]{5}){11}")


def params_of(example):
    return {p["name"]: p["value"] for p in example["params"]}


class Story:
    def __init__(self, doc):
        self.schema = openrpc.Schema(doc)
        self.errors = doc["components"]["errors"]
        self.examples = {m["name"]: m["examples"] for m in doc["methods"]}
        self.stands_for, self.strange = {}, []
        self.files, self.run = {}, set()

    # Names of the examples, and of this net.
    def learn(self, shown, came):
        """Both are results of one call; the first that is shown counts."""
        todo = [(shown, came)]
        while todo:
            a, b = todo.pop()
            if isinstance(a, dict) and isinstance(b, dict):
                todo += [(a[k], b[k]) for k in set(a) & set(b)]
            elif isinstance(a, list) and isinstance(b, list):
                todo += zip(a, b)
            elif isinstance(a, str) and isinstance(b, str) and \
                    NAME.fullmatch(a):
                self.stands_for.setdefault(a, b)

    def fill(self, v, method, known=True):
        """known: there is nothing in it that was not shown."""
        if isinstance(v, dict):
            return {k: self.fill(e, method, known) for k, e in v.items()}
        if isinstance(v, list):
            return [self.fill(e, method, known) for e in v]
        if not isinstance(v, str):
            return v
        if known and NAME.fullmatch(v) and v not in self.stands_for:
            self.strange.append((method, v))
        return self.stands_for.get(v, v)

    # Calls.
    def call(self, rpc, method, params):
        if method not in WRITES and method not in READS:
            return rpc.reply(rpc.send(method, params))
        if method in WRITES:
            self.files[method] = os.memfd_create(method)
        fd = self.files[READS.get(method, method)]
        os.lseek(fd, 0, os.SEEK_SET)
        rpc.sock.sendmsg(
            [json.dumps({"jsonrpc": "2.0", "id": method, "method": method,
                         "params": params}).encode() + b"\n"],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        return rpc.reply(method)

    def play(self, rpc, method):
        for e in self.examples[method]:
            params = self.fill(params_of(e), method, "result" in e)
            reply = self.call(rpc, method, params)
            name = "%s, %s" % (method, e["name"])
            if "result" in e:
                if not check(name, "result" in reply, params, reply):
                    continue
                self.schema.result(method, reply["result"])
                self.learn(e["result"]["value"], reply["result"])
            else:
                got = reply.get("error", {})
                check("%s: %s" % (name, e["x-error"]), got.get("code") ==
                      self.errors[e["x-error"]]["code"] and
                      got["data"]["name"] == e["x-error"], params, reply)
        self.run.add(method)


# ---- what is refused ----

def forbidden(schema, s):
    """Of some values, those that it does not allow."""
    ends = [s.get("minimum", 0) - 1, s.get("maximum", 0) + 1]
    lengths = [s.get("minLength", 0) - 1, s.get("maxLength", -2) + 1]
    some = [True, 7, 1.5, "", "?" * 26, "A" * 26, "a" * 25, [], [7], ["?"],
            {}, {"seq": 1}, {"epoch": "x", "seq": -1, "more": 1}]
    some += ends + ["x" * n for n in lengths if n >= 0]
    return [v for v in some if not schema.accepts(s, v)]


def wrong_params(schema, m):
    """(what is wrong, params), of params that are right otherwise."""
    good = params_of(next(e for e in m["examples"] if "result" in e))
    good = {p["name"]: good[p["name"]] for p in m["params"] if p["required"]}
    yield "one that it does not have", dict(good, nonesuch=1)
    for p in m["params"]:
        name = p["name"]
        if p["required"]:
            yield name + " missing", {k: v for k, v in good.items()
                                      if k != name}
        for v in forbidden(schema, p["schema"]):
            yield "%s = %.30r" % (name, v), dict(good, **{name: v})


def is_refused(doc, d, errors):
    """By a daemon that has no identity: nothing else would be done."""
    schema, n = openrpc.Schema(doc), 0
    codes = {errors[e]["code"] for e in ("INVALID_PARAMS",
                                         "REQUEST_TOO_LARGE")}
    with d.rpc() as rpc:
        for m in doc["methods"]:
            taken = []
            for what, params in wrong_params(schema, m):
                rpc.send(m["name"], params, id="x")
                # Of a line that is too long nobody reads the id.
                reply = rpc.read_json()
                n += 1
                if reply.get("error", {}).get("code") not in codes:
                    taken.append((what, reply))
            check("%s refuses what it does not take" % m["name"],
                  taken == [], taken[:5])
    check("many were tried", n > 500, n)


def says(doc, d, error, errors):
    """Each method that lists this error gives it now."""
    with d.rpc() as rpc:
        for m in doc["methods"]:
            if error not in m["x-errors"]:
                continue
            e = next(e for e in m["examples"] if "result" in e)
            reply = rpc.reply(rpc.send(m["name"], params_of(e)))
            check("%s: %s" % (error, m["name"]), reply.get("error", {}).get(
                "code") == errors[error]["code"], reply)


# ---- the story ----

def of_a_couple(net, story):
    alice, bob, _, _ = net.couple()
    carol = net.person("carol")
    ends = set(ENDS + APART + AGAIN + WAITING)
    story.stands_for["127.0.0.1:40223"] = "127.0.0.1:%d" % net.entry[0]
    between = [m for m in story.examples if m not in ends | set(BEGINS)]
    with alice.rpc(timeout=60) as rpc:
        for method in BEGINS:
            story.play(rpc, method)
        sent = params_of(story.examples["message.get"][0])["id"]
        check("what the story is about is sent",
              alice.came(story.stands_for[sent]))
        uri = params_of(story.examples["invite.accept"][0])["uri"]
        story.stands_for[uri] = carol.call("invite.create")["uri"]
        for method in between + ENDS:
            story.play(rpc, method)


def of_one_who_waits(net, story):
    d, nobody = net.person("walt"), net.person("nobody")
    conv = add_contact(d, nobody)
    message = d.call("message.send", conv=conv, text="hello")["id"]
    story.stands_for[params_of(
        story.examples["message.cancel"][0])["id"]] = message
    with d.rpc() as rpc:
        for method in WAITING:
            story.play(rpc, method)


def of_one_alone(net, story, doc):
    errors = doc["components"]["errors"]
    d = net.add("dora").start()
    is_refused(doc, d, errors)
    says(doc, d, "IDENTITY_NOT_FOUND", errors)
    with d.rpc(timeout=60) as rpc:
        for method in APART:
            story.play(rpc, method)
            if method == "identity.lock":
                says(doc, d, "LOCKED", errors)
    for method in AGAIN:
        other = net.add(method.replace(".", "-")).start()
        with other.rpc(timeout=60) as rpc:
            story.play(rpc, method)
    check("who was told to stop does", other.process.wait(60) == 0)
    other.process = None


def main():
    need_build()
    doc = openrpc.load()
    story = Story(doc)
    with Net() as net:
        of_one_alone(net, story, doc)
        story.stands_for.clear()  # she was somebody else
        of_one_who_waits(net, story)
        story.stands_for.clear()
        of_a_couple(net, story)
    check("every method has an example that was run",
          story.run == set(story.examples), set(story.examples) - story.run)
    check("every result is as the document says", story.schema.bad == [],
          story.schema.bad[:20])
    check("no example names what no other has shown", story.strange == [],
          story.strange)
    finish()


if __name__ == "__main__":
    main()
