"""A btchatd that says what a test wants: for what a real one never does."""
import json
import os
import socket
import threading


class Fake:
    """Serves connections on path, one thread each, by calling
    handler(fake, connection, request) for every line; what it returns is
    sent (dict as a line, bytes as they are, None nothing)."""

    def __init__(self, path, handler):
        self.path, self.handler = path, handler
        self.requests = []
        self.connections = []
        self.listener = None
        self.start()

    def start(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self.accept, args=(self.listener,),
                         daemon=True).start()

    def stop(self):
        """As a daemon that died: all connections gone, the file left."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()
        self.connections = []

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,),
                             daemon=True).start()

    def serve(self, connection):
        try:
            for line in connection.makefile("rb"):
                request = json.loads(line)
                self.requests.append(request)
                answer = self.handler(self, connection, request)
                if isinstance(answer, dict):
                    answer = json.dumps(answer).encode() + b"\n"
                if answer:
                    connection.sendall(answer)
        except (OSError, ValueError):
            pass

    def seen(self, method):
        return [r for r in self.requests if r["method"] == method]


def result(request, value):
    return {"jsonrpc": "2.0", "id": request["id"], "result": value}


def error(request, code, message, **data):
    return {"jsonrpc": "2.0", "id": request["id"],
            "error": {"code": code, "message": message, "data": data}}


def event(seq, kind, **data):
    return json.dumps({"jsonrpc": "2.0", "method": "event", "params": {
        "sub": 1, "seq": seq, "ts_ms": 1795179476622, "type": kind,
        "data": data}}).encode() + b"\n"
