"""A flood against one of two daemons who talk meanwhile; see test_flood.py
and tests/bench/siege.py."""
import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import BUILD  # noqa: E402
from net import MEET_S, Failed  # noqa: E402
from wire import Sniffer, may_sniff  # noqa: E402

TOOL = os.path.join(BUILD, "tests/tools/flood")


def message_1(alice, bob, to_alice):
    """A call of Bob's that Alice has not heard. She hears it once before this
    ends, so from then on it is a replay with a right mac1."""
    alice.stop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", alice.port))
        ear.settimeout(MEET_S)
        bob.ctl("send", to_alice, "are you there?")
        call = b""
        while len(call) != 168:
            call = ear.recv(2000)
    alice.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
        mouth.sendto(call, ("127.0.0.1", alice.port))
    end = time.monotonic() + MEET_S
    while not online(alice, "bob"):
        if time.monotonic() > end:
            raise Failed("they did not meet again")
        alice.ctl("send", "bob", "here I am", "--wait")
    return call.hex()


def online(daemon, name):
    with daemon.rpc() as rpc:
        items = rpc.call("contact.list")["items"]
    return any(c["name"] == name and c["online"] for c in items)


def live_index(alice, to_bob):
    """What datagrams to Alice begin with now; nothing where one may not
    sniff."""
    if not may_sniff():
        return []
    sniffer = Sniffer()
    alice.ctl("send", to_bob, "and you?", "--wait")
    packets = [d for s, p, d in sniffer.of([alice.port])
               if p == alice.port and d[:1] != b"d" and len(d) % 4 == 0]
    sniffer.stop()
    return [packets[-1][:4].hex()] if packets else []


class Thrower:
    def __init__(self, port, rate, ms, *whole):
        self.child = subprocess.Popen(
            [TOOL, str(port), str(rate), str(ms), *whole],
            stdout=subprocess.PIPE, text=True)

    def throws(self):
        return self.child.poll() is None

    def result(self):
        """sent, bytes, late, back and the bytes of those."""
        words = self.child.communicate()[0].split()
        if self.child.returncode != 0:
            raise Failed("flood: exit %d" % self.child.returncode)
        return dict(zip(("sent", "bytes", "late", "back", "back_bytes"),
                        map(int, words[1::2])))


def words(daemon, conv, go_on=lambda: False):
    """Sends one message, and then more while go_on() says so; milliseconds
    until each was delivered."""
    took = []
    with daemon.rpc(MEET_S) as rpc:
        rpc.call("events.subscribe", since="now", types=["message.state"])
        while not took or go_on():
            start = time.monotonic()
            sent = rpc.call("message.send", conv=conv,
                            text="word %d" % len(took))["id"]
            rpc.wait_event("message.state", MEET_S, id=sent,
                           state="delivered")
            took.append(1000 * (time.monotonic() - start))
    return took
