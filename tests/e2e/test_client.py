"""btchatctl against a daemon that misbehaves, dies and comes back."""
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fake import Fake, error, event, result  # noqa: E402
from check import CTL, check, finish  # noqa: E402

ALICE = "a" * 26
CONTACT = {"id": ALICE, "address": "btchat1qqqqqqqqqqqqqqqqqqqqqqqqq",
           "name": "Alice", "state": "ready", "online": True,
           "created_ms": 1795179476622, "ready_ms": 1795179476622,
           "last_seen_ms": None}
INFO = {"version": "9.9", "api": "1.0", "tier": "admin",
        "methods": ["status", "rpc.discover"]}


def run(path, *words, stdin="", timeout=20):
    done = subprocess.run([CTL, "-S", path, *words], input=stdin, text=True,
                          capture_output=True, timeout=timeout)
    return done.returncode, done.stdout, done.stderr


def usual(fake, connection, request):
    method, params = request["method"], request.get("params", {})
    alina = dict(CONTACT, id="b" * 26, name="Alina", address="btchat1other")
    if method == "contact.list" and "after" not in params:
        return result(request, {"items": [CONTACT], "next": "1-x"})
    if method == "contact.list":
        return result(request, {"items": [alina], "next": None})
    if method == "contact.resolve":
        found = {"alice": [CONTACT], ALICE: [CONTACT], "Alina": [alina],
                 "ali": [CONTACT, alina]}.get(params["text"], [])
        return result(request, {"items": [dict(c, match="folded")
                                          for c in found], "more": False})
    if method == "session.info":
        return result(request, INFO)
    if method == "message.send":
        # An event overtakes the reply and the reply comes in two pieces.
        line = json.dumps(result(request, {"id": "m" * 26, "state": "queued",
                                           "duplicate": False})).encode()
        connection.sendall(event(1, "message.new", text="hi") + line[:20])
        return line[20:] + b"\r\n\n"
    if method == "message.wait" and params["timeout_ms"] <= 1000:
        return error(request, 502, "not yet", name="TIMEOUT", state="queued")
    if method == "message.wait":
        return result(request, {"state": "delivered", "recipients": [
            {"state": "delivered", "at_ms": 1795179476622}]})
    return error(request, -32601, "no such method", did_you_mean="status")


def names_and_replies(folder):
    fake = Fake(os.path.join(folder, "a"), usual)
    path = fake.path
    status, out, err = run(path, "send", "alice", "hello", "world")
    check("a reply is found among events and split lines",
          (status, out) == (0, "m" * 26 + "\tqueued\n"), out, err)
    check("words are joined",
          fake.seen("message.send")[0]["params"]
          == {"conv": ALICE, "text": "hello world"})
    status, out, err = run(path, "send", "ali", "x")
    check("an ambiguous beginning names the candidates",
          status == 1 and "Alice" in err and "Alina" in err and not out, err)
    status, out, err = run(path, "--json", "send", "ali", "x")
    check("with --json the error is an object",
          json.loads(err)["code"] == 301 and
          len(json.loads(err)["data"]["candidates"]) == 2, err)
    status, out, err = run(path, "send", "Alina", "x")
    check("a whole name is enough", status == 0, err)
    status, out, err = run(path, "send", ALICE, "-", stdin="from stdin\n\n")
    check("stdin loses one line break", fake.seen("message.send")[-1]["params"]
          ["text"] == "from stdin\n", err)
    status, out, err = run(path, "contact", "ls")
    check("a list goes on where a page ends", status == 0 and
          [line.split("\t")[1] for line in out.splitlines()] ==
          ["Alice", "Alina"], out, err)
    status, out, err = run(path, "send", "nobody", "x")
    check("an unknown name is exit 5", status == 5, err)
    status, out, err = run(path, "send", "alice", "x" * 65537)
    check("a long text is refused here", status == 1 and "65536" in err, err)
    status, out, err = run(path, "send", "alice", "--wait", "x")
    check("a wait ends with the state and its time", (status, out) == (
        0, "m" * 26 + "\tdelivered\t2026-11-20T12:57:56.622Z\n"), out, err)
    status, out, err = run(path, "send", "alice", "--wait", "--timeout", "0.5",
                           "x")
    check("a wait in vain is exit 6", status == 6 and
          out.split("\t")[1] == "queued", out, err)
    status, out, err = run(path, "rpc", "foo.bar")
    check("a suggestion of the daemon is shown", status == 1 and
          "status" in err, err)
    check("rpc takes values by their looks",
          run(path, "rpc", "x.y", "a=1", "b=true", "c=text", 'd="1"',
              "e=[1,2]")[0] == 1 and fake.seen("x.y")[0]["params"] ==
          {"a": 1, "b": True, "c": "text", "d": "1", "e": [1, 2]})


def bad_daemons(folder):
    def garbage(fake, connection, request):
        return b"HTTP/1.1 400 Bad Request\r\n\r\n"

    def silence(fake, connection, request):
        return None

    def hang_up(fake, connection, request):
        connection.shutdown(socket.SHUT_RDWR)

    def endless(fake, connection, request):
        connection.sendall(b'{"x":"' + b"y" * (3 << 20))

    cases = (("garbage", garbage, 3), ("hang up", hang_up, 3),
             ("an endless line", endless, 3), ("silence", silence, 6))
    for i, (name, handler, want) in enumerate(cases):
        fake = Fake(os.path.join(folder, "bad%d" % i), handler)
        status, out, err = run(fake.path, "--timeout", "1", "status")
        check("%s is exit %d" % (name, want),
              status == want and not out and err, status, err)
    status, out, err = run(os.path.join(folder, "nothing"), "status")
    check("no daemon is exit 3", status == 3 and "btchatd" in err, err)
    status, out, err = run(os.path.join(folder, "n" * 200), "status")
    check("a long path is exit 3", status == 3, err)
    check("version needs no daemon", run(
        os.path.join(folder, "nothing"), "version")[0] == 0)


def escapes(folder):
    evil = "\x1b[31mred\x9b\u202etxet\x07\ta\\b\nline"

    def handler(fake, connection, request):
        if request["method"] == "contact.resolve":
            return result(request, {"items": [dict(CONTACT, name=evil)]})
        item = {"id": "m" * 26, "conv": ALICE, "direction": "in",
                "state": "received", "sent_ms": 1, "text": evil}
        return result(request, {"items": [item], "next": None})

    fake = Fake(os.path.join(folder, "evil"), handler)
    for form in ("--human", "--plain", "--json"):
        status, out, err = run(fake.path, form, "--color=never", "log", ALICE)
        check("26: %s shows nothing raw" % form, status == 0 and not any(
            c in out for c in "\x1b\x9b\u202e\x07\x7f") and "red" in out, out)
        if form == "--plain":
            check("26: one line, six fields", out.count("\n") == 1 and
                  out.count("\t") == 5 and "a\\\\b\\nline" in out, out)
        if form == "--json":
            check("26: JSON holds the very text",
                  json.loads(out)["text"] == evil, out)
    status, out, err = run(fake.path, "--raw", "log", ALICE)
    check("--raw gives it as it is", "\x1b[31mred" in out, out)
    error_text = Fake(os.path.join(folder, "evil2"), lambda f, c, r: error(
        r, 100, "\x1b[31mno\u202e"))
    status, out, err = run(error_text.path, "status")
    check("26: errors are escaped too", status == 4 and "\x1b" not in err
          and "\u202e" not in err, err)


def tail_goes_on(folder):
    """The daemon dies and comes back; nothing is missed, nothing polled."""
    again = threading.Event()

    def handler(fake, connection, request):
        params = request.get("params", {})
        if request["method"] == "events.subscribe":
            first = "since" not in params
            seq = 10 if first else params["since"]["seq"]
            answer = json.dumps(result(request, {
                "sub": 1, "epoch": "e1", "head": seq, "from": seq,
                "pending": 0})).encode() + b"\n"
            answer += event(seq + 1, "message.new", text="one")
            if not first:
                again.set()
                return answer
            connection.sendall(answer + event(seq + 2, "message.new",
                                              text="two"))
            return None
        if request["method"] == "events.ack":
            return result(request, {})
        return result(request, INFO)

    fake = Fake(os.path.join(folder, "tail"), handler)
    child = subprocess.Popen(
        [CTL, "-S", fake.path, "--json=seq", "tail", "-n", "3",
         "--consumer", "bridge"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)
    first = [child.stdout.readline() for _ in range(2)]
    fake.stop()
    fake.start()
    out, err = child.communicate(timeout=20)
    check("tail goes on behind what it printed",
          first == ['{"seq":11}\n', '{"seq":12}\n'] and
          out == '{"seq":13}\n' and child.returncode == 0, first, out, err)
    check("the second subscription names the cursor",
          fake.seen("events.subscribe")[1]["params"] ==
          {"since": {"epoch": "e1", "seq": 12}, "consumer": "bridge"},
          fake.seen("events.subscribe"))
    check("what was printed is acknowledged",
          fake.seen("events.ack")[-1]["params"] ==
          {"consumer": "bridge", "seq": 13}, fake.seen("events.ack"))
    status, out, err = run(fake.path, "--timeout", "0.3", "tail", "--type",
                           "never")
    check("tail with --timeout ends with 6", status == 6, status, err)


def usage():
    def status(*words):
        return subprocess.run([CTL, *words], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL)

    check("no command is usage", status().returncode == 2)
    typo = status("contcat", "ls")
    check("a typo gets a suggestion", typo.returncode == 2 and
          "contact" in typo.stderr and not typo.stdout, typo.stderr)
    typo = status("contact", "list")
    check("a wrong verb too", typo.returncode == 2 and "ls" in typo.stderr,
          typo.stderr)
    check("abbreviations are refused", status("stat").returncode == 2)
    for words in (["send"], ["status", "x"], ["status", "--frobnicate"],
                  ["log", "a", "-n", "x"], ["status", "--timeout", "x"],
                  ["status", "--color=blue"], ["--json", "--plain", "status"],
                  ["log", "x", "--wait"], ["rpc"], ["help", "nope"],
                  ["send", "a", "b", "--wait=eaten"], ["tail", "--since", "x"]):
        done = status(*words)
        check("usage: " + " ".join(words), done.returncode == 2 and
              not done.stdout and done.stderr, done)
    done = status("help")
    check("help goes to stdout", done.returncode == 0 and
          "contact add" in done.stdout and not done.stderr)
    done = status("send", "--help")
    check("help of a command", done.returncode == 0 and
          "--wait" in done.stdout, done)
    check("version", status("--version").returncode == 0)


def waits_go_on(folder):
    """send --wait asks again when the daemon comes back."""
    def handler(fake, connection, request):
        if request["method"] == "message.wait" and len(
                fake.seen("message.wait")) == 1:
            threading.Thread(target=lambda: (fake.stop(), fake.start())
                             ).start()
            return None
        return usual(fake, connection, request)

    fake = Fake(os.path.join(folder, "wait"), handler)
    status, out, err = run(fake.path, "send", ALICE, "x", "--wait")
    check("send --wait outlives a restart", status == 0 and
          "delivered" in out and len(fake.seen("message.send")) == 1,
          status, out, err)


def which_socket(folder):
    """-S, then $BTCHATD_SOCKET, then the user's, by runtime directory or, if
    there is none, by state directory."""
    def named(name):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return Fake(path, lambda f, c, r: result(r, dict(
            INFO, version=name))).path

    env = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
    by_flag, by_env = named("s/flag"), named("s/env")
    named("run/btchatd/control.sock")
    named("state/btchat/control.sock")
    named("home/.local/state/btchat/control.sock")
    run_dir, home = os.path.join(folder, "run"), os.path.join(folder, "home")
    both = {"XDG_RUNTIME_DIR": run_dir, "BTCHATD_SOCKET": by_env}
    cases = (
        (["-S", by_flag], both, "s/flag"), ([], both, "s/env"),
        ([], {"XDG_RUNTIME_DIR": run_dir}, "run/btchatd/control.sock"),
        ([], {"XDG_STATE_HOME": os.path.join(folder, "state")},
         "state/btchat/control.sock"),
        ([], {"HOME": home}, "home/.local/state/btchat/control.sock"))
    for words, extra, want in cases:
        done = subprocess.run([CTL, *words, "version"], text=True,
                              env=dict(env, **extra), capture_output=True)
        check("socket order: " + want, "btchatd\t%s\n" % want in done.stdout,
              done.stdout, done.stderr)
    if os.geteuid() != 0:
        os.chmod(by_flag, 0)
        status, out, err = run(by_flag, "status")
        check("no permission is exit 4", status == 4 and "group" in err, err)


def results_that_cannot_be_written(folder):
    fake = Fake(os.path.join(folder, "full"), usual)
    with open("/dev/full", "w") as full:
        done = subprocess.run([CTL, "-S", fake.path, "version"], stdout=full,
                              stderr=subprocess.PIPE, text=True)
    check("a full disk is exit 1", done.returncode == 1 and done.stderr, done)


def main():
    with tempfile.TemporaryDirectory() as folder:
        usage()
        names_and_replies(folder)
        bad_daemons(folder)
        escapes(folder)
        tail_goes_on(folder)
        waits_go_on(folder)
        which_socket(folder)
        results_that_cannot_be_written(folder)
    finish()


if __name__ == "__main__":
    main()
