"""A private internet of one network namespace: /24s of one public address
each, and between them distance and loss, see tests/bench/wan.c."""
import os
import shutil
import subprocess
import sys

DEVICE = "wan"
NET = "45.0" # a range that DHT software takes for public; nothing leaves


def address(i):
    """The one host of the i-th /24."""
    assert 0 < i < 255
    return f"{NET}.{i}.1"


def enter():
    """Runs this very script again in a namespace of its own, unless it is.
    Says why not, and ends, where that is impossible."""
    if os.environ.get("BENCH_WAN") == "inside":
        return
    how = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-Urn"]
    for tool in ("unshare", "ip"):
        if not shutil.which(tool):
            sys.exit(f"no {tool} here")
    if not os.access("/dev/net/tun", os.W_OK) or subprocess.run(
            how + ["true"], check=False, stderr=subprocess.DEVNULL).returncode:
        sys.exit("network namespaces or /dev/net/tun cannot be used here")
    os.environ["BENCH_WAN"] = "inside"
    os.execvp(how[0], how + [sys.executable] + sys.argv)


class Wan:
    """Runs until stop(). rtt_ms and loss (of one way, per mille)."""

    def __init__(self, build, rtt_ms, loss, n_hosts=254, seed=1):
        run("ip", "link", "set", "lo", "up")
        self.child = subprocess.Popen(
            [os.path.join(build, "tests/bench/wan"), DEVICE,
             str(500 * rtt_ms), str(loss), str(seed)],
            stdout=subprocess.PIPE)
        if self.child.stdout.readline() != b"up\n":
            raise OSError("the wide area network does not start")
        run("ip", "link", "set", DEVICE, "up", "mtu", "1500")
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
        run("ip", "rule", "add", "pref", "10", "iif", DEVICE, "lookup",
            "local")
        run("ip", "rule", "add", "pref", "20", "to", f"{NET}.0.0/16",
            "lookup", "100")
        run("ip", "rule", "add", "pref", "30", "lookup", "local")
        run("ip", "rule", "del", "pref", "0")
        run("ip", "route", "add", f"{NET}.0.0/16", "dev", DEVICE, "table",
            "100")

    def stop(self):
        self.child.terminate()
        self.child.wait()


def run(*command, **kwargs):
    subprocess.run(command, check=True, **kwargs)
