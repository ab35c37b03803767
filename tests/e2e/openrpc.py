"""proto/openrpc.json, and whether a value is what it says: as much of JSON
Schema as the document uses, and no word of it that would be passed over. A
member that is not documented is an error, too."""
import json
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
TYPES = {"string": str, "integer": int, "boolean": bool, "array": list,
         "object": dict, "null": type(None)}
WORDS = {"$ref", "oneOf", "type", "description", "properties", "required",
         "items", "enum", "minLength", "maxLength", "minimum", "maximum",
         "pattern", "default"}


def load(path=os.path.join(TOP, "proto", "openrpc.json")):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


class Schema:
    """Complaints are collected in bad."""

    def __init__(self, doc):
        self.defs = doc["components"]["schemas"]
        self.results = {m["name"]: m["result"]["schema"]
                        for m in doc["methods"]}
        self.bad = []

    def complain(self, *words):
        self.bad.append(" ".join(str(w) for w in words))

    def get(self, s):
        if "$ref" in s:
            return self.defs[s["$ref"].rsplit("/", 1)[1]]
        return s

    def described(self, s, where):
        for word in set(s) - WORDS:
            self.complain(where, "has a word that is not looked at:", word)
        if "$ref" in s:
            return
        if "description" not in s and s.get("type") != "object":
            self.complain(where, "has no description")
        for key, sub in s.get("properties", {}).items():
            self.described(sub, where + "." + key)
        if "items" in s:
            self.described(s["items"], where + "[]")

    def fits(self, s, v, where):
        s = self.get(s)
        if "oneOf" in s:
            if sum(self.accepts(one, v) for one in s["oneOf"]) != 1:
                self.complain(where, "is not one of several kinds")
            return
        kinds = s["type"] if isinstance(s["type"], list) else [s["type"]]
        if type(v) not in [TYPES[k] for k in kinds]:
            self.complain(where, "is not", kinds)
        elif isinstance(v, dict) and "properties" in s:
            self.members(s, v, where)
        elif isinstance(v, list) and "items" in s:
            for i, e in enumerate(v):
                self.fits(s["items"], e, "%s[%d]" % (where, i))
        else:
            self.bounds(s, v, where)

    def accepts(self, s, v):
        """The same as a question: nothing is noted."""
        noted, self.bad = self.bad, []
        self.fits(s, v, "")
        good, self.bad = not self.bad, noted
        return good

    def bounds(self, s, v, where):
        if "enum" in s and v not in s["enum"]:
            self.complain(where, v, "is not one of", s["enum"])
        if isinstance(v, str):
            n = len(v.encode())  # the daemon counts bytes
            if not s.get("minLength", 0) <= n <= s.get("maxLength", n):
                self.complain(where, "has", n, "bytes")
            if not re.search(s.get("pattern", ""), v):
                self.complain(where, v, "does not match", s["pattern"])
        elif type(v) is int:
            if not s.get("minimum", v) <= v <= s.get("maximum", v):
                self.complain(where, v, "is out of range")

    def members(self, s, v, where):
        for key in set(v) - set(s["properties"]):
            self.complain(where, "has an undocumented member", key)
        for key in set(s.get("required", [])) - set(v):
            self.complain(where, "lacks", key)
        for key in set(v) & set(s["properties"]):
            self.fits(s["properties"][key], v[key], where + "." + key)

    def result(self, method, v):
        if method != "rpc.discover":
            self.fits(self.results[method], v, method)
