#!/usr/bin/env python3
"""The journal's catalog is what btchatd(8) says of each event: DIAGNOSTICS has
every event above debug level, and packaging/systemd/btchatd.catalog is made of
it. "catalog.py --write" makes it anew."""
import glob
import hashlib
import re
import sys

PAGE = "man/btchatd.8"
CATALOG = "packaging/systemd/btchatd.catalog"
CALL = re.compile(r"log_event\(\s*LOG_(?!DEBUG)\w+,([^,]*),")
NAME = re.compile(r'"([a-z-]+)"')  # one, or two and a condition


def plain(lines):
    """Text of mdoc lines, as far as DIAGNOSTICS uses it."""
    words = []
    for line in lines:
        if not line.startswith("."):
            words.append(line)
            continue
        macro, *rest = re.sub(r"\bXr (\S+) (\d)", r"\1(\2)",
                              line[1:]).split()
        end = rest.pop() if rest and rest[-1] in ".,:;" else ""
        text = " ".join(rest)
        quotes = {"Pq": "()", "Ql": '""'}.get(macro)
        if quotes:
            words.append(quotes[0] + text + quotes[1] + end)
        elif macro[0].islower() or "(" in macro:
            words.append(macro + end)
        elif macro != "El":
            words.append(text + end)
    return " ".join(words)


def events():
    with open(PAGE, encoding="utf-8") as f:
        text = f.read()
    text = text[text.index(".Sh DIAGNOSTICS"):text.index(".Sh SEE ALSO")]
    for item in text.split("\n.It Sy ")[1:]:
        head, *body = item.strip().split("\n")
        for name in head.split(" Pq ")[0].split(" , "):
            yield name, plain(body)


def catalog():
    out = ["# Made of btchatd(8) by tests/lint/catalog.py --write.\n"]
    for name, text in sorted(events()):
        key = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
        out.append(f"\n-- {key}\nSubject: {name}\nDefined-By: btchatd\n"
                   f"Documentation: man:btchatd(8)\n\n{text}\n")
    return "".join(out)


def main():
    if sys.argv[1:] == ["--write"]:
        with open(CATALOG, "w", encoding="utf-8") as f:
            f.write(catalog())
    bad = []
    said = {name for name, _ in events()}
    for path in sorted(glob.glob("daemon/*.c")):
        with open(path, encoding="utf-8") as f:
            bad += [f"{path}: {PAGE} lacks {name}"
                    for call in CALL.findall(f.read())
                    for name in NAME.findall(call) if name not in said]
    with open(CATALOG, encoding="utf-8") as f:
        if f.read() != catalog():
            bad.append(f"{CATALOG} is not what {PAGE} says;"
                       " python3 tests/lint/catalog.py --write")
    print("\n".join(bad), end="\n" if bad else "")
    return bool(bad)


sys.exit(main())
