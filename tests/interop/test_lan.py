#!/usr/bin/python3
"""Two daemons on one link, without a DHT, without a gateway: they meet by
beacons alone, and whoever listens learns nothing but that."""
import os
import random
import socket
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
import internet  # noqa: E402
from check import check, finish, skip  # noqa: E402
from net import Net, need_build  # noqa: E402

GROUP, PORT = "239.255.66.84", 26484
SIZE, TOKEN = 1024, 8


class Link:
    """A bridge, and hosts on it that know no route but the link's."""

    def __init__(self):
        self.hub, self.hosts = internet.Space(), []
        self.hub.ip("link set lo up", "link add hub0 type bridge",
                    "link set hub0 up")

    def host(self, addr):
        host = internet.Host(addr)
        self.hosts.append(host)
        plug = "p%d" % len(self.hosts)
        self.hub.ip("link add %s type veth peer name eth0 netns %s" % (
                        plug, host.path),
                    "link set %s master hub0 up" % plug)
        host.ip("link set lo up", "addr add %s/24 dev eth0" % addr,
                "link set eth0 up")
        return host

    def host6(self, addr):
        """One that has a local address of IPv6, and no other."""
        host = internet.Host("[%s]" % addr)
        self.hosts.append(host)
        plug = "p%d" % len(self.hosts)
        self.hub.ip("link add %s type veth peer name eth0 netns %s" % (
                        plug, host.path),
                    "link set %s master hub0 up" % plug)
        host.set("ipv6/conf/eth0/disable_ipv6", 0)
        host.ip("link set lo up", "addr add %s/64 dev eth0 nodad" % addr,
                "link set eth0 up")
        return host

    def close(self):
        for space in self.hosts + [self.hub]:
            space.close()


class Listener:
    """A stranger on the link."""

    def __init__(self, host):
        self.host = host
        with host.inside():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind((GROUP, PORT))
            self.socket.setsockopt(
                socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                struct.pack("4s4s", socket.inet_aton(GROUP),
                            socket.inet_aton(host.addr)))
            self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.out.bind((host.addr, 0))
            self.out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                                socket.inet_aton(host.addr))
        self.socket.settimeout(60)

    def next(self, sender=None):
        """The next datagram, of that sender if one is named."""
        while True:
            data, at = self.socket.recvfrom(3000)
            if sender is None or at[0] == sender.host.addr:
                return data

    def say(self, data):
        self.out.sendto(data, (GROUP, PORT))

    def answers(self):
        self.out.setblocking(False)
        try:
            return self.out.recv(3000)
        except BlockingIOError:
            return b""


def tokens(data):
    return [data[i:i + TOKEN] for i in range(0, len(data), TOKEN)]


def meet(net, alice, bob):
    theirs, ours = net.pair(alice, bob)
    check("two who added each other meet on a link without a DHT", True)
    alice.ctl("send", theirs, "hello", "--wait")
    check("and talk", bob.wait_event("message.new", text="hello"))
    return theirs, ours


def again(alice, bob, theirs):
    """What is known of the other are addresses; now they are wrong ones."""
    bob.stop()
    bob.port += 1
    bob.start()
    alice.ctl("send", theirs, "again", "--wait")
    check("after a restart at another port they meet again",
          bob.wait_event("message.new", text="again"))


def ipv6(net, link):
    eve, fred = (net.person(name, host=link.host6(addr), bootstrap=[])
                 for name, addr in (("eve", "fd42:7::2"),
                                    ("fred", "fd42:7::3")))
    net.pair(eve, fred)
    check("two with IPv6 alone meet, too", True)


def invited(net, link, alice):
    carol = net.person("carol", host=link.host("192.168.7.4"), bootstrap=[])
    text = alice.ctl("invite", "new").rows()[0][1]
    carol.ctl("invite", "accept", text, "--name", "alice")
    carol.ctl("send", "alice", "from an invitation", "--wait")
    check("an invitation works on the link", alice.wait_event(
        "message.new", text="from an invitation"))


def watched(net, link, stranger):
    dora = net.person("dora", host=link.host("192.168.7.5"), bootstrap=[])
    nobody = net.add("nobody", host=link.host("192.168.7.6")).start()
    nobody.create_identity()
    dora.ctl("contact", "add", nobody.address, "--name", "nobody")
    first = stranger.next(dora)
    second = stranger.next(dora)
    check("a beacon has one size", len(first) == len(second) == SIZE)
    check("within a slot a beacon says the same, whoever is missing",
          len(set(tokens(first)) & set(tokens(second))) in (0, SIZE // TOKEN))
    check("in another order", first != second)
    check("and nothing twice", len(set(tokens(first))) == SIZE // TOKEN)
    check("no identity is in it", not any(
        piece in first for piece in (dora.address.encode(),
                                     nobody.address.encode())))
    return first


def hostile(alice, stranger, recorded):
    rng = random.Random(1)
    before = alice.call("net.status")["udp"]["out"]
    for n in (0, 1, 7, 8, 1023, 1025, 1472):
        stranger.say(rng.randbytes(n))
    for _ in range(300):
        stranger.say(rng.randbytes(SIZE))
        stranger.say(recorded)
        bits = bytearray(recorded)
        bits[rng.randrange(SIZE)] ^= 1
        stranger.say(bytes(bits))
    after = alice.call("net.status")["udp"]["out"]
    check("random and replayed beacons draw nothing", after - before < 20 and
          stranger.answers() == b"", after - before)


def main():
    need_build()
    why = internet.missing()
    if why:
        skip(why)
    link = Link()
    with Net() as net:
        a, b = link.host("192.168.7.2"), link.host("192.168.7.3")
        stranger = Listener(link.host("192.168.7.66"))
        alice = net.person("alice", host=a, bootstrap=[])
        bob = net.person("bob", host=b, bootstrap=[])
        theirs, _ = meet(net, alice, bob)
        again(alice, bob, theirs)
        invited(net, link, alice)
        ipv6(net, link)
        hostile(alice, stranger, watched(net, link, stranger))
    link.close()
    finish()


if __name__ == "__main__":
    main()
