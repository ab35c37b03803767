# runner: alone
"""A whole conversation on the wire: no identity, key, name or text, datagrams
of the allowed sizes only, and what starts with 'd' is KRPC."""
import collections
import hashlib
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import BUILD, check, finish, skip  # noqa: E402
from net import Net, need_build  # noqa: E402
from wire import (HANDSHAKE, LARGEST_MAX, LARGEST_MIN, OVERLAY,  # noqa: E402
                  TRANSPORT, Malformed, Sniffer, address_id, forms, krpc,
                  need_sniffer)

NAMES = {"alice": "Wilhelmina Sekret", "bob": "Balthasar Schweiger",
         "carol": "Konstanze Leise"}
TEXTS = ["the quick brown fox knows", "der Adler ist gelandet",
         "\u4f60\u597d\u4e16\u754c\u548c\u5e73", "z" * 3000]
KEY_HEAD = b"btchat key 1 plain\n"


def conversation(net):
    net.dht(4)
    people = {}
    for name, full in NAMES.items():
        people[name] = net.add(name, bootstrap=net.entry).start()
        people[name].call("identity.create", name=full)
        people[name].address = people[name].call("identity.show")["address"]
    alice, bob, carol = people.values()
    for a, b in ((alice, bob), (bob, alice)):
        a.ctl("contact", "add", b.address, "--name", NAMES[b.name])
    for a, b in ((alice, bob), (bob, alice)):
        a.wait_event("contact.ready", conv=a.contact(NAMES[b.name]))
    for text in TEXTS:
        alice.ctl("send", NAMES["bob"], text, "--wait")
        bob.ctl("send", NAMES["alice"], text, "--wait")
    invite = alice.ctl("invite", "new", "--label", "geheim").rows()[0][1]
    carol.ctl("invite", "accept", invite, "--name", NAMES["alice"])
    carol.ctl("send", NAMES["alice"], TEXTS[0], "--wait")
    bob.kill()
    alice.ctl("send", NAMES["bob"], "waiting for you to return")
    bob.start()
    bob.wait_event("message.new", text="waiting for you to return")
    return people, invite


def secrets_of(people, invite):
    """Name of a secret -> its bytes."""
    found = {"invitation": invite.encode(),
             "invitation data": invite.split("btinvite1")[1][10:60].encode()}
    for name, person in people.items():
        key = open(os.path.join(person.state, "identity.key"), "rb").read()
        if not key.startswith(KEY_HEAD):
            skip("the key file has another form")
        person.seed = key[len(KEY_HEAD):][:32]
        person.id = address_id(person.address)
        found["identity of " + name] = person.id
        found["seed of " + name] = person.seed
        found["store key of " + name] = key[len(KEY_HEAD) + 32:][:32]
        found["address of " + name] = person.address.encode()
        found["name of " + name] = NAMES[name].encode()
        found["first name of " + name] = NAMES[name].split()[0].encode()
        found["X25519 seed of " + name] = hashlib.sha512(
            person.seed).digest()[:32]
    for i, text in enumerate(TEXTS):
        found["text %d" % i] = text.encode()[:24]
    found["late text"] = b"waiting for you"
    return found


def cell_tool(*words):
    tool = os.path.join(BUILD, "tests", "tools", "cell")
    done = subprocess.run([tool, *map(str, words)], capture_output=True,
                          text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def puts(packets):
    for _, _, data in packets:
        if data[:1] != b"d":
            continue
        try:
            message = krpc(data)
        except Malformed:
            continue
        if message.get(b"q") == b"put" and b"k" in message[b"a"]:
            yield message[b"a"]


def add_cell_secrets(found, people, packets):
    """Opens the cells that Alice and Bob put for each other, as the other
    one does, for the static and reach key inside."""
    alice, bob = people["alice"], people["bob"]
    now = int(time.time())
    for me, other in ((alice, bob), (bob, alice)):
        key = cell_tool("key", me.seed.hex(), other.id.hex(), "theirs", now)
        for put in puts(packets):
            if key is None or put[b"k"].hex() != key["pk"]:
                continue
            cell = cell_tool("open", me.seed.hex(), other.id.hex(),
                             put[b"seq"], put[b"v"].hex(), now)
            if cell is None:
                continue
            found["static key of " + other.name] = bytes.fromhex(
                cell["static"])
            found["reach key of " + other.name] = bytes.fromhex(cell["reach"])
    return "static key of alice" in found and "static key of bob" in found


def check_secrets(found, packets):
    everything = b"\n".join(data for _, _, data in packets)
    sample = next(puts(packets))[b"k"]
    check("the search finds what is there", sample in everything)
    for name, secret in sorted(found.items()):
        check("%s is nowhere on the wire" % name,
              not any(form in everything for form in forms(secret)))


def check_sizes(packets):
    sizes = collections.Counter()
    bad, foreign, marked = [], [], []
    for source, port, data in packets:
        if data[:1] != b"d":
            sizes[len(data)] += 1
            continue
        try:
            message = krpc(data)
        except Malformed as error:
            bad.append((str(error), data[:80]))
            continue
        if b"v" in message:
            marked.append(data[:80])
        if message[b"y"] == b"q" and message.get(b"q") not in (
                b"ping", b"find_node", b"get", b"put", b"get_peers",
                b"announce_peer"):
            foreign.append(data[:80])
    odd = {n: c for n, c in sizes.items()
           if n not in HANDSHAKE | TRANSPORT | OVERLAY and
           not LARGEST_MIN <= n <= LARGEST_MAX}
    check("only allowed sizes", not odd, odd, dict(sizes))
    large = [n for n in sizes if n >= LARGEST_MIN]
    check("of the large ones few sizes", len(large) <= 3, large)
    check("there were handshakes and transport",
          sizes[168] > 0 and sizes[104] > 0 and
          any(sizes[n] for n in TRANSPORT), dict(sizes))
    check("what starts with 'd' is KRPC", not bad, bad[:5])
    check("KRPC carries no client name", not marked, marked[:3])
    check("KRPC has no private verbs", not foreign, foreign[:3])


def check_indices(packets):
    """No header field of transport repeats from packet to packet but the
    index: counters are masked."""
    heads = collections.defaultdict(set)
    for _, _, data in packets:
        if data[:1] != b"d" and len(data) not in HANDSHAKE:
            heads[data[:4]].add(data[4:12])
    count = sum(len(s) for s in heads.values())
    zeros = sum(h[:4] == b"\0\0\0\0" or h[4:] == b"\0\0\0\0"
                for s in heads.values() for h in s)
    check("counters on the wire are masked", count > 10 and zeros == 0,
          count, zeros)


def main():
    need_build()
    need_sniffer(skip)
    sniffer = Sniffer()
    with Net() as net:
        people, invite = conversation(net)
        ports = [d.port for d in net.daemons]
        found = secrets_of(people, invite)
        for person in people.values():
            person.stop()
        packets = sniffer.of(ports)
        check("the sniffer missed nothing", sniffer.lost() == 0)
        print("%d datagrams" % len(packets))
        opened = add_cell_secrets(found, people, packets)
        check("the static keys are known from the cells", opened)
        check_secrets(found, packets)
        check_sizes(packets)
        check_indices(packets)
    sniffer.stop()
    finish()


if __name__ == "__main__":
    main()
