"""What stands in the memory of a process: for root, and where /proc may be
read."""
import os
import re

LINE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$")
CHUNK = 1 << 22


def areas(pid):
    """(start, end, access, name) of each mapping. PermissionError."""
    with open("/proc/%d/maps" % pid) as f:
        for line in f:
            start, end, access, name = LINE.match(line.strip()).groups()
            yield int(start, 16), int(end, 16), access, name


def find(pid, needles):
    """[(what, address, name of the mapping)], of needles {what: bytes}, and
    how many bytes were looked at. Chunks overlap, so that nothing is missed
    where one ends."""
    found, seen = [], 0
    overlap = max(map(len, needles.values()))
    with open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for start, end, access, name in areas(pid):
            if "w" not in access:
                continue
            for at in range(start, end, CHUNK):
                size = min(CHUNK + overlap, end - at)
                try:
                    data = os.pread(mem.fileno(), size, at)
                except OSError:  # guard pages
                    continue
                seen += len(data)
                for what, needle in needles.items():
                    place = data.find(needle)
                    while 0 <= place < CHUNK:
                        found.append((what, at + place, name or "heap"))
                        place = data.find(needle, place + 1)
    return found, seen


def locked(pid):
    """[(start, end)] of what is locked in memory."""
    where, list_ = None, []
    with open("/proc/%d/smaps" % pid) as f:
        for line in f:
            m = LINE.match(line.strip())
            if m:
                where = int(m.group(1), 16), int(m.group(2), 16)
            elif line.startswith("VmFlags:") and " lo" in line:
                list_.append(where)
    return list_
