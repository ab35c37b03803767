"""A libtorrent node in a private DHT: what another program's code makes of
what we send. Keys and salts are bytes: pk 32, sk 64 as
libtorrent takes it, the expanded a || prefix of RFC 8032 (see expand)."""
import contextlib
import hashlib
import socket
import time

try:
    import libtorrent
except ImportError:
    libtorrent = None

PORT = 6881
# As it comes, but for what has nothing to do with the DHT.
STOCK = {
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_lsd": False,
    "enable_dht": True,
    "enable_incoming_tcp": False,
    "enable_outgoing_tcp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "dht_bootstrap_nodes": "",
    # A net that is born within a second says more than the usual 8000 B/s,
    # above which libtorrent drops queries, then waits 15 s for itself.
    "dht_upload_rate_limit": 10000000,
}
# All nodes share one address.
LOOPBACK = {
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_prefer_verified_node_ids": False,
    "dht_block_ratelimit": 100000,
}


def missing():
    """Why libtorrent cannot be used here, or None."""
    if libtorrent is None:
        return "python3-libtorrent is not installed"
    if not hasattr(libtorrent.session, "dht_get_mutable_item"):
        return "this libtorrent has no DHT items"
    return None


def expand(seed):
    """The secret key that libtorrent signs with, from an Ed25519 seed."""
    h = bytearray(hashlib.sha512(seed).digest())
    h[0] &= 248
    h[31] &= 63
    h[31] |= 64
    return bytes(h)


def free_port():
    """A UDP port of loopback that nobody has, at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Node:
    """One session on 127.0.0.1:port, or on a host of internet.py with what
    libtorrent itself sets. It knows only nodes that it is given: libtorrent
    never keeps its dht_bootstrap_nodes in the table nor stores there, so in a
    small net use add_node for them too."""

    def __init__(self, port=None, host=None, **extra):
        self.port = port or (PORT if host else free_port())
        self.at = (host.addr if host else "127.0.0.1", self.port)
        settings = dict(STOCK, **({} if host else LOOPBACK), **extra)
        settings["listen_interfaces"] = "%s:%d" % self.at
        kinds = libtorrent.alert.category_t
        settings["alert_mask"] = (
            kinds.dht_notification | kinds.dht_operation_notification |
            kinds.error_notification | kinds.status_notification)
        with host.inside() if host else contextlib.nullcontext():
            self.session = libtorrent.session(settings)
        self.nodes = []

    def close(self):
        """Leaves the net; returns when it has."""
        self.session = None

    def add_node(self, at):
        """Tells it of a node, (address, port) or a port of loopback, which
        it will ask."""
        self.nodes.append(at if isinstance(at, tuple) else ("127.0.0.1", at))
        self.session.add_dht_node(self.nodes[-1])

    def wait(self, wanted, timeout_s):
        """The first true wanted(alert), or None. An alert lives only until
        the next ones are popped, so it is judged at once."""
        end = time.monotonic() + timeout_s
        while True:
            for alert in self.session.pop_alerts():
                found = wanted(alert)
                if found:
                    return found
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.session.wait_for_alert(int(min(left, 0.1) * 1000) + 1)

    def node_id(self):
        """Its id, 20 bytes, or None while the DHT is not up."""
        state = self.session.save_state(0xffff).get(b"dht state") or {}
        for entry in state.get(b"node-id", ()):
            return entry[:20]
        return None

    def table(self, timeout_s=2):
        """(address, port) of the nodes in its table."""
        own = self.node_id()
        if not own:
            return set()

        def nodes(alert):
            if not isinstance(alert, libtorrent.dht_live_nodes_alert):
                return None
            return {None} | {node["endpoint"] for node in alert.nodes}
        self.session.dht_live_nodes(libtorrent.sha1_hash(own))
        return (self.wait(nodes, timeout_s) or {None}) - {None}

    def live_nodes(self):
        """Their ports."""
        return {port for _, port in self.table()}

    def wait_for_nodes(self, ports, timeout_s=15):
        """True when its table holds all these; asks again meanwhile, as
        what it is told before its DHT is up is lost."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if set(ports) <= self.live_nodes():
                return True
            self.remind()
            time.sleep(0.1)
        return False

    def remind(self):
        for at in self.nodes:
            self.session.add_dht_node(at)

    def wait_for_table(self, good, timeout_s=15):
        """True when good(its table), (address, port) each."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if good(self.table()):
                return True
            self.remind()
            time.sleep(0.1)
        return False

    def get_mutable(self, pk, salt=b"", timeout_s=20, first=False):
        """(value, seq, sig), or None if no node has it. libtorrent waits
        15 s for a node that is gone; first takes what comes before that,
        which may be older than what comes later."""
        def item(alert):
            if not isinstance(alert, libtorrent.dht_mutable_item_alert):
                return None
            if bytes(alert.key) != pk or octets(alert.salt) != salt:
                return None
            if not alert.authoritative and not (first and alert.seq > 0):
                return None
            if alert.seq <= 0:  # nothing found; the rest is not set
                return (None,)
            return (alert.item["value"], alert.seq, bytes(alert.signature))
        self.session.dht_get_mutable_item(pk, salt)
        found = self.wait(item, timeout_s)
        return found if found and len(found) == 3 else None

    def put_mutable(self, sk, pk, value, salt=b"", timeout_s=30):
        """How many nodes took it, or None. libtorrent picks the seq: one
        above the one that it found."""
        def done(alert):
            if not isinstance(alert, libtorrent.dht_put_alert):
                return None
            if bytes(alert.public_key) != pk:
                return None
            return (alert.num_success,)
        self.session.dht_put_mutable_item(sk, pk, value, salt)
        found = self.wait(done, timeout_s)
        return found[0] if found else None

    def put_immutable(self, value):
        """Its target; libtorrent says nothing about where it went."""
        def done(alert):
            return isinstance(alert, libtorrent.dht_put_alert) and (
                alert.target.to_bytes() == target)
        target = self.session.dht_put_immutable_item(value).to_bytes()
        self.wait(done, 30)
        return target

    def get_immutable(self, target, timeout_s=20):
        """The value, or None."""
        def item(alert):
            if not isinstance(alert, libtorrent.dht_immutable_item_alert):
                return None
            if alert.target.to_bytes() != target:
                return None
            return (alert.item["value"],)
        self.session.dht_get_immutable_item(libtorrent.sha1_hash(target))
        found = self.wait(item, timeout_s)
        return octets(found[0]) if found and found[0] else None

    def announce(self, info_hash, folder):
        """Begins with a torrent, which makes it a peer at its own port."""
        self.session.add_torrent({
            "info_hash": info_hash,
            "save_path": folder})

    def peers(self, info_hash, timeout_s=20):
        """(address, port) of the peers of a torrent; one answer at least."""
        def peers(alert):
            if not isinstance(alert, libtorrent.dht_get_peers_reply_alert):
                return None
            return alert.info_hash.to_bytes() == info_hash and alert.peers()
        self.session.dht_get_peers(libtorrent.sha1_hash(info_hash))
        return set(self.wait(peers, timeout_s) or ())

    def sample(self, at, target, timeout_s=5):
        """(samples, nodes) that a node gives, or None."""
        def answer(alert):
            if not isinstance(alert, libtorrent.dht_sample_infohashes_alert):
                return None
            return ([s.to_bytes() for s in alert.samples],
                    [node["endpoint"] for node in alert.nodes])
        self.session.dht_sample_infohashes(at, libtorrent.sha1_hash(target))
        return self.wait(answer, timeout_s)


def octets(text):
    """What the binding gives as text, as the bytes that it was."""
    if isinstance(text, bytes):
        return text
    return text.encode("utf-8", "surrogateescape")
