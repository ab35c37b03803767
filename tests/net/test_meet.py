#!/usr/bin/python3
"""Two who have each other's address meet in a DHT of strangers, over real
distances, losses, limits and kinds of access; nothing is lost and nothing
comes twice. Figures are printed, not judged."""
import concurrent.futures
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from people import HOPS, Talk, World, need_lab  # noqa: E402
from check import check, finish  # noqa: E402
from net import Failed, add_contact  # noqa: E402

AT_ONCE = 4  # they wait for packets, not for the machine
# What a case is called, the homes a and b of hosts xa and xb, and bytes of a
# long message besides the short ones.
CASES = (
    ("10 ms away", "delay=2ms", "", 0),
    ("85 ms away", "", "", 60000),
    ("300 ms away", "delay=128ms", "", 0),
    ("5 % lost", "loss=5%", "", 60000),
    ("10 % lost", "loss=10%", "", 0),
    ("30 % lost", "loss=30%", "", 0),
    ("MTU 1280", "mtu=1280", "", 60000),
    ("black hole above 1280", "mtu=1280 mtu_blackhole=yes", "", 60000),
    ("256 kbit/s", "rate=256kbit", "", 0),
    ("IPv6 alone, dual stack", "v4=no v6=fw", "v6=fw", 0),
    ("mapped port, port-restricted", "portmap=natpmp,pcp", "", 0),
    ("mapped port, symmetric", "portmap=pcp", "nat=symmetric", 0),
    ("double NAT", "behind=isp", "", 0),
)


def topology():
    lines = ["defaults delay=21ms hops=%d" % HOPS,
             "cgnat isp nat=port-restricted",
             "home flat nat=port-restricted hosts=fa,fb"]
    for i, (_, a, b, _) in enumerate(CASES):
        lines += ["home a%d hosts=xa%d %s" % (i, i, a),
                  "home b%d hosts=xb%d %s" % (i, i, b)]
    return "\n".join(lines)


def meet(world, names, long_n=0):
    """They come, become contacts and talk: (daemons, what broke the laws,
    when each had heard of the other in ms)."""
    a, b = (person.wait_settled() for person in world.people(*names))
    begin = time.monotonic()
    talk = Talk(a, b, (add_contact(a, b), add_contact(b, a)))
    try:
        talk.go_on(talk.heard(1))
        ms = round((time.monotonic() - begin) * 1000)
        if long_n:
            talk.sides[0].say("long " + "x" * long_n)
        talk.go_on(talk.heard(10))
        return a, b, talk.end(), ms
    except Failed as error:
        return a, b, [str(error), a.why(b.name), b.why(a.name)], 0


def case(world, what, names, long_n=0):
    a, b, wrong, ms = meet(world, names, long_n)
    flows = world.lab.flows()
    path = a.call("net.peers")["items"][0]["path"] or "none"
    a.stop()
    b.stop()
    check("%s: all arrives, once and in order" % what, not wrong, *wrong[:5])
    if what == "one home":
        check("one home: by its LAN", path.startswith("192.168.1."), path)
    else:
        check("%s: on the direct way" % what,
              names in flows and names[::-1] in flows, path)
    print("# %-30s first words both ways after %5d ms, %s" % (
        what, ms, path), flush=True)


def main():
    need_lab()
    with World(topology(), node_options="delay=10ms") as world:
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            jobs = [pool.submit(case, world, "one home", ("fa", "fb"))]
            for i, (what, _, _, long_n) in enumerate(CASES):
                names = "xa%d" % i, "xb%d" % i
                jobs.append(pool.submit(case, world, what, names, long_n))
            for job in jobs:
                job.result()
    finish()


if __name__ == "__main__":
    main()
