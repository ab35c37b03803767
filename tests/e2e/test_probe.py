#!/usr/bin/python3
"""net.probe: an answer that comes, that does not, that never will."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402
from rpc import RpcError  # noqa: E402


def refused(rpc, id):
    """Name and verdict of the error that it comes to."""
    try:
        return rpc.result(id)
    except RpcError as e:
        return e.name, e.data.get("verdict")


def main():
    need_build()
    with Net() as net:
        alice, bob, to_bob, _ = net.couple()
        check("a word arrives", alice.came(*alice.write(to_bob, ["hello"])))
        with alice.rpc() as rpc:
            ids = [rpc.send("net.probe", {"contact": to_bob})
                   for _ in range(20)]
            got = [rpc.result(i) for i in ids]
            check("all who ask are answered", all(
                (r["contact"], r["way"]) == (to_bob, "direct") for r in got),
                got)
            got = rpc.call("net.peers")["items"][0]["path"]
            check("by the path in use", rpc.call(
                "net.probe", contact=to_bob)["path"] == got, got)
            rpc.call("net.rebind")
            check("as in another network the session goes on", rpc.call(
                "net.probe", contact=to_bob)["contact"] == to_bob and
                alice.came(*alice.write(to_bob, ["from elsewhere"])))
            bob.process.send_signal(signal.SIGSTOP)
            id = rpc.send("net.probe", {"contact": to_bob, "timeout_ms": 300})
            check("who does not answer is told in time",
                  refused(rpc, id) == ("TIMEOUT", "online"))
            id = rpc.send("net.probe", {"contact": to_bob})
            check("others are served meanwhile", rpc.call("status")["online"])
            rpc.call("contact.block", contact=to_bob)
            check("when the session ends there will be no answer",
                  refused(rpc, id)[0] == "PEER_UNREACHABLE")
            id = rpc.send("net.probe", {"contact": to_bob})
            check("who is blocked is not asked",
                  refused(rpc, id) == ("BLOCKED", None))
            bob.process.send_signal(signal.SIGCONT)
            rpc.call("contact.unblock", contact=to_bob)
            check("a word arrives again",
                  alice.came(*alice.write(to_bob, ["again"])))
            check("and so does an answer", rpc.call(
                "net.probe", contact=to_bob)["contact"] == to_bob)
            rpc.send_raw(b'[{"jsonrpc":"2.0","id":"b","method":"net.probe",'
                         b'"params":{"contact":"%s"}}]\n' % to_bob.encode())
            got = rpc.read_json()
            check("it does not go into a batch",
                  got[0]["error"]["code"] == -32600, got)
        bob.stop()
        done = alice.ctl("net", "probe", "bob", "--timeout", "1", ok=False)
        check("btchatctl says so with exit 6", done.status == 6 and done.err,
              done.status, done.err)
    finish()


if __name__ == "__main__":
    main()
