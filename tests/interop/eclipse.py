"""Hostile nodes round one cell, and the honest ones that know them."""
import os

import internet
import krpc
from check import check

N_HOSTILE = 8
NEAR_BITS = 14  # of the cell's target, in the id of each hostile node
MODES = ("nothing", "stale", "forged")


class Hostile(krpc.Node):
    """Answers all like an honest node, but for the cell. Near it there is
    nobody but its gang."""

    def __init__(self, host, node_id, gang):
        self.gang, self.honest, self.held = gang, [], None
        super().__init__(host, node_id)

    def answer(self, method, args, sender):
        if method == b"put":
            return self.take_put(args)
        target = args.get(b"target") or args.get(b"info_hash")
        if target is None:
            return {}
        near = krpc.distance(target, self.gang.target) >> 152 == 0
        known = self.gang.nodes if near else self.honest
        r = {"token": b"take", "nodes": b"".join(
            node_id + krpc.pack(*at) for node_id, at in known[:8])}
        if method == b"get" and target == self.gang.target:
            r.update(self.lie())
        return r

    def take_put(self, args):
        if krpc.target_of(args.get(b"k", b""), args.get(
                b"salt", b"")) != self.gang.target:
            return {}
        if self.held is None:
            self.held = {name: args[name] for name in (
                b"v", b"k", b"sig", b"seq")}
        self.gang.newest = max(self.gang.newest, args[b"seq"])
        self.gang.armed = True
        return {}

    def lie(self):
        if self.gang.mode == "stale" and self.held:
            return self.held
        if self.gang.mode == "forged" and self.gang.armed:
            return dict(self.held, **{b"seq": self.gang.newest + 1,
                                      b"v": b"forged"})
        return {}


class Gang:
    """What the hostile nodes agree on."""

    def __init__(self, net, target, rng):
        self.target, self.mode, self.newest = target, MODES[0], 0
        self.armed = False
        self.nodes = []
        self.member = [Hostile(net.host(addr), node_id, self)
                       for addr, node_id in ids_near(target, rng)]
        self.nodes = [(m.id, m.at) for m in self.member]

    def turn(self, mode):
        """From now on; to forge, they wait until a put is taken."""
        self.mode, self.armed = mode, False


def ids_near(target, rng):
    """Addresses whose ids may be that near, and such ids."""
    found = []
    head = int.from_bytes(target[:4], "big")
    for addr in internet.all_addresses(rng):
        salt = next((salt for salt in range(8) if (
            krpc.prefix(addr, salt) ^ head) >> 32 - NEAR_BITS == 0), None)
        if salt is not None:
            found.append((addr, krpc.id_for(
                addr, salt, target[:10] + os.urandom(10))))
        if len(found) == N_HOSTILE:
            return found


def mesh(honest, gang, probe, rng):
    """libtorrent nodes, all told of one another and of the gang."""
    ats = [n.at for n in honest]
    known = set(ats) | {m.at for m in gang.member}
    for node in honest:
        for at in known - {node.at}:
            node.add_node(at)
    check("libtorrent's nodes know one another and the hostile ones", all(
        n.wait_for_table(lambda table, n=n: len(
            known - {n.at} - table) < 8) for n in honest),
        [len(n.table()) for n in honest])
    ids = [(probe.ask(at, "ping")[b"r"][b"id"], at) for at in ats]
    for member in gang.member:
        member.honest = rng.sample(ids, 8)
    check("all ids fit their addresses", all(
        krpc.verifies(i, at[0]) for i, at in ids + gang.nodes))
    nearest = min(krpc.distance(i, gang.target) for i, _ in ids)
    check("no honest node is as near as any hostile one", all(
        krpc.distance(i, gang.target) < nearest for i, _ in gang.nodes))
