"""20: forged ICMP, that a port is unreachable or that nothing above 68 bytes
passes, ends no session and shrinks no datagram."""
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import flood  # noqa: E402
from check import check, finish, skip  # noqa: E402
from net import MEET_S, Net, need_build  # noqa: E402
from wire import LARGEST_MIN, Sniffer, need_sniffer  # noqa: E402

# code of type 3, next-hop MTU: host, port, fragmentation needed, prohibited
LIES = ((1, 0), (3, 0), (4, 68), (4, 552), (13, 0))
LOOPBACK = socket.inet_aton("127.0.0.1")


def checksum(data):
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return 0xffff - total


def icmp(code, mtu, source, port):
    """About a datagram from source to port, both of loopback."""
    udp = struct.pack(">HHHH", source, port, 1240, 0)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 1260, 1, 0x4000, 64, 17, 0,
                     LOOPBACK, LOOPBACK)
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    body = struct.pack(">BBHHH", 3, code, 0, 0, mtu) + ip + udp
    return body[:2] + struct.pack(">H", checksum(body)) + body[4:]


def forge(raw, source, port):
    for code, mtu in LIES:
        raw.sendto(icmp(code, mtu, source, port), ("127.0.0.1", 0))


def is_heard(raw):
    """The kernel takes such a forgery for true where a socket is connected;
    else this test would show nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
        ear.bind(("127.0.0.1", 0))
        mouth.connect(ear.getsockname())
        raw.sendto(icmp(3, 0, mouth.getsockname()[1], ear.getsockname()[1]),
                   ("127.0.0.1", 0))
        mouth.settimeout(MEET_S)
        try:
            mouth.recv(100)
        except ConnectionRefusedError:
            return True
        except OSError:
            pass
    return False


def main():
    need_build()
    need_sniffer(skip)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW,
                       socket.IPPROTO_ICMP) as raw, Net() as net:
        if not is_heard(raw):
            skip("forged ICMP reaches no socket here")
        alice, bob, to_bob, to_alice = net.couple()
        sniffer = Sniffer()
        for i in range(20):
            for daemon, conv in ((alice, to_bob), (bob, to_alice)):
                forge(raw, alice.port, bob.port)
                forge(raw, bob.port, alice.port)
                done = daemon.ctl("send", conv, "-", "--wait", ok=False,
                                  stdin="x" * 5000 + str(i))
                forge(raw, alice.port, bob.port)
                if done.status != 0:
                    check("20: a message passes", False, done.err)
        sizes = {len(d) for s, p, d in sniffer.of([alice.port])
                 if p == bob.port or s == bob.port}
        sniffer.stop()
        check("20: full datagrams leave all the same",
              max(sizes) >= LARGEST_MIN, sorted(sizes))
        with alice.rpc() as rpc:
            items = rpc.call("events.poll", since="oldest",
                             limit=500)["items"]
        kinds = [e["type"] for e in items]
        delivered = [e for e in items if e["type"] == "message.state" and
                     e["data"]["state"] == "delivered"]
        check("20: all messages arrive, both ways", len(delivered) == 20 and
              kinds.count("message.new") == 40, kinds)
        check("20: nobody was warned", "security.warning" not in kinds, kinds)
        check("20: the session lives", flood.online(alice, "bob") and
              flood.online(bob, "alice"))
    finish()


if __name__ == "__main__":
    main()
