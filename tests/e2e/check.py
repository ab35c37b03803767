"""Claims of a test script: a line "ok NAME" or "not ok NAME" each."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TOP, os.environ.get("B", "build/gcc-none"))
DAEMON = os.environ.get("BTCHATD", os.path.join(BUILD, "btchatd"))
CTL = os.environ.get("BTCHATCTL", os.path.join(BUILD, "btchatctl"))
LONG = bool(os.environ.get("BTCHAT_LONG"))

failures = []


def check(name, good, *seen):
    """One claim; what was seen is printed if it does not hold."""
    print(("ok " if good else "not ok ") + name, flush=True)
    if not good:
        failures.append(name)
        for thing in seen:
            print("    %.2000r" % (thing,), flush=True)
    return good


def skip(why):
    print("skipped: " + why)
    sys.exit(77)


def finish():
    sys.exit(1 if failures else 0)
