"""11: 100,000 junk datagrams and 2,000 calls with a right mac1 in a second
draw nothing and little, and hurt nobody who talks. runner: alone
What it costs is a matter of tests/bench/siege.py."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import flood  # noqa: E402
from check import LONG, check, finish, skip  # noqa: E402
from net import Net, need_build  # noqa: E402

MS = 20000 if LONG else 3000
SOURCES = 16  # of tools/flood.c
REPLIES_S, REPLIES_BURST = 20, 5  # cookies to one source


class Siege:
    def __init__(self, net):
        self.alice, self.bob, self.to_bob, self.to_alice = net.couple()
        self.told = 0

    def under(self, name, rate, *whole):
        """They talk under it; what the flood saw."""
        before = self.alice.call("net.status")["udp"]["in"]
        thrower = flood.Thrower(self.alice.port, rate, MS, *whole)
        took = flood.words(self.alice, self.to_bob, thrower.throws)
        took += flood.words(self.bob, self.to_alice)
        seen = thrower.result()
        taken = self.alice.call("net.status")["udp"]["in"] - before
        self.told += len(took)
        print("%s: %d sent, %d taken, %d back, %d messages" % (
            name, seen["sent"], taken, seen["back"], len(took)), flush=True)
        check("11: %s came in" % name, taken > seen["sent"] / 20, seen,
              taken)
        return seen

    def quiet(self, name, rate, *whole):
        seen = self.under(name, rate, *whole)
        check("11: %s draws not a byte" % name, seen["back"] == 0, seen)

    def bounded(self, name, rate, *whole):
        seen = self.under(name, rate, *whole)
        limit = SOURCES * (REPLIES_BURST + REPLIES_S * (MS / 1000 + 2))
        check("11: %s draws cookies, and few" % name,
              seen["back"] <= limit and
              seen["back_bytes"] == 56 * seen["back"], seen)
        check("11: %s draws fewer bytes than it has" % name,
              seen["back_bytes"] < seen["bytes"], seen)

    def lived(self, cursor):
        """One session for all that time: Bob never went."""
        with self.alice.rpc() as rpc:
            events = rpc.call("events.poll", since=cursor, limit=500)
        kinds = {e["type"] for e in events["items"]}
        check("11: nothing but messages happened",
              kinds <= {"message.state", "message.new"}, kinds)
        check("11: the session lives",
              flood.online(self.alice, "bob") and
              flood.online(self.bob, "alice"))


def main():
    need_build()
    if not os.path.exists(flood.TOOL):
        skip("%s is not built" % flood.TOOL)
    with Net() as net:
        siege = Siege(net)
        call = flood.message_1(siege.alice, siege.bob, siege.to_alice)
        index = flood.live_index(siege.alice, siege.to_bob)
        with siege.alice.rpc() as rpc:
            head = rpc.call("session.info")["head"]
            cursor = {"epoch": rpc.call("session.info")["epoch"], "seq": head}
        siege.quiet("junk, 100,000 in a second", 100000)
        if index:
            siege.quiet("junk with a live index", 100000, *index)
        siege.bounded("replays, 2,000 in a second", 2000, call)
        siege.bounded("replays, 20,000 in a second", 20000, call)
        siege.lived(cursor)
        texts = siege.bob.history(siege.to_alice)
        mine = [t for t in texts if t.get("text", "").startswith("word")]
        check("11: every message came, once", len(mine) == siege.told,
              len(mine), siege.told)
    finish()


if __name__ == "__main__":
    main()
