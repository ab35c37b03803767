"""A program in a real terminal, tmux's, and outputs as they were once read
and found good.

    with Screen(folder, [CTL, "chat", "bob"], env={...}) as screen:
        screen.wait("bob>")
        screen.keys("hello", "Enter")
"""
import os
import re
import shutil
import subprocess
import time

from check import HERE, check, skip

WAIT_S = 60.0  # a bound for something broken, not a measurement
# What the program itself says to the terminal; all else is text.
OWN = re.compile("\x1b\\[[0-9;?]*[@-~]|\x1b[=>]|\x1b\\([AB0]|\x1b\\][0-9]*;?\x07")
RAW = re.compile("[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f"
                 "\u2028-\u202e\u2066-\u2069]")


def need_tmux():
    if shutil.which("tmux") is None:
        skip("tmux is not here")


def stays_tame(raw):
    """Whether bytes for a terminal hold only what the program itself says."""
    return not RAW.search(OWN.sub("", raw.decode(errors="replace")))


class Screen:
    def __init__(self, folder, command, env=None, size=(80, 24)):
        self.socket = os.path.join(folder, "tmux")
        self.raw_path = os.path.join(folder, "raw")
        words = ["env"] + ["%s=%s" % pair for pair in (env or {}).items()]
        self.pid_path = os.path.join(folder, "pid")
        self.status_path = os.path.join(folder, "status")
        # It begins when everything it says is written down. How it ends is
        # written down, too: tmux forgets it at times.
        script = ("trap : INT; read go; sh -c 'echo $$ >\"$1\"; shift; "
                  "exec \"$@\"' sh \"$@\"; echo $? >\"$0.new\"; "
                  "mv \"$0.new\" \"$0\"; exec cat")
        self.tmux("new-session", "-d", "-x", str(size[0]), "-y", str(size[1]),
                  "sh", "-c", script, self.status_path, self.pid_path,
                  *words, *command)
        self.tmux("pipe-pane", "-O", "cat >'%s'" % self.raw_path)
        self.tmux("send-keys", "Enter")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.tmux("kill-server")

    def tmux(self, *words):
        done = subprocess.run(
            ["tmux", "-u", "-S", self.socket, "-f", "/dev/null", *words],
            capture_output=True, text=True)
        return done.stdout

    def keys(self, *words):
        """Names of keys, or text."""
        for word in words:
            named = re.fullmatch(r"C-.|Enter|Up|Down|Left|PPage|Home", word)
            self.tmux("send-keys", *([] if named else ["-l", "--"]), word)

    def paste(self, text):
        self.tmux("set-buffer", text)
        self.tmux("paste-buffer", "-p")

    def resize(self, cols, rows):
        self.tmux("resize-window", "-x", str(cols), "-y", str(rows))

    def text(self):
        """The screen, without the newline that started it."""
        return self.tmux("capture-pane", "-p").strip("\n")

    def wait(self, want, name=None):
        """Until the screen has a text, or fits a function; a check if named.
        """
        fits = want if callable(want) else lambda text: want in text
        end = time.monotonic() + WAIT_S
        text = self.text()
        while not fits(text) and time.monotonic() < end:
            time.sleep(0.02)
            text = self.text()
        if name or not fits(text):
            check(name or "the screen shows %r" % want, fits(text), text)
        return text

    def raw(self):
        with open(self.raw_path, "rb") as f:
            return f.read()

    def pid(self):
        with open(self.pid_path) as f:
            return int(f.read())

    def status(self):
        """How it ended; waits for that. None: it does not end."""
        end = time.monotonic() + WAIT_S
        while not os.path.exists(self.status_path):
            if time.monotonic() > end:
                return None
            time.sleep(0.02)
        with open(self.status_path) as f:
            return int(f.read())


def golden(name, text):
    """A check: text is what golden/NAME holds. BTCHAT_GOLDEN=write makes the
    files anew, to be read before they are committed."""
    path = os.path.join(HERE, "golden", name)
    if os.environ.get("BTCHAT_GOLDEN") == "write":
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    with open(path, encoding="utf-8") as f:
        want = f.read()
    check("as in golden/" + name, text == want, text, want)
