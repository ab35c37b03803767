"""What is on the wire: a sniffer of loopback, strict bencoding, KRPC."""
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading

# Sizes of btchat-protocol(7): messages 1 and 2, cookie reply, transport.
HANDSHAKE = {168, 104, 56}
TRANSPORT = {28 + n for n in (64, 128, 256, 512, 1024)}
OVERLAY = {128, 256, 512, 1024, 1232}
LARGEST_MIN, LARGEST_MAX = 1200, 1500  # "the path's largest"


class Malformed(Exception):
    pass


def bdecode(data):
    """The value of a canonical bencoding; Malformed for anything else."""
    value, at = _value(data, 0, 0)
    if at != len(data):
        raise Malformed("bytes behind it")
    return value


def _number(data, at, end):
    stop = data.find(end, at)
    text = data[at:stop]
    digits = text[1:] if text[:1] == b"-" else text
    if stop < 0 or not digits.isdigit() or (
            digits[:1] == b"0" and text != b"0"):
        raise Malformed("number")
    return int(text), stop + 1


def _value(data, at, depth):
    kind = data[at:at + 1]
    if depth > 8:
        raise Malformed("too deep")
    if kind == b"i":
        return _number(data, at + 1, b"e")
    if kind == b"l":
        items, at = [], at + 1
        while data[at:at + 1] != b"e":
            item, at = _value(data, at, depth + 1)
            items.append(item)
        return items, at + 1
    if kind == b"d":
        return _dict(data, at + 1, depth)
    if not kind.isdigit():
        raise Malformed("no value")
    size, at = _number(data, at, b":")
    if at + size > len(data):
        raise Malformed("cut off")
    return data[at:at + size], at + size


def _dict(data, at, depth):
    value, last = {}, None
    while data[at:at + 1] != b"e":
        key, at = _value(data, at, depth + 1)
        if not isinstance(key, bytes) or (last is not None and key <= last):
            raise Malformed("keys")
        value[key], at = _value(data, at, depth + 1)
        last = key
    return value, at + 1


def krpc(data):
    """The message; Malformed if it is not one of KRPC."""
    message = bdecode(data)
    if not isinstance(message, dict):
        raise Malformed("no dictionary")
    body = {b"q": dict, b"r": dict, b"e": list}
    kind = message.get(b"y")
    if kind not in body or not isinstance(message.get(b"t"), bytes):
        raise Malformed("not KRPC")
    name = b"a" if kind == b"q" else kind
    if not isinstance(message.get(name), body[kind]):
        raise Malformed("no body")
    return message


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(k) + bencode(value[k])
                           for k in sorted(value)) + b"e"


class Sniffer:
    """All UDP over IPv4 on loopback, as (source port, port, bytes)."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                    socket.htons(3))
        self.socket.bind(("lo", 0))
        for option in (33, socket.SO_RCVBUF):  # 33: SO_RCVBUFFORCE
            try:
                self.socket.setsockopt(socket.SOL_SOCKET, option, 64 << 20)
                break
            except OSError:
                continue
        self.packets = []
        self.running = True
        self.socket.settimeout(0.1)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.running:
            try:
                frame, where = self.socket.recvfrom(70000)
            except socket.timeout:
                continue
            if where[2] != 4:  # PACKET_OUTGOING: each frame once
                continue
            packet = self.parse(frame[14:])
            if packet:
                self.packets.append(packet)

    @staticmethod
    def parse(ip):
        if len(ip) < 28 or ip[0] >> 4 != 4 or ip[9] != 17:
            return None
        head = (ip[0] & 15) * 4
        total = struct.unpack(">H", ip[2:4])[0]
        source, port, size = struct.unpack(">HHH", ip[head:head + 6])
        return source, port, bytes(ip[head + 8:min(head + size, total)])

    def lost(self):
        """Frames the kernel dropped since the last call."""
        stats = self.socket.getsockopt(263, 6, 8)  # PACKET_STATISTICS
        return struct.unpack("II", stats)[1]

    def of(self, ports):
        ports = set(ports)
        return [p for p in list(self.packets)
                if p[0] in ports or p[1] in ports]

    def stop(self):
        self.running = False
        self.thread.join()
        self.socket.close()


def may_sniff():
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
        return True
    except OSError:
        return False


def need_sniffer(skip):
    """A network of one's own, where one may sniff."""
    if os.environ.get("BTCHAT_OWN_NET"):
        lo_up()
        if not may_sniff():
            skip("no packet sockets in a network of one's own")
        return
    if not shutil.which("unshare") or not shutil.which("ip"):
        skip("unshare(1) or ip(8) is not there")
    os.environ["BTCHAT_OWN_NET"] = "1"
    for way in (["unshare", "--net"],
                ["unshare", "--user", "--map-root-user", "--net"]):
        if subprocess.run(way + ["true"], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0:
            os.execvp(way[0], way + [sys.executable] + sys.argv)
    skip("no network of one's own: unshare(1) fails")


def lo_up():
    """Loopback of a new network namespace is down at first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0x1 | 0x40)
        fcntl.ioctl(sock, 0x8914, request)  # SIOCSIFFLAGS
    # A run of datagrams (UDP_SEGMENT) shall not pass as one frame.
    subprocess.run(["ip", "link", "set", "lo", "gso_max_segs", "1"],
                   check=True)


BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def address_id(address):
    """The 32 bytes of an identity in its written form."""
    bits = 0
    words = [BECH32.index(c) for c in address[len("btchat1"):-6]]
    for word in words:
        bits = bits << 5 | word
    spare = len(words) * 5 - 33 * 8
    return (bits >> spare).to_bytes(33, "big")[1:]


def forms(secret):
    """A secret in every form in which it might slip out."""
    found = {secret, secret[::-1], secret.hex().encode(),
             secret.hex().upper().encode()}
    return {f for f in found if f}


