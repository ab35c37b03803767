# runner: alone
"""53: kill -9 of either daemon at random moments under traffic. Every message
that was acknowledged to its sender is in the receiver's history exactly once.

    test_kill.py [SEED [MOMENTS]]
"""
import collections
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import LONG, check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402
from rpc import Closed, Rpc, RpcError  # noqa: E402


class Writer(threading.Thread):
    """Sends numbered messages; remembers those whose send was answered. A
    send without an answer is tried again under the same client_id."""

    def __init__(self, daemon, conv):
        super().__init__(daemon=True)
        self.node, self.conv = daemon, conv
        self.acked = {}
        self.stop = threading.Event()
        self.failure = None
        self.number = 0

    def run(self):
        try:
            while not self.stop.is_set():
                self.session()
        except Exception as error:  # shown by the test
            self.failure = error

    def session(self):
        try:
            with Rpc.connect(self.node.socket, 20, wait=60) as rpc:
                while not self.stop.is_set():
                    self.one(rpc)
        except (OSError, Closed, TimeoutError):
            return  # killed; the same message is tried again
        except RpcError as error:
            if error.name not in ("SHUTTING_DOWN", "QUOTA", "BUSY"):
                raise

    def one(self, rpc):
        text = "%s %d" % (self.node.name, self.number)
        sent = rpc.call("message.send", conv=self.conv, text=text,
                        client_id="k-%d" % self.number)
        self.acked[sent["id"]] = text
        self.number += 1
        self.stop.wait(0.002)


def one_moment(rng, alice, bob):
    """Kills one of them, or both, some time after the last start; now and
    then again while it starts. The moment is the point, so it is a matter of
    time and not of events."""
    victims = rng.choice(([alice], [bob], [alice], [bob], [alice, bob]))
    time.sleep(rng.random() * 0.4)
    for victim in victims:
        victim.kill()
    for victim in victims:
        if rng.random() < 0.2:
            victim.spawn()
            time.sleep(rng.random() * 0.02)
            victim.kill()
        victim.start()


def settle(writer, receiver_conv, receiver):
    """All that was acknowledged is delivered; then both sides are compared."""
    last = list(writer.acked)[-1]
    with writer.node.rpc(timeout=200) as rpc:
        state = rpc.call("message.wait", rpc_timeout=190, id=last,
                         state="delivered", timeout_ms=180000)["state"]
    got = [m for m in receiver.history(receiver_conv)
           if m["direction"] == "in"]
    times = collections.Counter(m["id"] for m in got)
    lost = [t for i, t in writer.acked.items() if times[i] == 0]
    twice = [i for i, n in times.items() if n > 1]
    wrong = [m["id"] for m in got
             if m["id"] in writer.acked and writer.acked[m["id"]] != m["text"]]
    numbers = [int(m["text"].split()[1]) for m in got]
    name = writer.node.name
    check("53: the last of %s is delivered" % name, state == "delivered")
    check("53: nothing acknowledged to %s is lost (%d sent)" % (
        name, len(writer.acked)), not lost, lost[:20], len(lost))
    check("53: nothing of %s is there twice" % name, not twice and
          len(set(numbers)) == len(numbers), twice)
    check("53: nothing of %s is altered" % name, not wrong, wrong)
    check("53: all of %s is in order" % name, numbers == sorted(numbers),
          numbers[:50])


def main():
    need_build()
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 32)
    moments = int(sys.argv[2]) if len(sys.argv) > 2 else 200 if LONG else 30
    print("seed %d: %s %d %d" % (seed, sys.argv[0], seed, moments), flush=True)
    rng = random.Random(seed)
    with Net() as net:
        alice, bob, to_bob, to_alice = net.couple()
        writers = [Writer(alice, to_bob), Writer(bob, to_alice)]
        for writer in writers:
            writer.start()
        for _ in range(moments):
            one_moment(rng, alice, bob)
        for writer in writers:
            writer.stop.set()
        for writer in writers:
            writer.join(60)
            check("%s could write all the time" % writer.node.name,
                  writer.failure is None and writer.acked, writer.failure)
        settle(writers[0], to_alice, bob)
        settle(writers[1], to_bob, alice)
    finish()


if __name__ == "__main__":
    main()
