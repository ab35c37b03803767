"""What went which way, as a small table at the end of a test."""

rows = []


def row(what, to_them, to_us):
    rows.append((what, str(to_them), str(to_us)))


def show(them, to_them="ours to %s", to_us="%s to ours"):
    line = "# %-34s %-26s %s"
    print(line % ("", to_them % them, to_us % them))
    for words in rows:
        print(line % words, flush=True)
