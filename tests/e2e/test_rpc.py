"""The control socket: wire rules, every method once, results as
proto/openrpc.json says. JSON-RPC itself is test_jsonrpc.py's."""
import json
import os
import re
import stat
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import openrpc  # noqa: E402
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402
from rpc import Closed, RpcError  # noqa: E402

STATUS = b'{"jsonrpc":"2.0","id":1,"method":"status"}'


def talk(daemon, data, half_close=True):
    """What comes back until the daemon closes, as lines."""
    with daemon.rpc() as rpc:
        rpc.send_raw(data)
        if half_close:
            rpc.half_close()
        lines = []
        try:
            while True:
                lines.append(rpc.read_line())
        except Closed as end:
            if end.args[0]:
                lines.append(b"UNFINISHED " + end.args[0])
        return lines


def ask(daemon, text):
    """Replies to these bytes, decoded."""
    if isinstance(text, str):
        text = text.encode()
    return [json.loads(line) for line in talk(daemon, text + b"\n")]


def code(reply):
    return reply.get("error", {}).get("code")


def error(rpc, method, **params):
    """The error of a call that must fail; None if it does not."""
    try:
        rpc.call(method, **params)
    except RpcError as e:
        return e
    return None


def framing(d):
    good = b'"result"'
    for name, data in (
            ("a line ends with LF", STATUS + b"\n"),
            ("or CRLF", STATUS + b"\r\n"),
            ("or the end of the input", STATUS),
            ("a BOM at the start is ignored", b"\xef\xbb\xbf" + STATUS),
            ("blank lines are ignored", b"\n\r\n \t\r\n" + STATUS + b"\n\n"),
            ("blanks around a request are ignored", b" \t" + STATUS + b"  ")):
        lines = talk(d, data)
        check(name, len(lines) == 1 and good in lines[0], lines)
    check("nothing but blanks draws nothing", talk(d, b"\n \r\n") == [])
    check("a BOM alone draws nothing", talk(d, b"\xef\xbb\xbf") == [])
    lines = talk(d, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + STATUS, False)
    check("somebody who speaks HTTP gets one -32700, and a close",
          len(lines) == 1 and code(json.loads(lines[0])) == -32700, lines)
    lines = talk(d, STATUS * 2 + b"\n" + STATUS + b"\n")
    check("two texts on a line are one -32700; the next line is served",
          len(lines) == 2 and code(json.loads(lines[0])) == -32700
          and good in lines[1], lines)
    with d.rpc() as rpc:
        for byte in STATUS[:-1]:
            rpc.send_raw(bytes([byte]))
        rpc.send_raw(STATUS[-1:] + b"\n")
        check("a line may come byte by byte", good in rpc.read_line())
    many = b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"status"}\n' % i
                    for i in range(3000))
    ids = [json.loads(line)["id"] for line in talk(d, many)]
    check("3000 pipelined calls are answered in order",
          ids == list(range(3000)), ids[:10], len(ids))


def long_lines(d):
    for size in (256 * 1024, 256 * 1024 + 1, 3 << 20):
        line = b'{"jsonrpc":"2.0","id":9,"x":"'.ljust(size, b"a") + b"\n"
        lines = talk(d, line + STATUS + b"\n")
        check("a line of %d bytes is one -32001, the next is served" % size,
              [code(json.loads(x)) for x in lines] == [-32001, None], lines)
    pad = 256 * 1024 - len(STATUS) - 1
    lines = talk(d, STATUS + b" " * pad + b"\n")
    check("a line of 256 KiB with its LF is served",
          len(lines) == 1 and b'"result"' in lines[0])


def params(d):
    with d.rpc() as rpc:
        e = error(rpc, "contact.ad")
        check("an unknown method has a suggestion", e and e.code == -32601
              and e.data["did_you_mean"] == "contact.add", e and e.data)
        e = error(rpc, "message.history", con="x")
        check("an unknown parameter too", e and e.code == -32602 and
              (e.data["param"], e.data["did_you_mean"]) == ("con", "conv"),
              e and e.data)
        e = error(rpc, "message.get")
        check("a parameter that lacks is named", e and e.code == -32602
              and e.data["param"] == "id" and e.name == "INVALID_PARAMS",
              e and e.data)
        e = error(rpc, "events.poll", limit=501)
        check("one out of range too", e and e.data.get("param") == "limit",
              e and e.data)
    r = ask(d, '{"jsonrpc":"2.0","id":1,"method":"status","params":[]}')
    check("parameters have names", code(r[0]) == -32602, r)
    r = ask(d, '{"jsonrpc":"2.0","id":1,"method":"status","params":null}')
    check("null is no parameters", "result" in r[0], r)
    r = ask(d, '{"jsonrpc":"2.0","id":1,"method":"status","parms":{}}')
    check("a request has no other members", code(r[0]) == -32600, r)
    r = ask(d, '{"jsonrpc":"2.0","id":1,"Method":"status"}')
    check("names are case-sensitive", code(r[0]) == -32600, r)
    r = ask(d, '{"jsonrpc":"2.0","id":1,"id":2,"method":"status"}')
    check("41: a key twice is a -32700", code(r[0]) == -32700, r)


def before_identity(d):
    with d.rpc() as rpc:
        check("without identity the state says so",
              rpc.call("status")["state"] == "no-identity")
        for method in ("identity.show", "contact.list", "conv.list",
                       "invite.list", "sync.snapshot"):
            e = error(rpc, method)
            check("without identity %s is 206" % method,
                  e and (e.code, e.name) == (206, "IDENTITY_NOT_FOUND"), e)
        e = error(rpc, "identity.unlock", passphrase="x")
        check("nothing to unlock is 206", e and e.code in (206, 302), e)


class Checked:
    """Calls whose results are held against the document."""

    def __init__(self, rpc, schema):
        self.rpc, self.schema, self.called = rpc, schema, set()

    def __call__(self, rpc_method, /, **params):
        result = self.rpc.call(rpc_method, **params)
        self.schema.result(rpc_method, result)
        self.called.add(rpc_method)
        return result


def identity(call):
    me = call("identity.create", name="Alice \u00c4")
    check("identity.create gives an address",
          me["address"].startswith("btchat1") and me["name"] == "Alice \u00c4",
          me)
    check("identity.show gives the same", call("identity.show") == me)
    check("so does identity.list", call("identity.list") == {"items": [me]})
    e = error(call.rpc, "identity.create")
    check("a second identity is 300", e and e.name == "ALREADY_EXISTS", e)
    check("identity.set answers what it is called",
          call("identity.set", name="me", profile="I")["profile"] == "I")


def contacts(call, address):
    other = "q" if address[20] == "x" else "x"
    for bad in ("", "btchat1", address[:-1],
                address[:20] + other + address[21:],
                "btinvite1qqqq"):
        e = error(call.rpc, "contact.add", address=bad)
        check("an address of %r is 600" % bad[:12],
              e and e.name == "BAD_ADDRESS", e)
    e = error(call.rpc, "contact.add", address=call("identity.show")["address"])
    check("our own address is 600", e and e.code == 600, e)
    added = call("contact.add", address=address, name="Bob",
                 client_id="add-1")
    bob = added["contact"]
    check("a new contact waits", added["state"] == "waiting", added)
    again = call("contact.add", address=address, name="Bob",
                 client_id="add-1")
    check("the same with the same client_id is no error",
          again["contact"] == bob, again)
    e = error(call.rpc, "contact.add", address=address)
    check("adding twice is 300 with the contact", e
          and (e.code, e.data.get("contact")) == (300, bob), e and e.data)
    one = call("contact.get", contact=bob)
    check("contact.get has a safety number of 60 digits",
          len(one["fingerprint"].replace(" ", "")) == 60, one)
    check("contact.list has it", [c["id"] for c in
                                  call("contact.list")["items"]] == [bob])
    for query, n in (("bo", 1), ("OB", 1), (address[:12], 1), (bob[:5], 1),
                     ("carol", 0)):
        check("contact.list query=%s finds %d" % (query[:5], n),
              len(call("contact.list", query=query)["items"]) == n)
    uri = "btchat:%s?name=x" % address.upper()
    for text, by in ((bob, "id"), (address, "address"), (uri, "address"),
                     ("Bob", "name"), ("BOB", "folded"), ("b", "prefix"),
                     ("B\u00f6b", "folded"), ("ob", None), ("bobby", None),
                     ("btchat:", None), (".", None), ("a" * 26, None),
                     (address[:-1], None)):
        found = call("contact.resolve", text=text)
        check("contact.resolve of %s" % text[:12],
              [(c["id"], c["match"]) for c in found["items"]] ==
              ([(bob, by)] if by else []) and not found["more"], found)
    check("contact.set renames", call(
        "contact.set", contact=bob, name="Bob \u2603")["name"] ==
        "Bob \u2603")
    e = error(call.rpc, "contact.set", contact=bob, name="a\nb")
    check("a name has no line breaks", e and e.code == -32602, e)
    check("who is new is not verified", (one["verified"], one["fallback"],
                                         one["denied"]) ==
          (False, "auto", False), one)
    number = one["fingerprint"]
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    for bad in (wrong, number[:-1], number + " 0", "", "x" + number):
        e = error(call.rpc, "contact.verify", contact=bob, fingerprint=bad)
        check("contact.verify is 602 for %r" % bad[-5:],
              e and e.name == "FINGERPRINT_MISMATCH", e)
    check("nor does it verify", not call("contact.get",
                                         contact=bob)["verified"])
    for good in (number, number.replace(" ", ""), number.replace(" ", "-")):
        check("contact.verify takes the number", call(
            "contact.verify", contact=bob, fingerprint=good)["verified"])
        check("and takes it back", not call(
            "contact.verify", contact=bob)["verified"])
    for policy in ("deny", "allow", "auto"):
        check("contact.set fallback=%s" % policy, call(
            "contact.set", contact=bob, fallback=policy)["fallback"] == policy)
    check("nobody relays unasked", one["relay"] is False, one)
    for may in (True, False):
        check("contact.set relay=%s" % may, call(
            "contact.set", contact=bob, relay=may)["relay"] is may)
    e = error(call.rpc, "contact.set", contact=bob, fallback="maybe")
    check("no other policy", e and e.code == -32602, e)
    check("a policy leaves the name alone", call(
        "contact.get", contact=bob)["name"] == "Bob \u2603")
    check("contact.block and unblock answer what it is now",
          call("contact.block", contact=bob)["state"] == "blocked" and
          call("contact.unblock", contact=bob)["state"] == "waiting")
    e = error(call.rpc, "contact.get", contact="a" * 26)
    check("an unknown contact is 200", e and e.name == "CONTACT_NOT_FOUND", e)
    return bob


def messages(call, bob):
    e = error(call.rpc, "message.send", conv=bob, text="one", client_id="")
    check("an empty client_id is -32602", e and e.code == -32602 and
          e.data["param"] == "client_id", e)
    sent = call("message.send", conv=bob, text="one", client_id="c1")
    check("message.send is queued", sent["state"] == "queued"
          and sent["duplicate"] is False, sent)
    again = call("message.send", conv=bob, text="one", client_id="c1")
    check("a repetition is a duplicate", again["duplicate"] is True
          and again["id"] == sent["id"], again)
    e = error(call.rpc, "message.send", conv=bob, text="two", client_id="c1")
    check("another text under that client_id is 307",
          e and e.name == "CLIENT_ID_REUSED", e)
    e = error(call.rpc, "message.send", conv=bob, text="x" * 65537)
    check("26: 65537 bytes of text are 400", e and e.code == 400
          and e.data["max"] == 65536, e)
    e = error(call.rpc, "message.send", conv=bob, text="")
    check("an empty text is -32602", e and e.code == -32602, e)
    e = error(call.rpc, "message.send", conv="a" * 26, text="x")
    check("to nobody is 200", e and e.code == 200, e)
    nasty = "\x1b[2J\u202e\x7f\u0085 \u00e9\U0001f600\r\n\t\"\\"
    ids = [sent["id"]] + [call("message.send", conv=bob, text=t)["id"]
                          for t in (nasty, "x" * 65536, "four", "five")]
    check("26: a hostile text comes back as it was",
          call("message.get", id=ids[1])["text"] == nasty)
    call.rpc.send("message.get", {"id": ids[1]}, 77)
    raw = call.rpc.read_line()
    check("26: and holds no control byte on its way",
          all(b >= 0x20 for b in raw) and b"\xe2\x80\xae" not in raw, raw)
    return ids


def in_one_write(call, bob):
    """What was asked before is there for what is asked behind it."""
    asked = [("message.send", {"conv": bob, "text": str(i),
                               "client_id": "write-%d" % i})
             for i in range(3)]
    asked += [("message.history", {"conv": bob, "limit": 3}),
              asked[1],
              ("message.send", {"conv": bob, "text": "3"}),
              ("message.history", {"conv": bob, "limit": 1})]
    call.rpc.send_raw(b"".join(json.dumps({
        "jsonrpc": "2.0", "id": 900 + i, "method": method,
        "params": params}).encode() + b"\n"
        for i, (method, params) in enumerate(asked)))
    got = [call.rpc.result(900 + i) for i in range(len(asked))]
    check("texts sent in one write are in the history asked for behind them",
          [(m["text"], m["client_id"], m["id"]) for m in got[3]["items"]] ==
          [(str(i), "write-%d" % i, got[i]["id"]) for i in (2, 1, 0)], got)
    check("one of them is not sent twice",
          got[4]["duplicate"] and got[4]["id"] == got[1]["id"], got[4])
    check("and the last is the newest",
          got[6]["items"][0]["id"] == got[5]["id"], got[6])


def changes(call, bob):
    sent = call("message.send", conv=bob, text="too")["id"]
    other = call("message.send", conv=bob, text="x", reply_to=sent)["id"]
    edit = call("message.edit", id=sent, text="two")
    check("an edit is about a message", edit["message"] == sent and
          edit["id"] != sent and
          call("message.get", id=edit["id"])["kind"] == "edit", edit)
    call("message.react", id=sent, reaction="+1")
    shown = call("message.get", id=sent)
    check("a message shows what was done to it", shown["text"] == "two" and
          shown["edited_ms"] > 0 and
          shown["reactions"] == [{"direction": "out", "text": "+1"}], shown)
    call("message.delete", id=sent)
    shown = call("message.get", id=sent)
    check("and that it is gone", shown["deleted"] and shown["text"] == "" and
          "reactions" not in shown, shown)
    local = call("message.delete", **{"id": other, "for": "me"})
    check("of what goes nowhere there is no id", "id" not in local and
          call("message.get", id=other)["deleted"], local)
    for method, params in (("edit", {"text": "x"}), ("delete", {}),
                           ("react", {"reaction": "x"})):
        e = error(call.rpc, "message." + method, id=sent, **params)
        check("nothing is done to what is gone: %s" % method,
              e and e.code == 201, e)
    for ident, gone in ((sent, True), (edit["id"], None), (
            call("message.send", conv=bob, text="y")["id"], False)):
        e = error(call.rpc, "message.cancel", id=ident)
        if gone is None:
            check("an edit is not taken back by itself", e and e.code == 302
                  and e.data["state"] == "failed", e)
            continue
        done = call("message.cancel", id=ident)
        check("taken back, and again", done["state"] == "failed" and
              done["reason"] == "cancelled", done)
        e = error(call.rpc, "message.retry", id=ident)
        check("sent all the same, unless its text is gone",
              e and e.code == 201 if gone else not e and call(
                  "message.retry", id=ident)["state"] == "queued", e)


def history(call, bob, ids):
    down = ids[::-1]
    page = call("message.history", conv=bob, limit=2)
    got = [m["id"] for m in page["items"]]
    check("history begins with the newest", got == down[:2], got)
    rest = []
    while page["next"]:
        page = call("message.history", conv=bob, limit=2, before=page["next"])
        rest += [m["id"] for m in page["items"]]
    check("and goes on to the oldest, each once", got + rest == down)
    page = call("message.history", conv=bob, after=ids[2])
    check("after gives the newer ones, newest first",
          [m["id"] for m in page["items"]] == [ids[4], ids[3]], page)
    page = call("message.history", conv=bob, after=ids[0], limit=2)
    check("those next to it", [m["id"] for m in page["items"]] ==
          [ids[2], ids[1]] and page["prev"] == ids[2], page)
    page = call("message.history", conv=bob, after=ids[4])
    check("nothing is newer than the newest", page["items"] == [], page)
    page = call("message.history", conv=bob, around=ids[2], limit=3)
    check("around shows both sides", [m["id"] for m in page["items"]] ==
          [ids[3], ids[2], ids[1]], page)
    e = error(call.rpc, "message.history", conv=bob, after=ids[0],
              before=ids[1])
    check("only one of them", e and e.code == -32602, e)
    e = error(call.rpc, "message.history", conv="a" * 26)
    check("history of nobody is 202",
          e and e.name == "CONVERSATION_NOT_FOUND", e)
    e = error(call.rpc, "message.history", conv=bob, before="a" * 26)
    check("before a message that is not there is 201", e and e.code == 201, e)
    check("message.search finds words",
          call("message.search", query="zzz")["items"] == [])


def large_pages(call, bob):
    big = "\x7f" * 65536  # comes out six times as long
    for _ in range(6):
        call("message.send", conv=bob, text=big)
    seen, before = 0, {}
    while True:
        call.rpc.send("message.history", dict(conv=bob, limit=500, **before),
                      "h")
        line = call.rpc.read_line()
        if not check("a page of long texts is below 1 MiB",
                     len(line) <= 1 << 20, len(line)):
            break
        page = json.loads(line)["result"]
        seen += sum(m["text"] == big for m in page["items"])
        if not page["next"]:
            break
        before = {"before": page["next"]}
    check("and no page lacks one", seen == 6, seen)


def clearing(call, bob):
    done = call("conv.clear", conv=bob, client_id="clear-1")  # one was taken back
    check("conv.clear says what was forgotten, and what is still sent",
          done["messages"] - 1 == done["unsent"] > 0, done)
    check("the same again is a duplicate",
          call("conv.clear", conv=bob, client_id="clear-1")["duplicate"])
    check("nothing is left",
          call("message.history", conv=bob)["items"] == [])
    e = error(call.rpc, "conv.clear", conv=bob, client_id="clear-1",
              unsent="drop")
    check("another one under that client_id is 307", e and e.code == 307, e)
    e = error(call.rpc, "conv.clear", conv="a" * 26)
    check("conv.clear of nobody is 202", e and e.code == 202, e)
    return [call("message.send", conv=bob, text="since then")["id"]]


def waiting(call, bob, ids):
    st = call("message.status", id=ids[0])
    check("message.status has its recipient", st["state"] == "queued" and
          st["recipients"][0]["contact"] == bob, st)
    e = error(call.rpc, "message.wait", id=ids[0], timeout_ms=50)
    check("message.wait ends with 502 and the state", e and
          (e.name, e.data["state"]) == ("TIMEOUT", "queued"), e)
    e = error(call.rpc, "message.wait", id="a" * 26)
    check("waiting for nothing is 201", e and e.code == 201, e)
    rpc = call.rpc
    slow = rpc.send("message.wait", {"id": ids[0], "timeout_ms": 3600000})
    check("a wait does not hold up the next call",
          "result" in rpc.reply(rpc.send("status")))
    call("contact.delete", contact=bob)
    done = rpc.result(slow)
    rpc_failed = done["state"] == "failed"
    check("deleting the contact fails what waited, and ends the wait",
          rpc_failed, done)



def logs(call):
    """What the log says, in pages."""
    level = call("daemon.loglevel", level="notice")["level"]
    lines = call("daemon.logs", limit=512)
    last = lines["items"][-1]
    check("daemon.logs ends with what was logged last", (
        last["event"], last["level"], last["text"]) ==
        ("log-level", "notice", "level=notice"), last)
    seqs = [i["seq"] for i in lines["items"]]
    check("in order", seqs == list(range(seqs[0], seqs[-1] + 1)) and
          lines["next"] == seqs[-1], seqs)
    check("without a place it is the newest that are told", [
        i["seq"] for i in call("daemon.logs", limit=2)["items"]] == seqs[-2:])
    at, got = 0, []
    while len(got) < len(seqs):
        page = call("daemon.logs", since=at, limit=1)
        got += [i["seq"] for i in page["items"]]
        at = page["next"]
    check("from a place on all, in pages", got == seqs, got, seqs)
    check("then there is no more",
          call("daemon.logs", since=at)["items"] == [])
    check("one of another life is none", call(
        "daemon.logs", since=1 << 50, limit=512)["items"] == lines["items"])
    check("what is not so bad can be left out", {
        i["level"] for i in call("daemon.logs", level="warning")["items"]} <=
        {"err", "warning"})
    call("daemon.loglevel", level=level)


def long_logs(call, state):
    """More than fits into a page: the rest is on the next one."""
    path = os.path.join(state, "settings.conf")
    with open(path, "w") as f:
        f.write("upnp = %s\n" % ('"' * 900))
    os.chmod(path, 0o600)
    at = call("daemon.logs")["next"]
    for _ in range(512):
        e = error(call.rpc, "config.reload")
    check("config.reload says what is wrong", e and
          "settings.conf:1: " in e.data["reason"], e)
    os.unlink(path)
    call("config.reload")
    got, pages, more = [], 0, True
    while more:
        page = call("daemon.logs", since=at, limit=512)
        got += [i["seq"] for i in page["items"]]
        more, at, pages = page["items"], page["next"], pages + 1
    check("no line is left out between pages", pages > 2 and
          got == list(range(got[0], got[0] + 512)), pages, got)


def metrics(text):
    """OpenMetrics: each family once, described before its samples."""
    lines = text.split("\n")
    families, bad = [], []
    for line in lines[:-2]:
        word = re.fullmatch(r"# (TYPE|HELP) (\w+) (.+)", line)
        sample = re.fullmatch(
            r'(\w+?)(_total|_info)?(\{\w+="[^"]*"(,\w+="[^"]*")*\})? '
            r"\d+(\.\d+)?", line)
        if word and word[1] == "TYPE":
            families.append(word[2])
        elif not (word or sample) or families[-1] != (
                word[2] if word else sample[1]):
            bad.append(line)
    check("metrics are OpenMetrics", not bad and lines[-2:] == ["# EOF", ""]
          and len(families) == len(set(families)) > 10, bad)


def the_rest(call, bob):
    convs = call("conv.list")["items"]
    check("conv.list has the conversation with its last message",
          [c["conv"] for c in convs] == [bob] and convs[0]["last"]["cut"],
          convs)
    check("conv.read leaves nothing unread",
          call("conv.read", conv=bob)["unread"] == 0)
    e = error(call.rpc, "conv.read", conv="a" * 26)
    check("conv.read of nobody is 202", e and e.code == 202, e)
    check("conv.set answers how it is kept",
          call("conv.set", conv=bob, draft="be")["has_draft"])
    check("typing.set answers", call("typing.set", conv=bob, on=True)["on"])
    inv = call("invite.create", label="Carol", ttl_ms=60000)
    check("invite.create gives a URI",
          inv["uri"].startswith("btchat:btinvite1"), inv)
    check("invite.list has it, without its secret",
          [(i["id"], i["state"], i["label"]) for i in
           call("invite.list")["items"]] == [(inv["id"], "live", "Carol")])
    e = error(call.rpc, "invite.accept", uri=inv["uri"])
    check("our own invitation is 600", e and e.code == 600, e)
    snap = call("sync.snapshot")
    check("sync.snapshot has contacts, invitations and a cursor",
          [c["id"] for c in snap["contacts"]] == [bob] and
          [i["id"] for i in snap["invites"]] == [inv["id"]] and
          snap["cursor"]["seq"] == call("session.info")["head"], snap)
    call("invite.revoke", id=inv["id"])
    check("revoked is gone", call("invite.list")["items"][0]["state"] ==
          "gone")
    e = error(call.rpc, "invite.revoke", id="a" * 26)
    check("revoking nothing is 205", e and e.code == 205, e)
    nat = call("net.nat")
    check("net.nat of loopback knows nothing, and names what it has", (
        nat["nat"], [f["votes"] for f in nat["families"]], nat["mapped"]) ==
        ("unknown", [0, 0], []) and nat["families"][0]["on"], nat)
    call("net.status"), call("net.dht"), call("session.info")
    call("session.hello", strict=True)
    check("net.peers has the contact",
          [p["contact"] for p in call("net.peers")["items"]] == [bob])
    why = call("contact.why", contact=bob)
    check("contact.why knows that there is no net, or tried nothing yet",
          why["verdict"] in ("no_network", "no_try") and
          "addresses" not in why, why)
    check("and his addresses, if asked", call(
        "contact.why", contact=bob, addresses=True)["addresses"] == [], why)
    e = error(call.rpc, "net.probe", contact=bob)
    check("nobody answers a probe where there is no net", e and (
        e.name == "OFFLINE" or (e.name, e.data["verdict"]) ==
        ("PEER_UNREACHABLE", "no_try")), e and e.data)
    e = error(call.rpc, "net.probe", contact="a" * 26)
    check("nor does who is no contact", e and e.code == 200, e)
    check("net.rebind names our addresses", call("net.rebind")["local"] ==
          call("net.status")["local"])
    e = error(call.rpc, "net.rebind")
    check("and is not done again at once", e and e.name == "RATE_LIMITED" and
          0 < e.data["retry_after_ms"] <= 10000, e and e.data)
    call("net.bootstrap", node="127.0.0.1:9")
    e = error(call.rpc, "net.bootstrap", node="nonsense")
    check("a node without a port is -32602", e and e.code == -32602, e)
    keys = [i["key"] for i in call("config.list")["items"]]
    check("config.list is sorted", keys == sorted(keys) and keys, keys)
    check("config.get has the same", call("config.get", key=keys[0])["key"]
          == keys[0])
    e = error(call.rpc, "config.get", key="no-such")
    check("an unknown key is -32602", e and e.code == -32602 and
          "did_you_mean" not in e.data, e)
    e = error(call.rpc, "config.get", key="log-levle")
    check("a mistyped key is suggested", e and
          e.data.get("did_you_mean") == "log-level", e)
    done = call("config.set", key="event-days", value="31")
    check("config.set takes effect at once", (
        done["value"], done["source"], done["next"]) ==
        ("31", "setting", None), done)
    done = call("config.set", key="upnp", value="no")
    check("or says what is to come", (
        done["value"], done["restart_needed"], done["next"]) ==
        ("yes", True, "no"), done)
    for key in ("event-days", "upnp"):
        done = call("config.set", key=key)
        check("and is taken back", (done["source"], done["next"]) ==
              ("default", None), done)
    for key, value, param, why in (
            ("log-levle", "err", "key", "no such key"),
            ("sandbox", "off", "key", "only the file"),
            ("upnp", "perhaps\"\u20ac", "value", "perhaps\"\u20ac"),
            ("upnp", "\u20ac" * 300, "value", "neither yes nor no"),
            ("upnp", "y\u0007", "value", "control character"),
            ("event-days", "-1", "value", "not a whole number")):
        e = error(call.rpc, "config.set", key=key, value=value)
        check("config.set refuses %s = %.12r and says why" % (key, value),
              e and e.code == -32602 and e.data["param"] == param and
              why in e.data["reason"], e and e.data)
    logs(call)
    test = call("daemon.selftest")
    items = {i["name"]: i["ok"] for i in test["items"]}
    check("daemon.selftest looks at all there is", list(items) == [
        "clock", "cores", "dht", "disk", "memory", "sandbox", "store", "udp"]
        and test["ok"] == all(items.values()), test)
    check("what a test can have is there", all(items[k] for k in (
        "clock", "disk", "memory", "store", "udp")), test)
    metrics(call("daemon.metrics")["text"])
    old = call("daemon.loglevel")["level"]
    check("daemon.loglevel sets it",
          call("daemon.loglevel", level="debug")["level"] == "debug"
          and call("daemon.loglevel", level=old)["level"] == old)
    st = call("status")
    check("status counts", st["contacts"] == 1 and st["db_bytes"] > 0, st)


def discover(call):
    doc = call("rpc.discover")
    check("rpc.discover gives the document of the tree",
          doc == openrpc.load())
    check("session.restrict says what is left: all, as nothing was named",
          call("session.restrict") == call("session.info"))
    check("its methods are those that may be called", [
        m["name"] for m in doc["methods"]] == call("session.info")["methods"])


def sealed(d):
    with d.rpc() as rpc:
        me = rpc.call("identity.create", passphrase="correct horse")
        check("a key file with a passphrase is sealed", me["sealed"] is True)
    d.stop()
    d.start()
    with d.rpc() as rpc:
        check("it starts locked", rpc.call("status")["locked"] is True)
        e = error(rpc, "contact.list")
        check("locked is 101", e and (e.code, e.name) == (101, "LOCKED"), e)
        e = error(rpc, "identity.unlock", passphrase="wrong")
        check("a wrong passphrase is 601",
              e and e.name == "BAD_PASSPHRASE", e)
        check("the right one opens it", rpc.call(
            "identity.unlock", passphrase="correct horse")["address"] ==
            me["address"])
        check("and contacts are there", rpc.call("contact.list")["items"]
              == [])
        e = error(rpc, "identity.unlock", passphrase="correct horse")
        check("what is open is not opened", e and e.name == "INVALID_STATE", e)
        for params in ({}, {"passphrase": "x", "fd": 0}, {"fd": 0}):
            e = error(rpc, "identity.unlock", **params)
            check("unlock needs one passphrase: %s" % params,
                  e and e.name == "INVALID_PARAMS", e)
        r = ask(d, '[{"jsonrpc":"2.0","id":1,"method":"identity.lock"}]')
        check("identity.lock does not go into a batch",
              [code(x) for x in r[0]] == [-32600], r)
    with open(d.log, errors="replace") as log:
        text = log.read()
    check("no passphrase is in the log",
          "correct horse" not in text and "wrong" not in text)


def shutdown(d):
    with d.rpc() as rpc, d.rpc() as other:
        other.call("events.subscribe")
        other.next_note()  # sub.live
        check("daemon.shutdown is answered", rpc.call("daemon.shutdown")
              == {})
        note = other.next_note()
        check("subscribers are told", note["method"] == "daemon.stopping",
              note)
    check("and it ends with 0", d.process.wait(60) == 0)
    check("its socket is gone", not os.path.exists(d.socket))
    d.process = None


def main():
    need_build()
    with Net() as net:
        d, bob = net.add("alice").start(), net.add("bob").start()
        mode = os.stat(d.socket).st_mode
        check("the socket has mode 0600", stat.S_IMODE(mode) == 0o600)
        before_identity(d)
        framing(d)
        long_lines(d)
        params(d)
        schema = openrpc.Schema(openrpc.load())
        with d.rpc() as rpc, bob.rpc() as other:
            address = other.call("identity.create")["address"]
            call = Checked(rpc, schema)
            identity(call)
            contact = contacts(call, address)
            sent = messages(call, contact)
            history(call, contact, sent)
            large_pages(call, contact)
            the_rest(call, contact)
            long_logs(call, d.state)
            in_one_write(call, contact)
            changes(call, contact)
            waiting(call, contact, clearing(call, contact))
            discover(call)
            left = set(schema.results) - call.called
            check("every method was called but those of other tests",
                  left == {"backup.create", "backup.restore", "backup.verify",
                           "events.forget", "identity.delete",
                           "identity.export", "identity.import",
                           "identity.lock", "identity.passphrase",
                           "daemon.shutdown", "events.ack", "message.wait",
                           "events.consumers", "events.poll",
                           "events.subscribe", "events.unsubscribe",
                           "identity.unlock", "invite.accept",
                           "net.probe"}, left)
        check("every result is as the document says", schema.bad == [],
              schema.bad[:20])
        sealed(net.add("carol").start())
        shutdown(d)
    finish()


main()
