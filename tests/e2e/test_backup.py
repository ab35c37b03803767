"""Backups: made while the daemon runs, read back, restored on another
machine. Both sides talk again without help, with one event at most; nothing that
had been delivered is lost, nothing is there twice. And the identity alone, and
the export of a conversation."""
import collections
import json
import os
import stat
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402

PASS = "correct horse battery"


def talk(name, a, b, to_b, to_a, count):
    ours = ["%s a %d" % (name, i) for i in range(count)]
    theirs = ["%s b %d" % (name, i) for i in range(count)]
    check("%s: texts arrive both ways" % name,
          a.came(*a.write(to_b, ours)) and
          b.came(*b.write(to_a, theirs)))
    return ours, theirs


def texts(daemon, conv, direction):
    return collections.Counter(m["text"] for m in daemon.history(conv)
                               if m["direction"] == direction)


def with_pass(daemon, *words, text=PASS, ok=True):
    path = os.path.join(daemon.folder, "pass")
    with open(path, "w") as f:
        f.write(text + "\n")
    return daemon.ctl(*words, "--passphrase-file", path, ok=ok)


def refused(name, daemon, error, *words, text=PASS):
    """--json gives the error by its name."""
    run = with_pass(daemon, *words, "--json", text=text, ok=False)
    check(name, run.status != 0 and error in run.err, run.err)


def warnings(daemon):
    with daemon.rpc() as rpc:
        page = rpc.call("events.poll", since="oldest", limit=500,
                        types=["security.warning"])
    return [e["data"]["kind"] for e in page["items"]]


def refused_files(net, alice, good):
    """702, 601: what is no backup changes nothing."""
    fresh = net.add("refused", bootstrap=net.entry).start()
    path = os.path.join(net.folder, "bad")
    for name, data, status in (
            ("cut", good[:-1], "BACKUP_INVALID"),
            ("longer", good + b"x", "BACKUP_INVALID"),
            ("cut to a chunk", good[:90 + 65553], "BACKUP_INVALID"),
            ("changed at its end", good[:-9] + bytes([good[-9] ^ 1]) +
             good[-8:], "BACKUP_INVALID"),
            ("empty", b"", "BACKUP_INVALID"),
            ("another file", b"hello" * 100, "BACKUP_INVALID"),
            ("of another version", good.replace(b"vault 1", b"vault 9", 1),
             "BACKUP_INVALID"),
            ("greedy", good[:24] + b"\xff" * 8 + good[32:],
             "BACKUP_INVALID")):
        with open(path, "wb") as f:
            f.write(data)
        refused("a backup that is %s is refused" % name, fresh, status,
                "backup", "restore", path)
    with open(path, "wb") as f:
        f.write(good)
    refused("a wrong passphrase is said to be one", fresh, "BAD_PASSPHRASE",
            "backup", "verify", path, text="wrong")
    left = sorted(os.listdir(fresh.state))
    check("nothing is left of it", "restore" not in left and
          "identity.key" not in left and "backup.tmp" not in left, left)
    refused("a daemon that is somebody stays so", alice, "ALREADY_EXISTS",
            "backup", "restore", path)
    fresh.stop()


def alone(net, alice):
    """The identity without contacts and history."""
    path = os.path.join(net.folder, "identity")
    about = with_pass(alice, "id", "export", path).pairs()
    check("id export says whose it is", about["address"] == alice.address and
          about["kind"] == "identity", about)
    other = net.add("alone", bootstrap=net.entry).start()
    refused("an identity alone is no backup", other, "BACKUP_INVALID",
            "backup", "restore", path)
    with_pass(other, "id", "import", path)
    shown = other.call("identity.show")
    check("id import", shown["address"] == alice.address and shown["sealed"],
          shown)
    check("without contacts",
          other.call("contact.list")["items"] == [])
    other.stop()


def export(net, alice, to_bob):
    out = os.path.join(net.folder, "lines")
    alice.ctl("conv", "export", "bob", "--output", out)
    with open(out, encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    check("conv export has each message, oldest first",
          lines == [dict(m) for m in alice.history(to_bob)],
          (len(lines), lines[:2]))
    check("for nobody else", stat.S_IMODE(os.stat(out).st_mode) == 0o600)
    run = alice.ctl("conv", "export", "bob", "--output", out, ok=False)
    check("it replaces nothing", run.status != 0, run.err)
    text = alice.ctl("conv", "export", "bob", "--text").out.splitlines()
    check("as text", len(text) == len(lines) and
          text[0].endswith("bob: first b 0") or
          text[0].endswith("me: first a 0"), text[:2])


def main():
    need_build()
    with Net() as net:
        alice, bob, to_bob, to_alice = net.couple()
        before = talk("first", alice, bob, to_bob, to_alice, 3)
        path = os.path.join(net.folder, "backup")
        about = with_pass(alice, "backup", "create", path).pairs()
        check("backup create says what is in it", about["contacts"] == "1" and
              about["messages"] == "6" and about["address"] == alice.address,
              about)
        check("for nobody else", stat.S_IMODE(os.stat(path).st_mode) == 0o600)
        check("nothing else is left beside it",
              not os.path.exists(path + ".part") and
              "backup.tmp" not in os.listdir(alice.state))
        with open(path, "rb") as f:
            good = f.read()
        check("nothing shows in it", b"first a" not in good and
              b"SQLite" not in good and
              alice.address.encode() not in good)
        run = with_pass(alice, "backup", "create", path, ok=False)
        check("another file is not replaced", run.status != 0 and
              open(path, "rb").read() == good, run.err)
        check("backup verify", with_pass(
            alice, "backup", "verify", path).pairs() == about)
        refused_files(net, alice, good)
        export(net, alice, to_bob)
        alone(net, alice)
        later = talk("later", alice, bob, to_bob, to_alice, 3)
        epoch = alice.call("events.consumers")["epoch"]
        alice.kill()
        check("no warning so far", warnings(bob) == [], warnings(bob))
        # Another machine.
        carol = net.add("carol", bootstrap=net.entry).start()
        with_pass(carol, "backup", "restore", path)
        shown = carol.call("identity.show")
        check("it is the same one, and sealed", shown["sealed"] and
              shown["address"] == alice.address and
              shown["name"] == "", shown)
        check("its event log is another one",
              carol.call("events.consumers")["epoch"] != epoch)
        check("its history is that of then",
              texts(carol, to_bob, "out") ==
              collections.Counter(before[0]) and
              texts(carol, to_bob, "in") == collections.Counter(before[1]))
        check("its contact has its name",
              carol.call("contact.get", contact=to_bob)["name"] == "bob")
        again = talk("again", carol, bob, to_bob, to_alice, 3)
        check("who had it has each once", texts(bob, to_alice, "in") ==
              collections.Counter(before[0] + later[0] + again[0]),
              texts(bob, to_alice, "in"))
        check("who was restored has each once",
              texts(carol, to_bob, "in") ==
              collections.Counter(before[1] + again[1]),
              texts(carol, to_bob, "in"))
        for who in (carol, bob):
            # None where the ratchet had not gone further than one step.
            check("at most one event at %s" % who.name,
                  warnings(who) in ([], ["ratchet.fallback"]), warnings(who))
        # It is a daemon as any other.
        carol.kill()
        carol.start()
        with_pass(carol, "id", "unlock")
        talk("at last", carol, bob, to_bob, to_alice, 1)
    finish()


if __name__ == "__main__":
    main()
