"""A net of libtorrent nodes with stock settings, in this process."""
import concurrent.futures
import random
import threading
import time

import wan

try:
    import libtorrent
except ImportError:
    libtorrent = None

PORT = 6881
JOIN_S = 60
PATIENCE_S = 90
# Only what is no DHT is switched off: limits and timeouts stay as shipped.
SETTINGS = {
    "enable_upnp": False, "enable_natpmp": False, "enable_lsd": False,
    "enable_incoming_tcp": False, "enable_outgoing_tcp": False,
    "enable_incoming_utp": False, "enable_outgoing_utp": False,
    "dht_bootstrap_nodes": "",
}
VALUE = b"\0" * 512


class Net:
    name = "libtorrent"

    def __init__(self, first, count, seed=1):
        kinds = libtorrent.alert.category_t
        self.at = [wan.address(first + i) for i in range(count)]
        self.sessions = [libtorrent.session(dict(
            SETTINGS, listen_interfaces=f"{at}:{PORT}",
            alert_mask=kinds.dht_notification |
            kinds.dht_operation_notification)) for at in self.at]
        self.locks = [threading.Lock() for _ in self.at]
        self.random = random.Random(seed)

    def known(self, i):
        return self.sessions[i].status().dht_nodes

    def settle(self, wanted):
        """Waits until every node knows that many; tells each of eight."""
        end = time.monotonic() + JOIN_S
        least = 0
        while least < wanted and time.monotonic() < end:
            for i, session in enumerate(self.sessions):
                if self.known(i) < wanted:
                    for at in self.random.sample(self.at, 8):
                        if at != self.at[i]:
                            session.add_dht_node((at, PORT))
            time.sleep(2)
            least = min(self.known(i) for i in range(len(self.sessions)))
        return least

    def kill(self, nodes):
        for i in nodes:
            self.sessions[i] = None

    def wait(self, node, take):
        """Gives each alert to take until that is true."""
        session = self.sessions[node]
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            session.wait_for_alert(1000)
            for alert in session.pop_alerts():
                if take(alert):
                    return True
        return False

    def put(self, job):
        node, key = job
        taken = []

        def done(alert):
            if isinstance(alert, libtorrent.dht_put_alert) and bytes(
                    alert.public_key) == key.pk:
                taken.append(alert.num_success)
            return taken
        with self.locks[node]:
            start = time.monotonic()
            self.sessions[node].dht_put_mutable_item(
                key.expanded, key.pk, VALUE, b"")
            self.wait(node, done)
            took = 1000 * (time.monotonic() - start)
        return (took, taken[0]) if taken and taken[0] else (None, 0)

    def get(self, job):
        node, key = job
        first = []

        def done(alert):
            if not isinstance(alert, libtorrent.dht_mutable_item_alert):
                return False
            if bytes(alert.key) != key.pk:
                return False
            if alert.seq > 0 and not first: # else nothing was found
                first.append(1000 * (time.monotonic() - start))
            return alert.authoritative
        with self.locks[node]:
            start = time.monotonic()
            self.sessions[node].dht_get_mutable_item(key.pk, b"")
            over = self.wait(node, done)
            took = 1000 * (time.monotonic() - start)
        return (first[0] if first else None, took if over else None)

    @staticmethod
    def run(work, jobs, pace):
        began = time.monotonic()

        def paced(i, job):
            time.sleep(max(0, began + i / pace.per_s - time.monotonic()))
            return work(job)
        with concurrent.futures.ThreadPoolExecutor(pace.at_once) as pool:
            return list(pool.map(paced, range(len(jobs)), jobs))

    def puts(self, jobs, pace):
        return self.run(self.put, jobs, pace)

    def gets(self, jobs, pace):
        return self.run(self.get, jobs, pace)

    def stop(self):
        self.sessions = []
