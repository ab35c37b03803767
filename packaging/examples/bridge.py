#!/usr/bin/python3
"""The skeleton of a bridge to another network: every message exactly once.

    bridge.py FILE [SOCKET]

Here the other network is a FILE, one JSON line for each message. Two rules make
it lose nothing and repeat nothing, whoever is killed when:

 1. An event is acknowledged after the other side has it for good, never before.
    Then the daemon hands it out again until it is done.
 2. What is handed over carries the event's epoch and seq, and what the other
    side has already is not handed over again.
"""
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from client import DEFAULT, Daemon  # noqa: E402


class OtherSide:
    """Put yours here: deliver() returns when the message is durable there."""

    def __init__(self, path):
        self.file = open(path, "a+", encoding="utf-8")
        self.file.seek(0)
        good, self.seen = 0, set()
        for line in self.file:
            if not line.endswith("\n"):
                break  # half a line: we were killed in it
            good += len(line.encode())
            self.seen.add(tuple(json.loads(line)["at"]))
        self.file.truncate(good)

    def deliver(self, at, message):
        if at in self.seen:
            return
        self.file.write(json.dumps({"at": at, "message": message}) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.seen.add(at)


def serve(path, other):
    daemon = Daemon(path)
    at = daemon.call("events.subscribe", consumer="bridge",
                     types=["message.new"])
    print("listening", flush=True)
    while True:
        event = daemon.event()
        other.deliver((at["epoch"], event["seq"]), event["data"])
        daemon.call("events.ack", consumer="bridge", seq=event["seq"])


def main():
    other = OtherSide(sys.argv[1])
    path = sys.argv[2] if len(sys.argv) > 2 else DEFAULT
    while True:
        try:
            serve(path, other)
        except OSError as error:
            print("%s; again in a second" % error, file=sys.stderr)
            time.sleep(1)


main()
