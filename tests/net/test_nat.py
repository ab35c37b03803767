#!/usr/bin/python3
"""Some cells of the matrix: two behind NATs find each other and talk, on the
direct way where there is one. The others, how often and how fast: matrix.py."""
import concurrent.futures
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import nft  # noqa: E402
from check import check, finish  # noqa: E402
from matrix import HEAD, row, run_pair, target_of  # noqa: E402
from people import LIMIT_S, need_lab  # noqa: E402

AT_ONCE = 4
# The first comes, the second is there.
CELLS = (
    ("open", "random"), ("cgn-random", "open"), ("mapped", "sequential"),
    ("full-cone", "block"), ("restricted", "random"),
    ("port-restricted", "port-restricted"), ("linux", "linux"),
    ("cgn", "port-restricted"), ("ipv6", "random"),
    ("sequential", "port-restricted"), ("port-restricted", "block"),
    ("random", "random"), ("cgn-random", "linux-random"),
    ("blocked", "open"),
)


def case(pair):
    """Seed 1: the first one comes."""
    run = run_pair(*pair, 1, False, LIMIT_S)
    target = target_of(*pair)
    what = "%s comes to %s" % pair
    if target.way == "none":
        check("%s: they do not meet" % what, run.message_ms is None)
    else:
        check("%s: all arrives, once and in order" % what,
              run.message_ms is not None and not run.wrong,
              run.again(), *run.wrong[:5], *run.why)
    if target.way == "direct":
        check("%s: on the direct way" % what, run.is_direct, run.again())
    return row(pair, [run])


def main():
    need_lab()
    cells = [pair for pair in CELLS
             if nft() or not any("linux" in name for name in pair)]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        rows = list(pool.map(case, cells))
    print("\n".join("# " + line for line in [HEAD, *rows]))
    finish()


if __name__ == "__main__":
    main()
