"""Every command of btchatctl against a real daemon: for people under a
pseudo-terminal, for programs in a pipe, as JSON; exit statuses; prompts."""
import json
import os
import pty
import re
import select
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import CTL, check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402

EVIL = "\x1b]0;pwned\x07\x1b[31mred\u202etxet\x9b\ttab\nline\u2066"
RAW = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e"
                 "\u2066-\u2069]")
ID = re.compile(r"^[a-z2-7]{26}$")
UTC = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


def on_tty(daemon, words, typed=(), env=None, timeout=60):
    """Runs it with a terminal for all three; answers prompts in order. Gives
    the status and all that the terminal showed."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm", "BTCHATCTL_PAGER": "cat"})
        os.environ.update(env or {})
        os.execv(CTL, [CTL, "-S", daemon.socket, *words])
    shown, end = b"", time.monotonic() + timeout
    typed = list(typed)
    while time.monotonic() < end:
        if not select.select([fd], [], [], 0.05)[0]:
            continue
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
        if typed and shown.rstrip().endswith((b":", b"[y/N]")):
            os.write(fd, typed.pop(0).encode())
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")


def three_forms(daemon, words, columns=None, pairs=None, lines=1):
    """The same command for people, programs and as JSON."""
    name = " ".join(w if len(w) < 30 else w[:12] + "..." for w in words)
    status, shown = on_tty(daemon, words, env={"NO_COLOR": "1"})
    check("%s on a terminal" % name, status == 0 and shown.strip() and
          "\x1b" not in shown and not RAW.search(shown.replace("\r\n", "\n")),
          status, shown)
    piped = daemon.ctl(*words, ok=False)
    rows = piped.rows()
    good = piped.status == 0 and not piped.err and len(rows) >= lines
    if columns:
        good = good and all(len(row) == columns for row in rows)
    if pairs:
        good = good and set(pairs) <= set(piped.pairs())
    check("%s in a pipe" % name, good and not RAW.search(
        piped.out), piped.status, piped.out, piped.err)
    done = daemon.ctl("--json", *words, ok=False)
    try:
        values = done.json()
    except ValueError:
        values = None
    check("%s as JSON" % name, done.status == 0 and values and
          len(values) >= lines and all(
              isinstance(v, (dict, list)) for v in values) and
          not RAW.search(done.out), done.out, done.err)
    return rows


def why(alice):
    rows = three_forms(alice, ["why", "bob"], columns=4)
    check("why says online, and how it came", rows[0] == [
        "verdict", "0", "1", "online"] and "up" in [r[0] for r in rows], rows)
    piped = alice.ctl("why", "bob")
    known = alice.ctl("why", "bob", "--addresses")
    check("why names addresses only when asked", "127.0.0.1" in known.out and
          "127.0.0.1" not in piped.out and known.rows()[-1][0] == "address",
          piped.out, known.out)


def decisions(alice, bob):
    """Of a contact: is it who it says, may it begin again, may it relay."""
    row, = three_forms(alice, ["contact", "verify", "bob"], columns=3)
    check("both see one number", row[1] == "-" and row[2] == bob.ctl(
        "contact", "verify", "alice").rows()[0][2], row)
    check("people see it on a line of its own", alice.ctl(
        "--human", "contact", "verify", "bob").out.splitlines()[1:] ==
        [row[2]])
    number = row[2].split()
    check("nobody is verified by another", alice.ctl(
        "contact", "verify", "bob", *number[1:], number[0],
        ok=False).status == 1)
    row, = three_forms(
        alice, ["contact", "verify", "bob", *number], columns=5)
    check("the number verifies",
          row[1:] == ["verified", "auto", "-", "presence"], row)
    row, = three_forms(alice, [
        "contact", "set", "bob", "--fallback=deny", "--relay=yes"], columns=5)
    check("decisions are kept",
          row[1:] == ["verified", "deny", "relay", "presence"], row)
    for words in ([], ["--relay=perhaps"], ["--fallback=perhaps"],
                  ["--presence=perhaps"]):
        check("contact set needs a decision: %s" % words, alice.ctl(
            "contact", "set", "bob", *words, ok=False).status == 2)
    alice.ctl("contact", "set", "bob", "--fallback=auto", "--relay=no")
    row, = alice.ctl("contact", "verify", "bob", "--undo").rows()
    check("and taken back", row[1:] == ["-", "auto", "-", "presence"], row)


def selftest(alice):
    done = alice.ctl("daemon", "selftest", ok=False)
    rows = done.rows()
    failed = [row[0] for row in rows if row[1] != "ok"]
    # A container may forbid the sandbox, a sanitizer wants to trace.
    check("daemon selftest finds a daemon at work well", len(rows) == 8 and
          set(failed) <= {"sandbox", "cores"} and
          all(len(row) == 3 and row[2] for row in rows), done.out)
    check("its exit status tells of what failed",
          done.status == bool(failed), done.status, done.out)
    done = alice.ctl("--json=name,ok", "daemon", "selftest", ok=False)
    check("daemon selftest as JSON", [v["name"] for v in done.json()] ==
          [row[0] for row in rows], done.out)
    done = alice.ctl("--human", "daemon", "selftest", ok=False)
    check("and for people", "WHAT" in done.out, done.out)


def commands(alice, bob_id):
    three_forms(alice, ["status"], pairs={"state", "unread", "dht.nodes"})
    three_forms(alice, ["version"], pairs={"btchatctl", "btchatd"})
    three_forms(alice, ["id", "show"], pairs={"address"})
    rows = three_forms(alice, ["contact", "ls"], columns=6)
    check("a contact has its columns", ID.match(rows[0][0]) and
          rows[0][1:4] == ["bob", "ready", "online"] and
          rows[0][5].startswith("btchat1"), rows)
    three_forms(alice, ["contact", "ls", "BO"], columns=6)
    three_forms(alice, ["contact", "show", "bob"], pairs={"id", "address"})
    rows = three_forms(alice, ["send", "bob", "hello"], columns=2)
    check("send tells id and state", ID.match(rows[0][0]) and
          rows[0][1] == "queued", rows)
    rows = three_forms(alice, ["send", "bob", "--wait", "hi"], columns=3)
    check("send --wait tells the time", rows[0][1] == "delivered" and
          UTC.match(rows[0][2]), rows)
    rows = three_forms(alice, ["log", "bob"], columns=6, lines=2)
    check("log has its columns", ID.match(rows[0][0]) and
          UTC.match(rows[0][1]) and rows[0][2:5] == [
              bob_id, "me", "delivered"], rows)
    three_forms(alice, ["log", "bob", "-n", "1"], columns=6)
    picked = alice.ctl("log", "bob", "-n", "1", "--json=text,id,nothing")
    check("--json=F,.. picks fields in order", list(
        picked.json()[0]) == ["text", "id", "nothing"], picked.out)
    three_forms(alice, ["tail", "--since", "oldest", "-n", "3"], columns=8,
                lines=3)
    done = alice.ctl("--human", "tail", "--since", "oldest", "--type",
                     "message.new", "-n", "1")
    check("tail tells people names", "  to bob  hello" in done.out, done.out)
    three_forms(alice, ["net", "status"], pairs={"nat", "local", "udp.in"})
    rows = three_forms(alice, ["net", "dht"], columns=12)
    check("net dht tells the key for a bootstrap", [
        row[11] for row in rows if row[:2] == ["v4", "yes"]] == [
            "-", alice.call("net.dht")["overlay"][0]["key"]], rows)
    three_forms(alice, ["net", "nat"], pairs={"nat", "families.votes"})
    three_forms(alice, ["net", "peers"], columns=8)
    why(alice)
    row, = three_forms(alice, ["net", "probe", "bob"], columns=5)
    check("net probe measures", row[0] == bob_id and row[1].isdigit() and
          row[3:] == ["direct", alice.ctl("net", "peers").rows()[0][2]], row)
    three_forms(alice, ["config", "ls"], columns=4, lines=5)
    three_forms(alice, ["config", "get", "state"], columns=1)
    row, = three_forms(alice, ["config", "set", "event-days", "31"], columns=3)
    check("config set says that it is so", row == ["event-days", "31", "now"])
    row, = three_forms(alice, ["config", "set", "cells-min", "3"], columns=3)
    check("or will be", row == ["cells-min", "3", "restart"], row)
    alice.ctl("config", "set", "cells-min", "--unset")
    done = alice.ctl("config", "set", "event-days", "--unset")
    check("config set --unset", done.rows() == [["event-days", "30", "now"]])
    three_forms(alice, ["daemon", "loglevel"], pairs={"level"})
    rows = three_forms(alice, ["daemon", "logs", "-n", "1"], columns=5)
    check("daemon logs has its columns", len(rows) == 1 and
          rows[0][0].isdigit() and UTC.match(rows[0][1]) and rows[0][3],
          rows)
    done = alice.ctl("daemon", "logs", "--level", "err")
    check("daemon logs --level leaves out what is not so bad",
          done.rows() == [], done.out)
    selftest(alice)
    metrics = alice.ctl("daemon", "metrics").out
    check("metrics are the text as it is",
          metrics.endswith("\n# EOF\n") and "btchat_contacts" in metrics)
    three_forms(alice, ["daemon", "loglevel", "info"], pairs={"level"})
    three_forms(alice, ["invite", "new", "--label", "x", "--ttl", "2h"],
                columns=3)
    three_forms(alice, ["invite", "ls"], columns=5, lines=2)
    invite = alice.ctl("invite", "ls").rows()[0][0]
    gone = alice.ctl("invite", "revoke", invite)
    check("invite revoke", gone.rows() == [[invite, "revoked"]], gone.out)
    done = alice.ctl("net", "rebind")
    check("net rebind tells our addresses", done.rows() == [
        ["local", alice.call("net.status")["local"][0]]], done.out)
    done = alice.ctl("net", "rebind", ok=False)
    check("net rebind is for once in a while", done.status == 1 and
          "so soon" in done.err, done.err)
    three_forms(alice, ["net", "bootstrap", "127.0.0.1:9"])
    three_forms(alice, ["net", "bootstrap", "%s@127.0.0.1:9" % ("ab" * 32)])
    three_forms(alice, ["rpc", "--list"], lines=1)
    for words in (["rpc", "status"], ["rpc", "message.history",
                                      "conv=" + bob_id, "limit=1"],
                  ["rpc", "contact.get", json.dumps({"contact": bob_id})]):
        done = alice.ctl(*words)
        check(" ".join(words[:2]), isinstance(done.json()[0], dict))
    done = alice.ctl("rpc", "contact.get", "-", stdin='{"contact":"%s"}'
                     % bob_id)
    check("rpc METHOD -", done.json()[0]["name"] == "bob", done.out)
    check("an empty list is nothing in a pipe",
          alice.ctl("contact", "ls", "nobody-like-this").out == "")


def statuses(alice):
    cases = (
        (["contact", "show", "nobody"], 5), (["log", "x" * 26], 5),
        (["log", "a" * 26], 5), (["send", "a" * 26, "x"], 5),
        (["invite", "revoke", "a" * 26], 5),
        (["contact", "add", "btchat1nonsense"], 1),
        (["contact", "add", alice.address], 1),
        (["invite", "accept", "btinvite1nonsense"], 1),
        (["config", "get", "no-such-key"], 2),
        (["config", "set", "no-such-key", "x"], 2),
        (["config", "set", "upnp", "perhaps"], 2),
        (["config", "set", "upnp", "yes", "no"], 2),
        (["config", "set", "upnp"], 2), (["config", "set"], 2),
        (["config", "set", "upnp", "no", "--unset"], 2),
        (["config", "set", "sandbox", "off"], 2),
        (["net", "bootstrap", "nonsense"], 2),
        (["daemon", "loglevel", "loud"], 2),
        (["daemon", "logs", "--level", "loud"], 2),
        (["daemon", "logs", "-n", "513"], 2),
        (["daemon", "logs", "-n", "0"], 2),
        (["rpc", "no.such.method"], 1), (["rpc", "status", "a=1"], 2),
        (["id", "create", "--no-passphrase"], 1),
        (["id", "unlock"], 2), (["send", "bob"], 2),
        (["contact", "rm", "bob"], 1), (["tail", "--type", "no.type"], 2),
        (["send", "bob", "--wait", "--timeout", "0", "x"], (0, 6)),
    )
    for words, want in cases:
        done = alice.ctl(*words, ok=False)
        wanted = want if isinstance(want, tuple) else (want,)
        check("exit %s: %s" % (want, " ".join(words)[:40]),
              done.status in wanted and (done.err or done.status != want),
              done.status, done.out, done.err)
        if want == 6 or done.status == 0:
            continue
        check("  and nothing on stdout", want == (0, 6) or not done.out,
              done.out)
    done = alice.ctl("--json", "contact", "show", "nobody", ok=False)
    check("with --json errors are objects", json.loads(done.err)["code"] == 200
          and json.loads(done.err)["data"]["name"] == "CONTACT_NOT_FOUND",
          done.err)


def names(net, alice):
    """Exact, any case or accent, unique prefix; ids and addresses always."""
    one = net.person("one")
    alice.ctl("contact", "add", one.address, "--name", "Bobby")
    for who in ("bob", "Bob", "BOB", "bobb", "BOBBY", one.address,
                "btchat:%s?name=x" % one.address.upper(),
                alice.contact("bob")):
        done = alice.ctl("contact", "show", who, ok=False)
        check("a contact is found as %s" % who[:20], done.status == 0,
              done.err)
    done = alice.ctl("contact", "show", "bo", ok=False)
    check("an ambiguous beginning is 301", done.status == 1 and
          "Bobby" in done.err and "bob" in done.err, done.err)
    done = alice.ctl("contact", "rename", "bobby", "Robert")
    check("contact rename", done.rows()[0][1] == "Robert", done.out)
    check("a renamed contact is found",
          alice.ctl("contact", "show", "rob").pairs()["name"] == "Robert")
    alice.ctl("contact", "rename", "robert", "Ren\u00e9e \u00c5s")
    for who in ("ren\u00e9e \u00e5s", "RENEE AS", "ren\u00c9"):
        check("and without case and accents", alice.ctl(
            "contact", "show", who).pairs()["name"] == "Ren\u00e9e \u00c5s")
    alice.ctl("contact", "rename", "renee", "Robert")
    status, shown = on_tty(alice, ["contact", "rm", "Robert"], ["n\n"])
    check("contact rm asks, and n means no", status == 1 and "Robert" in
          alice.ctl("contact", "ls").out, shown)
    address = alice.ctl("contact", "show", "Robert").pairs()["address"]
    status, shown = on_tty(alice, ["contact", "rm", "Robert"], ["y\n"])
    check("contact rm asks, and y means yes", status == 0 and "Robert" not in
          alice.ctl("contact", "ls").out, shown)
    alice.ctl("contact", "add", address)
    done = alice.ctl("--human", "contact", "rm", address, "--yes")
    check("one without a name is removed by its address",
          address[:12] in done.out, done.out)
    one.stop()


def untrusted(alice, bob):
    """26: whatever Bob sends, no terminal gets it raw."""
    bob_alice = bob.contact("alice")
    bob.call("message.send", conv=bob_alice, text=EVIL)
    to_bob = alice.contact("bob")
    alice.wait_event("message.new", conv=to_bob, text=EVIL)
    for form in (["--human", "--color=never"], ["--plain"], ["--json"]):
        for words in (["log", "bob", "-n", "1"],
                      ["tail", "--since", "oldest", "--in", "bob",
                       "--timeout", "0.2"]):
            done = alice.ctl(*form, *words, ok=False)
            check("26: %s %s shows nothing raw" % (form[0], words[0]),
                  "red" in done.out and not RAW.search(done.out), done.out)
    status, shown = on_tty(alice, ["log", "bob"], env={"NO_COLOR": "1"})
    check("26: nor does a terminal", "red" in shown and not RAW.search(
        shown.replace("\r\n", "\n")), shown)
    status, shown = on_tty(alice, ["--color=never", "contact", "ls"])
    alice.ctl("rpc", "contact.set", "contact=" + to_bob,
              "name=" + json.dumps("b\u202eob"), ok=False)
    done = alice.ctl("--human", "--color=never", "contact", "ls")
    check("26: names are escaped", not RAW.search(done.out), done.out)
    alice.ctl("contact", "rename", to_bob, "bob")


def prompts(net):
    """Passphrases: asked for without echo, from a descriptor, from a file."""
    carol = net.add("carol", bootstrap=net.entry).start()
    check("exit 5 without an identity", carol.ctl(
        "id", "show", ok=False).status == 5)
    done = carol.ctl("id", "create", ok=False)
    check("without a terminal no key is made without a word", done.status == 2
          and "--no-passphrase" in done.err, done.err)
    path = os.path.join(carol.folder, "pass")
    with open(path, "w") as f:
        f.write("\n")
    done = carol.ctl("id", "create", "--passphrase-file", path, ok=False)
    check("nor with an empty passphrase", done.status == 1 and
          "empty" in done.err, done.err)
    status, shown = on_tty(carol, ["id", "create"], ["s3cret\n", "other\n"])
    check("two passphrases that differ are refused", status == 1 and
          "s3cret" not in shown, shown)
    status, shown = on_tty(carol, ["id", "create", "--name", "Carol C."],
                           ["s3cret\n", "s3cret\n"])
    check("id create asks twice, without echo", status == 0 and
          "s3cret" not in shown and "btchat1" in shown, status, shown)
    carol.stop()
    carol.start()
    done = carol.ctl("contact", "ls", ok=False)
    check("locked is exit 4 and says what to do", done.status == 4 and
          done.err.count("id unlock") == 1 and "identity.unlock" not in
          done.err, done.err)
    check("status says so", carol.ctl("status").pairs()["locked"] == "yes")
    done = carol.ctl("id", "unlock", ok=False)
    check("without a terminal nothing is asked", done.status == 2, done.err)
    for text, want in (("wrong\n", 1), ("s3cret\nmore\n", 0)):
        with open(path, "w") as f:
            f.write(text)
        done = carol.ctl("id", "unlock", "--passphrase-file", path, ok=False)
        check("--passphrase-file %r is exit %d" % (text, want),
              done.status == want, done.err)
    check("id show tells the name", carol.ctl("id", "show").pairs()[
        "name"] == "Carol C.")
    check("and it is open", carol.ctl("contact", "ls").status == 0)
    carol.stop()
    carol.start()
    reader, writer = os.pipe()
    os.write(writer, b"s3cret\n")
    os.close(writer)
    done = subprocess.run([CTL, "-S", carol.socket, "id", "unlock",
                           "--passphrase-fd", str(reader)],
                          pass_fds=[reader], capture_output=True, timeout=60)
    os.close(reader)
    check("--passphrase-fd", done.returncode == 0, done.stderr)
    another_passphrase(carol, path)
    carol.stop()


def another_passphrase(carol, path):
    """Locked and unlocked; the passphrase is changed, removed, set."""
    status, shown = on_tty(carol, ["id", "lock"])
    check("id lock says so", status == 0 and shown.strip() == "locked", shown)
    check("and does so", carol.ctl("id", "show", ok=False).status == 4)
    check("a second time, too", carol.ctl(
        "id", "lock").rows() == [["locked", "yes"]])
    done = carol.ctl("id", "passphrase", "--remove", ok=False)
    check("of what is locked no passphrase is changed", done.status == 4 and
          "id unlock" in done.err, done.err)
    status, shown = on_tty(carol, ["id", "unlock"], ["s3cret\n"])
    check("id unlock asks once, without echo", status == 0 and
          "unlocked" in shown and "s3cret" not in shown, shown)
    status, shown = on_tty(carol, ["id", "passphrase"],
                           ["s3cret\n", "n3w\n", "n3x\n"])
    check("two new ones that differ are refused", status == 1, shown)
    status, shown = on_tty(carol, ["id", "passphrase"], ["s3cret\n", "\n"])
    check("an empty one is no way to remove it", status == 2 and
          "--remove" in shown, shown)
    status, shown = on_tty(carol, ["id", "passphrase"],
                           ["wrong\n", "n3w\n", "n3w\n"])
    check("the old one must be known", status == 1 and "wrong" in shown, shown)
    status, shown = on_tty(carol, ["id", "passphrase"],
                           ["s3cret\n", "n3w\n", "n3w\n"])
    check("id passphrase asks for the old one and twice for the new one",
          status == 0 and shown.count("passphrase:") == 2 and
          "Again:" in shown and "sealed" in shown and "n3w" not in shown,
          shown)
    with open(path, "w") as f:
        f.write("n3w\n")
    for words, want in (
            ([], 2), (["--passphrase-file", path], 2),
            (["--old-passphrase-file", path], 2),
            (["--remove", "--passphrase-file", path], 2),
            (["--remove", "--old-passphrase-fd", "x"], 2),
            (["--remove", "--old-passphrase-fd", "0",
              "--old-passphrase-file", path], 2),
            (["--remove", "--old-passphrase-file", "/dev/null"], 1)):
        done = carol.ctl("id", "passphrase", *words, ok=False)
        check("exit %d: id passphrase %s" % (want, " ".join(words)[:40]),
              done.status == want and done.err, done.status, done.err)
    done = carol.ctl("id", "passphrase", "--remove", "--old-passphrase-file",
                     path)
    check("--remove removes it, and says what that means",
          done.pairs()["sealed"] == "no" and "can be you" in done.err,
          done.out, done.err)
    done = carol.ctl("id", "lock", ok=False)
    check("without one nothing is locked", done.status == 1 and
          "passphrase" in done.err, done.err)
    status, shown = on_tty(carol, ["id", "passphrase", "--remove"])
    check("to remove none is no trouble", status == 0, shown)
    done = carol.ctl("--json=sealed", "id", "passphrase",
                     "--passphrase-file", path)
    check("where there is none no old one is needed", done.json() == [
        {"sealed": True}], done.out)


def consumers(alice, bob):
    """A named reader goes on where it was."""
    def read(count):
        return [int(r[0]) for r in alice.ctl(
            "tail", "--consumer", "bridge", "--type", "message.new", "-n",
            str(count), "--timeout", "60").rows()]

    alice.ctl("rpc", "events.subscribe", "consumer=bridge")
    for i in range(5):
        bob.ctl("send", "alice", "c%d" % i, "--wait")
    first, second = read(2), read(3)
    check("a consumer misses nothing and sees nothing twice",
          first + second == sorted(set(first + second)) and
          len(first + second) == 5, first, second)
    # From a cursor: who begins "now" may begin after what is sent now.
    at = alice.call("session.info")
    child = subprocess.Popen(
        [CTL, "-S", alice.socket, "--json=data.text", "tail", "--since",
         "%s:%d" % (at["epoch"], at["head"]), "--type",
         "message.new", "-n", "2", "--timeout", "120"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    bob.ctl("send", "alice", "before")
    first = child.stdout.readline()
    alice.kill()
    alice.start()
    bob.ctl("send", "alice", "after", "--wait")
    out, err = child.communicate(timeout=120)
    check("tail outlives a kill of the daemon", "before" in first and
          "after" in out and child.returncode == 0, first, out, err)


def pager(alice):
    status, shown = on_tty(alice, ["--color=never", "contact", "ls"],
                           env={"BTCHATCTL_PAGER": "sed s/^/P:/"})
    check("long results go through the pager", status == 0 and all(
        line.startswith("P:") for line in shown.splitlines()) and
        "bob" in shown, shown)
    status, shown = on_tty(alice, ["help"], env={"BTCHATCTL_PAGER": "true"})
    check("leaving the pager early is no failure", status == 0 and
          not shown, status, shown)
    status, shown = on_tty(alice, ["status"],
                           env={"BTCHATCTL_PAGER": "sed s/^/P:/"})
    check("short ones do not", "P:" not in shown, shown)


def erased(net):
    """Whoever types the address means it."""
    d = net.person("erwin")
    status, shown = on_tty(d, ["id", "rm"], ["yes\n"])
    check("id rm asks for the address, and yes is none", status != 0 and
          "for good" in shown and "not the address" in shown, shown)
    status, shown = on_tty(d, ["id", "rm"], ["\n"])
    check("nor is nothing", status == 1 and "nothing was erased" in shown,
          shown)
    status, shown = on_tty(d, ["id", "rm", "--confirm", d.address], ["n\n"])
    check("a named one is asked for, and n means no", status == 1 and
          d.call("status")["identity"] == d.address, shown)
    status, shown = on_tty(d, ["id", "rm"], [d.address + "\n"])
    check("id rm erases what was typed", status == 0 and "erased" in shown and
          d.call("status")["state"] == "no-identity", shown)
    check("then there is none: exit 5",
          d.ctl("id", "show", ok=False).status == 5)
    d.stop()


def interrupt(alice):
    child = subprocess.Popen([CTL, "-S", alice.socket, "tail", "--since",
                              "oldest"], stdout=subprocess.PIPE, text=True)
    check("tail tells what was", child.stdout.readline() != "")
    child.send_signal(2)
    check("Ctrl-C is exit 130", child.wait(20) == 130)


def main():
    need_build()
    with Net() as net:
        net.dht(3)
        alice, bob = net.person("alice"), net.person("bob")
        bob_id, _ = net.pair(alice, bob)
        commands(alice, bob_id)
        decisions(alice, bob)
        statuses(alice)
        names(net, alice)
        untrusted(alice, bob)
        prompts(net)
        consumers(alice, bob)
        pager(alice)
        erased(net)
        interrupt(alice)
        done = alice.ctl("daemon", "shutdown")
        check("daemon shutdown", done.status == 0 and
              alice.process.wait(20) == 0, done.err)
        check("then no daemon is exit 3",
              alice.ctl("status", ok=False).status == 3)
    finish()


if __name__ == "__main__":
    main()
