"""A private internet: hosts with public addresses, a network namespace each.

    with Internet() as net:
        a, b = net.host("45.12.3.4"), net.host("62.5.6.7")
        with a.inside():        # sockets and threads made here are a's
            ...
        subprocess.Popen(a.command("ping", "62.5.6.7"))

All hosts hang on one router in a namespace of its own, which has no way out:
no packet leaves. The namespaces have no names; nothing but descriptors of
this process and the processes inside hold them, so the kernel takes them
away with their last user, whatever happens to a test.
"""
import contextlib
import ctypes
import os
import shutil
import subprocess
import sys

CLONE_NEWNET = 0x40000000
HERE = "/proc/thread-self/ns/net"
ROUTER = "192.88.99.1"
libc = ctypes.CDLL(None, use_errno=True)


def must(result):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def missing():
    """Why there can be no namespaces here, or None. Whoever is not root
    becomes root of a user namespace first, where the system allows it."""
    for program in ("ip", "nsenter", "unshare"):
        if not shutil.which(program):
            return "there is no " + program
    if os.geteuid() != 0 and "BTCHAT_IN_USERNS" not in os.environ:
        probe = subprocess.run(["unshare", "-rn", "true"],
                               capture_output=True)
        if probe.returncode == 0:
            os.environ["BTCHAT_IN_USERNS"] = "1"
            os.execvp("unshare", ["unshare", "-rn", sys.executable, *sys.argv])
    try:
        with Internet():
            return None
    except (OSError, subprocess.CalledProcessError) as error:
        return "no network namespaces: %s" % error


class Space:
    """A network namespace."""

    def __init__(self):
        with keep_own():
            must(libc.unshare(CLONE_NEWNET))
            self.fd = os.open(HERE, os.O_RDONLY | os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            self.set("ipv6/conf/all/disable_ipv6", 1)
        self.path = "/proc/%d/fd/%d" % (os.getpid(), self.fd)

    @contextlib.contextmanager
    def inside(self):
        """The calling thread, and what it starts, is in this namespace."""
        with keep_own():
            must(libc.setns(self.fd, CLONE_NEWNET))
            yield

    def command(self, *words):
        """The words of a command that runs here, as the same process."""
        return ["nsenter", "--net=" + self.path, "--", *words]

    def set(self, name, value):
        """A sysctl, which is that of the namespace of who writes it."""
        with self.inside(), open("/proc/sys/net/" + name, "w") as f:
            f.write(str(value))

    def ip(self, *lines):
        with self.inside():
            subprocess.run(["ip", "-batch", "-"], text=True, check=True,
                           input="\n".join(lines) + "\n",
                           stdout=subprocess.DEVNULL)

    def close(self):
        os.close(self.fd)


@contextlib.contextmanager
def keep_own():
    own = os.open(HERE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        must(libc.setns(own, CLONE_NEWNET))
        os.close(own)


class Host(Space):
    def __init__(self, addr):
        super().__init__()
        self.addr = addr


class Internet:
    def __init__(self):
        self.hosts = []
        self.hub = Space()
        # Neighbours are few per machine, over all namespaces: a router has
        # one for each host, where a bridge would have one for each pair.
        self.hub.set("ipv4/ip_forward", 1)
        self.hub.ip("link set lo up", "addr add %s/32 dev lo" % ROUTER)

    def host(self, addr):
        """A new host, one hop from all others."""
        host = Host(addr)
        self.hosts.append(host)
        plug = "p%d" % len(self.hosts)
        self.hub.ip("link add %s type veth peer name eth0 netns %s" % (
                        plug, host.path),
                    "link set %s up" % plug,
                    "route add %s dev %s" % (addr, plug))
        host.ip("link set lo up", "addr add %s/32 dev eth0" % addr,
                "link set eth0 up",
                "route add default via %s dev eth0 onlink" % ROUTER)
        return host

    def close(self):
        for space in self.hosts + [self.hub]:
            space.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()


# First bytes of networks that are in use; libtorrent ignores some others.
FIRST = (45, 46, 62, 77, 81, 91, 93, 109, 176, 188, 193, 212)


def all_addresses(rng):
    """Public ones from a random.Random."""
    while True:
        yield "%d.%d.%d.%d" % (rng.choice(FIRST), rng.randrange(256),
                               rng.randrange(256), rng.randrange(1, 255))


def addresses(rng):
    """The same, each in a /16 of its own."""
    seen = []
    for addr in all_addresses(rng):
        head = addr.split(".")[:2]
        if head not in seen:
            seen.append(head)
            yield addr
