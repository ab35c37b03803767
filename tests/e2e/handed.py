"""Sockets that outlive a daemon: handed over as systemd does."""
import os
import socket
import subprocess


def listen(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.bind(path)
    s.listen(64)
    return s


def spawn(d, sockets):
    """As systemd does: descriptors from 3 on, and three variables. sockets
    is a list of (name, socket)."""
    fds = [os.dup(s.fileno()) for _, s in sockets]

    def in_child():
        high = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i)
            os.set_inheritable(3 + i, True)

    env = dict(d.environment(), LISTEN_FDS=str(len(fds)),
               LISTEN_FDNAMES=":".join(name for name, _ in sockets))
    if d.notify:
        d.notify.close()
    d.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    if os.path.exists(d.notify_path()):
        os.unlink(d.notify_path())
    d.notify.bind(d.notify_path())
    with open(d.log, "ab") as log:
        d.process = subprocess.Popen(
            ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh"] + d.command(),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
            preexec_fn=in_child, close_fds=False, start_new_session=True)
    for fd in fds:
        os.close(fd)
