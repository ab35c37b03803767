"""btchatctl chat: against a daemon that says what the test wants, with lines
from a pipe and in a terminal; and two real ones that talk."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import CTL, check, finish  # noqa: E402
from fake import Fake, error, result  # noqa: E402
from net import Net, need_build  # noqa: E402
from screen import Screen, golden, need_tmux, stays_tame  # noqa: E402

BOB = "a" * 26
EVIL = "\x1b]0;pwned\x07\x1b[31mred\u202etxet\x9b\ttab\nline\u2066"
TIME = 1600000000000  # 2020-09-13T12:26:40Z
ENV = {"TZ": "UTC", "TERM": "screen", "NO_COLOR": "1"}


def message(number, text, ours=False, **more):
    return dict({"id": "m%025d" % number, "conv": BOB, "kind": "text",
                 "direction": "out" if ours else "in",
                 "state": "delivered" if ours else "received",
                 "sent_ms": TIME + number * 60000, "text": text}, **more)


class Peer:
    """A daemon with one contact. `first` may answer a request in its place.
    """

    def __init__(self, path, history, name="Bob", first=None):
        self.name, self.first = name, first
        self.history = list(history)  # oldest first
        self.events = []              # (seq, line) that are told again
        self.seq = 10
        self.live = []
        self.lock = threading.Lock()
        self.draft = ""
        self.fake = Fake(path, self.handle)

    def event(self, name, /, durable=True, **data):
        """Happens: told to who is subscribed, and to who comes later."""
        params = {"sub": 1, "ts_ms": TIME, "type": name, "data": data}
        with self.lock:
            if durable:
                self.seq += 1
                params["seq"] = self.seq
            line = json.dumps({"jsonrpc": "2.0", "method": "event",
                               "params": params}).encode() + b"\n"
            if durable:
                self.events.append((self.seq, line))
            for connection in self.live:
                try:
                    connection.sendall(line)
                except OSError:
                    pass

    def says(self, number, text, **more):
        self.history.append(message(number, text, **more))
        self.event("message.new", **self.history[-1])

    def stop(self):
        self.live = []
        self.fake.stop()

    def handle(self, fake, connection, request):
        method, params = request["method"], request.get("params", {})
        if self.first:
            answer = self.first(self, connection, request)
            if answer is not None:
                return answer
        if method in ("contact.resolve", "contact.get"):
            contact = {"id": BOB, "name": self.name, "state": "ready",
                       "address": "btchat1qqqq", "online": True}
            return result(request, contact if method == "contact.get" else
                          {"items": [contact], "more": False})
        if method == "events.subscribe":
            return self.subscribe(connection, request, params)
        if method == "message.history":
            return self.page(request, params)
        if method == "message.send":
            return self.send(connection, request, params)
        if method == "conv.set":
            self.draft = params.get("draft", self.draft)
            return result(request, {"conv": BOB, "draft": self.draft})
        return result(request, {})

    def subscribe(self, connection, request, params):
        since = params.get("since", {}).get("seq", self.seq)
        with self.lock:
            self.live.append(connection)
            old = b"".join(line for seq, line in self.events if seq > since)
            connection.sendall(json.dumps(result(request, {
                "sub": 1, "epoch": "e", "head": self.seq, "from": since,
                "pending": 0})).encode() + b"\n" + old)

    def page(self, request, params):
        ids = [m["id"] for m in self.history]
        items = self.history
        if "before" in params:
            items = items[:ids.index(params["before"])]
        if "after" in params:
            items = items[ids.index(params["after"]) + 1:][:params["limit"]]
        items = items[-params["limit"]:]
        more = bool(items) and items[0] != self.history[0]
        return result(request, {"items": items[::-1], "prev": None, "next":
                                items[0]["id"] if more else None})

    def send(self, connection, request, params):
        """Stored once for each client_id; the answer before the event."""
        known = [m for m in self.history
                 if m.get("client_id") == params["client_id"]]
        if known:
            return result(request, {"id": known[0]["id"], "state": "queued",
                                    "duplicate": True})
        number = len(self.history) + 1
        connection.sendall(json.dumps(result(request, {
            "id": "m%025d" % number, "state": "queued"})).encode() + b"\n")
        more = {k: params[k] for k in ("reply_to", "client_id")
                if k in params}
        self.says(number, params["text"], ours=True, state="queued", **more)
        return None

    def sent(self):
        return [m["text"] for m in self.history if m["direction"] == "out"]


def run(peer, *words, lines="", timeout=60):
    done = subprocess.run([CTL, "-S", peer.fake.path, *words], input=lines,
                          text=True, capture_output=True, timeout=timeout,
                          env=dict(os.environ, **ENV))
    return done.returncode, done.stdout, done.stderr


def without_ids(text, peer):
    """client_ids are random."""
    for m in peer.history:
        text = text.replace(m.get("client_id", "no such"), "CLIENT")
    return text


OLD = [message(1, "hello"), message(2, EVIL), message(
    3, "fine", ours=True, reply_to="m%025d" % 1, edited_ms=TIME,
    reactions=[{"direction": "in", "text": "+1"}]),
    message(4, "", deleted=True)]
LINES = ("how are you?\n/reply 2 which one?\n\n//etc is a directory\n"
         "/edit 3 better\n/delete 1\n/delete 3\n/react 1 !\n/react 1\n/read\n"
         "/edit 99 x\n/edit 1 theirs\n/reply\n/nope\n/who\n/quit\nnever sent\n")


def pipes(folder):
    for form in ("plain", "json"):
        peer = Peer(os.path.join(folder, form), OLD, name="B\u202eob\x1b[1m")
        status, out, err = run(peer, "--" + form, "chat", BOB, lines=LINES)
        check("chat --%s ends with its input" % form, status == 0, status,
              out, err)
        golden("chat_%s" % form, without_ids(out, peer))
        golden("chat_%s_err" % form, err)
        check("26: --%s shows nothing raw" % form,
              stays_tame(out.encode()) and stays_tame(err.encode()), out)
        calls = [(r["method"], {k: v for k, v in r["params"].items() if k not
                                in ("client_id", "conv")})
                 for r in peer.fake.requests if r["method"].startswith(
                     "message.") and r["method"] != "message.history"]
        one, three = "m%025d" % 1, "m%025d" % 3
        check("each line does what it says (%s)" % form, calls == [
            ("message.send", {"text": "how are you?"}),
            ("message.send", {"text": "which one?",
                              "reply_to": "m%025d" % 2}),
            ("message.send", {"text": "/etc is a directory"}),
            ("message.edit", {"id": three, "text": "better"}),
            ("message.delete", {"id": one, "for": "me"}),
            ("message.delete", {"id": three, "for": "all"}),
            ("message.react", {"id": one, "reaction": "!"}),
            ("message.react", {"id": one, "reaction": ""})], calls)
        check("only /read marks as read (%s)" % form, [
            r["params"] for r in peer.fake.seen("conv.read")] ==
            [{"conv": BOB}])
    peer = Peer(os.path.join(folder, "refused"), OLD)
    status, out, err = run(peer, "chat", BOB, lines="x\n")
    check("chat is for a terminal", status == 2 and "--plain" in err and
          not out and peer.sent() == ["fine"], status, out, err)
    status, out, err = run(peer, "--plain", "chat", BOB, "-n", "1",
                           lines="last one without an end")
    check("-n and a last line without its end", status == 0 and
          out.count("\n") == 2 and peer.sent()[1:] ==
          ["last one without an end"], out, err)
    status, out, err = run(peer, "--plain", "chat", BOB, "-n", "0")
    check("-n 0 is usage", status == 2, err)
    status, out, err = run(peer, "--plain", "chat", BOB,
                           lines="y" * 70000 + "\n" + "z" * 300000 + "\nok\n")
    check("what is too long is told and not sent", status in (0, 7) and
          peer.sent()[-1] == "ok" and len(peer.sent()) == 3 and
          "65536" in err and "too long" in err, status, err)


def everything_that_comes(folder):
    """Edits, reactions, receipts: once each, whatever is told again."""
    def first(peer, connection, request):
        if request["method"] != "message.send":
            return None
        one = "m%025d" % 1
        for _ in range(2):
            peer.says(5, "new " + EVIL)
            peer.event("message.edited", id=one, direction="in", conv=BOB,
                       text="hello you", edited_ms=TIME + 1)
            peer.event("message.reaction", id=one, direction="in", conv=BOB,
                       text=EVIL)
            peer.event("message.deleted", id="m%025d" % 2, direction="in",
                       conv=BOB)
        peer.event("message.new", id="m%025d" % 9, conv=BOB, direction="in",
                   gone=True)
        peer.event("message.edited", id="x" * 26, direction="in", conv=BOB,
                   text="of nothing we show", edited_ms=TIME + 1)
        peer.event("message.state", id="m%025d" % 3, conv=BOB, state="failed")
        peer.event("message.read", conv=BOB, up_to="m%025d" % 3, at_ms=TIME)
        peer.event("typing", durable=False, conv=BOB, on=True)
        peer.event("presence", durable=False, contact=BOB, online=False)
        peer.event("contact.changed", id=BOB, name="Rob")
        peer.event("conv.cleared", conv=BOB, messages=4, unsent=0)
        return None

    for form in ("plain", "json"):
        peer = Peer(os.path.join(folder, "come" + form), OLD, first=first)
        status, out, err = run(peer, "--" + form, "chat", BOB, lines="x\n")
        golden("chat_events_%s" % form, without_ids(out, peer))
        check("26: what comes is not raw (--%s)" % form, status == 0 and
              stays_tame(out.encode()), status, err)


def answers_that_are_lost(folder):
    """The daemon stores a message and dies before it says so."""
    lost = []

    def first(peer, connection, request):
        if request["method"] == "message.send" and not lost:
            lost.append(request["params"]["client_id"])
            peer.live = []
            peer.says(5, request["params"]["text"], ours=True,
                      client_id=lost[0])
            peer.stop()
            peer.fake.start()
            return b""
        return None

    peer = Peer(os.path.join(folder, "lost"), OLD, first=first)
    status, out, err = run(peer, "--plain", "chat", BOB,
                           lines="once\ntwice\n")
    rows = [line.split("\t") for line in out.splitlines()]
    sends = [r["params"]["client_id"]
             for r in peer.fake.seen("message.send")]
    check("a lost answer is asked for again", status == 0 and
          sends[:2] == lost * 2 and len(set(sends)) == 2, status, sends, err)
    check("sent and shown once", peer.sent() == ["fine", "once", "twice"] and
          [r[5] for r in rows if r[0] == "message"][4:] == ["once", "twice"],
          peer.sent(), out)


def logs_that_begin_anew(folder):
    """The cursor is worth nothing any more: the history knows."""
    for code in (800, 801, 201):
        def first(peer, connection, request):
            if request["method"] == "message.send" and len(
                    peer.history) == 4:
                peer.live = []
                peer.stop()
                for i in range(5, 8):
                    peer.says(i, "meanwhile %d" % i)
                peer.events = []
                peer.fake.start()
                return b""
            if request["method"] == "events.subscribe" and "since" in request[
                    "params"]:
                return error(request, max(code, 800), "no such place")
            if code == 201 and "after" in request.get("params", {}):
                return error(request, code, "the newest is no more")
            return None

        peer = Peer(os.path.join(folder, "anew%d" % code), OLD, first=first)
        status, out, err = run(peer, "--plain", "chat", BOB, lines="hi\n")
        texts = [line.split("\t")[5] for line in out.splitlines()]
        check("nothing is missed or shown twice after %d" % code,
              status == 0 and texts[4:] == [
                  "meanwhile 5", "meanwhile 6", "meanwhile 7", "hi"],
              status, out, err)


def gone_for_good(folder):
    def first(peer, connection, request):
        if request["method"] == "message.send":
            peer.stop()
            os.unlink(peer.fake.path)
            return b""
        return None

    peer = Peer(os.path.join(folder, "gone"), OLD, first=first)
    status, out, err = run(peer, "--plain", "--timeout", "0.3", "chat", BOB,
                           lines="precious\n")
    check("what could not be sent is told, exit 7", status == 7 and
          "precious" in err, status, err)
    silent = Peer(os.path.join(folder, "silent"), OLD, first=lambda p, c, r:
                  error(r, 101, "locked", name="LOCKED"))
    status, out, err = run(silent, "--plain", "chat", BOB)
    check("locked is exit 4", status == 4 and "unlock" in err, status, err)
    refused = Peer(os.path.join(folder, "refuse"), OLD, first=lambda p, c, r:
                   error(r, 402, "too much", name="QUOTA") if r["method"] ==
                   "message.send" else None)
    status, out, err = run(refused, "--plain", "chat", BOB, lines="big\n")
    check("what was refused is told with its text, exit 7", status == 7 and
          "too much" in err and "not sent: big" in err, status, err)


def in_a_terminal(folder):
    place = os.path.join(folder, "term")
    os.makedirs(place)
    peer = Peer(os.path.join(place, "sock"), OLD, name="B\u202eob\x1b[1m")
    peer.draft = "a draft"
    with Screen(place, [CTL, "-S", peer.fake.path, "chat", BOB], ENV,
                size=(60, 20)) as screen:
        screen.wait("a draft", "the draft is in the line")
        golden("chat_screen", screen.text() + "\n")
        screen.keys("C-u", "a line that is longer than the window is wide, "
                    "with \u65e5\u672c\u8a9e in it, and more")
        screen.wait("and more")
        peer.says(5, "between " + EVIL)
        screen.wait("between")
        golden("chat_between", screen.wait("and more") + "\n")
        peer.event("typing", durable=False, conv=BOB, on=True)
        screen.wait("(typing)", "the prompt shows that they type")
        for cols in (40, 60):
            drawn = len(screen.raw())
            screen.resize(cols, 20)
            screen.wait(lambda text: screen.raw()[drawn:].endswith(
                b"and more") and text.count("longer") == 1 and
                "and more" in text, "a window of %d tears nothing" % cols)
        screen.keys("Enter")
        screen.wait(lambda text: "  6  " in text)
        check("what was typed is what is sent", peer.sent()[-1] ==
              "a line that is longer than the window is wide, with "
              "\u65e5\u672c\u8a9e in it, and more", peer.sent())
        golden("chat_sent", screen.wait(lambda text: text.splitlines()[
            -1].endswith(">")) + "\n")
        peer.event("message.state", id="m%025d" % 6, conv=BOB,
                   state="delivered")
        screen.wait("\u2713\u2713>", "the prompt shows how far it came")
        peer.event("message.read", conv=BOB, up_to="m%025d" % 6, at_ms=TIME)
        screen.wait("\u2713\u2713 read>", "and that it was read")
        screen.keys("Up")
        screen.wait("read> a line", "the arrow brings it back")
        screen.keys("C-c")
        screen.wait(lambda text: text.splitlines()[-1].endswith("read>"),
                    "Ctrl-C throws the line away")
        screen.paste("/delete 1\r\tone\x15\ntwo")
        screen.wait("two", "what is pasted is in the line")
        screen.keys("C-a", "see: ", "Enter")
        screen.wait("  7  ")
        check("a paste is one message, and no command", peer.sent()[-1] ==
              "see: /delete 1\n\tone\x15\ntwo" and
              not peer.fake.seen("message.delete"), peer.sent())
        screen.keys("/help", "Enter")
        screen.wait("/quit ", "/help lists commands")
        screen.keys("C-c")
        check("Ctrl-C on an empty line is exit 130", screen.status() == 130)
        check("26: no terminal got anything raw", stays_tame(screen.raw()),
              screen.raw()[-700:])
    marks = [r["params"].get("up_to") for r in peer.fake.seen("conv.read")]
    check("what was on the screen is read, as far as it was there", marks ==
          ["m%025d" % 4, "m%025d" % 5], marks)
    check("the line thrown away is no draft", peer.draft == "", peer.draft)


def pages(folder):
    """Older messages, a page at a time, by command and by key."""
    place = os.path.join(folder, "pages")
    os.makedirs(place)
    many = [message(i, "number %d" % i) for i in range(1, 26)]
    peer = Peer(os.path.join(place, "sock"), many)
    with Screen(place, [CTL, "-S", peer.fake.path, "chat", BOB, "-n", "10"],
                ENV, size=(60, 60)) as screen:
        screen.wait(lambda text: text.endswith("Bob>"))
        screen.keys("half a line", "PPage")
        screen.wait("number 6\n", "Page Up shows the page before")
        screen.wait("Bob> half a line")
        screen.keys("C-u", "/older", "Enter")
        screen.wait("number 1\n")
        golden("chat_pages", screen.wait(
            lambda text: text.endswith("Bob>")) + "\n")
        screen.keys("/older", "Enter")
        screen.wait("nothing older", "and there is an end")
        screen.keys("/reply 25 oldest of the first page", "Enter")
        screen.wait(" 26  ")
        check("numbers stay with their messages", peer.history[-1][
            "reply_to"] == "m%025d" % 5, peer.history[-1])
        screen.keys("C-d")
        status = screen.status()
        check("Ctrl-D leaves", status == 0, status, screen.text())


def typed_ahead(folder):
    """Keys that come while a line is being sent are not lost."""
    place = os.path.join(folder, "ahead")
    os.makedirs(place)
    go_on = threading.Event()

    def first(peer, connection, request):
        if request["method"] == "message.send":
            go_on.wait(60)
        return None

    peer = Peer(os.path.join(place, "sock"), OLD, first=first)
    with Screen(place, [CTL, "-S", peer.fake.path, "chat", BOB], ENV) as screen:
        screen.wait(lambda text: text.endswith("Bob \u2713\u2713>"))
        screen.keys("one", "Enter")
        screen.wait(lambda text: peer.fake.seen("message.send"))
        screen.keys("twp", "C-h", "o", "Enter", "C-d")
        go_on.set()
        status = screen.status()
        check("keys typed ahead do what they do", status == 0 and
              peer.sent()[1:] == ["one", "two"], status, peer.sent())


def daemon_that_goes(folder):
    place = os.path.join(folder, "goes")
    os.makedirs(place)
    peer = Peer(os.path.join(place, "sock"), OLD)
    with Screen(place, [CTL, "-S", peer.fake.path, "chat", BOB], ENV) as screen:
        screen.wait(lambda text: text.endswith("Bob \u2713\u2713>"))
        screen.keys("kept")
        screen.wait("> kept")
        peer.stop()
        screen.wait("(reconnecting)", "the prompt says that it is gone")
        screen.keys(" and sent", "Enter")
        screen.wait("waits until btchatd is back",
                    "what is entered then does not vanish without a word")
        peer.says(5, "while away")
        peer.fake.start()
        text = screen.wait(lambda text: "  6  " in text)
        check("it is back, and nothing is missed or shown twice",
              text.count("while away") == 1 and
              text.count("kept and sent") == 1 and
              peer.sent()[1:] == ["kept and sent"], text)
        screen.keys("begun")
        screen.wait("> begun")
        os.kill(screen.pid(), signal.SIGTERM)
        status = screen.status()
        check("SIGTERM ends it", status == 128 + signal.SIGTERM, status)
    check("and what was begun is a draft", peer.draft == "begun", peer.draft)


def dumb(folder):
    """Where a line cannot be edited it is read as it comes."""
    place = os.path.join(folder, "dumb")
    os.makedirs(place)
    peer = Peer(os.path.join(place, "sock"), OLD)
    peer.draft = "an old one"
    with Screen(place, [CTL, "-S", peer.fake.path, "chat", BOB],
                dict(ENV, TERM="dumb")) as screen:
        screen.wait("a draft: an old one", "a dumb terminal sees the draft")
        screen.keys("hello there", "Enter")
        screen.wait("  5  ")
        check("and can talk", peer.sent()[-1] == "hello there")
        peer.event("message.state", id="m%025d" % 5, conv=BOB,
                   state="delivered")
        screen.wait("delivered \u2713\u2713", "and see how far it came")
        screen.keys("C-d")
        status = screen.status()
        check("and leave", status == 0 and b"\x1b" not in
              screen.raw(), screen.raw())


# ---- two real ones ----

def real():
    with Net() as net:
        net.dht(3)
        alice, bob = net.person("alice"), net.person("bob")
        to_bob, to_alice = net.pair(alice, bob)
        with bob.rpc() as watch:
            watch.call("events.subscribe", since="now")
            with Screen(alice.folder, [CTL, "-S", alice.socket, "chat",
                                       "bob"], ENV) as screen:
                talk(alice, bob, to_bob, to_alice, watch, screen)
                restart(alice, bob, to_alice, screen)
        drafts(alice, to_bob)


def talk(alice, bob, to_bob, to_alice, watch, screen):
    screen.wait("bob>")
    screen.keys("are you there?")
    check("they hear that one types", watch.wait_event(
        "typing", conv=to_alice)["data"]["on"])
    screen.keys("Enter")
    first = watch.wait_event("message.new", direction="in")["data"]
    check("and get the message", first["text"] == "are you there?")
    screen.wait("bob \u2713\u2713>", "it was delivered")
    bob.call("message.send", conv=to_alice, text=EVIL)
    screen.wait("pwned", "what they say is shown")
    alice.wait_event("conv.read", conv=to_bob, unread=0)
    check("and is read then", True)
    screen.keys("/reply 2 what?", "Enter")
    answer = watch.wait_event("message.new", direction="in",
                              text="what?")["data"]
    screen.wait("  3  ")
    screen.keys("/edit 3 what is that?", "Enter")
    check("/reply and /edit", "reply_to" in answer and watch.wait_event(
        "message.edited", id=answer["id"])["data"]["text"] ==
        "what is that?")
    screen.wait("  3  you edited: what is that?")
    screen.keys("/react 2 ?!", "Enter")
    check("/react", watch.wait_event("message.reaction", text="?!"))
    screen.keys("/delete 1", "Enter")
    check("/delete", watch.wait_event("message.deleted", id=first["id"]))
    screen.wait("  1  (deleted)")
    bob.call("message.react", id=answer["id"], reaction=EVIL[:20])
    screen.wait("  3  bob: [\\u{1b}", "their reaction is shown, escaped")
    bob.call("conv.set", conv=to_alice, receipts="on")
    bob.call("conv.read", conv=to_alice)
    screen.wait("\u2713\u2713 read>", "and that they have read")
    screen.keys("/who", "Enter")
    screen.wait("online, not verified", "/who")
    check("26: nothing raw", stays_tame(screen.raw()), screen.raw())


def restart(alice, bob, to_alice, screen):
    """Killed; what comes in meanwhile comes once."""
    alice.kill()
    screen.wait("(reconnecting)")
    screen.keys("in between", "Enter")
    bob.call("message.send", conv=to_alice, text="nobody home?")
    alice.start()
    text = screen.wait(lambda text: "nobody home?" in text and
                       "you     in between" in text)
    check("after a kill all is there, once", text.count("in between") == 1
          and text.count("nobody home?") == 1 and
          text.count("are you there?") == 1, text)
    screen.keys("an unfinished")
    screen.wait("> an unfinished")
    os.kill(screen.pid(), signal.SIGHUP)
    check("SIGHUP ends it", screen.status() == 128 + signal.SIGHUP)


def drafts(alice, to_bob):
    check("the draft is with the daemon", alice.call(
        "conv.set", conv=to_bob).get("draft") == "an unfinished")
    done = alice.ctl("--plain", "chat", "bob", stdin="from a pipe\n")
    check("chat --plain against a real daemon", ["me", "queued",
          "from a pipe"] in [row[3:] for row in done.rows()], done.out)


def main():
    need_build()
    with tempfile.TemporaryDirectory() as folder:
        pipes(folder)
        everything_that_comes(folder)
        answers_that_are_lost(folder)
        logs_that_begin_anew(folder)
        gone_for_good(folder)
        need_tmux()
        in_a_terminal(folder)
        pages(folder)
        typed_ahead(folder)
        daemon_that_goes(folder)
        dumb(folder)
    real()
    finish()


if __name__ == "__main__":
    main()
