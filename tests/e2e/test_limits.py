"""Limits that the system sets: hostile inputs 60 (descriptors), 62 (memory of
a cgroup), 63 (locked memory)."""
import os
import resource
import select
import shutil
import signal
import stat
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import BUILD, check, finish  # noqa: E402
from net import Net, need_build, net_daemon  # noqa: E402
from rpc import Closed, Rpc  # noqa: E402

NOBODY = 65534
GROUPS = ("/sys/fs/cgroup/memory", "/sys/fs/cgroup")  # version 1, 2


def set_files(d, count):
    hard = resource.prlimit(d.process.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(d.process.pid, resource.RLIMIT_NOFILE, (count, hard))


def cpu_s(d):
    with open("/proc/%d/stat" % d.process.pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(net):
    d = net.add("few").start()
    d.call("identity.create")
    old = d.rpc()
    taken = len(os.listdir("/proc/%d/fd" % d.process.pid))
    set_files(d, taken)
    late = [Rpc.connect(d.socket) for _ in range(8)]
    ids = [rpc.send("session.info") for rpc in late]
    check("60: who is connected is served", old.call("session.info")["api"])
    check("60: and can write", old.call("identity.set", name="me")["name"] ==
          "me")
    before = cpu_s(d)
    for _ in range(200):  # some time, by the daemon's own clock
        old.call("status")
    ready, _, _ = select.select([rpc.sock for rpc in late], [], [], 1)
    check("60: who finds no room waits", len(ready) < len(late), len(ready))
    check("60: and costs nothing", cpu_s(d) - before < 0.5,
          cpu_s(d) - before)
    set_files(d, 256)
    check("60: when there is room all are served",
          all(rpc.result(i, 30)["api"] for rpc, i in zip(late, ids)))
    for rpc in [old] + late:
        rpc.close()
    check("60: it stops with 0", d.stop() == 0, d.tail())
    none = net.add("none")
    path = os.path.join(net.folder, "narrow")
    with open(path, "w") as f:
        f.write("#!/bin/sh\nulimit -n 8\nexec '%s' \"$@\"\n" %
                os.path.abspath(net_daemon()))
    os.chmod(path, stat.S_IRWXU)
    os.environ["BTCHATD"] = path
    none.spawn()
    status = none.process.wait(60)
    del os.environ["BTCHATD"]
    check("60: with eight descriptors it says what is missing and ends",
          status in (1, 75) and "files" in none.tail(), status,
          none.tail())


def group():
    """A cgroup of our own with little memory, or None and why."""
    for top in GROUPS:
        one = os.path.join(top, "btchat-test-%d" % os.getpid())
        name = ("memory.limit_in_bytes" if top.endswith("/memory")
                else "memory.max")
        try:
            os.mkdir(one)
            with open(os.path.join(one, name), "w") as f:
                f.write(str(24 << 20))
            return one
        except OSError:
            if os.path.isdir(one):
                os.rmdir(one)
    return None


def memory(net):
    one = group()
    if not one:
        print("# 62: no cgroup with a limit of memory can be made here")
        return
    d, other = net.add("small").start(), net.add("other").start()
    d.call("identity.create")
    bob = d.call("contact.add",
                 address=other.call("identity.create")["address"])["contact"]
    other.stop()
    with open(os.path.join(one, "cgroup.procs"), "w") as f:
        f.write(str(d.process.pid))
    said = []
    try:
        with d.rpc() as rpc:
            for i in range(100000):
                text = "%06d %s" % (i, "x" * 60000)
                rpc.call("message.send", conv=bob, text=text,
                         client_id="m%d" % i)
                said.append(text[:6])
    except (OSError, Closed):
        pass
    check("62: it is killed at its limit of memory, and not at once",
          d.process.wait(60) == -signal.SIGKILL and len(said) > 10,
          d.process.returncode, len(said))
    d.start()
    have = [m["text"][:6] for m in d.history(bob)]
    check("62: what it acknowledged is there, once",
          set(said) <= set(have) and len(have) == len(set(have)),
          len(said), len(have))
    d.stop()
    os.rmdir(one)


def locked(net):
    """Without privileges: root locks what it likes."""
    d = net.add("unlocked")
    place = os.path.join(net.folder, "unlocked", "bin")
    os.makedirs(place)
    copy = shutil.copy(net_daemon(), place)
    for folder, _, _ in os.walk(d.folder):
        os.chown(folder, NOBODY, NOBODY)
    os.chmod(net.folder, 0o711)
    done = subprocess.run(
        ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY),
         "--clear-groups", "--inh-caps=-all", "prlimit", "--memlock=0:0",
         copy, *d.command()[1:]], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
        check=False)
    check("63: without locked memory it refuses, and says why",
          done.returncode == 1 and b"limit memlock" in done.stdout,
          done.returncode, done.stdout[-300:])


def main():
    need_build()
    with Net() as net:
        descriptors(net)
        if os.geteuid() != 0 or not BUILD.endswith("-none"):
            print("# 62, 63: only for root, and without sanitizers")
        else:
            memory(net)
            locked(net)
    finish()


main()
