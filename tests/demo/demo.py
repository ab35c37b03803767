"""A first conversation, from nothing: a DHT of its own, Alice, Bob, Carol.

    make demo            shows every step as it would be typed, with its time
    make demo KEEP=1     leaves everything running and says how to talk to it

All traffic stays on loopback, all files in one temporary directory.
"""
import argparse
import os
import shlex
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "e2e"))
from net import CTL, Failed, Net  # noqa: E402

NODES = 8


class Show:
    """Prints steps and how long they took."""

    def __init__(self):
        self.begin = time.monotonic()
        tty = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self.bold, self.dim, self.off = (
            ("\033[1m", "\033[2m", "\033[0m") if tty else ("", "", ""))

    def title(self, text):
        print("\n%s%s%s" % (self.bold, text, self.off), flush=True)

    def line(self, who, text, seconds):
        print("%-6s $ %s  %s%.3f s%s" % (who, text, self.dim, seconds,
                                         self.off), flush=True)

    def output(self, text):
        for line in text.rstrip("\n").split("\n"):
            if line:
                print("         " + line, flush=True)

    def total(self):
        return time.monotonic() - self.begin


def shorten(word):
    return word[:16] + "..." + word[-4:] if len(word) > 60 else word


class Person:
    """Somebody with a daemon, who types commands."""

    def __init__(self, show, daemon):
        self.show, self.daemon = show, daemon
        self.name = daemon.name

    def shown(self, words):
        return " ".join(shlex.quote(shorten(w)) for w in words)

    def type(self, *words, quiet=False):
        """Runs btchatctl; shows the command, its time and what it says to
        people; gives what it says to programs."""
        start = time.monotonic()
        done = self.daemon.ctl("--human", "--color=never", *words)
        self.show.line(self.name, "btchatctl " + self.shown(words),
                       time.monotonic() - start)
        if not quiet:
            self.show.output("\n".join(
                shorten_line(line) for line in done.out.splitlines()))
        return done.out

    def ask(self, *words):
        """The same for programs, without showing it."""
        return self.daemon.ctl("--plain", *words).rows()

    def start(self):
        start = time.monotonic()
        self.daemon.start()
        self.show.line(self.name, "btchatd --state %s &" % self.daemon.state,
                       time.monotonic() - start)

    def kill(self):
        start = time.monotonic()
        pid = self.daemon.process.pid
        self.daemon.kill()
        self.show.line(self.name, "kill -9 %d" % pid,
                       time.monotonic() - start)


def shorten_line(line):
    return " ".join(shorten(word) if word.startswith("bt") else word
                    for word in line.split(" "))


def begin(net, show, name):
    person = Person(show, net.add(name, bootstrap=net.entry[:3]))
    person.start()
    person.type("id", "create", "--no-passphrase", quiet=True)
    person.address = person.ask("id", "show")
    person.address = dict(row[:2] for row in person.address)["address"]
    person.daemon.address = person.address
    return person


def wait_ready(person, contact):
    """By event: the command ends when the first session is confirmed."""
    person.type("tail", "--type", "contact.ready", "--since", "oldest",
                "--in", contact, "-n", "1", "--timeout", "120")


def meet(net, show):
    show.title("Alice and Bob make their keys")
    alice, bob = begin(net, show, "Alice"), begin(net, show, "Bob")
    show.title("Each adds the other's address; the DHT does the rest")
    alice.type("contact", "add", bob.address, "--name", "Bob")
    bob.type("contact", "add", alice.address, "--name", "Alice")
    wait_ready(alice, "Bob")
    wait_ready(bob, "Alice")
    alice.type("contact", "ls")
    return alice, bob


def chat(show, alice, bob):
    show.title("They chat; a command returns when the other side has it")
    alice.type("send", "Bob", "Hello Bob!", "--wait=delivered")
    bob.type("send", "Alice", "Hello Alice. Nobody in between?",
             "--wait=delivered")
    alice.type("send", "Bob", "Nobody.", "--wait=delivered")
    bob.type("log", "Alice")


def invite(net, show, alice):
    show.title("Carol comes by invitation")
    carol = begin(net, show, "Carol")
    invitation = alice.type("invite", "new", "--label", "for Carol")
    carol.type("invite", "accept", invitation.split()[0], "--name", "Alice")
    wait_ready(carol, "Alice")
    carol.type("send", "Alice", "Thanks for the invitation",
               "--wait=delivered")
    alice.type("contact", "rename", carol.address, "Carol")
    alice.type("contact", "ls")


def crash(show, alice, bob):
    show.title("Bob's daemon is killed; Alice writes meanwhile")
    bob.kill()
    text = "Are you still there?"
    sent = alice.type("send", "Bob", text)
    if "queued" not in sent:
        raise Failed("the message should be queued: " + sent)
    bob.start()
    start = time.monotonic()
    ident = alice.ask("log", "Bob", "-n", "1")[0][0]
    with alice.daemon.rpc(timeout=130) as rpc:
        rpc.call("message.wait", rpc_timeout=125, id=ident,
                 state="delivered", timeout_ms=120000)
    show.line("Alice", "btchatctl rpc message.wait id=%s state=delivered"
              % ident, time.monotonic() - start)
    bob.type("log", "Alice")
    times = [row[-1] for row in bob.ask("log", "Alice", "-n", "100")]
    if times.count(text) != 1:
        raise Failed("it is there %d times" % times.count(text))
    print("         %s" % "it arrived, and exactly once", flush=True)
    bob.type("send", "Alice", "I am. What did I miss? Nothing.",
             "--wait=delivered")


def keep(net, show):
    show.title("Everything is still running")
    for daemon in net.daemons:
        if daemon.address:
            print("  %s -S %s" % (os.path.relpath(CTL), daemon.socket))
    print("for example:\n  %s -S %s send Bob 'and now?'" % (
        os.path.relpath(CTL), [d for d in net.daemons
                               if d.name == "Alice"][0].socket))
    print("to end it:\n  kill %s; rm -r %s" % (
        " ".join(str(d.process.pid) for d in net.daemons), net.folder))


def stop(number, frame):
    raise KeyboardInterrupt


def run(net, show):
    show.title("A DHT of %d nodes on loopback" % NODES)
    start = time.monotonic()
    net.dht(NODES)
    show.line("", "btchatd --listen 127.0.0.1:... --bootstrap ... & (%d "
              "times)" % NODES, time.monotonic() - start)
    alice, bob = meet(net, show)
    chat(show, alice, bob)
    invite(net, show, alice)
    crash(show, alice, bob)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    args.keep = args.keep or os.environ.get("KEEP", "") not in ("", "0")
    signal.signal(signal.SIGTERM, stop)
    show, net = Show(), Net()
    try:
        run(net, show)
        if args.keep:
            keep(net, show)
            net.keep = True
        show.title("Done in %.1f s" % show.total())
        return 0
    except KeyboardInterrupt:
        print("\ninterrupted", flush=True)
        return 130
    except (Failed, OSError, subprocess.TimeoutExpired) as error:
        print("\nfailed: %s" % error, flush=True)
        net.show_logs()
        return 1
    finally:
        net.close()


if __name__ == "__main__":
    sys.exit(main())
