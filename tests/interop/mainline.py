"""Other people's clients in a private DHT: Transmission and aria2, each on a
host of internet.py, with one torrent that nobody has, so that they announce
themselves as its peers and look for others."""
import hashlib
import os
import shutil
import subprocess

import krpc


def torrent(name):
    """A .torrent file of one byte, and its infohash."""
    info = {"length": 1, "name": name, "piece length": 16384,
            "pieces": hashlib.sha1(name.encode()).digest()}
    return (krpc.encode({"info": info}),
            hashlib.sha1(krpc.encode(info)).digest())


class Client:
    """A process of a program that keeps all it has in a folder."""
    program = ""

    def __init__(self, host, folder, first, name):
        self.folder = os.path.join(folder, host.addr)
        os.makedirs(self.folder)
        self.at = (host.addr, krpc.PORT)
        data, self.info_hash = torrent(name)
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = subprocess.Popen(
                host.command(self.program, *self.words(first, data)),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, env=dict(os.environ, HOME=self.folder))

    @classmethod
    def missing(cls):
        """Why it cannot be used here, or None."""
        if not shutil.which(cls.program):
            return cls.program + " is not installed"
        return None

    def words(self, first, data):
        """Its arguments; makes the files that they name."""
        raise NotImplementedError

    def write(self, name, data):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def log(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as f:
            return f.read()[-2000:]

    def close(self):
        self.process.kill()
        self.process.wait()


class Transmission(Client):
    """Begins with the nodes of a saved table, as on every start but the
    first."""
    program = "transmission-daemon"

    def words(self, first, data):
        self.write("dht.dat", krpc.encode({
            "id": krpc.id_for(self.at[0], 1),
            "nodes": b"".join(krpc.pack(*at) for at in first)}))
        self.write("torrents/one.torrent", data)
        return ["--foreground", "--config-dir", self.folder, "--dht",
                "--no-lpd", "--no-portmap", "--no-utp", "--no-auth",
                "--bind-address-ipv4", self.at[0],
                "--peerport", str(krpc.PORT),
                "--rpc-bind-address", "127.0.0.1",
                "--download-dir", self.folder, "--log-debug"]


class Aria2(Client):
    """Begins with the node that it is told."""
    program = "aria2c"

    def words(self, first, data):
        path = self.write("one.torrent", data)
        return ["--no-conf", "--enable-dht=true", "--disable-ipv6=true",
                "--dht-listen-port=%d" % krpc.PORT,
                "--listen-port=%d" % krpc.PORT,
                "--dht-entry-point=%s:%d" % first[0],
                "--dht-file-path=" + os.path.join(self.folder, "dht.dat"),
                "--enable-peer-exchange=false", "--bt-enable-lpd=false",
                "--bt-external-ip=" + self.at[0],
                "--dir=" + self.folder, path]
