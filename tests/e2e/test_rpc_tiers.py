"""Sockets handed over by a service manager: their name is the tier."""
import os
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from handed import listen, spawn  # noqa: E402
from net import Net, need_build  # noqa: E402
from rpc import Rpc, RpcError  # noqa: E402

NAMES = ("readonly", "control", "admin")


def error(rpc, rpc_method, /, **params):
    try:
        rpc.call(rpc_method, **params)
    except RpcError as e:
        return e
    return None


def denied(e, needs, have):
    return e and (e.code, e.name, e.data["needs"], e.data["have"]) == (
        100, "PERMISSION_DENIED", needs, have)


def tiers(net):
    d = net.add("tiers")
    path = {n: os.path.join(d.folder, n) for n in NAMES}
    sockets = [(n, listen(path[n])) for n in NAMES]
    spawn(d, sockets)
    d.wait_ready()
    check("with sockets handed over it makes none",
          not os.path.exists(d.socket))
    rpc = {n: Rpc.connect(path[n]) for n in NAMES}
    info = {n: rpc[n].call("session.info") for n in NAMES}
    check("the name of the socket is the tier",
          [info[n]["tier"] for n in NAMES] == ["read", "chat", "admin"])
    methods = [set(info[n]["methods"]) for n in NAMES]
    check("each tier includes the one below",
          methods[0] < methods[1] < methods[2])
    read, chat, admin = (rpc[n] for n in NAMES)
    check("readonly may not create", denied(
        error(read, "identity.create"), "chat", "read"))
    e = error(read, "message.send", conv="x", text=1)
    check("and is denied before its parameters are looked at",
          denied(e, "chat", "read") and e.data["socket"] == "control", e)
    chat.call("identity.create")
    check("control may not stop it", denied(
        error(chat, "daemon.shutdown"), "admin", "chat"))
    check("nor set the log level", denied(
        error(chat, "daemon.loglevel", level="debug"), "admin", "chat"))
    check("nor name nodes", denied(
        error(chat, "net.bootstrap", node="127.0.0.1:1"), "admin", "chat"))
    check("admin may", admin.call("daemon.loglevel")["level"] != "")
    check("readonly may look", read.call("contact.list")["items"] == [])
    for name in methods[2] - methods[0]:
        e = error(read, name)
        if not (e and e.code == 100):
            check("readonly may not %s" % name, False, e)
    for i in range(4):
        read.call("events.subscribe", consumer="r%d" % i)
    e = error(read, "events.subscribe", consumer="r4")
    check("readonly may make four consumers", e and e.code == 402, e)
    check("control may make more",
          chat.call("events.subscribe", consumer="c")["sub"] == 1)
    admin.call("daemon.shutdown")
    check("and admin stops it", d.process.wait(60) == 0)
    d.process = None
    check("it leaves sockets that are not its own",
          all(os.path.exists(p) for p in path.values()))
    for _, s in sockets:
        s.close()


def refused(net, name, s, what):
    d = net.add("refused-" + what.split()[-1])
    spawn(d, [(name, s)])
    status = d.process.wait(60)
    d.process = None
    check("48: %s as a control socket is refused" % what, status != 0
          and "admin" in d.tail() and "socket-refused" in d.tail(),
          status, d.tail())
    s.close()


def strange(net):
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    tcp.bind(("127.0.0.1", 0))
    tcp.listen(1)
    refused(net, "admin", tcp, "a TCP socket")
    one, two = socket.socketpair()
    refused(net, "admin", one, "a connection")
    two.close()
    d = net.add("whole-names")
    path = os.path.join(d.folder, "s")
    with listen(path) as s:
        spawn(d, [("admi", s)])
        d.wait_ready()
        check("names are compared whole: another one is not ours",
              "state" in d.call("status"))
        d.stop()


def main():
    need_build()
    with Net() as net:
        tiers(net)
        strange(net)
    finish()


main()
