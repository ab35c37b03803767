"""JSON-RPC 2.0, by the sections of its specification, and JSON, by RFC 8259.

A row is what is sent, and the replies to it: a reply is (id, code), None
instead of the code for a result; those of a batch are a list. Every reply of
every row is also held against what section 5 says of its form.

Where we differ, on purpose (btchat-rpc(7) WIRE RULES), a row begins with "!":
parameters have names; a null or a fraction is no id; only session.* and
typing.set may go without one, so that no call fails in silence."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402
from rpc import Closed  # noqa: E402

PARSE, REQUEST, METHOD, PARAMS = -32700, -32600, -32601, -32602
HEAD = '"jsonrpc": "2.0"'


def call(method, id_=None, params=None):
    """A request's text, members in the order of the specification."""
    return "{" + ", ".join(filter(None, (
        HEAD, '"method": "%s"' % method, params and '"params": ' + params,
        id_ and '"id": ' + id_))) + "}"


ROWS = (
    # section, what, sent, replies
    ("4", "jsonrpc is exactly \"2.0\"",
     '{"jsonrpc": "2.1", "method": "status", "id": 1}', [(1, REQUEST)]),
    ("4", "not a number",
     '{"jsonrpc": 2.0, "method": "status", "id": 1}', [(1, REQUEST)]),
    ("4", "not \"2\"",
     '{"jsonrpc": "2", "method": "status", "id": 1}', [(1, REQUEST)]),
    ("4", "and is there: a request of JSON-RPC 1.0",
     '{"method": "status", "params": {}, "id": 1}', [(1, REQUEST)]),
    ("4", "method is there", "{%s, \"id\": 1}" % HEAD, [(1, REQUEST)]),
    ("4", "method is a string, not null",
     '{%s, "method": null, "id": 1}' % HEAD, [(1, REQUEST)]),
    ("4", "nor a list",
     '{%s, "method": ["status"], "id": 1}' % HEAD, [(1, REQUEST)]),
    ("4", "members come in any order",
     '{"id": 1, "params": {}, "method": "status", %s}' % HEAD, [(1, None)]),
    ("4", "names are case-sensitive",
     '{"JSONRPC": "2.0", "method": "status", "id": 1}', [(1, REQUEST)]),
    ("4", "so are methods", call("Status", "1"), [(1, METHOD)]),
    ("4", "rpc.* is reserved", call("rpc.anything", "1"), [(1, METHOD)]),
    ("4", "a method has no blanks around it", call(" status ", "1"),
     [(1, METHOD)]),
    ("4", "an empty method is none that is there", call("", "1"),
     [(1, METHOD)]),
    ("4", "params may be left out", call("status", "1"), [(1, None)]),
    ("4", "params is no string", call("status", "1", '"bar"'),
     [(1, PARAMS)]),
    ("4", "no number", call("status", "1", "1"), [(1, PARAMS)]),
    ("4", "no true", call("status", "1", "true"), [(1, PARAMS)]),
    ("4", "! null is none", call("status", "1", "null"), [(1, None)]),
    ("4", "an id is a string", call("status", '"1"'), [("1", None)]),
    ("4", "or a number", call("status", "1"), [(1, None)]),
    ("4", "or less than nothing", call("status", "-7"), [(-7, None)]),
    ("4", "1 and \"1\" are two ids",
     call("status", "1") + "\n" + call("status", '"1"'),
     [(1, None), ("1", None)]),
    ("4", "! no fraction", call("status", "1.5"), [(None, REQUEST)]),
    ("4", "! not null", call("status", "null"), [(None, REQUEST)]),
    ("4", "no list", call("status", "[1]"), [(None, REQUEST)]),
    ("4", "no object", call("status", "{}"), [(None, REQUEST)]),
    ("4", "no true", call("status", "true"), [(None, REQUEST)]),
    ("4", "a request is an object: no string", ' "status"',
     [(None, REQUEST)]),
    ("4", "no number", " 7", [(None, REQUEST)]),
    ("4", "not null", " null", [(None, REQUEST)]),
    ("4.1", "a notification draws nothing",
     call("session.hello"), []),
    ("4.1", "nor if it is wrong",
     call("session.hello", params='{"x": 1}'), []),
    ("4.1", "nor if there is no such method", call("session.nothing"), []),
    ("4.1", "! but what may not go without an id", call("status"),
     [(None, REQUEST)]),
    ("4.1", "! known or not", call("foobar"), [(None, REQUEST)]),
    ("4.2", "params by name", call("session.hello", "1", '{"strict": true}'),
     [(1, None)]),
    ("4.2", "names match exactly",
     call("session.hello", "1", '{"Strict": true}'), [(1, PARAMS)]),
    ("4.2", "names that are not expected are errors",
     call("status", "1", '{"x": 1}'), [(1, PARAMS)]),
    ("4.2", "names that lack are",
     call("config.get", "1", "{}"), [(1, PARAMS)]),
    ("4.2", "! params by position", call("config.get", "1", '["listen"]'),
     [(1, PARAMS)]),
    ("5", "an id that cannot be found out is null", '{"id": 1', [(None, PARSE)]),
    ("5", "one that can is said, though the request is none",
     '{"foo": "boo", "id": 5}', [(5, REQUEST)]),
    ("6", "a batch of one is answered by a list",
     "[" + call("status", "1") + "]", [[(1, None)]]),
    ("6", "an empty one by one error", "[]", [(None, REQUEST)]),
    ("6", "blanks do not fill it", "[ \t ]", [(None, REQUEST)]),
    ("6", "one of notifications by nothing, not by an empty list",
     "[" + call("session.hello") + ", " + call("session.info") + "]", []),
    ("6", "notifications among others by nothing",
     "[%s, %s, %s]" % (call("session.hello"), call("status", "1"),
                       call("session.hello")), [[(1, None)]]),
    ("6", "a batch within a batch is no request",
     "[[" + call("status", "1") + "]]", [[(None, REQUEST)]]),
    ("6", "one that fails does not stop the others",
     "[%s, %s, %s]" % (call("status", "1"), call("foobar", "2"),
                       call("status", "3")),
     [[(1, None), (2, METHOD), (3, None)]]),
    ("6", "the same id twice is answered twice",
     "[%s, %s]" % (call("status", "1"), call("status", "1")),
     [[(1, None), (1, None)]]),
    ("6", "a batch and what follows it are apart",
     "[%s]\n%s" % (call("status", "1"), call("status", "2")),
     [[(1, None)], (2, None)]),
    # The examples, with methods of ours in the places of theirs.
    ("7", "! positional parameters", call("subtract", "1", "[42, 23]"),
     [(1, PARAMS)]),
    ("7", "named parameters",
     call("config.get", "3", '{"key": "listen"}'), [(3, None)]),
    ("7", "a notification", call("session.info"), []),
    ("7", "a method that is not there", call("foobar", '"1"'),
     [("1", METHOD)]),
    ("7", "invalid JSON",
     '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
     [(None, PARSE)]),
    ("7", "an invalid request",
     '{"jsonrpc": "2.0", "method": 1, "params": "bar"}', [(None, REQUEST)]),
    ("7", "a batch of invalid JSON",
     '[{"jsonrpc": "2.0", "method": "status", "id": "1"},'
     '{"jsonrpc": "2.0", "method"]', [(None, PARSE)]),
    ("7", "an empty array", "[]", [(None, REQUEST)]),
    ("7", "an invalid batch of one", "[1]", [[(None, REQUEST)]]),
    ("7", "an invalid batch", "[1,2,3]", [[(None, REQUEST)] * 3]),
    ("7", "a mixed batch",
     '[{"jsonrpc": "2.0", "method": "status", "id": "1"},'
     '{"jsonrpc": "2.0", "method": "session.hello"},'
     '{"jsonrpc": "2.0", "method": "net.dht", "id": "2"},'
     '{"foo": "boo"},'
     '{"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"},'
     ' "id": "5"},'
     '{"jsonrpc": "2.0", "method": "session.info", "id": "9"}]',
     [[("1", None), ("2", None), (None, REQUEST), ("5", METHOD),
       ("9", None)]]),
)

# Ids are echoed byte for byte, or refused.
ECHOED = ("0", "-0", "7", "-1", "9007199254740991", "-9007199254740991", '""',
          '"x"', r'"a\u0041\n"', r'"\/"', r'"\u00e9\ud83d\ude00"',
          '"\u00e9\U0001f600"', '"%s"' % ("i" * 128))
REFUSED = ("9007199254740992", "1.5", "1.0", "1e3", "null", "true", "{}",
           "[]", '"%s"' % ("i" * 129))

# Values of a parameter: what is JSON draws an error about the parameter, what
# is not one about the line.
GOOD = (b"0", b"-0", b"-0.0", b"1E+2", b"1e-2", b"0.5", b"1e307", b"[]",
        b"{}", b"[[],{}]", b'""', b'" "', rb'"\"\\\/\b\f\n\r\t"',
        rb'"\u0001\u001f\u007f"', rb'"\ud83d\ude00"', b'"\x7f"',
        b'"\xc2\x80"', b'"\xf4\x8f\xbf\xbf"', b'"\xef\xbf\xbf"',
        b'"\xe2\x80\xa8"', b'"\xef\xbb\xbf"', b"true", b"false",
        b" [ 1 , { \"a\" : \t2 } ] ", b'{"":1}', b'{"a":1,"A":1}',
        b"[" * 29 + b"]" * 29)
BAD = (b"", b"01", b"-01", b"1.", b".5", b"+1", b"-", b"--1", b"0x1", b"1e",
       b"1e+", b"1_0", b"1 2", b"Infinity", b"NaN", b"-NaN", b"1e999",
       b"tru", b"True", b"TRUE", b"nul", b"undefined", b"'a'", b"a",
       b"[1,]", b"[,1]", b"[,]", b"[1,,2]", b"[1 2]", b"[1", b"[1}", b"]",
       b"{,}", b'{"a":1,}', b'{"a"}', b'{"a" 1}', b'{"a":}', b"{a:1}",
       b"{1:1}", b'{"a":1 "b":2}', b'{"a"::1}', b'{null:1}', b'"',
       b'"\\"', rb'"\x41"', rb'"\a"', rb'"\u12"', rb'"\u12G4"', rb'"\U0041"',
       rb'"\u0000"', rb'"\ud800"', rb'"\udc00"', rb'"\ud800\u0041"',
       rb'"\ude00\ud83d"', b'"\x00"', b'"\x1f"', b'"\t"', b'"\xff"',
       b'"\xc0\x80"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"',
       b'"\xe2\x28\xa1"', b'"\x80"', b'"\xc3"', b"\xc2\xa0[]", b"\x0c[]",
       b"\x0b[]", b"\xef\xbb\xbf[]", b"\x00", b"/**/1", b"1//", b"#1",
       b"[" * 40 + b"]" * 40, b'{"a":' * 40 + b"1" + b"}" * 40)


def talk(d, data):
    """What comes back until the daemon closes, as lines."""
    with d.rpc() as rpc:
        rpc.send_raw(data)
        rpc.half_close()
        lines = []
        try:
            while True:
                lines.append(rpc.read_line())
        except Closed as end:
            if end.args[0]:
                lines.append(b"UNFINISHED " + end.args[0])
        return lines


def is_formed(reply):
    """Section 5."""
    if set(reply) - {"error", "result"} != {"jsonrpc", "id"} or \
            ("error" in reply) == ("result" in reply):
        return False
    if reply["jsonrpc"] != "2.0" or isinstance(reply["id"], (bool, float,
                                                             list, dict)):
        return False
    if "result" in reply:
        return isinstance(reply["result"], dict)
    e = reply["error"]
    return not set(e) - {"code", "message", "data"} and \
        type(e["code"]) is int and isinstance(e["message"], str) and \
        e["message"] and e["data"]["name"] and \
        isinstance(e["data"]["retryable"], bool)


def told(reply):
    """(id, code) of a reply, a list of them of a batch's; "1" and 1 differ,
    and so do 1 and true."""
    if isinstance(reply, list):
        return [told(r) for r in reply]
    return (reply["id"], reply.get("error", {}).get("code"))


def each(replies):
    for r in replies:
        yield from r if isinstance(r, list) else [r]


def rows(d):
    for section, what, sent, want in ROWS:
        replies = [json.loads(line) for line in
                   talk(d, sent.encode() + b"\n")]
        check("[JSON-RPC %s] %s" % (section, what),
              [told(r) for r in replies] == want and
              all(is_formed(r) for r in each(replies)), replies)


def batches(d):
    one = call("net.dht", "%d")
    for n in (1, 32):
        r = talk(d, ("[" + ",".join(one % i for i in range(n)) + "]")
                 .encode())
        check("a batch of %d is answered in order" % n,
              [told(x) for x in json.loads(r[0])] ==
              [(i, None) for i in range(n)], r)
    r = talk(d, ("[" + ",".join(one % i for i in range(33)) + "]").encode())
    check("33 are none", told(json.loads(r[0])) == (None, REQUEST), r)
    r = talk(d, ("[" + call("events.subscribe", "1") + "]").encode())
    check("events.subscribe does not go into a batch",
          [told(x) for x in json.loads(r[0])] == [(1, REQUEST)], r)


def ids(d):
    for text in ECHOED:
        line = '{"jsonrpc":"2.0","id":%s,"method":"net.dht"}' % text
        got = talk(d, line.encode())[0]
        check("id %.20s is echoed byte for byte" % text,
              got.startswith(b'{"jsonrpc":"2.0","id":%s,"result"' %
                             text.encode()), got)
    for text in REFUSED:
        got = talk(d, call("status", text).encode())
        check("id %.20s is refused" % text,
              [told(json.loads(x)) for x in got] == [(None, REQUEST)], got)


def values(d):
    line = b'{"jsonrpc":"2.0","id":1,"method":"status","params":{"x":%s}}\n'
    for want, texts in (((1, PARAMS), GOOD), ((None, PARSE), BAD)):
        for text in texts:
            got = talk(d, line % text + call("status", "2").encode())
            check("41: %.40r is %s" % (text, "no JSON" if want[0] is None
                                       else "JSON"),
                  [told(json.loads(x)) for x in got] == [want, (2, None)],
                  got)


def main():
    need_build()
    with Net() as net:
        d = net.add("alice").start()
        rows(d)
        batches(d)
        ids(d)
        values(d)
        check("after all of it it stops with 0", d.stop() == 0)
    finish()


main()
