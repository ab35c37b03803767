#!/usr/bin/python3
"""What waiting costs: btchatd with contacts who never come, beside libtoxcore
with friends who never come.

    tests/bench/idle.py [--build DIR] [--json]

BENCH_CONTACTS  contacts of btchatd (32); Tox has 20 friends
BENCH_WARM_S    before it is measured (1200): looks are dense at first
BENCH_IDLE_S    how long it is measured (600)
BENCH_HOURS     of virtual time, see tests/bench/day.c (24)

btchatd stands in a private net of 64 of our DHT nodes, in a network namespace
with 85 ms of round trip; Tox among 8 nodes of its own. "Own" is what nobody
asked it for, with what comes back. The virtual days are of the same core in
nets of 64 and 1,000 nodes on Mainline, and in one of 64 that are all in the
overlay, too, at home with two introducers. Nothing here passes or fails.
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import net_btchat
import side_btchat
import side_toxcore
import wan
from figures import setting
import process

CROWD, TOX_NODES, TOX_FRIENDS = 64, 8, 20


class Waiting(process.Process):
    """btchatd, with contacts who exist nowhere."""

    def __init__(self, build, place, contacts):
        path = os.path.join(place, "s")
        self.log = open(os.path.join(place, "log"), "wb")
        super().__init__(
            build, place, "btchat",
            [os.path.join(build, "btchatd"),
             "--state", os.path.join(place, "state"), "--socket", path,
             "--listen", f"{wan.address(200)}:7000",
             "--set", "bootstrap-defaults=no",
             "--bootstrap", f"{wan.address(1)}:{net_btchat.PORT}"],
            stdout=self.log, stderr=self.log)
        self.rpc = side_btchat.rpc.Rpc.connect(path, wait=20)
        self.rpc.call("identity.create", name="waiting")
        for i in range(contacts):
            self.rpc.call("contact.add", address=stranger(build, place, i))

    def stop(self):
        super().stop()
        self.log.close()


def stranger(build, place, i):
    """The address of somebody who is not there: a daemon that is started for
    its identity and stopped."""
    where = os.path.join(place, f"stranger{i}")
    os.mkdir(where)
    child = subprocess.Popen(
        [os.path.join(build, "btchatd"), "--state", where, "--socket",
         os.path.join(where, "s"), "--listen", "127.0.0.1:0", "--set",
         "bootstrap-defaults=no"], stderr=subprocess.DEVNULL)
    rpc = side_btchat.rpc.Rpc.connect(os.path.join(where, "s"), wait=20)
    rpc.call("identity.create", name="nobody")
    address = rpc.call("identity.show")["address"]
    rpc.close()
    process.end(child)
    return address


def tox(build, place):
    """The first of a net of nodes has friends who are nobody."""
    nodes = [side_toxcore.Node(build, place, f"tox{i}")
             for i in range(TOX_NODES)]
    for node in nodes[1:]:
        node.say("boot", "127.0.0.1", nodes[0].port, nodes[0].dht_key)
    nodes[0].say("boot", "127.0.0.1", nodes[1].port, nodes[1].dht_key)
    for i in range(TOX_FRIENDS):
        # About half of all strings are keys of somebody.
        nodes[0].say("add", hashlib.sha256(b"%d" % i).hexdigest())
    return nodes


def day(build, nodes, contacts, hours, *overlay):
    out = subprocess.run(
        [os.path.join(build, "tests/bench/day"), str(nodes), str(contacts),
         str(hours), "10", "1", *overlay], check=True, stdout=subprocess.PIPE)
    got = json.loads(out.stdout)
    return {"packets_min": got["own_packets_min"],
            "mb_day": got["own_mb_day"] + got["answers_mb_day"],
            "cpu_percent": got["cpu_percent"]}


def window(sides, seconds):
    """Figures of each process over that time."""
    def state(p):
        return p.own() + (p.counters()[2],)
    before = {name: state(p) for name, p in sides.items()}
    start = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - start
    figures = {}
    for name, p in sides.items():
        sent, sent_bytes, _, got_bytes, cpu_ms = (
            (a - b) / took for a, b in zip(state(p), before[name]))
        figures[name] = {
            "packets_min": 60 * sent,
            "mb_day": 86400 * (sent_bytes + got_bytes) / 1e6,
            "cpu_percent": cpu_ms / 10}
    return figures


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default="build/gcc-none")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    wan.enter()
    build = os.path.abspath(args.build)
    contacts = setting("BENCH_CONTACTS", 32)
    hours = setting("BENCH_HOURS", 24)
    warm_s, idle_s = setting("BENCH_WARM_S", 1200), setting("BENCH_IDLE_S", 600)
    running, figures = [], {}
    way = wan.Wan(build, 85, 0)
    with tempfile.TemporaryDirectory(prefix="bi-", dir="/tmp") as place:
        try:
            net = net_btchat.Net(build, 1, CROWD)
            running.append(net)
            net.settle(CROWD // 4)
            ours = Waiting(build, place, contacts)
            running.append(ours)
            others = tox(build, place)
            running += others
            end = time.monotonic() + warm_s
            for nodes in (64, 1000):
                name = f"btchat, {hours} virtual hours, {nodes} nodes"
                figures[name] = day(build, nodes, contacts, hours)
            name = f"btchat, {hours} virtual hours, 64 nodes, both carriers"
            figures[name] = day(build, 64, contacts, hours, "64")
            time.sleep(max(0, end - time.monotonic()))
            figures.update(window({
                f"btchatd, {contacts} contacts, {CROWD} nodes": ours,
                f"toxcore, {TOX_FRIENDS} friends, {TOX_NODES} nodes":
                    others[0]}, idle_s))
        finally:
            for one in running:
                one.stop()
            way.stop()
    if args.json:
        print(json.dumps(figures, indent=1))
        return
    print(f"{'own initiative':50}{'packets/min':>12}{'MB/day':>9}{'CPU %':>8}")
    for name, f in figures.items():
        print(f"{name:50}{f['packets_min']:12.1f}{f['mb_day']:9.1f}"
              f"{f['cpu_percent']:8.3f}")
    print(f"{'goal':50}{'<= 25':>12}{'<= 15':>9}{'< 0.2':>8}")


if __name__ == "__main__":
    main()
