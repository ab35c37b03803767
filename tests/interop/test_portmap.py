#!/usr/bin/python3
"""Port mappings in a home of namespaces: a gateway of a few lines that also
answers wrongly, and Debian's miniupnpd on a real NAT."""
import contextlib
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
import home  # noqa: E402
import internet  # noqa: E402
from check import check, finish, skip  # noqa: E402
from net import Net, need_build  # noqa: E402

PORT = 5351
WAIT_S = 60.0
GLOBAL, CGN = "203.0.113.1", "100.64.0.9"
UNSUPP_VERSION = 1


def v4mapped(addr):
    return bytes(10) + b"\xff\xff" + socket.inet_aton(addr)


class Gateway(threading.Thread):
    """Answers PCP and NAT-PMP on the router as its members say."""

    def __init__(self, where, family=socket.AF_INET, **how):
        super().__init__(daemon=True)
        self.how = {"pcp": True, "pmp": True, "lifetime": 3600,
                    "epoch": 1000, "address": GLOBAL, "port": 4321,
                    "result": 0, "wrong_nonce": False, "elsewhere": False,
                    "short": False, "mute": False}
        self.how.update(how)
        self.requests, self.lock = [], threading.Lock()
        with where.inside():
            self.socket = socket.socket(family, socket.SOCK_DGRAM)
            # An answer comes from the address that was asked.
            at = (("", PORT) if family == socket.AF_INET else
                  ("fe80::1", PORT, 0, socket.if_nametoindex("lan")))
            self.socket.bind(at)
            self.other = socket.socket(family, socket.SOCK_DGRAM)
            self.other.bind((at[0], PORT + 1, *at[2:]))
        self.quit, self.wake = os.pipe()
        self.start()

    def set(self, **how):
        with self.lock:
            self.how.update(how)

    def run(self):
        while self.quit not in select.select(
                [self.socket, self.quit], [], [])[0]:
            data, sender = self.socket.recvfrom(2000)
            with self.lock:
                self.requests.append(data)
                answers = self.answer(data, sender)
            for answer in answers:
                via = self.other if self.how["elsewhere"] else self.socket
                via.sendto(answer, sender)

    def answer(self, data, sender):
        how = self.how
        if how["mute"]:
            return []
        if data[0] == 2:
            answers = [self.pcp(data, sender)]
        else:
            answers = [self.pmp(data)] if how["pmp"] else []
        if how["short"]:
            answers = [a[:n] for a in answers for n in range(len(a))]
        return answers

    def pcp(self, data, sender):
        how = self.how
        if not how["pcp"]:
            return struct.pack(">BBHI", 0, 0x81, UNSUPP_VERSION, how["epoch"])
        client = socket.inet_ntop(socket.AF_INET6, data[8:24])
        if client.removeprefix("::ffff:") != sender[0]:
            return data[:1] + b"\x81\0\x0c" + bytes(56)  # ADDRESS_MISMATCH
        nonce = data[24:36]
        if how["wrong_nonce"]:
            nonce = bytes(b ^ 1 for b in nonce)
        outer = (v4mapped(how["address"]) if "." in sender[0]
                 else data[8:24])
        life = how["lifetime"] if data[4:8] != bytes(4) else 0
        return (struct.pack(">BBBBII", 2, 0x81, 0, how["result"], life,
                            how["epoch"]) + bytes(12) + nonce + data[36:42] +
                struct.pack(">H", how["port"]) + outer)

    def pmp(self, data):
        how = self.how
        if data[1] == 0:
            return (struct.pack(">BBHI", 0, 0x80, 0, how["epoch"]) +
                    socket.inet_aton(how["address"]))
        return struct.pack(">BBHIHHI", 0, 0x81, 0, how["epoch"],
                           *struct.unpack(">H", data[4:6]), how["port"],
                           how["lifetime"])

    def heard(self, good):
        with self.lock:
            return [r for r in self.requests if good(r)]

    def close(self):
        os.write(self.wake, b"x")
        self.join()
        for s in (self.socket, self.other):
            s.close()


def wait_for(what):
    """The first true value of what(), or the last one."""
    end = time.monotonic() + WAIT_S
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.05)


def mapped(daemon, family="v4"):
    for m in daemon.call("net.status")["mapped"]:
        if m["family"] == family:
            return m
    return {"state": "off", "endpoint": None, "protocol": None,
            "behind_nat": False}


def has(daemon, endpoint, protocol="pcp", family="v4"):
    def good():
        m = mapped(daemon, family)
        return (m["endpoint"], m["protocol"]) == (endpoint, protocol)
    return wait_for(good)


@contextlib.contextmanager
def running(net, where, name, **how):
    gateway = Gateway(where.router, **how)
    daemon = net.add(name, host=where.host).start()
    try:
        yield daemon, gateway
    finally:
        if daemon.process:
            daemon.stop()
        gateway.close()


def is_delete(r):
    return len(r) == 60 and r[4:8] == bytes(4)


def pcp_life(net, where):
    with running(net, where, "pcp", lifetime=8) as (d, g):
        check("PCP maps the port", has(d, GLOBAL + ":4321"), mapped(d))
        first = g.heard(lambda r: True)[0]
        check("the mapping is of our port and address",
              first[8:24] == v4mapped(home.HOST) and
              first[40:42] == struct.pack(">H", d.port))
        g.set(epoch=1, port=5555)
        check("after a reboot of the gateway the new port is known",
              has(d, GLOBAL + ":5555"), mapped(d))
        check("the nonce is one for all", len({
            r[24:36] for r in g.heard(lambda r: len(r) == 60)}) == 1)
        g.set(mute=True)
        check("a mapping that is not renewed is not told any more",
              has(d, None), mapped(d))
        g.set(mute=False, port=6666)
        check("and is there again with the gateway",
              has(d, GLOBAL + ":6666"), mapped(d))
        check("nothing is given back before the end", not g.heard(is_delete))
        d.stop()
        check("a clean end gives the mapping back",
              wait_for(lambda: g.heard(is_delete)))


def lies(net, where):
    wrong = ({"wrong_nonce": True}, {"elsewhere": True}, {"short": True},
             {"result": 8, "lifetime": 30})
    for how in wrong:
        with running(net, where, "lie-%s" % next(iter(how)), pmp=False,
                     **how) as (d, g):
            two = wait_for(lambda g=g, how=how: len(
                g.heard(lambda r: len(r) == 60)) >= 1 + ("result" not in how))
            check("a gateway with %s maps nothing" % how,
                  two and mapped(d)["endpoint"] is None, mapped(d))
    with running(net, where, "cgn", address=CGN) as (d, g):
        check("a second NAT is seen, and nothing told", wait_for(
            lambda: mapped(d)["behind_nat"]) and
            mapped(d)["endpoint"] is None, mapped(d))


def nat_pmp(net, where):
    with running(net, where, "pmp", pcp=False) as (d, g):
        check("a gateway that knows NAT-PMP only maps the port",
              has(d, GLOBAL + ":4321", "nat-pmp"), mapped(d))


def ipv6(net, where):
    where.add_ipv6()
    gateway = Gateway(where.router, socket.AF_INET6)
    daemon = net.add("six", host=where.host, extra=[
        "--listen", "[::]:%d" % 16000]).start()
    try:
        check("PCP opens the firewall of IPv6", has(
            daemon, "[%s]:4321" % home.HOST6, family="v6"),
            daemon.call("net.status")["mapped"], gateway.requests)
    finally:
        daemon.stop()
        gateway.close()


def unwanted(net, where):
    with running(net, where, "loop") as (d, g):
        d.stop()
        seen = len(g.requests)
        d.extra = ["--set", "port-mapping=no"]
        d.start()
        check("port-mapping = no asks nobody",
              d.call("net.status")["mapped"] == [] and
              len(g.requests) == seen)


RULES = """
table inet filter {
    chain forward { type filter hook forward priority 0; policy drop;
        iifname "lan" accept
        ct state established,related accept
        jump miniupnpd
    }
    chain miniupnpd { }
}
table inet nat {
    chain prerouting { type nat hook prerouting priority -100;
        jump prerouting_miniupnpd
    }
    chain postrouting { type nat hook postrouting priority 100;
        jump postrouting_miniupnpd
        oifname "wan" masquerade
    }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
}
"""
SETTINGS = """
ext_ifname=wan
ext_ip=%s
listening_ip=lan
enable_natpmp=yes
enable_upnp=no
secure_mode=yes
system_uptime=no
uuid=00000000-0000-0000-0000-000000000000
allow 1024-65535 0.0.0.0/0 1024-65535
lease_file=%s
upnp_table_name=filter
upnp_nat_table_name=nat
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
"""


@contextlib.contextmanager
def miniupnpd(where, settings=SETTINGS):
    """On the router; gives None, or why it does not run."""
    for program in ("miniupnpd", "nft"):
        if not shutil.which(program):
            yield "there is no " + program
            return
    folder = tempfile.mkdtemp(prefix="btchat-")
    config, leases = (os.path.join(folder, n) for n in ("conf", "leases"))
    with open(config, "w") as f:
        f.write(settings % (home.OUTER, leases))
    done = subprocess.run(where.router.command("nft", "-f", "-"), text=True,
                          input=RULES, capture_output=True)
    if done.returncode != 0:
        yield "no nftables in a namespace: " + done.stderr.strip()
        return
    log = open(os.path.join(folder, "log"), "w+")
    process = subprocess.Popen(
        where.router.command("miniupnpd", "-d", "-f", config, "-P",
                             os.path.join(folder, "pid")),
        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield None if process.poll() is None else "miniupnpd ended"
    finally:
        process.terminate()
        process.wait()
        log.close()
        shutil.rmtree(folder)


def arrives(where, daemon, endpoint):
    """Does a datagram from the world reach the daemon?"""
    addr, port = endpoint.rsplit(":", 1)
    with where.outside.inside():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    before = daemon.call("net.status")["udp"]["in"]

    def more():
        s.sendto(b"\0" * 77, (addr, int(port)))
        return daemon.call("net.status")["udp"]["in"] > before
    with s:
        return wait_for(more)


def real(net, where):
    with miniupnpd(where) as why:
        if why:
            print("ok a real gateway # SKIP " + why)
            return
        d = net.add("real", host=where.host).start()
        good = wait_for(lambda: mapped(d)["endpoint"])
        check("miniupnpd maps the port", good and
              good.startswith(home.OUTER + ":"), mapped(d))
        check("a datagram from outside comes in",
              bool(good) and arrives(where, d, good))
        rules = subprocess.run(
            where.router.command("nft", "list", "ruleset"), text=True,
            capture_output=True).stdout
        check("there is a rule for us", home.HOST in rules, rules)
        d.stop()

        def gone():
            return home.HOST not in subprocess.run(
                where.router.command("nft", "list", "ruleset"), text=True,
                capture_output=True).stdout
        check("after a clean end there is none", wait_for(gone))
        killed = net.add("again", host=where.host, port=d.port).start()
        wait_for(lambda: mapped(killed)["endpoint"])
        killed.kill()
        killed.start()
        check("killed and started, the mapping is found again",
              wait_for(lambda: mapped(killed)["endpoint"]), mapped(killed))
        killed.stop()


def main():
    need_build()
    why = internet.missing()
    if why:
        skip(why)
    with Net() as net, home.Home() as where:
        pcp_life(net, where)
        lies(net, where)
        nat_pmp(net, where)
        unwanted(net, where)
        real(net, where)
        ipv6(net, where)
    finish()


if __name__ == "__main__":
    main()
