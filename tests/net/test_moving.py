#!/usr/bin/python3
"""Sessions outlive cuts, sleep, routers that forget and moves from network to
network: two who talk all the time lose nothing, hear nothing twice, and go
on. How long each was silent is printed, not judged: longest gap between two
messages, counted from the trouble or, for a cut and sleep, from its end."""
import concurrent.futures
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from people import HOPS, Talk, World, need_lab  # noqa: E402
from check import LONG, check, finish  # noqa: E402
from net import Failed  # noqa: E402
from probe import captured, udp  # noqa: E402

NODES = 12  # more than ADDRESS_VOTES_MOVE, or nobody learns of a move soon
AT_ONCE = 8
CUT_S = SLEEP_S = 3
LONG_CUT_S = 90 if LONG else 15


class Pair:
    """Homes a and b of hosts xa and xb; another home, c."""

    def __init__(self, world, number):
        self.world, self.lab, self.n = world, world.lab, number
        self.a, self.b = world.people("xa%d" % number, "xb%d" % number)
        convs = world.pair(self.a.wait_settled(), self.b.wait_settled())
        self.talk = Talk(self.a, self.b, convs)
        self.calm_ms = self.talk.go_on(self.talk.heard(40))

    def home(self, letter):
        return "%s%d" % (letter, self.n)

    def talk_for(self, seconds):
        end = time.monotonic() + seconds
        self.talk.go_on(lambda: time.monotonic() > end)


def cut(pair, seconds=CUT_S):
    pair.lab.cut(pair.home("a"))
    pair.talk_for(seconds)
    pair.lab.heal(pair.home("a"))


def long_cut(pair):
    cut(pair, LONG_CUT_S)


def unplug(pair):
    pair.lab.unplug(pair.home("xa"))
    pair.talk_for(CUT_S)
    pair.lab.plug(pair.home("xa"))


def sleep(pair):
    pair.a.process.send_signal(signal.SIGSTOP)
    pair.talk_for(SLEEP_S)
    pair.a.process.send_signal(signal.SIGCONT)


def both_sleep(pair):
    for side in (pair.a, pair.b):
        side.process.send_signal(signal.SIGSTOP)
    pair.talk_for(SLEEP_S)
    for side in (pair.a, pair.b):
        side.process.send_signal(signal.SIGCONT)


def reboot(pair):
    pair.lab.cut(pair.home("a"))
    pair.lab.reboot(pair.home("a"))
    pair.talk_for(1)
    pair.lab.heal(pair.home("a"))


def new_address(pair):
    pair.lab.roam(pair.home("a"))


def move(pair):
    pair.lab.roam(pair.home("xa"), pair.home("c"))


def both_move(pair):
    pair.lab.roam(pair.home("xa"), pair.home("c"))
    pair.lab.roam(pair.home("b"))


def hand_over(pair):
    pair.lab.join(pair.home("xa"), pair.home("c"))
    pair.lab.leave(pair.home("xa"))


def path(daemon):
    return daemon.call("net.peers")["items"][0]["path"]


def replay(pair):
    """Hostile input 18: packets of b that never came to a are sent by somebody
    else, while b himself is cut off."""
    lab, thief = pair.lab, pair.home("m")
    file = os.path.join(pair.world.folder, "replay%d" % pair.n)
    own = path(pair.a)
    lab.capture(file)
    lab.cut(pair.home("a"))
    pair.talk_for(1)
    lab.cut(pair.home("b"))
    lab.heal(pair.home("a"))
    lab.capture("off")
    seen, said = set(), captured(
        file, pair.b.host.outside(), pair.a.host.addr)
    with udp(lab[thief]) as sock:
        for _ in range(3):
            for data in said:
                sock.sendto(data, (pair.a.host.addr, pair.a.port))
            end = time.monotonic() + 0.5
            pair.talk.go_on(lambda: seen.add(path(pair.a)) or
                            time.monotonic() > end)
    sent, got = (sum(f["bytes"] for f in lab.wan.ask("flows")
                     if (f["from"], f["to"]) == way) for way in (
                         (thief, pair.home("xa")), (pair.home("xa"), thief)))
    lab.heal(pair.home("b"))
    check("who replays what he heard moves no session",
          len(said) > 10 and seen <= {own, None}, own, seen, len(said))
    check("and gets at most three times what he sent", got <= 3 * sent,
          got, sent)


# What happens, how, and the access of a and of b; the longest first.
EASY, OPEN, HARD = "nat=port-restricted", "nat=none", "nat=symmetric"
CASES = (
    ("both move at once", both_move, EASY, EASY),
    ("a cut of %d s" % CUT_S, cut, EASY, EASY),
    ("a cut of %d s" % LONG_CUT_S, long_cut, EASY, EASY),
    ("a plug out for %d s" % CUT_S, unplug, EASY, EASY),
    ("one asleep for %d s" % SLEEP_S, sleep, EASY, EASY),
    ("both asleep for %d s" % SLEEP_S, both_sleep, EASY, EASY),
    ("a router that restarts, easy", reboot, EASY, EASY),
    ("a router that restarts, hard", reboot, HARD, OPEN),
    ("a new address, friend open", new_address, EASY, OPEN),
    ("a new address, friend easy", new_address, EASY, EASY),
    ("packets replayed from elsewhere", replay, OPEN, EASY),
    ("another home, friend open", move, EASY, OPEN),
    ("another home, friend easy", move, EASY, EASY),
    ("from Wi-Fi to mobile, friend open", hand_over, EASY, OPEN),
    ("from Wi-Fi to mobile, friend easy", hand_over, EASY, EASY),
)


def topology():
    lines = ["defaults delay=10ms hops=%d" % HOPS]
    for i, (_, _, a, b) in enumerate(CASES):
        lines += ["home a%d hosts=xa%d %s" % (i, i, a),
                  "home b%d hosts=xb%d %s" % (i, i, b),
                  "host m%d" % i,
                  "home c%d nat=port-restricted lan=192.168.2.0" % i]
    return "\n".join(lines)


def run(world, number):
    """One case: what broke the laws, and the longest silence before, in and
    after the trouble in ms."""
    calm_ms = silent_ms = after_ms = 0
    try:
        pair = Pair(world, number)
        calm_ms = pair.calm_ms
        CASES[number][1](pair)
        silent_ms = pair.talk.go_on(pair.talk.through())
        after_ms = pair.talk.go_on(pair.talk.heard(40))
        wrong = pair.talk.end()
        pair.a.stop()
        pair.b.stop()
    except Failed as error:
        wrong = [str(error)]
    return wrong, calm_ms, silent_ms, after_ms


def case(world, number):
    what = CASES[number][0]
    wrong, calm_ms, silent_ms, after_ms = run(world, number)
    check("%s: they go on, all arrives, once and in order" % what,
          not wrong, *wrong[:5])
    print("# %-34s silent for %6d ms, before and after %3d and %3d ms" % (
        what, silent_ms, calm_ms, after_ms), flush=True)


def main():
    need_lab()
    with World(topology(), nodes=NODES,
               node_options="delay=10ms") as world:
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            jobs = [pool.submit(case, world, i) for i in range(len(CASES))]
            for job in jobs:
                job.result()
    finish()


if __name__ == "__main__":
    main()
