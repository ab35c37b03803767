"""A measured process: what it sent, how long it computed, what it holds."""
import os
import struct
import subprocess


class Process:
    """Runs a command with the counter of UDP datagrams loaded into it."""

    def __init__(self, build, place, name, command, env=(), **kwargs):
        self.count_path = os.path.join(place, name + ".count")
        env = dict(os.environ, **dict(env))
        env["LD_PRELOAD"] = os.path.join(build, "tests/bench/count.so")
        env["BENCH_COUNT"] = self.count_path
        self.child = subprocess.Popen(command, env=env, **kwargs)

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

    def rss_kib(self):
        with open(f"/proc/{self.child.pid}/status") as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        raise OSError("no VmRSS")

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


class Pair:
    """Two processes of one kind; figures are the mean of both."""

    def __init__(self):
        self.processes = []
        self.figures = {}
        self.notes = []

    def counters(self):
        each = [p.counters() for p in self.processes]
        return [sum(column) / len(each) for column in zip(*each)]

    def rss_kib(self):
        return sum(p.rss_kib() for p in self.processes) / len(self.processes)

    def stop(self):
        for process in self.processes:
            process.stop()
