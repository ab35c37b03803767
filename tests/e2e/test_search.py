#!/usr/bin/python3
"""Searching the history, from RPC and the command line, over a restart."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402


def found(daemon, query, **more):
    """Texts around the matches, newest first, over all pages."""
    texts, after = [], {}
    while True:
        page = daemon.call("message.search", query=query, **more, **after)
        texts += [hit["snippet"] for hit in page["items"]]
        if not page["next"]:
            return texts
        after = {"after": page["next"]}


def some_of_all(alice, bob, to_bob, to_alice):
    """By who said it, and when."""
    middle = None
    for who, to, text in ((alice, to_bob, "quill 1"), (bob, to_alice,
                          "quill 2"), (alice, to_bob, "quill 3")):
        ident, = who.write(to, [text])
        check("%s arrives" % text, who.came(ident))
        if text == "quill 2":
            middle = bob.call("message.get", id=ident)["sent_ms"]
    for more, want in (
            ({"direction": "out"}, "31"), ({"direction": "in"}, "2"),
            ({"since_ms": middle}, "32"), ({"until_ms": middle}, "1"),
            ({"until_ms": middle + 1}, "21"),
            ({"since_ms": middle, "until_ms": middle + 1}, "2"),
            ({"since_ms": middle, "until_ms": middle}, ""),
            ({"direction": "out", "since_ms": middle}, "3")):
        got = found(alice, "quill", **more)
        check("only %s" % sorted(more), got ==
              ["quill " + n for n in want], got)


def main():
    need_build()
    with Net() as net:
        alice, bob, to_bob, to_alice = net.couple()
        idents = {}
        for text in ("Tea at five?", "Caf\u00e9 at six", "teatime",
                     "x" * 3000 + " needle " + "y" * 3000):
            idents[text], = alice.write(to_bob, [text])
        check("all arrives", alice.came(*idents.values()))
        for who in (alice, bob):
            check("words are found by how they begin",
                  found(who, "TEA") == ["teatime", "Tea at five?"])
        check("accents count for nothing", found(bob, "cafe") ==
              ["Caf\u00e9 at six"])
        check("page by page", found(alice, "a", limit=1) ==
              ["Caf\u00e9 at six", "Tea at five?"])
        check("in one conversation", found(alice, "tea", conv=to_bob) ==
              ["teatime", "Tea at five?"] and
              found(alice, "tea", conv="a" * 26) == [])
        some_of_all(alice, bob, to_bob, to_alice)
        hit = alice.call("message.search", query="needle")["items"][0]
        at = hit["matches"][0]
        check("a long text is shown around its match", hit["cut"] and
              hit["snippet"][at["at"]:at["at"] + at["bytes"]] == "needle",
              hit)
        alice.call("message.edit", id=idents["teatime"], text="supper")
        check("an edit is found as it is now", found(alice, "tea") ==
              ["Tea at five?"] and found(alice, "supper") == ["supper"])
        alice.kill()
        alice.start()
        check("also after a restart", found(alice, "supper") == ["supper"] and
              found(alice, "teatime") == [])
        alice.refuses("there is a word to look for", -32602,
                      "message.search", query="?!")
        rows = bob.ctl("search", "tea", "--in", "alice").rows()
        check("search prints rows", [r[0] for r in rows] ==
              [idents["Tea at five?"]] and rows[0][4] == "Tea at five?", rows)
        check("search -n", len(alice.ctl("search", "a", "-n", "1").rows()) ==
              1)
    finish()


if __name__ == "__main__":
    main()
