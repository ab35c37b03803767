"""A private internet of one network namespace: /24s of one public address
each, and between them distance and loss, see tests/bench/wan.c."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import process

DEVICE = "wan"
NET = "45.0" # a range that DHT software takes for public; nothing leaves


def address(i):
    """The one host of the i-th /24."""
    assert 0 < i < 255
    return f"{NET}.{i}.1"


def enter(must=True):
    """Runs this very script again in a namespace of its own, unless it is.
    Where that is impossible it says why not and ends, or returns False."""
    if os.environ.get("BENCH_WAN") == "inside":
        return True
    how = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-Urn"]
    trouble = [f"no {tool} here" for tool in ("unshare", "ip")
               if not shutil.which(tool)]
    if not trouble and (not os.access("/dev/net/tun", os.W_OK) or
                        subprocess.run(how + ["true"], check=False,
                                       stderr=subprocess.DEVNULL).returncode):
        trouble = ["network namespaces or /dev/net/tun cannot be used here"]
    if trouble and must:
        sys.exit(trouble[0])
    if trouble:
        print(trouble[0], file=sys.stderr)
        return False
    os.environ["BENCH_WAN"] = "inside"
    os.execvp(how[0], how + [sys.executable] + sys.argv)
    return True


class Wan:
    """Runs until stop(), one at a time. rtt_ms and loss (of one way, per
    mille); rate (bytes a second of each host, 0: any), buffer_ms."""

    has_rules = False

    def __init__(self, build, rtt_ms, loss, n_hosts=254, seed=1, rate=0,
                 buffer_ms=0):
        run("ip", "link", "set", "lo", "up")
        self.child = subprocess.Popen(
            [os.path.join(build, "tests/bench/wan"), DEVICE,
             str(500 * rtt_ms), str(loss), str(seed), str(rate),
             str(buffer_ms)], stdout=subprocess.PIPE)
        if self.child.stdout.readline() != b"up\n":
            raise OSError("the wide area network does not start")
        run("ip", "link", "set", DEVICE, "up", "mtu", "1500", "txqueuelen",
            "10000")
        batch = "".join(f"addr add {address(i)}/32 dev {DEVICE}\n"
                        for i in range(1, n_hosts + 1))
        run("ip", "-batch", "-", input=batch.encode())
        # All addresses are the namespace's own; still what is sent leaves
        # by the device, and is taken when it comes in there.
        for name in ("wan/accept_local=1", "wan/rp_filter=0",
                     "all/rp_filter=0"):
            path, value = name.split("=")
            with open(f"/proc/sys/net/ipv4/conf/{path}", "w") as f:
                f.write(value)
        self.add_rules()
        run("ip", "route", "add", f"{NET}.0.0/16", "dev", DEVICE, "table",
            "100")

    @classmethod
    def add_rules(cls):
        """They outlive the device."""
        if cls.has_rules:
            return
        run("ip", "rule", "add", "pref", "10", "iif", DEVICE, "lookup",
            "local")
        run("ip", "rule", "add", "pref", "20", "to", f"{NET}.0.0/16",
            "lookup", "100")
        run("ip", "rule", "add", "pref", "30", "lookup", "local")
        run("ip", "rule", "del", "pref", "0")
        cls.has_rules = True

    def stop(self):
        process.end(self.child)


def run(*command, **kwargs):
    subprocess.run(command, check=True, **kwargs)
