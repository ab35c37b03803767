#!/usr/bin/python3
"""The lab does what NETLAB.md says: what its NATs map and filter, what its
links lose and delay, and what trouble means to those behind them. Figures of
chance hold for the seed of the topology."""
import json
import os
import random
import socket
import struct
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from lab import Lab, missing, nft  # noqa: E402
from check import LONG, check, finish, skip  # noqa: E402
from probe import (Kind, Server, comes, flow, is_lost, name,  # noqa: E402
                   passes, seen, token, udp, wait_for)

CONE = Kind("EIM", "APDF", False, True)
SYMMETRIC = Kind("APDM", "APDF", False, False)
OPEN = Kind("EIM", "EIF", None, True)
FIREWALL = Kind("EIM", "APDF", None, True)
KINDS = {
    "pub": OPEN, "fwh": FIREWALL, "h-none": OPEN,
    "h-full": Kind("EIM", "EIF", False, True),
    "h-fullhp": Kind("EIM", "EIF", True, True),
    "h-restr": Kind("EIM", "ADF", False, True),
    "h-prestr": CONE, "h-prestrhp": Kind("EIM", "APDF", True, True),
    "h-sym": SYMMETRIC, "h-symseq": SYMMETRIC,
    "h-symaddr": Kind("ADM", "APDF", False, False),
    "h-cg1": Kind("EIM", "APDF", True, True), "h-cgs1": SYMMETRIC,
    "h-cgf1": Kind("EIM", "EIF", True, True), "h-dual": CONE,
}
LINUX = {"h-lin": CONE, "h-linacc": CONE, "h-linrej": CONE,
         "h-linrnd": SYMMETRIC}
KINDS6 = {"pub": OPEN, "fwh": FIREWALL, "h-only6": FIREWALL,
          "h-only6open": OPEN, "h-only6eif": OPEN, "h-dual": FIREWALL}
IP_MTU_DISCOVER, IP_RECVERR, IPV6_MTU_DISCOVER, IPV6_RECVERR = 10, 11, 23, 25
PROBE = 3  # IP_PMTUDISC_PROBE
MSG_ERRQUEUE = 0x2000


def topology(name):
    """A file of topo/; without the linux kinds where nft is missing."""
    with open(os.path.join(HERE, "topo", name)) as f:
        lines = f.readlines()
    return "".join(line for line in lines
                   if nft() or "nat=linux" not in line)


# ---- NATs ----

def check_kinds(lab):
    linux = LINUX if nft() else {}
    if not linux:
        print("ok the NAT of Linux # SKIP there is no nft")
    for six, kinds in ((False, {**KINDS, **linux}), (True, KINDS6)):
        server = Server(lab["srv"], six)
        for host, kind in kinds.items():
            found = server.kind(lab[host])
            check("%s, IPv%d: %s %s" % (host, 6 if six else 4, *kind[:2]),
                  found == kind, found)
        server.close()
    with udp(lab["h-blocked"]) as sock:
        check("no UDP leaves a network that blocks it", is_lost(
            lab, "blocked", "udp-blocked",
            lambda: sock.sendto(b"x", (lab["srv"].addr, 7001))))


def check_ports(lab):
    server = Server(lab["srv"])
    with server.client(lab["h-symseq"]) as sock:
        ports = [end[1] for end in server.mapping(sock)[1]]
        check("a sequential NAT gives one port after the other",
              [b - a for a, b in zip(ports, ports[1:])] == [1, 1, 1], ports)
    with server.client(lab["h-symblk"]) as sock:
        ports = [end[1] for end in server.mapping(sock)[1]]
        check("a block of ports is kept to",
              all(20000 <= port <= 20255 for port in ports), ports)
    server.close()


def clash(lab, home, host):
    """The port that a peer sees who has sent first."""
    with udp(lab["pub"], port=6000) as peer, udp(
            lab[host], port=5000) as sock:
        peer.sendto(b"early", (lab[host].outside(), 5000))
        seen_by_gate = wait_for(lambda: lab.flows().get(("pub", home)))
        sock.sendto(b"x", (lab["pub"].addr, 6000))
        return peer.recvfrom(100)[1][1] if seen_by_gate else None


def check_clash(lab):
    """A Linux router that accepts what comes in by itself takes it for the
    begin of a flow, and gives ours another port."""
    if not nft():
        return
    check("input drop: the port is kept",
          clash(lab, "lin", "h-lin") == 5000)
    check("input reject: the port is kept",
          clash(lab, "linrej", "h-linrej") == 5000)
    check("input accept: the port changes",
          clash(lab, "linacc", "h-linacc") not in (5000, None))


def check_life(lab):
    """With refresh_in=no nothing that comes in keeps a mapping alive; that of
    Linux is asked by what lets in no more."""
    with udp(lab["srv"], lab["srv"].addr) as far, udp(
            lab["h-short"]) as sock:
        begin = time.monotonic()
        end = seen(sock, far)
        check("an unanswered mapping ends", is_lost(
            lab, "short", "no-mapping",
            lambda: wait_for(lambda: time.monotonic() > begin + 0.3) and
            far.sendto(b"late", end)))
    if not nft():
        return
    with udp(lab["srv"], lab["srv"].addr) as far, udp(
            lab["h-linshort"]) as sock:
        end = seen(sock, far)
        begin = time.monotonic()
        wait_for(lambda: time.monotonic() > begin + 2.1)  # counts in seconds
        first, second = token(), token()
        send_to_gate(lab, far, end, "linshort", first)
        end = seen(sock, far)
        far.sendto(second, end)
        check("one of Linux, too", not comes(sock, first, second))


# ---- what is not plain UDP ----

def errors(sock, to):
    """What IP_RECVERR tells of a datagram of 1400 bytes: (errno, info)."""
    six = ":" in to
    level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
    sock.setsockopt(level, IPV6_MTU_DISCOVER if six else IP_MTU_DISCOVER,
                    PROBE)
    sock.setsockopt(level, IPV6_RECVERR if six else IP_RECVERR, 1)
    sock.sendto(b"x" * 1400, (to, 9999))
    found = []

    def take():
        try:
            data = sock.recvmsg(2048, 512, MSG_ERRQUEUE)[1][0][2]
            found.append(struct.unpack("IBBBBII", data[:16]))
        except BlockingIOError:
            pass
        return found
    sock.setblocking(False)
    wait_for(take)
    return (found[0][0], found[0][5]) if found else None


def check_icmp(lab):
    for six in (False, True):
        to = lab["pub"].addr6 if six else lab["pub"].addr
        for node, mtu in (("dual", 1300), ("pub", 1280)):
            lab.set(node, "mtu=%d" % mtu)
            with udp(lab["h-dual"], six=six) as sock:
                got = errors(sock, to)
                check("the MTU of a link is told, IPv%d, %s" % (
                    6 if six else 4, node), got == (90, mtu), got)
            lab.set(node, "mtu=0")
        with udp(lab["h-dual"], six=six) as sock:
            got = errors(sock, to)
            check("a closed port is told, IPv%d" % (6 if six else 4),
                  got == (111, 0), got)
    with udp(lab["srv"]) as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        got = errors(sock, lab["h-rej"].outside())
        check("a NAT may refuse aloud", got == (111, 0), got)


def check_fragments(lab):
    data = os.urandom(8000)
    lab.set("cg1", "mtu=600")
    hosts = ["h-prestr", "h-cg1"] + ["h-lin"] * bool(nft())
    for host in hosts:
        with udp(lab["pub"]) as far, udp(lab[host]) as sock:
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 0)
            sock.sendto(data, (lab["pub"].addr, far.getsockname()[1]))
            got, sender = far.recvfrom(65536)
            far.sendto(got, sender)
            check("fragments pass, %s" % host, sock.recv(65536) == data)
    lab.set("cg1", "mtu=0")
    lab.set("prestr", "mtu=600", "mtu_blackhole=yes")
    with udp(lab["h-prestr"]) as sock:
        check("a black hole is silent", is_lost(
            lab, "prestr", "mtu",
            lambda: sock.sendto(data[:1000], (lab["pub"].addr, 9))))
    lab.set("prestr", "mtu=0", "mtu_blackhole=no")


def check_tcp(lab):
    with lab["pub"].inside():
        server = socket.create_server((lab["pub"].addr, 80))
    server.settimeout(20)
    got = []

    def serve():
        with server, server.accept()[0] as sock:
            sock.settimeout(20)
            while sum(got) < 300000:
                got.append(len(sock.recv(65536)))
            sock.sendall(b"done")
    thread = threading.Thread(target=serve)
    thread.start()
    with lab["h-cg1"].inside():
        sock = socket.create_connection((lab["pub"].addr, 80), 20)
    with sock:
        sock.sendall(b"x" * 300000)
        check("TCP passes two NATs", sock.recv(9) == b"done")
    thread.join()


# ---- gateways ----

def natpmp(sock, port, life):
    sock.send(struct.pack(">BBHHHI", 0, 1, 0, port, port, life))
    answer = sock.recv(100)
    return struct.unpack(">H", answer[2:4])[0], struct.unpack(
        ">H", answer[10:12])[0]


def pcp(sock, addr, port, life):
    own = (socket.inet_pton(socket.AF_INET6, addr) if ":" in addr else
           bytes(10) + b"\xff\xff" + socket.inet_aton(addr))
    sock.send(struct.pack(">BBHI", 2, 1, 0, life) + own + bytes(range(12)) +
              struct.pack(">B3xHH", 17, port, 0) + bytes(16))
    answer = sock.recv(100)
    return answer[3], struct.unpack(">H", answer[42:44])[0]


def check_gate(lab):
    host = lab["h-pm"]
    with udp(host, port=7777) as inside, udp(host, port=7778) as other, udp(
            host) as ask, udp(lab["pub"]) as far:
        ask.connect(("192.168.1.1", 5351))
        got = natpmp(ask, 7777, 600)
        check("NAT-PMP maps a port", got == (0, 7777), got)
        check("a stranger gets in",
              passes(far, inside, (host.outside(), 7777)))
        got = pcp(ask, host.addr, 7778, 600)
        check("PCP maps a port", got == (0, 7778), got)
        check("a stranger gets in there, too",
              passes(far, other, (host.outside(), 7778)))
        check("a mapping is taken back", natpmp(ask, 7777, 0)[0] == 0)
        check("and nobody gets in", is_lost(
            lab, "pm", "no-mapping",
            lambda: far.sendto(b"x", (host.outside(), 7777))))
    with udp(host, port=7779, six=True) as inside, udp(
            host, host.addr6, six=True) as ask, udp(
            lab["pub"], six=True) as far:
        with host.inside():
            ask.connect(("fe80::1", 5351, 0, socket.if_nametoindex("eth0")))
        got = pcp(ask, host.addr6, 7779, 600)
        check("PCP opens a firewall of IPv6", got == (0, 7779), got)
        check("a stranger gets in by IPv6",
              passes(far, inside, (host.addr6, 7779)))


# ---- LANs ----

def listen(host, group, port):
    sock = udp(host, port=port)
    with host.inside():
        sock.setsockopt(
            socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
            socket.inet_aton(group) + socket.inet_aton(host.addr))
    return sock


def check_lan(lab):
    group, port = "239.255.71.0", 7100
    a, b, far = lab["h-dual"], lab["h-dual2"], lab["h-prestr"]
    with listen(b, group, port) as sock, udp(a) as out, listen(
            far, group, port) as other, udp(far) as near:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        check("broadcast passes a LAN",
              passes(out, sock, ("255.255.255.255", port)))
        check("multicast passes a LAN", passes(out, sock, (group, port)))
        near.sendto(b"mine", ("127.0.0.1", port))
        check("and does not leave it", other.recv(100) == b"mine")
    a, b = lab["h-guest"], lab["h-guest2"]
    with udp(a, port=port) as sock, udp(b) as out, udp(
            lab["pub"], lab["pub"].addr) as pub:
        end = seen(sock, pub)
        first, second = token(), token()
        out.sendto(first, (a.addr, port))
        check("those of an isolated LAN reach the world", seen(out, pub))
        pub.sendto(second, end)
        check("but not each other", not comes(sock, first, second))


# ---- trouble ----

def check_cuts(lab):
    host, pub = lab["h-prestr"], lab["pub"]
    with udp(host) as sock, udp(pub, pub.addr) as far:
        check("a datagram arrives", passes(sock, far))
        for node in ("pub", "prestr"):
            lab.cut(node)
            check("nothing passes a cut at %s" % node, is_lost(
                lab, node, "cut", lambda: sock.sendto(b"x", name(far))))
            lab.heal(node)
            check("all of it when %s heals" % node, passes(sock, far))
        lab.cut("h-prestr")
        first, second = token(), token()
        sock.sendto(first, name(far))
        lab.heal("h-prestr")
        sock.sendto(second, name(far))
        check("a host of a LAN is cut off alone",
              not comes(far, first, second))
        lab.group("pub", 2)
        check("a net is partitioned", is_lost(
            lab, "prestr", "partition", lambda: sock.sendto(b"x", name(far))))
        lab.group("pub", 0)
        check("and whole again", passes(sock, far))
        check_plugs(lab, sock, far)


def check_plugs(lab, sock, far):
    for one in ("h-prestr", "pub"):
        lab.unplug(one)
        lab.plug(one)
        check("plugged in again, %s works" % one,
              wait_for(lambda: try_pass(sock, far)))


def try_pass(sock, far):
    """A LAN may need a moment to learn who is where."""
    mark = token()
    try:
        sock.sendto(mark, name(far))
        far.settimeout(0.1)
        return comes(far, mark, None)
    except OSError:
        return False
    finally:
        far.settimeout(20)


def check_roaming(lab):
    pub = lab["pub"]
    with udp(lab["h-prestr"]) as sock, udp(pub) as far:
        port, old = far.getsockname()[1], pub.addr
        lab.roam("pub")
        check("a host that moved has another address", pub.addr != old)
        check("the old one is gone", is_lost(
            lab, "prestr", "no-route",
            lambda: sock.sendto(b"x", (old, port))))
        check("the new one works", passes(sock, far, (pub.addr, port)))
    for home, host in (("prestr", "h-prestr"), ("lin", "h-lin")):
        if home == "lin" and not nft():
            continue
        with udp(lab[host]) as sock, udp(pub, pub.addr) as far:
            old = seen(sock, far)
            lab.roam(home)
            new = seen(sock, far)
            check("home %s gets another address" % home,
                  new[0] != old[0] and new[0] == lab[host].outside())
    host = lab["h-guest2"]
    lab.roam("h-guest2", "dual")
    with udp(host) as sock, udp(pub, pub.addr) as far:
        check("a host moves to another home",
              seen(sock, far)[0] == lab["h-dual"].outside())
    with udp(lab["h-dual"], six=True) as sock, udp(
            pub, pub.addr6, six=True) as far:
        old = seen(sock, far)
        lab.roam("dual")
        new = seen(sock, far)
        check("a home's prefix changes, too", old[0] != new[0] and
              new[0] == lab["h-dual"].addr6, old, new)


def check_reboot(lab):
    for home in ["prestr"] + ["lin"] * bool(nft()):
        host = lab["h-" + home]
        with udp(lab["srv"], lab["srv"].addr) as far, udp(host) as sock:
            end = seen(sock, far)
            first, second = token(), token()
            far.sendto(first, end)
            check("%s: an answer comes in" % home, comes(sock, first, second))
            lab.reboot(home)
            first = token()
            if home == "prestr":
                check("prestr: none does after a reboot", is_lost(
                    lab, home, "no-mapping", lambda: far.sendto(first, end)))
            else:
                send_to_gate(lab, far, end, home, first)
            end = seen(sock, far)
            far.sendto(second, end)
            check("%s: what came between is lost" % home,
                  not comes(sock, first, second))


def send_to_gate(lab, sock, end, home, data):
    """Returns when the gateway has had it, whatever it did with it."""
    before = lab.flows().get(("srv.1", home), 0)
    sock.sendto(data, end)
    wait_for(lambda: lab.flows().get(("srv.1", home), 0) > before)


# ---- links ----

def junk(rng, own, other):
    """The beginning of a packet, mostly right."""
    if rng.random() < 0.5:
        head = bytearray(struct.pack(
            ">BBHHHBBH4s4s", 0x45, 0, rng.choice((28, 60, 128)),
            rng.randrange(65536), rng.choice((0, 0x2000, 0x4000, 17)), 64,
            rng.choice((1, 6, 17, 50)), 0, socket.inet_aton(own.addr),
            socket.inet_aton(other.addr)))
    else:
        head = bytearray(struct.pack(
            ">IHBB16s16s", 6 << 28, 88, rng.choice((0, 43, 44, 60, 17, 58)),
            64, socket.inet_pton(socket.AF_INET6, own.addr6),
            socket.inet_pton(socket.AF_INET6, other.addr6)))
    for _ in range(rng.choice((0, 0, 1, 3))):
        head[rng.randrange(len(head))] = rng.randrange(256)
    return bytes(head) + rng.randbytes(rng.choice((0, 4, 8, 20, 88)))


def check_junk(lab):
    """Whatever a host sends, wan goes on."""
    rng = random.Random(8)
    for space, device in ((lab["fwh"], "eth0"),
                          (lab["h-dual"].home.space, "wan0")):
        with space.inside(), socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW) as sock:
            for _ in range(200000 if LONG else 3000):
                data = junk(rng, lab["fwh"], lab["srv"])
                sock.sendto(data, (device, 0x86dd if data[0] >> 4 == 6
                                   else 0x800))
    check("junk is known as such", lab.drops("fwh").get("bad", 0) > 100 and
          lab.drops("dual").get("bad", 0) > 100)
    with udp(lab["h-prestr"]) as sock, udp(
            lab["pub"], lab["pub"].addr) as far:
        check("no packet is too odd", passes(sock, far))



def check_links(lab):
    def of(host, *args, **how):
        return flow(lab, lab[host], lab["clean"], *args, **how)
    plain = of("clean2", 1000)
    check("a clean link loses nothing and keeps the order",
          (plain.lost(), plain.doubled(), plain.reordered()) == (0, 0, 0))
    print("# clean link: median %.2f ms" % plain.median_ms())
    for host, ms in (("d10", 10), ("d50", 25)):
        got = of(host, 100, gap_s=0.001)
        check("a delay of %d ms is never less" % ms,
              min(got.delays_ms) >= ms and got.lost() == 0)
        print("# %d ms: median %.2f ms" % (ms, got.median_ms()))
    for host, share, most in (("loss1", 0.01, 4), ("loss10", 0.10, 4),
                              ("burst", 0.05, 10)):
        got, n = of(host, 4000), 4000
        sigma = (n * share * (1 - share)) ** 0.5
        check("%s loses its share" % host,
              abs(got.lost() - n * share) < most * sigma, got.lost())
    got = of("dup", 2000)
    check("3 % come twice", 30 < got.doubled() < 90, got.doubled())
    got = of("reord", 1000, gap_s=0.0005)
    check("2 % come late", 5 < got.reordered() < 40, got.reordered())
    check("jitter keeps the order",
          of("jit", 300, gap_s=0.0005).reordered() == 0)
    check("unless it is told not to",
          of("jitre", 300, gap_s=0.0005).reordered() > 0)
    begin = time.monotonic()
    got = of("rate", 60, size=972)
    check("a megabit a second is no more than that",
          time.monotonic() - begin >= (len(got.got) - 1) * 0.008)
    check("what the queue has no room for is lost",
          0 < got.lost() == lab.drops("rate")["queue"], got.lost())


def fate(seed):
    with Lab(topology("impair.conf"), seed) as lab:
        return flow(lab, lab["loss10"], lab["clean"], 1000).got


def check_seeds():
    check("one seed, one fate", fate(5) == fate(5))
    check("another seed, another", fate(5) != fate(6))


def main():
    why = missing()
    if why:
        skip(why)
    with Lab(topology("nats.conf")) as lab:
        check_kinds(lab)
        check_ports(lab)
        check_clash(lab)
        check_life(lab)
        check_icmp(lab)
        check_fragments(lab)
        check_tcp(lab)
        check_gate(lab)
        check_lan(lab)
        check_cuts(lab)
        check_reboot(lab)
        check_roaming(lab)
        check_junk(lab)
        check("all of it can be told", json.dumps(lab.stats()) and
              lab.mappings("prestr"))
        check("and ends well", lab.close() == 0)
    with Lab(topology("impair.conf")) as lab:
        check_links(lab)
    check_seeds()
    finish()


if __name__ == "__main__":
    main()
