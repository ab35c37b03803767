"""btchatctl beside shells and other machines: stdio, completion, codes for
cameras, suggestions, progress; and the commands that only ask."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import CTL, check, finish  # noqa: E402
from fake import Fake, error, result  # noqa: E402
from net import Net, need_build  # noqa: E402
from screen import Screen, golden, stays_tame  # noqa: E402

ADDRESS = "btchat1q9pvr295msuhwl5lg39mdtw5ry0w82pwngqrtprc0ca7pn95rh3aj0efkkl"
NAMES = ["Alice", "Bob the Builder", "evil\x1b[31m\u202e", "o'Neil"]


def run(path, *words, env=None, **how):
    done = subprocess.run([CTL, "-S", path, *words], capture_output=True,
                          text=True, env=dict(os.environ, **(env or {})),
                          timeout=60, **how)
    return done.returncode, done.stdout, done.stderr


def answer(fake, connection, request):
    method = request["method"]
    if method == "contact.list":
        return result(request, {"next": None, "items": [
            {"id": "a" * 26, "name": name} for name in NAMES]})
    if method == "config.list":
        return result(request, {"items": [{"key": "listen"}, {"key": "dht"}]})
    if method == "identity.show":
        return result(request, {"address": ADDRESS})
    if method == "invite.create":
        return result(request, {"id": "a" * 26, "expires_ms": 1600000000000,
                                "uri": "btchat:btinvite1qqq"})
    if method == "session.info":
        return result(request, {"methods": ["status", "message.send"]})
    return error(request, -32601, "no such method")


# ---- stdio ----

class Raw:
    """Takes one connection and gives it to the test as it is."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(4)
        self.listener.settimeout(30)
        self.path = path

    def bridge(self, **how):
        child = subprocess.Popen(
            [CTL, "-S", self.path, "stdio"], stdin=subprocess.PIPE,
            stderr=subprocess.PIPE, **dict({"stdout": subprocess.PIPE}, **how))
        connection, _ = self.listener.accept()
        connection.settimeout(60)
        return child, connection


def read_all(connection):
    data = bytearray()
    while True:
        piece = connection.recv(1 << 16)
        if not piece:
            return bytes(data)
        data += piece


def stdio(folder):
    raw = Raw(os.path.join(folder, "raw"))
    child, there = raw.bridge()
    up, down = os.urandom(3 << 20), os.urandom(3 << 20)

    def write_and_close():
        child.stdin.write(up)
        child.stdin.close()

    # Both ways at once, more than any buffer holds.
    writer = threading.Thread(target=write_and_close)
    sender = threading.Thread(target=there.sendall, args=(down,))
    writer.start()
    sender.start()
    got = {}
    reader = threading.Thread(
        target=lambda: got.update(up=read_all(there)))
    reader.start()
    seen = child.stdout.read(len(down))
    for thread in (writer, sender, reader):
        thread.join(60)
    check("every byte arrives, both ways at once",
          seen == down and got.get("up") == up)
    there.sendall(b"after the half close")
    there.close()
    check("and after the half close", child.stdout.read() ==
          b"after the half close")
    check("then it is done", child.wait(30) == 0)

    child, there = raw.bridge()
    there.close()
    check("a daemon that goes is exit 3", child.wait(30) == 3 and
          b"closed" in child.stderr.read())

    child, there = raw.bridge()
    child.stdout.close()
    try:
        there.sendall(b"to nobody")
    except BrokenPipeError:  # it was seen at once
        pass
    check("a reader that goes is exit 1", child.wait(30) == 1,
          child.stderr.read())
    pressure(raw)
    status, out, err = run(os.path.join(folder, "nothing"), "stdio")
    check("no daemon is exit 3", status == 3, err)


def pressure(raw):
    """Nobody reads: the other side is held up, not buffered without end."""
    child, there = raw.bridge()
    there.setblocking(False)
    sent, idle_since = 0, time.monotonic()
    while time.monotonic() < idle_since + 0.5 and sent < 64 << 20:
        try:
            sent += there.send(bytes(1 << 16))
            idle_since = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    check("who does not read holds the writer up", sent < 4 << 20, sent)
    child.stdin.write(b"but the other way is free\n")
    child.stdin.flush()
    there.settimeout(60)
    check("the other way is free", there.recv(100) ==
          b"but the other way is free\n")
    child.stdout.read(sent)
    there.close()
    child.stdin.close()
    check("and all of it comes when somebody reads",
          child.stdout.read() == b"" and child.wait(30) in (0, 3))


def real_stdio(alice):
    request = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "status"})
    done = alice.ctl("stdio", stdin=request + "\n" + request)
    check("stdio speaks to a real daemon", [r["id"] for r in done.json()] ==
          [7, 7], done.out)


# ---- completion ----

CASES = (
    # What was typed, the last word being completed; some that must be there,
    # some that must not.
    ([""], {"contact", "chat", "status"}, {"ls"}),
    (["contact", ""], {"ls", "verify", "unblock"}, {"contact"}),
    (["chat", ""], {"Alice", "Bob the Builder", "o'Neil"}, {"ls"}),
    (["send", "--wait", ""], {"Alice"}, set()),
    (["send", "--wait", "=", ""], {"sent", "delivered", "read"}, {"Alice"}),
    (["send", "--wait="], {"--wait=sent", "--wait=read"}, {"Alice"}),
    (["log", "-n", ""], set(), {"Alice"}),
    (["log", "-n", "5", ""], {"Alice"}, set()),
    (["search", "x", "--in", ""], {"Alice"}, set()),
    (["--json", "conv", "set", "Alice", "--"],
     {"--muted", "--receipts", "--json"}, {"--wait"}),
    (["conv", "set", "Alice", "--receipts", ""], {"on", "off", "default"},
     {"Alice"}),
    (["--color", ""], {"auto", "always", "never"}, {"chat"}),
    (["--color=a"], {"--color=auto"}, set()),
    (["config", "get", ""], {"listen", "dht"}, set()),
    (["rpc", ""], {"message.send"}, set()),
    (["daemon", "loglevel", ""], {"debug", "err"}, set()),
    (["completion", ""], {"bash", "zsh", "fish"}, set()),
    (["help", ""], {"contact"}, set()),
    (["backup", "create", ""], {":file"}, set()),
    (["id", "unlock", "--passphrase-file", ""], {":file"}, set()),
    (["id", "passphrase", "--old-passphrase-file", ""], {":file"}, set()),
    (["tail", "--exec", ""], {":file"}, set()),
    (["contact", "show", "--", "-"], {"Alice"}, {"--json"}),
    (["no-such-command", ""], set(), {"ls"}),
    ([], {"contact"}, set()),
)


def words(path, typed):
    status, out, err = run(path, "completion", "words", "--", *typed)
    return status, {line.split("\t")[0] for line in out.splitlines()}, out


def completion(folder):
    fake = Fake(os.path.join(folder, "complete"), answer)
    for typed, some, none in CASES:
        status, found, out = words(fake.path, typed)
        check("completes %s" % " ".join(typed), status == 0 and
              some <= found and not none & found, out)
        check("  and nothing hostile", stays_tame(out.encode()) and
              not any("evil" in word for word in found), out)
    status, found, out = words(os.path.join(folder, "x"), [
        "-S", fake.path, "chat", ""])
    check("the socket that was named is asked", "Alice" in found, out)
    silent = Fake(os.path.join(folder, "mute"), lambda f, c, r: None)
    for path in (silent.path, os.path.join(folder, "none")):
        status, found, out = words(path, ["chat", ""])
        check("without a daemon there are no names", status == 0 and
              not found, out)
    status, out, err = run(fake.path, "completion", "tcsh")
    check("no other shell", status == 2, err)
    for shell in ("bash", "zsh", "fish"):
        in_shell(fake, folder, shell)


def in_shell(fake, folder, shell):
    if shutil.which(shell) is None:
        print("# no %s here" % shell)
        return
    status, script, err = run(fake.path, "completion", shell)
    path = os.path.join(folder, "_btchatctl" if shell == "zsh"
                        else "completion." + shell)
    with open(path, "w") as f:
        f.write(script)
    env = dict(os.environ, BTCHATD_SOCKET=fake.path, HOME=folder,
               XDG_CONFIG_HOME=folder, XDG_DATA_HOME=folder,
               PATH=os.path.dirname(CTL) + ":" + os.environ["PATH"])
    for typed, want in ((["btchatctl", "contact", "unb"], "unblock"),
                        (["btchatctl", "chat", "Bo"], "Bob")):
        done = subprocess.run(SHELLS[shell](path, typed), env=env, text=True,
                              capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL, cwd=folder)
        check("%s completes %s" % (shell, " ".join(typed)), want in
              done.stdout and "verify" not in done.stdout, done.stdout,
              done.stderr)


def in_bash(path, typed):
    return ["bash", "--norc", "-c", 'source "$1"; shift; COMP_WORDS=("$@"); '
            "COMP_CWORD=2; _btchatctl btchatctl; "
            'printf "%s\\n" "${COMPREPLY[@]}"', "bash", path, *typed]


def in_fish(path, typed):
    return ["fish", "--no-config", "-c",
            "source %s; complete -C '%s'" % (path, " ".join(typed))]


def in_zsh(path, typed):
    """_describe is what shows the list; here it only prints it, as far as it
    begins with the word."""
    return ["zsh", "-fc", 'autoload -Uz compinit; compinit -u -D; '
            'source "$1"; shift; words=("$@"); CURRENT=3; '
            '_describe() { print -rl -- ${(M)${(P)2}:#${words[3]}*} }; '
            "_btchatctl", "zsh", path, *typed]


SHELLS = {"bash": in_bash, "fish": in_fish, "zsh": in_zsh}


# ---- codes ----

def decode(rows, folder, name):
    """What zbarimg reads in rows of dark (1) and light (0) modules."""
    side, quiet = 6, 4
    wide = (len(rows[0]) + 2 * quiet) * side
    lines = []
    for row in ["0" * len(rows[0])] * quiet + rows + [
            "0" * len(rows[0])] * quiet:
        pixels = "".join(c * side for c in
                         "0" * quiet + row + "0" * quiet)
        lines += [pixels] * side
    path = os.path.join(folder, name + ".pbm")
    with open(path, "w") as f:
        f.write("P1\n%d %d\n" % (wide, len(lines)))
        for line in lines:
            f.write("\n".join(line[i:i + 70] for i in range(
                0, len(line), 70)) + "\n")
    done = subprocess.run(["zbarimg", "-q", "--raw", path], text=True,
                          capture_output=True)
    return done.stdout.strip()


def from_blocks(text):
    """Half blocks are light modules."""
    rows = []
    for line in text.splitlines():
        rows.append("".join("0" if c in "\u2580\u2588" else "1"
                            for c in line))
        rows.append("".join("0" if c in "\u2584\u2588" else "1"
                            for c in line))
    return rows


def from_ascii(text):
    return ["".join("0" if line[i] == "#" else "1" for i in range(
        0, len(line), 2)) for line in text.splitlines()]


def codes(folder):
    fake = Fake(os.path.join(folder, "qr"), answer)
    utf8, ascii_ = {"LC_ALL": "de_DE.UTF-8"}, {"LC_ALL": "C"}
    status, blocks, err = run(fake.path, "id", "qr", env=utf8)
    if status == 1 and "without libqrencode" in err:
        check("a build without codes says so, with the text",
              ADDRESS in err and not blocks, err)
        return
    status2, plain, err2 = run(fake.path, "id", "qr", env=ascii_)
    status3, objects, err3 = run(fake.path, "--json", "id", "qr")
    check("id qr in three forms", (status, status2, status3) == (0, 0, 0),
          err, err2, err3)
    rows = json.loads(objects)["rows"]
    golden("qr_blocks", blocks)
    check("half blocks and letters show one code", [r[2:-2] for r in
          from_blocks(blocks)[2:2 + len(rows)]] == rows and [
              r[2:-2] for r in from_ascii(plain)[2:-2]] == rows and
          plain.isascii(), blocks, plain)
    status, out, err = run(fake.path, "invite", "new", "--qr", env=utf8)
    check("invite new --qr shows the text and the code", status == 0 and
          out.splitlines()[0].split("\t")[1] == "btchat:btinvite1qqq" and
          "\u2588" in out.splitlines()[1], out)
    if shutil.which("zbarimg") is None:
        print("# no zbarimg here")
        return
    for name, got in (("blocks", from_blocks(blocks)),
                      ("ascii", from_ascii(plain)), ("json", rows)):
        read = decode(got, folder, name)
        check("a camera reads the address (%s)" % name, read.lower() ==
              "btchat:" + ADDRESS, read)


# ---- the rest ----

def suggestions(folder):
    path = os.path.join(folder, "nothing")
    for typed, want in (
            (["stauts"], '"status"'), (["contact", "lst"], "contact ls"),
            (["caht", "bob"], '"chat"'), (["msg", "statsu"], "msg status"),
            (["log", "x", "--lnes", "3"], "--lines"),
            (["--jsno", "status"], "--json"),
            (["send", "x", "--wiat=sent", "y"], "--wait")):
        status, out, err = run(path, *typed)
        check("suggests %s" % want, status == 2 and want in err and
              "did you mean" in err and not out, err)
    status, out, err = run(path, "--\x1b[31mnot-near-anything", "status")
    check("and nothing if nothing is near, escaped", status == 2 and
          "mean" not in err and stays_tame(err.encode()), err)


def progress(folder):
    """On a terminal only, and gone at the end."""
    if shutil.which("tmux") is None:
        print("# no tmux here")
        return
    go_on = threading.Event()

    def slow(fake, connection, request):
        go_on.wait(60)
        return result(request, {"kind": "backup", "contacts": 1})

    fake = Fake(os.path.join(folder, "slow"), slow)
    for name, text in (("file", "x" * 1000), ("pass", "secret\n")):
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)
    command = [CTL, "-S", fake.path, "backup", "verify",
               os.path.join(folder, "file"), "--passphrase-file",
               os.path.join(folder, "pass")]
    with Screen(folder, command, {"TERM": "screen"}) as screen:
        screen.wait("backup.verify  0.0 MiB of 0.0", "progress is shown")
        go_on.set()
        text = screen.wait("contacts")
        check("and gone at the end", "MiB" not in text and
              screen.status() == 0, text)
    status, out, err = run(fake.path, *command[3:])
    check("none in a pipe", status == 0 and not err, err)


def asking(alice, bob):
    check("wait-online", alice.ctl("wait-online", "--timeout", "60").pairs()
          == {"state": "online"})
    done = alice.ctl("--json", "wait-online", "--timeout", "60")
    check("wait-online --json", done.json()[0]["state"] == "online")
    sent = alice.ctl("send", "bob", "hi", "--wait").rows()[0][0]
    row, = alice.ctl("msg", "status", sent).rows()
    check("msg status", row[:3] == [sent, "delivered", alice.contact("bob")]
          and row[3].endswith("Z"), row)
    check("msg status --json", alice.ctl("--json", "msg", "status",
          sent).json()[0]["recipients"])
    check("msg status --human", "delivered" in alice.ctl(
        "--human", "msg", "status", sent).out)
    check("msg status of one that came in", alice.ctl("msg", "status", bob.ctl(
        "send", "alice", "x", "--wait").rows()[0][0]).rows()[0][1:] == [
            "received", "-", "-"])
    check("msg status of nothing is exit 5", alice.ctl(
        "msg", "status", "a" * 26, ok=False).status == 5)
    alice.ctl("tail", "--since", "oldest", "--consumer", "bridge", "-n", "2")
    row, = alice.ctl("consumer", "ls").rows()
    check("consumer ls", row[0] == "bridge" and row[1] == "2" and
          row[2].endswith("Z") and row[3] == "-", row)
    check("consumer ls --json", alice.ctl(
        "--json", "consumer", "ls").json()[0]["seq"] == 2)
    alice.ctl("consumer", "rm", "bridge")
    check("consumer rm", alice.ctl("consumer", "ls").rows() == [])
    check("consumer rm of none fails", alice.ctl(
        "consumer", "rm", "bridge", ok=False).status == 5)
    check("rpc --schema METHOD", alice.ctl(
        "rpc", "--schema", "message.send").json()[0]["name"] == "message.send")
    check("rpc --schema", len(alice.ctl("rpc", "--schema").json()[0][
        "methods"]) > 30)
    check("rpc --schema of nothing fails", alice.ctl(
        "rpc", "--schema", "no.such", ok=False).status == 1)


def since(alice):
    check("log --since a time", len(alice.ctl(
        "log", "bob", "--since", "1h").rows()) == 2)
    day = time.strftime("%Y-%m-%d", time.localtime(time.time() + 2 * 86400))
    check("log --since a day that is to come", not alice.ctl(
        "log", "bob", "--since", day).out)
    check("log --since a day long ago", len(alice.ctl(
        "log", "bob", "--since", "2001-02-03").rows()) == 2)
    check("and -n still counts", len(alice.ctl(
        "log", "bob", "--since", "1h", "-n", "1").rows()) == 1)
    for word in ("yesterday", "2001-02-30x", "2001-2-3", "-1h", ""):
        check("log --since %r is usage" % word, alice.ctl(
            "log", "bob", "--since=" + word, ok=False).status == 2)


def offline(folder):
    fake = Fake(os.path.join(folder, "off"), lambda f, c, r: result(
        r, {"state": "offline"}))
    status, out, err = run(fake.path, "--timeout", "0.2", "wait-online")
    check("wait-online in vain is exit 6", status == 6 and not out, err)


def main():
    need_build()
    with tempfile.TemporaryDirectory() as folder:
        stdio(folder)
        completion(folder)
        codes(folder)
        suggestions(folder)
        progress(folder)
        offline(folder)
    with Net() as net:
        net.dht(3)
        alice, bob = net.person("alice"), net.person("bob")
        net.pair(alice, bob)
        real_stdio(alice)
        asking(alice, bob)
        since(alice)
    finish()


if __name__ == "__main__":
    main()
