#!/usr/bin/python3
"""Every kind of NAT against every other, with whole daemons.

    tests/net/matrix.py [--seeds N] [--noise] [--jobs N] [--time S]
                        [--limit S] [--keep DIR] [CLASS:CLASS...]

In each run one has long been there, with the other in its contacts; then that
one comes, adds the first and says something; who comes alternates with the
seed. Counted from when he has found the cell of the first: until his words are
heard, in units of R, the round trip through a public node (1.5 is the target);
and until the path is direct. That traffic is direct indeed is read from what
the lab delivered. One row for each pair, with its target.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import select
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import nft  # noqa: E402
from net import Failed, add_contact  # noqa: E402
from people import HOPS, Talk, World, need_lab  # noqa: E402

DELAY_MS = 50            # of the outermost link of a and of b
R_MS = 4 * DELAY_MS      # as direct, as by a public node, which has none
JITTER_MS = 20           # even: half of it on the average
NOISE = "jitter=%dms loss=5%%" % JITTER_MS
HEARD_R = 1.5            # within so many R words are heard
LATE_MS = 50             # what the machine takes, to store words as well
FOUND_MS = 5             # to which that is to be known
IN_MEMORY = "/dev/shm"
NOTHING_S = 5            # to wait for what need not happen
RETRIES = 3              # each a round trip
RETRIES_LOSS = 1 + 2 + 4 # as many, where they wait ever longer
GOOD, GOOD_BLOCK = 0.95, 0.80

# How a side is reached: the group of the target, and its line in a topology,
# where %s stands for its letter, behind a carrier's NAT if there is one.
Class = collections.namedtuple("Class", "name group home carrier")
CLASSES = {c.name: c for c in (
    Class("open", "OPEN", None, None),
    Class("mapped", "OPEN", "nat=port-restricted portmap=pcp,natpmp", None),
    Class("full-cone", "OPEN", "nat=full-cone", None),
    Class("restricted", "ADF", "nat=restricted", None),
    Class("port-restricted", "APDF", "nat=port-restricted", None),
    Class("linux", "APDF", "nat=linux", None),
    Class("linux-accept", "APDF", "nat=linux input=accept", None),
    Class("ipv6", "APDF", "v4=no v6=fw", None),
    Class("cgn", "APDF", "nat=port-restricted", "nat=port-restricted"),
    Class("sequential", "SEQ", "nat=symmetric-seq", None),
    Class("block", "BLOCK", "nat=symmetric ports=20000-21023", None),
    Class("random", "RANDOM", "nat=symmetric", None),
    Class("linux-random", "RANDOM", "nat=linux-random", None),
    Class("cgn-random", "RANDOM", "nat=port-restricted", "nat=symmetric"),
    Class("blocked", "NONE", "nat=udp-blocked", None),
)}

# What is to be reached: direct within so many round trips and ms, or by a
# relay, or not at all; the order of the groups does not matter.
Target = collections.namedtuple("Target", "way trips ms rate words")
DIRECT = Target("direct", 2, 0, GOOD, "R+D")
SLOWER = Target("direct", 2.5, 0, GOOD, "R+1.5D")
RELAYED = Target("relayed", 0, 0, GOOD, "relayed")
NOTHING = Target("none", 0, 0, 1.0, "none")
TARGETS = {
    "OPEN SEQ": DIRECT, "OPEN BLOCK": DIRECT, "OPEN RANDOM": DIRECT,
    "ADF SEQ": SLOWER, "ADF BLOCK": SLOWER, "ADF RANDOM": SLOWER,
    "APDF SEQ": Target("direct", 0, 1000, GOOD, "1 s"),
    "APDF BLOCK": Target("direct", 0, 5000, GOOD, "5 s"),
    "APDF RANDOM": Target("direct", 0, 15000, GOOD_BLOCK, "15 s, 80 %"),
    "SEQ SEQ": Target("direct", 0, 1000, 0, "direct if quiet"),
    "SEQ BLOCK": RELAYED, "SEQ RANDOM": RELAYED, "BLOCK BLOCK": RELAYED,
    "BLOCK RANDOM": RELAYED, "RANDOM RANDOM": RELAYED,
}
GROUPS = ("OPEN", "ADF", "APDF", "SEQ", "BLOCK", "RANDOM", "NONE")


def target_of(a, b):
    groups = sorted((CLASSES[a].group, CLASSES[b].group), key=GROUPS.index)
    if "NONE" in groups:
        return NOTHING
    return TARGETS.get(" ".join(groups), DIRECT)


def side(letter, kind, other, link):
    """The lines of one side; the other may want IPv6 of it."""
    host = "x" + letter
    v6 = ""
    if other.name == "ipv6" and kind.group != "NONE" and kind.name != "ipv6":
        v6 = "v6=fw" if kind.home else "v6=yes"
    if kind.home is None:
        return ["host %s %s %s" % (host, link, v6)]
    if kind.carrier is None:
        return ["home h%s hosts=%s %s %s %s" % (letter, host, kind.home, link,
                                                v6)]
    return ["cgnat c%s %s %s" % (letter, kind.carrier, link),
            "home h%s hosts=%s behind=c%s hops=1 %s %s" % (
                letter, host, letter, kind.home, v6)]


def topology(a, b, noise):
    link = "delay=%dms hops=%d strangers=yes %s" % (
        DELAY_MS, HOPS, NOISE if noise else "")
    a, b = CLASSES[a], CLASSES[b]
    return "\n".join(side("a", a, b, link) + side("b", b, a, link))


class Run:
    """What one run gave; times in ms, None for never."""

    def __init__(self, a, b, seed, noise):
        self.a, self.b, self.seed, self.noise = a, b, seed, noise
        self.message_ms = self.direct_ms = None
        self.is_direct = False
        self.wrong = []
        self.why = []  # what both say if they did not meet

    def again(self):
        return "tests/net/matrix.py --seed %d%s %s:%s" % (
            self.seed, " --noise" * self.noise, self.a, self.b)


def pause():
    select.select([], [], [], 0.01)


def delivered(flows, source, to):
    """Packets of one daemon that reached the other. IPv4 of a linux home
    goes by the name of that."""
    def names(host):
        return [host.name] + ([host.home.name] if host.home else [])
    return sum(flows.get((one, other), 0) for one in names(source.host)
               for other in names(to.host))


def is_path_to(daemon, other):
    """The session in use is with an address of the other itself."""
    peer = daemon.ask("net.peers")["items"][0]
    own = [other.host.outside(), *other.host.addrs, *other.host.addrs6]
    return peer["way"] == "direct" and (
        peer["path"].rpartition(":")[0].strip("[]") in own)


def wait_published(daemon, name, end):
    """b's cell for a stands in the DHT."""
    while time.monotonic() < end:
        if any(step["what"] == "put" and step["stored"] > 0
               for step in daemon.why(name)["steps"]):
            return True
        pause()
    return False


class Watch:
    """Two who are about to meet, from a's side."""

    def __init__(self, world, run, a, b, talk):
        self.world, self.run, self.a, self.b = world, run, a, b
        self.talk = talk
        self.begin = self.found = self.heard = self.direct = None
        self.span = float("inf")  # found is known to so many seconds
        self.knocks = None

    def look_found(self):
        """When the cell was read: a look may go on then, the first knock
        not. It is counted back from some moment while this call lasts."""
        asked = time.monotonic()
        steps = self.a.why(self.b.name)["steps"]
        span = time.monotonic() - asked
        for step in steps:
            if step["what"] != "knock" or span >= self.span or (
                    self.knocks not in (None, step["times"])):
                continue
            self.span, self.knocks = span, step["times"]
            self.found = asked + span / 2 - step["ago_ms"] / 1000

    def look(self):
        """Notes what has happened meanwhile."""
        if self.span > FOUND_MS / 1000 and self.heard is None:
            self.look_found()
        if self.heard is None and self.talk.sides[1].heard:
            self.heard = time.monotonic() - time.time() + (
                self.talk.sides[1].first_ms / 1000)
        if self.direct is None and is_path_to(self.a, self.b) and (
                is_path_to(self.b, self.a)):
            self.direct = time.monotonic()

    def wait(self, limit_s):
        end = self.begin + limit_s
        target = target_of(self.run.a, self.run.b)
        while time.monotonic() < end and None in (
                self.found, self.heard, self.direct):
            if self.heard and target.rate < GOOD_BLOCK:
                end = min(end, self.heard + NOTHING_S)
            if self.heard and target.way == "relayed":
                break
            self.talk.turn(time.monotonic() + 0.01)
            self.look()

    def tell(self):
        run = self.run
        begin = self.found or self.begin
        if self.heard is not None:
            run.message_ms = max((self.heard - begin) * 1000, 0)
        if self.direct is not None:
            run.direct_ms = max((self.direct - begin) * 1000, 0)
        if self.heard is None:
            return
        self.world.lab.reset()
        self.talk.go_on(self.talk.heard(10))
        flows = self.world.lab.flows()
        run.is_direct = min(delivered(flows, self.a, self.b),
                            delivered(flows, self.b, self.a)) >= 10
        run.wrong = self.talk.end()


def run_pair(a, b, seed, noise, limit_s, keep=None):
    run = Run(a, b, seed, noise)
    if target_of(a, b).way == "none":
        limit_s = min(limit_s, NOTHING_S)
    with World(topology(a, b, noise), seed) as world:
        try:
            meet(world, run, limit_s)
        except Failed as error:
            run.wrong.append(str(error))
        if keep:
            put_away(world, os.path.join(keep, "%s-%s-%d%s" % (
                a, b, seed, "-noise" * noise)))
    return run


def put_away(world, folder):
    """Logs, and what the two know of each other, of the lab's NATs and of
    what was delivered."""
    os.makedirs(folder, exist_ok=True)
    told = {"flows": ["%s %s %d" % (*way, n) for way, n in sorted(
        world.lab.flows().items())]}
    for daemon in world.daemons:
        shutil.copy(daemon.log, os.path.join(folder, daemon.name + ".log"))
    for daemon, other in (("xa", "xb"), ("xb", "xa")):
        daemon = next(d for d in world.daemons if d.name == daemon)
        told[daemon.name] = {
            "why": daemon.why(other), "status": daemon.call("net.status"),
            "mappings": world.lab.mappings(daemon.name)}
    with open(os.path.join(folder, "told.json"), "w") as f:
        json.dump(told, f, indent=1)


def meet(world, run, limit_s):
    a, b = world.people("xa", "xb")
    if "blocked" not in (run.a, run.b):
        a.wait_settled()
        b.wait_settled()
    b_conv = add_contact(b, a)
    wait_published(b, "xa", time.monotonic() + limit_s / 3)
    begin = time.monotonic()
    talk = Talk(a, b, (add_contact(a, b), b_conv))
    watch = Watch(world, run, a, b, talk)
    watch.begin = begin
    talk.sides[0].say()
    watch.wait(limit_s)
    watch.tell()
    if run.message_ms is None:
        run.why = [a.why("xb"), b.why("xa"), a.call("net.status"),
                   b.call("net.status")]


# ---- the table ----

def quantile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def figures(values, scale, form):
    if not values:
        return "-"
    return " / ".join(form % (quantile(values, share) / scale)
                      for share in (0.5, 0.9))


def told(runs):
    return [run.message_ms for run in runs if run.message_ms is not None]


def direct(runs):
    return [run.direct_ms for run in runs
            if run.is_direct and run.direct_ms is not None]


def r_ms(run):
    return R_MS + (2 * JITTER_MS if run.noise else 0)


def limit_ms(target, run):
    retries = RETRIES_LOSS if run.noise else RETRIES
    return target.ms + (target.trips + retries) * r_ms(run)


def is_heard(runs):
    times = told(runs)
    return len(times) >= GOOD * len(runs) and (
        quantile(times, 0.5) <= HEARD_R * r_ms(runs[0]) + LATE_MS)


def is_reached(runs, target):
    if any(run.wrong for run in runs):
        return False
    if target.way == "none":
        return not told(runs)
    if len(told(runs)) < GOOD * len(runs):
        return False
    in_time = [ms for ms in direct(runs) if ms <= limit_ms(target, runs[0])]
    return target.way == "relayed" or (
        len(in_time) >= target.rate * len(runs))


ROW = "%-15s %-15s %3s %5s %-12s%-3s %5s %-15s%-3s %s"
HEAD = ROW % ("", "", "n", "heard", "R, med / 90", "", "dir.",
              "ms, med / 90", "", "target")


def row(pair, runs):
    target = target_of(*pair)
    return ROW % (
        *pair, len(runs), "%d%%" % (100 * len(told(runs)) / len(runs)),
        figures(told(runs), r_ms(runs[0]), "%.1f"),
        "ok" if is_heard(runs) else "",
        "%d%%" % (100 * len(direct(runs)) / len(runs)),
        figures(direct(runs), 1, "%.0f"),
        "ok" if is_reached(runs, target) else "", target.words)


def show(runs, noise):
    print("\n# R = D = %d ms%s" % (
        r_ms(runs[0]) if runs else R_MS,
        ", each side with " + NOISE if noise else ""))
    print(HEAD)
    pairs = collections.defaultdict(list)
    for run in runs:
        pairs[run.a, run.b].append(run)
    for pair, some in pairs.items():
        print(row(pair, some))
    ways = sum(is_reached(some, target_of(*pair))
               for pair, some in pairs.items())
    can = [some for pair, some in pairs.items()
           if target_of(*pair).way != "none"]
    print("%d of %d pairs reach their way, %d of %d are heard within %.1f R; "
          "%d runs" % (ways, len(pairs), sum(map(is_heard, can)), len(can),
                       HEARD_R, len(runs)), flush=True)


def all_pairs():
    names = [name for name in CLASSES if nft() or "linux" not in name]
    return [(a, b) for i, a in enumerate(names) for b in names[i:]]


def options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--noise", action="store_true", help=NOISE)
    parser.add_argument("--jobs", type=int, default=2 * os.cpu_count())
    parser.add_argument("--time", type=float, default=float("inf"),
                        help="seconds; what has not begun then is left out")
    parser.add_argument("--limit", type=float, default=30,
                        help="seconds that two have to meet")
    parser.add_argument("--keep", help="puts logs and more there")
    parser.add_argument("pair", nargs="*")
    return parser.parse_args()


def matrix(pairs, args, tell=None):
    """Runs, in an order that is fair to all pairs if time runs out."""
    end = time.monotonic() + args.time
    jobs = [(pair, args.seed + i) for i in range(args.seeds)
            for pair in pairs]

    def one(job):
        if time.monotonic() > end:
            return None
        (a, b), seed = job
        if seed % 2 == 0:
            a, b = b, a  # either may be the one who comes
        run = run_pair(a, b, seed, args.noise, args.limit, args.keep)
        if seed % 2 == 0:
            run.a, run.b = run.b, run.a
        if tell:
            tell(run)
        return run
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        return [run for run in pool.map(one, jobs) if run]


def missed(run):
    """What one run alone did not reach."""
    target = target_of(run.a, run.b)
    if target.way == "none":
        return ["heard"] if run.message_ms is not None else []
    if run.message_ms is None:
        return ["not heard"]
    late = []
    if run.message_ms > HEARD_R * r_ms(run) + LATE_MS:
        late.append("heard after %d ms" % run.message_ms)
    if target.way == "direct" and not run.is_direct:
        late.append("not direct")
    elif target.way == "direct" and run.direct_ms is not None and (
            run.direct_ms > limit_ms(target, run)):
        late.append("direct after %d ms" % run.direct_ms)
    return late


def tell(run):
    """What broke the laws, and what was missed, with how to see it again."""
    for text in run.wrong[:3] + missed(run):
        print("# %s: %.200s" % (run.again(), text), flush=True)


def main():
    args = options()
    need_lab()
    if os.path.isdir(IN_MEMORY):  # many daemons with one disk are no news
        os.environ.setdefault("TMPDIR", IN_MEMORY)
    pairs = [tuple(pair.split(":")) for pair in args.pair] or all_pairs()
    for a, b in pairs:
        if a not in CLASSES or b not in CLASSES:
            sys.exit("classes: " + " ".join(CLASSES))
    runs = matrix(pairs, args, tell)
    show(runs, args.noise)
    # What is not reached is told; what breaks the laws of a talk is a bug.
    sys.exit(1 if any(run.wrong for run in runs) else 0)


if __name__ == "__main__":
    main()
