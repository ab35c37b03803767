#!/usr/bin/python3
"""How long two who talk all the time are silent while paths are cut, routers
forget and machines move: a bench of the cases of test_moving.py.

    tests/net/moving.py [--seeds N] [--jobs N] [--time S] [WORD...]

WORDs choose cases by what they are called. Median, 90th percentile and the
longest, in ms, beside the target; only what is lost, doubled or out of order
is a failure.
"""
import argparse
import collections
import concurrent.futures
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from matrix import IN_MEMORY, quantile  # noqa: E402
from people import World, need_lab  # noqa: E402
from test_moving import CASES, NODES, hand_over, run, topology  # noqa: E402

BOTH_UP_MS = 1000  # while another way stands ready
CUT_MS = 5000      # without a warning
ROW = "%-36s %3s %7s %7s %7s %7s %s"


def options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--time", type=float, default=float("inf"),
                        help="seconds; what has not begun then is left out")
    parser.add_argument("word", nargs="*")
    return parser.parse_args()


def row(number, silences):
    what, trouble = CASES[number][:2]
    target = BOTH_UP_MS if trouble is hand_over else CUT_MS
    good = sum(ms <= target for ms in silences)
    return ROW % (what, len(silences), quantile(silences, 0.5),
                  quantile(silences, 0.9), max(silences), target,
                  "ok" if good == len(silences) else "%d within" % good)


def one_world(seed, numbers, args, end, silences):
    """All cases once; what broke the laws, for the n-th case."""
    def one(number):
        if time.monotonic() > end:
            return number, []
        wrong, _, silent_ms, _ = run(world, number)
        silences[number].append(silent_ms)
        return number, wrong
    with World(topology(), seed, nodes=NODES,
               node_options="delay=10ms") as world:
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            return list(pool.map(one, numbers))


def main():
    args = options()
    need_lab()
    if os.path.isdir(IN_MEMORY):
        os.environ.setdefault("TMPDIR", IN_MEMORY)
    numbers = [i for i, case in enumerate(CASES)
               if not args.word or any(w in case[0] for w in args.word)]
    end = time.monotonic() + args.time
    silences, failed = collections.defaultdict(list), 0
    for seed in range(args.seed, args.seed + args.seeds):
        if time.monotonic() > end:
            break
        for number, wrong in one_world(seed, numbers, args, end, silences):
            failed += bool(wrong)
            for text in wrong[:3]:
                print("# seed %d, %s: %.200s" % (
                    seed, CASES[number][0], text), flush=True)
    print(ROW % ("silent for ms", "n", "median", "90 %", "longest", "target",
                 ""))
    for number in numbers:
        if silences[number]:
            print(row(number, silences[number]), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
