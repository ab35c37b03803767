"""What the benches have in common: settings, percentiles, and the table of
tests/bench/bench.py."""
import os

# key, what, unit, goal, better is "less" or "more"; a row without a key is a
# heading
FIGURES = (
    (None, "to be connected"),
    ("meet_ms", "both added until both online", "ms", ">= 20 x", "less"),
    ("restart_ms", "one started again until it is online", "ms", ">= 20 x",
     "less"),
    ("kill_ms", "the same after kill -9", "ms", ">= 20 x", "less"),
    (None, "idle, one contact online"),
    ("idle_bytes", "sent", "B/s", "< 200", "less"),
    ("idle_packets", "sent", "packets/s", "< 1", "less"),
    ("idle_cpu_ms", "processor time", "ms/min", "", "less"),
    (None, "a message of 100 bytes until it is delivered, medians"),
    ("fsync_ms", "one fsync of 4 KiB", "ms", "", "less"),
    ("rtt_p50_ms", "loopback, 3 syncs", "ms", "< 5", "less"),
    ("rtt_p99_ms", "loopback, 3 syncs, 99 %", "ms", "", "less"),
    ("rtt_50_ms", "at 50 ms, 3 syncs", "ms", "", "less"),
    ("rtt_150_ms", "at 150 ms, 3 syncs", "ms", "", "less"),
    ("node_us", "loopback, no store", "us", "", "less"),
    (None, "a message there, and one back, without a store, medians"),
    ("ping_us", "loopback", "us", "<= 2 x bare", "less"),
    ("echo_us", "bare UDP with the same AEAD", "us", "", "less"),
    ("ping_50_ms", "at 50 ms", "ms", "", "less"),
    ("ping_150_ms", "at 150 ms", "ms", "", "less"),
    (None, "messages of 100 bytes as fast as they go, loopback"),
    ("stored_s", "one client, durable at sender", "messages/s", ">= 5000",
     "more"),
    ("durable_s", "in the other's event log, durable at both", "messages/s",
     ">= 20000", "more"),
    ("told_s", "8 clients, and one who is told of each", "messages/s", "",
     "more"),
    ("group", "messages for each sync of the sender", "", "", "more"),
    ("rows_s", "bare SQLite, rows and syncs of the sender", "messages/s", "",
     "more"),
    ("rows_us", "processor time of that, each", "us", "", "less"),
    ("sender_us", "processor time, sender's daemon, each", "us", "", "less"),
    ("receiver_us", "receiver's daemon", "us", "", "less"),
    ("clients_us", "client and reader", "us", "", "less"),
    ("all_us", "all of them", "us", "<= 100", "less"),
    # A Tox core has no store; ours is left out here.
    ("delivered_s", "no store, delivered", "messages/s", ">= 2 x", "more"),
    ("cpu_us", "processor time of both, each", "us", "<= 1/2", "less"),
    ("texts_s", "the stream of a session alone", "messages/s", "", "more"),
    ("texts_cpu_us", "processor time of both, each", "us", "", "less"),
    (None, "a file, or the bulk of a session"),
    ("bulk_mb_s", "loopback", "MB/s", ">= bare / 2", "more"),
    ("bare_mb_s", "bare sendmmsg with the same AEAD", "MB/s", "", "more"),
    ("bulk_cpu_ms", "processor time of both, loopback", "ms/MB", "", "less"),
    ("bare_cpu_ms", "that of bare sendmmsg", "ms/MB", "", "less"),
    ("bulk_50_mb_s", "at 50 ms", "MB/s", "", "more"),
    ("bulk_50_1_mb_s", "at 50 ms and 1 % loss each way", "MB/s", ">= 5 x",
     "more"),
    (None, "a word each 20 ms on its way, 20 Mbit/s and 50 ms"),
    ("words_p99_ms", "alone, 99 %", "ms", "", "less"),
    ("busy_p99_ms", "beside a file, 99 %", "ms", "< alone + 20", "less"),
    ("busy_mb_s", "that file", "MB/s", "", "more"),
    (None, "memory, resident"),
    ("rss_1_kib", "with 1 session", "KiB", "< 12288", "less"),
    ("rss_100_kib", "with 100 sessions", "KiB", "", "less"),
    ("rss_1000_kib", "with 1,000 sessions", "KiB", "< 65536", "less"),
    ("rss_each_kib", "each of the last ones", "KiB", "", "less"),
)


def setting(name, default):
    return int(os.environ.get(name, default))


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))]


def shown(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratio(ours, theirs, better):
    if not ours or not theirs:
        return "-"
    times = theirs / ours if better == "less" else ours / theirs
    return f"{times:,.1f} x" if times < 100 else f"{times:,.0f} x"


def table(ours, theirs):
    """What was measured."""
    rows = [("figure", "unit", "btchat", "toxcore", "better by", "goal")]
    heading = None
    for figure in FIGURES:
        if figure[0] is None:
            heading = figure[1]
            continue
        key, what, unit, goal, better = figure
        a, b = ours.get(key), theirs.get(key)
        if a is None and b is None:
            continue
        if heading:
            rows.append((heading,))
            heading = None
        rows.append(("  " + what, unit, shown(a), shown(b),
                     ratio(a, b, better), goal))
    widths = [max(len(row[i]) for row in rows if len(row) > 1)
              for i in range(6)]
    for row in rows:
        print("  ".join(
            cell.ljust(widths[i]) if i < 2 else cell.rjust(widths[i])
            for i, cell in enumerate(row)).rstrip())


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{os.cpu_count()} x {model}, Linux {os.uname().release}"
