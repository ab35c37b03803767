"""A disk that takes no more: calls of that turn say so, nothing of them is
kept, the connection and the daemon go on. Part of hostile input 51."""
import os
import resource
import stat
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, need_build, net_daemon  # noqa: E402
from rpc import RpcError  # noqa: E402

FULL = (700, 701)


def wrap(net):
    """A write beyond the limit is an error then, not a signal."""
    path = os.path.join(net.folder, "wrapped")
    with open(path, "w") as f:
        f.write("#!/bin/sh\ntrap '' XFSZ\nexec '%s' \"$@\"\n"
                % os.path.abspath(net_daemon()))
    os.chmod(path, stat.S_IRWXU)
    os.environ["BTCHATD"] = path


def limit(d, size):
    hard = resource.prlimit(d.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(d.process.pid, resource.RLIMIT_FSIZE, (size, hard))


def code(reply):
    return reply.get("error", {}).get("code")


def text(i):
    return "%06d %s" % (i, "x" * 1000)


def send_many(rpc, conv, count):
    """Pipelined; (index, reply) of each."""
    ids = [rpc.send("message.send", {"conv": conv, "text": text(i),
                                     "client_id": "m%d" % i})
           for i in range(count)]
    return [rpc.reply(i) for i in ids]


def full_disk(d, bob):
    with d.rpc() as rpc, d.rpc() as other:
        other.call("events.subscribe", types=["message.new"],
                   ephemeral=False)
        check("sub.live", other.next_note()["method"] == "sub.live")
        rpc.call("message.send", conv=bob, text="before")
        limit(d, 4096)
        replies = send_many(rpc, bob, 200)
        codes = {code(r) for r in replies}
        check("51: no call is acknowledged", codes <= set(FULL), codes)
        check("51: each is answered with its own id, in order",
              [r["id"] for r in replies] == sorted(r["id"] for r in replies))
        check("51: and said to be worth trying again",
              all(r["error"]["data"]["retryable"] for r in replies))
        batch = ('[{"jsonrpc":"2.0","id":"a","method":"message.send","params":'
                 '{"conv":"%s","text":"x"}},{"jsonrpc":"2.0","id":"b",'
                 '"method":"nonsense"}]\n' % bob)
        rpc.send_raw(batch.encode())
        reply = rpc.read_json()
        check("51: a batch keeps its form", [r["id"] for r in reply] ==
              ["a", "b"] and code(reply[0]) in FULL, reply)
        check("51: reading goes on", rpc.call("session.info")["api"] != "")
        limit(d, resource.RLIM_INFINITY)
        retry(rpc, bob)
        check("51: nothing was sent twice or lost", sorted(
            m["text"] for m in d.history(bob)) == sorted(
            ["before"] + [text(i) for i in range(200)]))
        told = []
        while len(told) < 201:
            told.append(other.next_note()["params"]["data"]["text"])
        check("51: events tell of what was stored, once",
              sorted(told) == sorted(["before"] + [text(i)
                                                   for i in range(200)]))


def retry(rpc, bob):
    """The same again, by client_id, until the daemon could write again;
    it says so by taking them."""
    for i in range(200):
        for _ in range(100000):
            try:
                rpc.call("message.send", conv=bob, text=text(i),
                         client_id="m%d" % i)
                break
            except RpcError as e:
                if e.code not in FULL:
                    raise


def main():
    need_build()
    with Net() as net:
        wrap(net)
        d, other = net.add("alice").start(), net.add("bob").start()
        address = other.call("identity.create")["address"]
        other.stop()
        d.call("identity.create")
        bob = d.call("contact.add", address=address)["contact"]
        full_disk(d, bob)
        check("and it stops with 0", d.stop() == 0, d.tail())
        d.start()
        check("51: and has all of it after a restart",
              len(d.history(bob)) == 201)
    finish()


main()
