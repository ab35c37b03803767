"""A measured process: what it sent, how long it computed, what it holds."""
import os
import select
import struct
import subprocess
import sys
import time


def end(child, ask=None):
    """It is asked to end, or told to, then killed; who does not even die, as
    the kernel has not let go of its device, is left alone."""
    for act in (ask or child.terminate, child.kill):
        if child.poll() is None:
            act()
        try:
            child.wait(10)
            return
        except subprocess.TimeoutExpired:
            print(f"{child.args[0]} has not ended", file=sys.stderr)


class Process:
    """Runs a command with the counter of UDP datagrams loaded into it."""

    def __init__(self, build, place, name, command, env=(), **kwargs):
        self.count_path = os.path.join(place, name + ".count")
        env = dict(os.environ, **dict(env))
        env["LD_PRELOAD"] = os.path.join(build, "tests/bench/count.so")
        env["BENCH_COUNT"] = self.count_path
        self.how = dict(kwargs, env=env)
        self.launch(command)

    def launch(self, command):
        self.child = subprocess.Popen(command, **self.how)

    def counters(self):
        """Datagrams and bytes sent so far, processor milliseconds."""
        packets, size = 0, 0
        if os.path.exists(self.count_path):
            with open(self.count_path, "rb") as f:
                packets, size = struct.unpack("=QQ", f.read(16))
        with open(f"/proc/{self.child.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        ticks = int(fields[11]) + int(fields[12])
        return packets, size, 1000 * ticks / os.sysconf("SC_CLK_TCK")

    def own(self):
        """Datagrams and bytes sent that nobody asked for; received that
        were asked for."""
        with open(self.count_path, "rb") as f:
            return struct.unpack("=6Q", f.read(48))[2:]

    def syncs(self):
        """How often it made a file durable."""
        with open(self.count_path, "rb") as f:
            return struct.unpack("=7Q", f.read(56))[6]

    def rss_kib(self):
        with open(f"/proc/{self.child.pid}/status") as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        raise OSError("no VmRSS")

    def halt(self, kill=False):
        """The process alone ends."""
        end(self.child, self.child.kill if kill else None)

    def stop(self):
        self.halt()


class Lines:
    """What a child says, a line at a time."""

    def __init__(self, child):
        self.child, self.rest = child, b""

    def line(self, seconds):
        end = time.monotonic() + seconds
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.child.stdout], [], [],
                                              left)[0]:
                raise OSError(f"no answer in {seconds} s")
            got = os.read(self.child.stdout.fileno(), 1 << 16)
            if not got:
                raise OSError("it ended")
            self.rest += got
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode()


class Crowd:
    """Many nodes in one process who have one contact, `hub`, a Process. They
    say "online N"."""

    PATIENCE_S = 300
    AT_ONCE = 8 # on their way

    def __init__(self, hub, command, **env):
        self.hub, self.n, self.online = hub, 0, 0
        self.child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=dict(os.environ, **env))
        self.lines = Lines(self.child)

    def invite(self):
        """One more of them meets the hub."""
        raise NotImplementedError

    def say(self, text):
        self.child.stdin.write(text.encode() + b"\n")
        self.child.stdin.flush()

    def grow(self, n):
        """Until there are n; how many of them are online."""
        end = time.monotonic() + self.PATIENCE_S
        while self.online < n and time.monotonic() < end:
            if self.n < n and self.n - self.online < self.AT_ONCE:
                self.invite()
                self.n += 1
            else:
                self.look(end - time.monotonic())
        return self.online

    def look(self, seconds):
        try:
            words = self.lines.line(max(0, seconds)).split()
            if words[0] == "online":
                self.online = int(words[1])
        except OSError:
            pass

    def rss_kib(self):
        time.sleep(5) # what meeting needed goes back
        return self.hub.rss_kib()

    def stop(self):
        end(self.child, self.child.stdin.close)
        self.hub.stop()


class Pair:
    """Two processes of one kind; figures are the mean of both."""

    def __init__(self):
        self.processes = []

    def counters(self):
        each = [p.counters() for p in self.processes]
        return [sum(column) / len(each) for column in zip(*each)]

    def stop(self):
        for process in self.processes:
            process.stop()
