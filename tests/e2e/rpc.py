"""A client of the control socket for tests: python3, standard library only.

    with Rpc.connect(path) as rpc:
        rpc.call("status")["state"]
        rpc.call("events.subscribe", since="oldest")
        for event in rpc.events(timeout=5): ...

A reply is found by its id; notifications that come meanwhile are kept for
events(). An error reply is raised as RpcError.
"""
import itertools
import json
import os
import socket
import time

TIMEOUT = 20.0  # seconds; a bound for a broken daemon, not a measurement


class RpcError(Exception):
    """The error object of a reply: code, message, data."""

    def __init__(self, error):
        super().__init__("%s %s" % (error.get("code"), error.get("message")))
        self.code = error["code"]
        self.message = error["message"]
        self.data = error.get("data") or {}
        self.name = self.data.get("name")


class Closed(Exception):
    """The daemon closed the connection."""


class Rpc:
    def __init__(self, sock, timeout=TIMEOUT):
        self.sock = sock
        self.timeout = timeout
        self.buffer = bytearray()
        self.replies = {}
        self.notes = []
        self.ids = itertools.count(1)

    @classmethod
    def connect(cls, path, timeout=TIMEOUT, wait=0.0):
        """Connects; with wait, tries for so many seconds until it is there."""
        end = time.monotonic() + wait
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.connect(os.fspath(path))
                return cls(sock, timeout)
            except OSError:
                sock.close()
                if time.monotonic() >= end:
                    raise
                time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    # Bytes and lines.
    def send_raw(self, data):
        self.sock.settimeout(self.timeout)
        self.sock.sendall(data)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def read_line(self, timeout=None):
        """One line without its LF. Closed at the end, TimeoutError."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            at = self.buffer.find(b"\n")
            if at >= 0:
                line = bytes(self.buffer[:at])
                del self.buffer[:at + 1]
                return line
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no line in time")
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(1 << 16)
            except socket.timeout:
                raise TimeoutError("no line in time") from None
            except ConnectionResetError:
                data = b""
            if not data:
                raise Closed(bytes(self.buffer))
            self.buffer += data

    def read_json(self, timeout=None):
        return json.loads(self.read_line(timeout))

    # Requests.
    def send(self, method, params=None, id=None):
        """Sends without waiting; gives the id."""
        if id is None:
            id = next(self.ids)
        request = {"jsonrpc": "2.0", "id": id, "method": method}
        if params is not None:
            request["params"] = params
        self.send_raw(json.dumps(request, ensure_ascii=False).encode() + b"\n")
        return id

    def reply(self, id, timeout=None):
        """The whole reply to a request that was sent. One with id null is
        raised: the line was not even a request."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while id not in self.replies:
            self._take(self.read_json(max(end - time.monotonic(), 0)))
            if id is not None and None in self.replies:
                raise RpcError(self.replies.pop(None)["error"])
        return self.replies.pop(id)

    def result(self, id, timeout=None):
        reply = self.reply(id, timeout)
        if "error" in reply:
            raise RpcError(reply["error"])
        return reply["result"]

    def call(self, rpc_method, /, rpc_timeout=None, **params):
        return self.result(self.send(rpc_method, params), rpc_timeout)

    def notify(self, rpc_method, /, **params):
        request = {"jsonrpc": "2.0", "method": rpc_method, "params": params}
        self.send_raw(json.dumps(request).encode() + b"\n")

    # Notifications of the daemon.
    def next_note(self, timeout=None):
        """The next notification, whatever it is."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while not self.notes:
            self._take(self.read_json(max(end - time.monotonic(), 0)))
        return self.notes.pop(0)

    def events(self, timeout=None):
        """Params of the events that come, until none came for timeout."""
        while True:
            try:
                note = self.next_note(timeout)
            except TimeoutError:
                return
            if note["method"] == "event":
                yield note["params"]

    def wait_event(self, kind, timeout=None, **data):
        """The next event of that type whose data has these members."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            note = self.next_note(max(end - time.monotonic(), 0))
            params = note.get("params", {})
            if note["method"] != "event" or params.get("type") != kind:
                continue
            if all(params["data"].get(k) == v for k, v in data.items()):
                return params

    def _take(self, message):
        if "method" in message and "id" not in message:
            self.notes.append(message)
        else:
            self.replies[message.get("id")] = message
