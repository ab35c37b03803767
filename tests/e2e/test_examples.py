"""The examples that are installed, and programs for events (tail --exec): each
is run as its user would, and what promises to lose nothing is killed, as is the
daemon."""
import json
import os
import random
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import CTL, LONG, TOP, check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402

EXAMPLES = os.path.join(TOP, "packaging", "examples")
SEED = int(os.environ.get("BTCHAT_SEED", str(random.randrange(1 << 30))))
WAIT_S = 120.0  # a bound for something broken
KILLS = 40 if LONG else 6


def start(*words, **env):
    """An example, once it says that it listens."""
    child = subprocess.Popen(
        words, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=dict(os.environ, **env), start_new_session=True)
    for line in child.stdout:
        if line.strip() == "listening":
            return child
    raise AssertionError("%s ended" % words[0])


def end(child):
    try:
        os.killpg(child.pid, 9)
    except ProcessLookupError:
        pass
    child.communicate()


def until(read, good):
    """Reads again until it is good, or the bound is over; what was read."""
    limit = time.monotonic() + WAIT_S
    while not good(seen := read()) and time.monotonic() < limit:
        time.sleep(0.05)
    return seen


def lines(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read().splitlines()
    except FileNotFoundError:
        return []


def said_by(daemon, conv):
    return [m["text"] for m in daemon.history(conv) if m["direction"] == "in"]


def bot(alice, bob, to_bob, chance):
    """bob is the bot; alice hears each answer once."""
    program = [os.path.join(EXAMPLES, "bot.py"), bob.socket]
    child = start(*program)
    want = []
    for i in range(KILLS):
        alice.write(to_bob, ["%d" % i])
        want.append("you said: %d" % i)
        if chance.random() < 0.5:
            end(child)
            child = start(*program)
        if chance.random() < 0.3:
            bob.kill()
            bob.start()
    got = until(lambda: said_by(alice, to_bob), lambda s: len(s) >= len(want))
    end(child)
    check("the bot answers each message once", sorted(got) == sorted(want),
          got)


def bridge(net, alice, bob, to_bob, chance):
    path = os.path.join(net.folder, "bridged")
    program = [os.path.join(EXAMPLES, "bridge.py"), path, bob.socket]
    child = start(*program)
    want = []
    for i in range(KILLS):
        want += ["a%d" % i, "b%d" % i]
        alice.write(to_bob, want[-2:])
        if chance.random() < 0.7:
            end(child)
        if chance.random() < 0.5:
            bob.kill()
            bob.start()
        if child.returncode is not None:
            child = start(*program)

    def got():
        """What came from outside; half a line is not there yet."""
        seen = []
        for line in lines(path):
            try:
                message = json.loads(line)["message"]
            except ValueError:
                continue
            if message["direction"] == "in":
                seen.append(message["text"])
        return seen

    seen = until(got, lambda s: len(s) >= len(want))
    end(child)
    check("the bridge hands over each message once, and in order",
          seen == want, seen)


def program(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)


def notifier(net, alice, bob, to_bob):
    out = os.path.join(net.folder, "notified")
    tell = os.path.join(net.folder, "tell")
    program(tell, 'printf "%%s|%%s\\n" "$1" "$2" >>%s\n' % out)
    child = start(os.path.join(EXAMPLES, "notify.sh"), bob.socket, NOTIFY=tell)
    alice.write(to_bob, ["it's \"quoted\" $HOME", "a\\nb\\c\nline two", "zwei"])
    seen = [line.rstrip("\n") for line in
            until(lambda: lines(out), lambda s: len(s) >= 4)]
    end(child)
    check("the notifier says who and what",
          seen == ["alice|it's \"quoted\" $HOME", "alice|a\\nb\\c", "line two",
                   "alice|zwei"], seen)


def frontend(alice, bob, to_bob):
    node = shutil.which("node")
    if not node:
        print("ok the front end # SKIP node is not here")
        return
    child = start(node, os.path.join(EXAMPLES, "frontend.js"), bob.socket)
    alice.write(to_bob, ["hello\x1b[31m front end"])
    first = child.stdout.readline()
    child.stdin.write("alice: hello from it\n")
    child.stdin.flush()
    second = child.stdout.readline()
    end(child)
    check("the front end shows what comes, harmlessly",
          first == "alice: hello\ufffd[31m front end\n", first)
    check("the front end sends what is typed", second == "(delivered)\n" and
          said_by(alice, to_bob)[-1] == "hello from it", second)


def hooks(net, alice, bob, to_bob):
    folder = os.path.join(net.folder, "hooks")
    out = os.path.join(net.folder, "hooked")
    os.mkdir(folder)
    # The second message meets a program that is not ready yet.
    program(os.path.join(folder, "message.new"), """
text=$(jq -r 'select(.data.direction == "in").data.text')
[ -n "$text" ] || exit 0
echo "$BTCHAT_EVENT $BTCHAT_SEQ $text" >>%s
[ "$text" != two ] || [ -e %s.ready ] || { touch %s.ready; exit 75; }
[ "$text" != three ] || exit 1
""" % (out, out, out))
    words = [CTL, "-S", bob.socket, "--quiet", "tail", "--consumer", "hooks",
             "--exec", folder]
    bob.ctl("rpc", "events.subscribe", "consumer=hooks")
    alice.came(*alice.write(to_bob, ["one", "two", "three"]))
    child = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    until(lambda: lines(out), lambda s: len(s) >= 4)
    bob.kill()
    bob.start()
    alice.came(*alice.write(to_bob, ["four"]))
    until(lambda: lines(out), lambda s: len(s) >= 5)
    child.kill()
    child.wait()
    alice.came(*alice.write(to_bob, ["five"]))
    child = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    seen = until(lambda: lines(out), lambda s: any("five" in x for x in s))
    child.kill()
    child.wait()
    texts = [s.split()[2] for s in seen]
    check("a program is run for each event; one that is not ready, again",
          texts[:4] == ["one", "two", "two", "three"], seen)
    # Killed before the daemon heard of the last one: that one comes again.
    check("none is missed when the daemon or the reader is killed",
          texts[4:] in (["four", "five"], ["four", "four", "five"]), seen)
    seqs = [int(s.split()[1]) for s in seen]
    check("the number of the event tells repeats apart",
          seqs == sorted(seqs) and len(set(seqs)) == 5 and
          all(s.startswith("message.new ") for s in seen), seen)


def main():
    need_build()
    print("# BTCHAT_SEED=%d" % SEED)
    chance = random.Random(SEED)
    with Net() as net:
        alice, bob, to_bob, _ = net.couple()
        bot(alice, bob, to_bob, chance)
        bridge(net, alice, bob, to_bob, chance)
        notifier(net, alice, bob, to_bob)
        frontend(alice, bob, to_bob)
        hooks(net, alice, bob, to_bob)
    finish()


main()
