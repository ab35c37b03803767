"""A connection to btchatd, as the examples use it: JSON-RPC 2.0, a line each, on
a Unix socket. Python's standard library is all it needs."""
import itertools
import json
import os
import socket

DEFAULT = os.environ.get("XDG_RUNTIME_DIR", "") + "/btchatd/control.sock"


class Daemon:
    """A connection: requests are answered by id, events come in between."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self.ids = itertools.count(1)
        self.events = []

    def read(self):
        line = self.lines.readline()
        if not line.endswith("\n"):
            raise ConnectionError("the daemon is gone")
        return json.loads(line)

    def call(self, method, **params):
        mine = next(self.ids)
        self.socket.sendall(json.dumps({
            "jsonrpc": "2.0", "id": mine, "method": method,
            "params": params}).encode() + b"\n")
        while True:
            answer = self.read()
            if "method" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise ValueError(answer["error"]["message"])
            elif answer["id"] == mine:
                return answer["result"]

    def event(self):
        while True:
            note = self.events.pop(0) if self.events else self.read()
            if note["method"] == "event":
                return note["params"]
