"""Bad configurations, damaged files, second daemons: refused with a reason,
never half started, nothing of the first one harmed."""
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import TOP, check, finish  # noqa: E402
from net import Net, need_build, net_daemon  # noqa: E402
from rpc import Closed, Rpc, RpcError  # noqa: E402

BAD_CONFIG = 78
LIMIT_S = 60


def run(folder, *words, env=None):
    """Runs it until it ends; it must, without a socket or a state left."""
    full = {k: v for k, v in os.environ.items()
            if not k.startswith(("XDG_", "LISTEN_", "NOTIFY"))}
    full["HOME"] = folder
    full.update(env or {})
    return subprocess.run([net_daemon(), *words], capture_output=True,
                          text=True, timeout=LIMIT_S, env=full,
                          errors="replace")


def bad_config(net):
    """45"""
    folder = os.path.join(net.folder, "config")
    os.mkdir(folder)
    state = os.path.join(folder, "state")
    path = os.path.join(folder, "btchatd.conf")
    cases = (
        ("unknown key", b"# ok\nlissten = 0.0.0.0:1\n", ":2", "listen"),
        ("no value", b"listen\n", ":1", ""),
        ("bad number", b"event-rows = many\n", ":1", ""),
        ("overflow", b"event-rows = 99999999999999999999\n", ":1", ""),
        ("bad address", b"\n\nlisten = nowhere\n", ":3", ""),
        ("NUL bytes", b"log-level = in\0fo\n", ":1", ""),
        ("a control character", b"state = /tmp/\x1b[31m\n", ":1", ""),
        ("10 MB line", b"state = " + b"x" * 10000000, "", ""),
        ("10 MB of lines", b"# comment\n" * 1000000, "", ""),
        ("empty", b"", "", ""),
        ("a key twice", b"log-level = info\nlog-level = info\n", ":2", ""),
        ("a bad word", b"log-level = loud\n", ":1", ""),
    )
    for name, text, line, word in cases:
        with open(path, "wb") as f:
            f.write(text)
        done = run(folder, "--config", path, "--state", state)
        check("45: %s is exit 78 with its place" % name,
              done.returncode == BAD_CONFIG and path + line in done.stderr and
              word in done.stderr and "\x1b" not in done.stderr,
              done.returncode, done.stderr[:500])
    special = (("missing", lambda: os.unlink(path)),
               ("directory", lambda: os.mkdir(path)))
    for name, make in special:
        make()
        done = run(folder, "--config", path, "--state", state)
        check("45: a %s file is exit 78" % name, done.returncode ==
              BAD_CONFIG and path in done.stderr, done.stderr[:500])
    os.rmdir(path)
    with open(path, "w") as f:
        f.write("log-level = info\n")
    os.chmod(path, 0o666)
    done = run(folder, "--config", path, "--state", state)
    check("45: a file that others may write is exit 78",
          done.returncode == BAD_CONFIG, done.stderr[:500])
    os.chmod(path, 0o600)
    done = run(folder, "--config", path, "--state", state, "--check-config")
    check("a good one passes --check-config", done.returncode == 0,
          done.stderr)
    for words in (["--set", "nonsense=1"], ["--set", "x"],
                  ["--listen", "nowhere"], ["--bootstrap", "nowhere"]):
        done = run(folder, "--config", path, "--state", state, *words)
        check("45: %s is exit 78" % " ".join(words),
              done.returncode == BAD_CONFIG, done.stderr[:500])
    for words in (["--frobnicate"], ["word"]):
        done = run(folder, *words)
        check("usage: %s is exit 2" % words[0], done.returncode == 2,
              done.stderr[:500])
    for words in (["--version"], ["--help"]):
        done = run(folder, *words)
        check(words[0], done.returncode == 0 and done.stdout)
    check("45: nothing was half started", not os.path.exists(state))


def refused(daemon, name, words=()):
    """Starts it again; it must end by itself, with a reason."""
    size = os.path.getsize(daemon.log) if os.path.exists(daemon.log) else 0
    daemon.spawn()
    try:
        status = daemon.process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        daemon.kill()
        check(name, False, "it runs")
        return
    daemon.process = None
    with open(daemon.log, errors="replace") as log:
        log.seek(size)
        text = log.read()
    check(name, status not in (0, -6, -11) and
          all(w in text for w in words), status, text[-800:])


def cut_database(net):
    """While it runs: it does not go on with a new one, and hide the loss."""
    daemon = net.person("cut")
    daemon.stop()
    daemon.start()
    for name in os.listdir(daemon.state):
        if name.startswith("btchat.db"):
            os.truncate(os.path.join(daemon.state, name), 0)
    try:
        said = daemon.call("daemon.selftest")
        check("a cut database is told", not said["ok"], said)
        daemon.call("invite.create")  # nothing of it could be kept
        check("and nothing is written into it", False)
    except (Closed, RpcError, OSError):  # it may have noticed by itself
        pass
    check("the daemon ends, to be started again",
          daemon.process.wait(30) == 75, daemon.tail())
    refused(daemon, "and is not, beside the key", ["store-empty"])


def key_file(net):
    """46"""
    daemon = net.person("keys")
    address = daemon.address
    daemon.stop()
    path = os.path.join(daemon.state, "identity.key")
    with open(path, "rb") as f:
        good = f.read()
    check("the key file is 0600",
          stat.S_IMODE(os.stat(path).st_mode) == 0o600)
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    cases = (("truncated", good[:-1]), ("empty", b""),
             ("too long", good + b"x"), ("flipped", bytes(flipped)),
             ("of another format", good.replace(b"key 1", b"key 9")),
             ("huge", good + b"\0" * 1000000))
    for name, data in cases:
        with open(path, "wb") as f:
            f.write(data)
        refused(daemon, "46: a key file that is %s is refused" % name,
                ["identity.key"])
        with open(path, "rb") as f:
            check("46: and left as it is", f.read() == data)
    with open(path, "wb") as f:
        f.write(good)
    os.chmod(path, 0o644)
    refused(daemon, "46: a key file that others may read is refused",
            ["identity.key", "chmod"])
    os.chmod(path, 0o600)
    shutil.move(path, path + ".away")
    os.symlink(path + ".away", path)
    refused(daemon, "46: a key file that is a symlink is refused",
            ["identity.key"])
    os.unlink(path)
    shutil.move(path + ".away", path)
    daemon.start()
    check("46: the good one works again",
          daemon.ctl("id", "show").pairs()["address"] == address)
    daemon.stop()


def two_daemons(net):
    """47"""
    first = net.person("first")
    second = net.add("second", bootstrap=net.entry)
    second.state = first.state
    refused(second, "47: a second daemon on one state is refused")
    check("47: the first one is unhurt", first.ctl(
        "id", "show").pairs()["address"] == first.address)
    third = net.add("third", bootstrap=net.entry)
    third.socket = first.socket
    refused(third, "47: a socket in use is refused", [first.socket])
    check("47: and the first one keeps it", first.ctl("status").status == 0)
    fourth = net.add("fourth", bootstrap=net.entry, port=first.port)
    refused(fourth, "47: a port in use is refused", [str(first.port)])
    first.kill()
    first.start()
    check("a socket that a killed one left is replaced",
          first.ctl("status").status == 0)
    first.stop()
    check("a clean stop removes its socket", not os.path.exists(first.socket))


def socket_path(net):
    """40"""
    daemon = net.add("path", bootstrap=net.entry)
    target = os.path.join(daemon.folder, "target")
    open(target, "w").close()
    os.symlink(target, daemon.socket)
    refused(daemon, "40: a symlink in place of the socket is refused",
            [daemon.socket])
    check("40: and not followed", os.path.getsize(target) == 0 and
          os.path.islink(daemon.socket))
    os.unlink(daemon.socket)
    open(daemon.socket, "w").close()
    refused(daemon, "40: a file in place of the socket is refused",
            [daemon.socket])
    os.unlink(daemon.socket)
    daemon.start()
    mode = stat.S_IMODE(os.stat(daemon.socket).st_mode)
    check("40: the socket is for its owner alone", mode & 0o077 == 0, mode)
    daemon.stop()


def manager(net):
    """48: what a service manager might hand over."""
    daemon = net.add("notify", bootstrap=net.entry)
    environment = daemon.environment
    daemon.environment = lambda: dict(environment(),
                                      NOTIFY_SOCKET="/nonexistent/socket")
    daemon.spawn()
    with Rpc.connect(daemon.socket, wait=LIMIT_S) as rpc:
        check("48: a bad NOTIFY_SOCKET does not stop it",
              rpc.call("status")["state"])
    check("and it stops cleanly", daemon.stop() == 0)

    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    tcp.bind(("127.0.0.1", 0))
    tcp.listen(1)
    script = ("import os,sys; os.dup2(%d, 3); "
              "os.environ.update(LISTEN_PID=str(os.getpid()), "
              "LISTEN_FDS='1', LISTEN_FDNAMES='udp'); "
              "os.execv(sys.argv[1], sys.argv[1:])" % tcp.fileno())
    done = None
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, *daemon.command()],
            pass_fds=[tcp.fileno(), 3] if tcp.fileno() != 3 else [3],
            capture_output=True, text=True, timeout=20,
            env=environment())
    except subprocess.TimeoutExpired:
        pass
    tcp.close()
    check("48: a TCP socket as udp is a named error",
          done is not None and done.returncode not in (0, -6, -11) and
          "udp" in done.stderr.lower(), done and done.stderr[-500:])


def inherited(net):
    """An inherited UDP socket is used, and named in the status."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    port = udp.getsockname()[1]
    daemon = net.add("inherit", bootstrap=net.entry)
    words = [w for w in daemon.command() if w not in (
        "--listen", "127.0.0.1:%d" % daemon.port)]
    script = ("import os,sys; os.dup2(%d, 3); os.set_inheritable(3, True); "
              "os.environ.update(LISTEN_PID=str(os.getpid()), "
              "LISTEN_FDS='1', LISTEN_FDNAMES='udp'); "
              "os.execv(sys.argv[1], sys.argv[1:])" % udp.fileno())
    daemon.command = lambda: [sys.executable, "-c", script, *words]
    popen = subprocess.Popen

    def keep(*args, **how):
        return popen(*args, pass_fds=[udp.fileno()], **how)

    subprocess.Popen = keep
    try:
        daemon.start()
    finally:
        subprocess.Popen = popen
    local = daemon.call("net.status")["local"]
    check("an inherited socket is used", local == ["127.0.0.1:%d" % port],
          local)
    check("and the daemon stops cleanly", daemon.stop() == 0)
    udp.close()


def signals(net):
    daemon = net.person("signals")
    before = daemon.fds()
    daemon.process.send_signal(signal.SIGHUP)
    check("SIGHUP is survived", daemon.ctl("status").status == 0)
    for _ in range(20):
        daemon.ctl("status")
    check("descriptors do not grow", daemon.fds() <= before + 1,
          before, daemon.fds())
    daemon.process.send_signal(signal.SIGINT)
    check("SIGINT is a clean stop", daemon.process.wait(LIMIT_S) == 0)
    daemon.process = None


def reload(net):
    path = os.path.join(net.folder, "reload.conf")

    def put(text):
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o600)

    put("log-level = warning\n")
    daemon = net.add("reload", extra=["--config", path]).start()
    put("log-level = debug\n")
    check("config.reload says which file it was",
          daemon.call("config.reload") == {"file": path})
    check("and what may change has changed",
          daemon.call("config.get", key="log-level")["value"] == "debug")
    put("log-level = info\nno-such-key = 1\n")
    done = daemon.ctl("config", "reload", ok=False)
    check("a wrong file is refused", done.status == 1 and
          "stays as it was" in done.err, done.err)
    try:
        daemon.call("config.reload")
        check("and why is said", False)
    except RpcError as e:
        check("and why is said", e.name == "INVALID_STATE" and
              "no-such-key" in e.data["reason"], e.data)
    check("nothing of it was taken",
          daemon.call("config.get", key="log-level")["value"] == "debug")
    put("log-level = info\n")
    daemon.ctl("config", "reload")
    check("a right one is taken again",
          daemon.call("config.get", key="log-level")["value"] == "info")
    daemon.stop()


def settings(net):
    """Set while it runs, sandbox and all: durable, and the file stays."""
    path = os.path.join(net.folder, "settings.conf")
    said = "# mine\nlog-level = warning\nread-receipts = yes\n"
    with open(path, "w") as f:
        f.write(said)
    os.chmod(path, 0o600)
    daemon = net.add("settings", extra=["--config", path]).start()
    done = daemon.ctl("config", "set", "log-level", "debug")
    check("without an identity a setting is taken",
          done.rows() == [["log-level", "debug", "now"]], done.out)
    daemon.create_identity()
    done = daemon.ctl("config", "set", "reachable", "yes")
    check("one that needs a restart says so",
          done.rows() == [["reachable", "yes", "restart"]], done.out)
    told = daemon.wait_event("config.changed", key="reachable")["data"]
    check("and an event tells of it", told == {
        "key": "reachable", "value": "yes", "source": "setting",
        "restart_needed": True}, told)
    daemon.ctl("config", "set", "read-receipts", "no")
    daemon.kill()
    daemon.start()
    shown = {row[0]: row[1:3] for row in daemon.ctl("config", "ls").rows()}
    check("all of them outlive a kill", [
        shown[key] for key in ("log-level", "reachable", "read-receipts")] ==
        [["debug", "setting"], ["yes", "setting"], ["no", "setting"]], shown)
    for key in ("log-level", "reachable", "read-receipts"):
        daemon.ctl("config", "set", key, "--unset")
    shown = {i["key"]: i for i in daemon.call("config.list")["items"]}
    check("taken back, the file counts again",
          [shown["log-level"]["value"], shown["read-receipts"]["value"],
           shown["reachable"]["next"]] == ["warning", "yes", "auto"], shown)
    with open(path) as f:
        check("which nobody has touched", f.read() == said)
    with open(path, "w") as f:
        f.write("no-such-key = 1\n")
    done = daemon.ctl("config", "set", "event-days", "3", ok=False)
    check("nothing is set beside a file that is wrong", done.status == 1 and
          "no-such-key" in done.err, done.err)
    daemon.stop()


def port_is_kept(net):
    """Port 0 chooses once."""
    daemon = net.add("port0", bootstrap=net.entry)
    daemon.port = 0
    daemon.start()
    first = daemon.call("net.status")["local"]
    daemon.stop()
    daemon.start()
    second = daemon.call("net.status")["local"]
    check("a port that was chosen is kept", first == second and
          not first[0].endswith(":0"), first, second)
    daemon.stop()


def manual():
    """Every log event that the code has is explained in btchatd(8)."""
    code = ""
    for name in sorted(os.listdir(os.path.join(TOP, "daemon"))):
        if name.endswith(".c"):
            with open(os.path.join(TOP, "daemon", name)) as f:
                code += f.read()
    names = {n for call in re.findall(r"\blog_event\(([^;]*);", code)
             for n in re.findall(r'"([a-z]+(?:-[a-z]+)*)"',
                                 call.split(",", 1)[1].split('%')[0])}
    with open(os.path.join(TOP, "man", "btchatd.8")) as f:
        page = {w for line in f if line.startswith(".It Sy")
                for w in line.split(" Pq ")[0].split()[2:]} - {","}
    internal = {"apply-failed", "store-close"}  # cannot happen; debugging
    check("btchatd(8) explains every log event", names - page <= internal,
          sorted(names - page - internal))
    check("btchatd(8) explains no other", page <= names, sorted(page - names))


def main():
    need_build()
    manual()
    with Net() as net:
        bad_config(net)
        key_file(net)
        cut_database(net)
        two_daemons(net)
        socket_path(net)
        manager(net)
        inherited(net)
        signals(net)
        reload(net)
        settings(net)
        port_is_kept(net)
    finish()


if __name__ == "__main__":
    main()
