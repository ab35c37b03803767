"""A home: a router with one address outside, a host behind it.

    with Home() as home:
        home.host.command("btchatd", ...)   # 192.168.7.2
        with home.router.inside(): ...      # 192.168.7.1, 45.12.3.4 outside
        with home.outside.inside(): ...     # 45.12.3.9
"""
import internet

ROUTER, HOST = "192.168.7.1", "192.168.7.2"
OUTER, FAR = "45.12.3.4", "45.12.3.9"
ROUTER6, HOST6 = "2001:db8:7::1", "2001:db8:7::2"


class Home:
    def __init__(self):
        self.router, self.outside = internet.Space(), internet.Space()
        self.host = internet.Host(HOST)
        self.router.set("ipv4/ip_forward", 1)
        self.router.ip(
            "link set lo up",
            "link add lan type veth peer name eth0 netns " + self.host.path,
            "link add wan type veth peer name eth0 netns " +
            self.outside.path,
            "addr add %s/24 dev lan" % ROUTER,
            "addr add %s/24 dev wan" % OUTER,
            "link set lan up", "link set wan up")
        self.host.ip("link set lo up", "addr add %s/24 dev eth0" % HOST,
                     "link set eth0 up", "route add default via " + ROUTER)
        self.outside.ip("link set lo up", "addr add %s/24 dev eth0" % FAR,
                        "link set eth0 up")

    def add_ipv6(self):
        """A router that is known by its address of the link."""
        for space, dev, addr in ((self.router, "lan", ROUTER6),
                                 (self.host, "eth0", HOST6)):
            space.set("ipv6/conf/%s/disable_ipv6" % dev, 0)
            space.ip("addr add %s/64 dev %s nodad" % (addr, dev))
        self.router.ip("addr add fe80::1/64 dev lan nodad")
        self.host.ip("route add ::/0 via fe80::1 dev eth0")

    def close(self):
        for space in (self.host, self.router, self.outside):
            space.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()
