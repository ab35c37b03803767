"""Real daemons on loopback, in a temporary directory, for tests and demo.

    with Net() as net:
        alice, bob, to_bob, to_alice = net.couple()
        alice.ctl("send", "bob", "hello")

Nothing here sleeps: a daemon is ready when it says so on its NOTIFY_SOCKET,
and everything else is waited for by events of the API.
"""
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import CTL, DAEMON, check, skip  # noqa: E402
from rpc import Rpc, RpcError  # noqa: E402

READY_S = 60.0  # bounds for something broken, generous for sanitizers
MEET_S = 120.0


# Below the ports that the kernel gives out by itself, so that a daemon that
# is restarted finds its port free.
PORTS = range(11000, 32000)
port_locks = []


def free_port():
    """A UDP port of loopback for this process alone: tests that run beside
    this one see the lock, which ends with the process."""
    for port in random.sample(PORTS, 1000):
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            lock.bind("\0btchat-test-port-%d" % port)
            probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        finally:
            probe.close()
        port_locks.append(lock)
        return port
    raise Failed("no free port")


class Failed(Exception):
    """Something did not happen; the text says what."""


class Ctl:
    """What one run of btchatctl gave."""

    def __init__(self, done):
        self.status, self.out, self.err = (
            done.returncode, done.stdout, done.stderr)

    def rows(self):
        return [line.split("\t") for line in self.out.splitlines()]

    def pairs(self):
        return dict(row[:2] for row in self.rows())

    def json(self):
        return [json.loads(line) for line in self.out.splitlines()]


class Daemon:
    """On loopback, or on a host: an object with addr and command, see
    ../interop/internet.py. bootstrap holds (address, port) or ports of loopback."""

    def __init__(self, net, name, bootstrap=(), port=None, extra=(),
                 host=None):
        self.net, self.name = net, name
        self.folder = os.path.join(net.folder, name)
        self.state = os.path.join(self.folder, "state")
        self.socket = os.path.join(self.folder, "sock", "control.sock")
        self.log = os.path.join(self.folder, "log")
        self.port = port or free_port()
        self.host = host
        self.bootstrap, self.extra = list(bootstrap), list(extra)
        self.process, self.notify = None, None
        self.address = None
        os.makedirs(os.path.dirname(self.socket), mode=0o700, exist_ok=True)
        os.makedirs(self.state, mode=0o700, exist_ok=True)

    # Life.
    def command(self):
        words = [net_daemon(), "--state", self.state, "--socket", self.socket,
                 "--listen", "%s:%d" % self.at(),
                 "--set", "bootstrap-defaults=no"]
        for to in self.bootstrap:
            at = to if isinstance(to, tuple) else ("127.0.0.1", to)
            words += ["--bootstrap", "%s:%d" % at]
        words += self.extra
        return self.host.command(*words) if self.host else words

    def at(self):
        return (self.host.addr if self.host else "127.0.0.1", self.port)

    def environment(self):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(("XDG_", "LISTEN_", "BTCHAT", "NOTIFY"))}
        env["HOME"] = self.folder
        env["NOTIFY_SOCKET"] = self.notify_path()
        return env

    def notify_path(self):
        return os.path.join(self.folder, "notify")

    def spawn(self):
        """Starts it without waiting for anything."""
        path = self.notify_path()
        if os.path.exists(path):
            os.unlink(path)
        if self.notify:
            self.notify.close()
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(path)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=self.environment(), start_new_session=True)
        return self

    def wait_ready(self):
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Failed("%s ended with %d\n%s" % (
                    self.name, self.process.returncode, self.tail()))
            ready, _, _ = select.select([self.notify], [], [], 0.1)
            if ready and b"READY=1" in self.notify.recv(4096).split(b"\n"):
                return self
        raise Failed("%s was not ready in time\n%s" % (self.name, self.tail()))

    def start(self):
        return self.spawn().wait_ready()

    def stop(self):
        """As systemd does; gives the exit status."""
        return self.end(signal.SIGTERM)

    def kill(self):
        return self.end(signal.SIGKILL)

    def end(self, how):
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            status = self.process.wait(READY_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed("%s did not end\n%s" % (
                self.name, self.tail())) from None
        self.process = None
        return status

    def tail(self, lines=30):
        try:
            with open(self.log, errors="replace") as log:
                return "".join(log.readlines()[-lines:])
        except OSError:
            return ""

    # Talking to it.
    def rpc(self, timeout=20.0):
        return Rpc.connect(self.socket, timeout)

    def call(self, method, **params):
        with self.rpc() as rpc:
            return rpc.call(method, **params)

    def refuses(self, name, code, method, **params):
        """A check: the call ends in that error."""
        try:
            check(name, False, self.call(method, **params))
        except RpcError as error:
            check(name, error.code == code, error)

    def write(self, conv, texts):
        """Ids of what was written; answered means durable."""
        with self.rpc() as rpc:
            return [rpc.call("message.send", conv=conv, text=t)["id"]
                    for t in texts]

    def came(self, *ids, state="delivered", timeout_ms=180000):
        """Whether all came so far, in the time that is enough for meeting."""
        with self.rpc() as rpc:
            return all(rpc.call("message.wait", id=i, state=state,
                                rpc_timeout=timeout_ms / 1000 + 20,
                                timeout_ms=timeout_ms)["state"] == state
                       for i in ids)

    def ctl(self, *words, stdin=None, ok=True, timeout=180):
        done = subprocess.run(
            [CTL, "-S", self.socket, *words], input=stdin, text=True,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True, timeout=timeout)
        if ok and done.returncode != 0:
            raise Failed("%s: btchatctl %s: exit %d\n%s%s" % (
                self.name, " ".join(words), done.returncode, done.stderr,
                self.tail()))
        return Ctl(done)

    def create_identity(self):
        self.ctl("id", "create", "--no-passphrase")
        self.address = self.ctl("id", "show").pairs()["address"]
        return self

    def wait_event(self, kind, timeout=MEET_S, conv=None, **data):
        """The first event of that type, of a contact and with these members
        in its data if they are given; also if it was long ago."""
        with self.rpc() as rpc:
            convs = {"convs": [conv]} if conv else {}
            rpc.call("events.subscribe", since="oldest", types=[kind],
                     **convs)
            try:
                return rpc.wait_event(kind, timeout, **data)
            except TimeoutError:
                raise Failed("%s: no %s in time" % (self.name, kind)) from None

    def contact(self, name):
        for row in self.ctl("contact", "ls").rows():
            if row[1] == name:
                return row[0]
        raise Failed("%s has no contact %s" % (self.name, name))

    def history(self, conv):
        """All messages with a contact, oldest first."""
        items, before = [], {}
        with self.rpc() as rpc:
            while True:
                page = rpc.call("message.history", conv=conv, limit=500,
                                **before)
                items += page["items"]
                if not page["next"]:
                    return items[::-1]
                before = {"before": page["next"]}

    def fds(self):
        path = "/proc/%d/fd" % self.process.pid
        try:
            return len(os.listdir(path))
        except PermissionError:
            # The daemon hides from its own user (PR_SET_DUMPABLE): only the
            # count is left, and before Linux 6.2 that is 0.
            return os.stat(path).st_size


def net_daemon():
    return os.environ.get("BTCHATD", DAEMON)


class Net:
    def __init__(self, keep=False):
        self.folder = tempfile.mkdtemp(prefix="btchat-")
        self.daemons, self.entry, self.keep = [], [], keep

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and not self.keep:
            self.show_logs()
        self.close()

    def add(self, name, **how):
        daemon = Daemon(self, name, **how)
        self.daemons.append(daemon)
        return daemon

    def dht(self, count):
        """Daemons without an identity: nothing but a DHT of their own."""
        for i in range(count):
            node = self.add("dht%d" % (i + 1), bootstrap=self.entry[:2])
            node.spawn()
            self.entry.append(node.port)
        for node in self.daemons[-count:]:
            node.wait_ready()

    def person(self, name, **how):
        """A daemon with an identity, in the DHT of this net."""
        how.setdefault("bootstrap", self.entry[:3])
        return self.add(name, **how).start().create_identity()

    def pair(self, a, b):
        """Both add the other's address; returns the ids that they have for
        each other when both have met."""
        theirs = add_contact(a, b)
        ours = add_contact(b, a)
        a.wait_event("contact.ready", conv=theirs)
        b.wait_event("contact.ready", conv=ours)
        return theirs, ours

    def couple(self):
        """Alice and Bob in a DHT of their own, who have met; Alice's id for
        Bob and Bob's for Alice."""
        self.dht(3)
        alice, bob = self.person("alice"), self.person("bob")
        return (alice, bob) + self.pair(alice, bob)

    def show_logs(self):
        for daemon in self.daemons:
            text = daemon.tail()
            if text:
                print("---- log of %s\n%s" % (daemon.name, text), end="")
        sys.stdout.flush()

    def close(self):
        if self.keep:
            return
        for daemon in self.daemons:
            if daemon.process is not None:
                daemon.process.kill()
        for daemon in self.daemons:
            if daemon.process is not None:
                daemon.process.wait()
            if daemon.notify:
                daemon.notify.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def add_contact(a, b):
    """a adds b; the id that a has for b."""
    return a.ctl("contact", "add", b.address, "--name",
                 b.name).rows()[0][0]


def need_build():
    """Programs that are not there yet are no failure of a test."""
    for path in (net_daemon(), CTL):
        if not os.path.exists(path):
            skip("%s is not built" % path)
