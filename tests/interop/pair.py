"""Pair cells by hand, see tests/tools/cell.c: what a daemon leaves for a
contact, and what a test leaves for a daemon."""
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
from check import BUILD  # noqa: E402

CELL = os.path.join(BUILD, "tests/tools/cell")
KEY_HEAD = b"btchat key 1 plain\n"
WAIT_S = 60


def cell(*words):
    done = subprocess.run([CELL, *map(str, words)], capture_output=True,
                          text=True, check=True)
    return json.loads(done.stdout)


def seed_of(daemon):
    """The identity seed of a daemon without passphrase, hex."""
    with open(os.path.join(daemon.state, "identity.key"), "rb") as f:
        data = f.read()
    assert data.startswith(KEY_HEAD)
    return data[len(KEY_HEAD):][:32].hex()


def id_of(daemon):
    """The 32 bytes of an address, hex."""
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    value = 0
    digits = [alphabet.index(c) for c in daemon.address[len("btchat1"):-6]]
    for digit in digits:
        value = value << 5 | digit
    value >>= len(digits) * 5 % 8
    return value.to_bytes(len(digits) * 5 // 8, "big")[1:].hex()


def where(writer, reader):
    """The keys of the cell that writer has for reader now."""
    return cell("key", seed_of(writer), id_of(reader), "mine",
                int(time.time()))


def open_cell(writer, reader, seq, value):
    return cell("open", seed_of(reader), id_of(writer), seq, value.hex(),
                int(time.time()))


def seal(writer, reader, seq, port):
    return cell("seal", seed_of(writer), id_of(reader), seq, port,
                int(time.time()))


def wait_for_cell(writer, reader, get):
    """(keys, what get(keys) found) of the cell, or None if it is not there
    in time."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        keys = where(writer, reader)
        found = get(keys)
        if found:
            return keys, found
    return None


def wait_for_seen(daemon, name):
    """True once a daemon has read the cell of a contact."""
    end = time.monotonic() + WAIT_S
    with daemon.rpc() as rpc:
        while time.monotonic() < end:
            peers = rpc.call("net.peers")["items"]
            if any(p["name"] == name and p["meeting"]["cell_seen"]
                   for p in peers):
                return True
            time.sleep(0.1)
    return False
