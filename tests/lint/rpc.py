#!/usr/bin/env python3
"""The three places that list the RPC methods agree: the table in
daemon/rpc_table.c, proto/openrpc.json and man/btchat-rpc.7 have the same
methods in the same order, with the same tiers and parameters; every
parameter and result is described, every example is of the right form.
tests/e2e/test_openrpc.py runs the examples."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "e2e"))
import openrpc  # noqa: E402

bad = []


def complain(*words):
    bad.append(" ".join(str(w) for w in words))


# The C table: name, tier, need, params.
TIER = {"RPC_READ": "read", "RPC_CHAT": "chat", "RPC_ADMIN": "admin"}
TYPE = {"str": "string", "id": "string", "int": "integer", "bool": "boolean",
        "strs": "array", "enum": "string", "any": None}


def c_table(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    text = text[text.index("rpc_methods[] = {"):]
    text = re.sub(r"/\*.*?\*/", "", text[:text.index("};")], flags=re.S)
    row = re.compile(r'\{\s*"([^"]+)",\s*(RPC_\w+),\s*(RPC_\w+),'
                     r'\s*((?:"[^"]*"\s*)+),\s*(\w+)\s*\}')
    table = {}
    for name, tier, _, spec, handler in row.findall(text):
        params = {}
        for word in "".join(re.findall(r'"([^"]*)"', spec)).split():
            m = re.fullmatch(r"(\w+):(\w+)(?:\(([^)]*)\))?(\?)?", word)
            if not m:
                complain(path, name, "strange parameter", word)
                continue
            params[m[1]] = (m[2], m[3], not m[4])
        table[name] = (TIER[tier], params)
        want = "rpc_" + name.removeprefix("rpc.").replace(".", "_")
        if handler != want:
            complain(path, name, "is handled by", handler, "not", want)
    return table


def check_param(method, p, spec):
    kind, arg, required = spec
    schema = p["schema"]
    what = "%s.%s" % (method, p["name"])
    if p["required"] != required:
        complain(what, "required differs")
    if TYPE[kind] and schema.get("type") != TYPE[kind]:
        complain(what, "is", kind, "but", schema.get("type"))
    if kind == "str":
        low, high = map(int, ("0," + arg).split(",")[-2:])
        if (schema.get("minLength", 0), schema.get("maxLength")) != (low, high):
            complain(what, "length differs")
    if kind == "int":
        low, high = map(int, arg.split(","))
        if (schema.get("minimum"), schema.get("maximum")) != (low, high):
            complain(what, "range differs")
    if kind == "enum" and schema.get("enum") != arg.split("|"):
        complain(what, "words differ")


def check_method(doc, m, row):
    tier, params = row
    name = m["name"]
    schema = openrpc.Schema(doc)
    schema.bad = bad
    errors = doc["components"]["errors"]
    if m["x-tier"] != tier:
        complain(name, "tier differs:", m["x-tier"], tier)
    if [p["name"] for p in m["params"]] != list(params):
        complain(name, "parameters differ")
        return
    for p in m["params"]:
        check_param(name, p, params[p["name"]])
        schema.described(p["schema"], "%s(%s)" % (name, p["name"]))
    schema.described(m["result"]["schema"], name + " ->")
    for key in ("summary", "x-since", "examples"):
        if not m.get(key):
            complain(name, "lacks", key)
    if "x-cli" not in m:
        complain(name, "lacks x-cli")
    for e in m["x-errors"]:
        if e not in errors:
            complain(name, "error", e, "is not in components.errors")
    if not any("result" in e for e in m["examples"]):
        complain(name, "has no example with a result")
    for e in m["examples"]:
        given = {p["name"]: p["value"] for p in e["params"]}
        for p in m["params"]:
            if p["required"] and p["name"] not in given:
                complain(name, "example lacks", p["name"])
            if p["name"] in given:
                schema.fits(p["schema"], given[p["name"]],
                            name + " example " + p["name"])
        if "x-error" in e:
            if e["x-error"] not in m["x-errors"]:
                complain(name, "example shows an error that is not listed:",
                         e["x-error"])
        elif name != "rpc.discover":
            schema.fits(m["result"]["schema"], e["result"]["value"],
                        name + " example")


def manual(path):
    """Methods of the manual: .It Ic name TIER, then .It Fa param."""
    table = {}
    at = None
    with open(path, encoding="utf-8") as f:
        for line in f:
            m = re.match(r"\.It Ic (\S+) Pq (\w+)$", line)
            if m:
                at = table.setdefault(m[1], (m[2], []))
            m = re.match(r"\.It Fa (\w+)", line)
            if m and at:
                at[1].append(m[1])
            if line.startswith(".Sh") and "METHODS" not in line:
                at = None
    return table


def check_codes(doc, path):
    with open(path, encoding="utf-8") as f:
        codes = dict(re.findall(r"\bAPI_(\w+) = (-?\d+)", f.read()))
    for name, e in doc["components"]["errors"].items():
        if codes.get(name) != str(e["code"]):
            complain("error", name, "has another code in", path)


def main():
    table = c_table("daemon/rpc_table.c")
    doc = openrpc.load("proto/openrpc.json")
    names = [m["name"] for m in doc["methods"]]
    if list(table) != sorted(table):
        complain("daemon/rpc_table.c is not sorted")
    if names != list(table):
        complain("openrpc.json has other methods, or another order:",
                 set(names) ^ set(table))
    for m in doc["methods"]:
        if m["name"] in table:
            check_method(doc, m, table[m["name"]])
    check_codes(doc, "proto/api.h")
    man = manual("man/btchat-rpc.7")
    if list(man) != list(table):
        complain("btchat-rpc(7) has other methods, or another order:",
                 set(man) ^ set(table))
    for name, (tier, params) in man.items():
        if name in table and (tier, params) != (table[name][0],
                                                list(table[name][1])):
            complain("btchat-rpc(7)", name, "differs:", tier, params)
    for line in bad:
        print(line)
    return bool(bad)


sys.exit(main())
