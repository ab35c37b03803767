#!/usr/bin/env python3
"""Every command of the table in ctl/command.c has an entry in btchatctl(1)
that names its options, an example there, and a test in tests/e2e that runs it;
so has every /word of chat."""
import glob
import os
import re
import sys

TABLE, WORDS, MAN = "ctl/command.c", "ctl/chat_word.c", "man/btchatctl.1"
ROW = re.compile(r'\{\s*"([a-z-]+)",\s*(?:NULL|"([a-z-]+)"),'
                 r'\s*((?:"[^"]*"\s*)+),\s*((?:"[^"]*"\s*)+),'
                 r'\s*((?:"[^"]*"\s*)+),')
SHORT = {"lines": "n"}
bad = []


def read(*paths):
    text = ""
    for path in paths:
        with open(path, encoding="utf-8") as f:
            text += f.read()
    return text


def strings(text):
    return "".join(re.findall(r'"([^"]*)"', text))


def commands(text):
    """Words of the name, usage and options of each."""
    for noun, verb, usage, _, options in ROW.findall(text):
        yield ([noun, verb] if verb else [noun], strings(usage),
               strings(options).split())


def entry_of(man, name):
    """The entries of that name, whatever follows it."""
    parts = re.split(r"^\.It (?:Xo\n\.)?Ic (?=[a-z])", man, flags=re.M)
    return "".join(p for p in parts[1:]
                   if re.match(re.escape(name) + r"(\s|$)", p))


def check(name, words, options, man, tests):
    entry = entry_of(man, name)
    if not entry:
        bad.append("%s: no entry in %s" % (name, MAN))
    for option in options:
        short = SHORT.get(option)
        if not re.search(r"Fl -%s\b" % option, entry) and not (
                short and re.search(r"Fl %s\b" % short, entry)):
            bad.append("%s: its entry in %s does not name --%s" % (
                name, MAN, option))
    examples = man[man.index(".Sh EXAMPLES"):]
    examples = examples[:examples.index(".Sh SEE ALSO")]
    if not re.search(r"btchatctl %s(\s|$)" % re.escape(name), examples):
        bad.append("%s: no example in %s" % (name, MAN))
    quoted = r",\s*".join('"%s"' % w for w in words)
    if not re.search(quoted, tests):
        bad.append("%s: no test in tests/e2e runs it" % name)


def check_usage(name, usage, options):
    for option in options:
        short = SHORT.get(option, "-" + option)
        if option != "client-id" and not re.search(
                r"-%s\b" % re.escape(short), usage):
            bad.append("%s: its usage does not name --%s" % (name, option))


def main():
    if not os.path.exists(TABLE):
        return
    man, tests = read(MAN), read(*glob.glob("tests/e2e/test_*.py"))
    table = list(commands(read(TABLE)))
    if len(table) != read(TABLE).count(", cmd_"):
        bad.append("%s: a row has a strange form" % TABLE)
    for words, usage, options in table:
        check(" ".join(words), words, options, man, tests)
        check_usage(" ".join(words), usage, options)
    for word in re.findall(r'^\t\{ "([a-z]+)", ', read(WORDS), re.M):
        if not re.search(r"Ic (.* , )?/%s\b" % word, man):
            bad.append("chat /%s: not in %s" % (word, MAN))
        if not re.search(r'("|\\n)/%s\b' % word, tests):
            bad.append("chat /%s: no test in tests/e2e enters it" % word)


main()
for line in bad:
    print(line)
sys.exit(1 if bad else 0)
