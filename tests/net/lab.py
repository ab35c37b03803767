"""An internet in network namespaces: public hosts, homes behind NATs, bad
links and trouble. NETLAB.md explains the topology and every parameter.

    with Lab('''
        host boot
        home anna nat=port-restricted hosts=alice delay=20ms
    ''') as lab:
        subprocess.run(lab["alice"].command("ping", lab["boot"].addr))
        lab.cut("anna")

Between the namespaces runs one program, tests/net/wan, which holds a TUN
device in each. Nothing but descriptors of this process and of programs inside
holds the namespaces, so all of it goes with this process, whatever happens.
"""
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../interop"), os.path.join(HERE, "../e2e")]
import internet  # noqa: E402
from check import BUILD  # noqa: E402
from internet import Space  # noqa: E402

WAN = os.path.join(BUILD, "tests/net/bin/wan")
TUN = "/dev/net/tun"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454ca, 1, 0x1000
QUEUE = 10000  # packets of a TUN device, so that only wan loses some
GATE_PORT = 5351  # NAT-PMP and PCP
GATE6 = "fe80::1"
LAN = "192.168.1"  # of all homes alike, as in life

# Parameters of a topology's line that are not simply wan's.
OWN = {"hosts", "nat", "v4", "v6", "addrs", "behind", "lan", "isolated",
       "input", "portmap"}
NAT = {"hairpin", "quota", "alloc", "step", "ports", "reject", "refresh_in",
       "arbitrary", "map", "filter", "t_new", "t_est"}
FIREWALLS = {"fw": "port-restricted", "fw-eif": "full-cone", "yes": "none",
             "open": "none"}

# The NAT of a Linux router, and what comes in by itself.
LINUX_NAT = """
table inet lab {
  chain c_post {
    type nat hook postrouting priority srcnat
    meta nfproto ipv4 oifname "wan0" masquerade %s
  }
  chain c_in {
    type filter hook input priority filter
    meta nfproto ipv6 accept
    iifname "wan0" ct state established,related accept
    iifname "wan0" %s
  }
  chain c_fwd {
    type filter hook forward priority filter
    meta nfproto ipv6 accept
    iifname "wan0" ct state established,related accept
    iifname "wan0" drop
  }
}
"""
INPUTS = {"drop": "drop", "accept": "accept",
          "reject": "reject with icmpx port-unreachable"}
# ctnetlink: delete all. [linux/netfilter/nfnetlink_conntrack.h]
CONNTRACK_FLUSH = struct.pack("=IHHII4x", 20, 1 << 8 | 2, 1 | 4, 0, 0)
NETLINK_NETFILTER = 12


class LabError(Exception):
    """A topology or a command is wrong."""


def nft():
    return shutil.which("nft", path=os.environ.get("PATH", "") + ":/usr/sbin")


def missing():
    """Why there can be no lab here, or None."""
    if not os.path.exists(WAN):
        return "%s is not built" % WAN
    why = internet.missing()
    if why:
        return why
    if not shutil.which("bridge"):
        return "there is no bridge (iproute2)"
    try:
        space = Space()
        os.close(open_tun(space, "eth0"))
        space.close()
    except OSError as error:
        return "no TUN devices: %s" % error
    return None


def open_tun(space, name):
    with space.inside():
        fd = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack(
            "16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        return fd


def open_gate(space):
    """The socket that those of a home ask for ports, both families."""
    with space.inside(), socket.socket(
            socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        sock.setblocking(False)
        sock.bind(("::", GATE_PORT))
        return sock.detach()


def quiet(space, has_v6):
    """No neighbours and routers of the kernel's own finding."""
    for where in ("all", "default"):
        space.set("ipv4/conf/%s/rp_filter" % where, 0)
        if not has_v6:
            continue
        for name in ("accept_ra", "autoconf", "accept_dad",
                     "router_solicitations"):
            space.set("ipv6/conf/%s/%s" % (where, name), 0)
    if has_v6:
        space.set("ipv6/conf/all/disable_ipv6", 0)
    space.set("ipv4/ping_group_range", "0 2147483647")


class Host(Space):
    """Where programs run; home is None for a public host."""

    def __init__(self, name, home=None, has_v6=False):
        super().__init__()
        self.name, self.home, self.has_v6 = name, home, has_v6
        self.addrs, self.addrs6 = [], []
        self.plug = None  # its end in the home's gateway
        quiet(self, has_v6)

    @property
    def addr(self):
        return self.addrs[0] if self.addrs else None

    @property
    def addr6(self):
        return self.addrs6[0] if self.addrs6 else None

    def outside(self):
        """Its IPv4 address as others see it."""
        return self.home.outside() if self.home else self.addr


class Home:
    """A router and its LAN, or a carrier's NAT (which has no space)."""

    def __init__(self, name, options):
        self.name, self.options = name, options
        self.kind = options.get("nat", "port-restricted")
        self.is_linux = self.kind.startswith("linux")
        self.v6 = options.get("v6", "no")
        self.lan = options.get("lan", LAN + ".0").rsplit(".", 1)[0]
        self.ext, self.net6, self.space = None, None, None
        self.parent = None  # a carrier's NAT
        self.next = 10      # last number of the next host

    def is_translating(self):
        return not self.kind.startswith(("none", "firewall"))

    def outside(self):
        """Where the world sees it; one that is not the only one at random."""
        return self.parent.outside() if self.parent else self.ext

    def node(self):
        return self.parent.name if self.parent else "core"


class Wan:
    """The program between the namespaces."""

    def __init__(self, fds):
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            [WAN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            pass_fds=fds, start_new_session=True)

    def ask(self, *words):
        """What it answers to a command."""
        line = " ".join(map(str, words))
        with self.lock:
            try:
                self.process.stdin.write(line + "\n")
                self.process.stdin.flush()
            except OSError:
                pass
            answer = self.process.stdout.readline()
        if not answer:
            raise LabError("wan has ended at %r" % line)
        word, _, rest = answer.partition(" ")
        if word != "ok":
            raise LabError("%s: %s" % (line, rest.strip()))
        return json.loads(rest)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        return self.process.returncode


def parse(text):
    """(kind, name, options) of each line that makes something, and the
    seed."""
    defaults, items, seed = {}, [], 1
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        kind, rest = words[0], words[1:]
        if kind == "seed":
            seed = int(rest[0])
            continue
        name = None if kind == "defaults" else rest.pop(0)
        pairs = [word.split("=", 1) for word in rest]
        if any(len(pair) != 2 for pair in pairs):
            raise LabError("not key=value: %r" % line.strip())
        if kind == "defaults":
            defaults = dict(pairs)
        elif kind in ("host", "home", "cgnat"):
            items.append((kind, name, {**defaults, **dict(pairs)}))
        else:
            raise LabError("what is %r?" % line.strip())
    return items, seed


def for_wan(options):
    """The words that wan understands as they are."""
    words = []
    for key, value in options.items():
        if key in NAT:
            words.append("nat.%s=%s" % (key, value))
            if key in ("t_new", "t_est"):
                words.append("fw6.%s=%s" % (key, value))
        elif key not in OWN:
            words.append("%s=%s" % (key, value))
    return words


class Lab:
    def __init__(self, topology, seed=None):
        items, own = parse(topology)
        self.nodes, self.hosts, self.fds, self.tuns = {}, {}, [], []
        self.n_nets, self.wan = 0, None
        try:
            self.build(items, own if seed is None else seed)
        except BaseException:
            self.close()
            raise

    def __getitem__(self, name):
        return self.hosts[name]

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    def close(self):
        """0, or how wan ended."""
        status = self.wan.close() if self.wan else 0
        spaces = list(self.hosts.values()) + [
            n.space for n in self.nodes.values()
            if isinstance(n, Home) and n.space]
        for space in spaces:
            space.close()
        for fd in self.fds:
            os.close(fd)
        self.hosts, self.nodes, self.fds, self.wan = {}, {}, [], None
        return status

    # ---- building ----

    def network(self):
        """A /24 and a /48 that nobody has, as their beginnings; each in a /16
        and a /32 of its own."""
        self.n_nets += 1
        i = self.n_nets
        return "%d.%d.7" % (20 + i // 256, i % 256), "2a01:%x:7" % i

    def name(self, name):
        if name in self.nodes or name in self.hosts or name == "core":
            raise LabError("%s is there twice" % name)
        return name

    def build(self, items, seed):
        script = ["seed %d" % seed]
        for kind, name, options in items:
            make = {"host": self.add_host, "home": self.add_home,
                    "cgnat": self.add_cgnat}[kind]
            script += make(self.name(name), options)
        self.wan = Wan(self.fds)
        for fd in self.fds:
            os.close(fd)
        self.fds = []
        for line in script:
            self.wan.ask(line)
        for node in self.nodes.values():
            if isinstance(node, Host):
                self.set_up_host(node)
            elif node.space:
                self.set_up_home(node)

    def descriptors(self, space, tun, has_gate=False):
        """The TUN device of a space and its gate, as wan is told them."""
        mine = [open_tun(space, tun)]
        self.fds += mine
        if has_gate:
            mine.append(open_gate(space))
            self.fds.append(mine[1])
        return " ".join(map(str, mine + [-1] * (2 - len(mine))))

    def add_host(self, name, options):
        v6 = options.get("v6", "no")
        host = Host(name, has_v6=v6 != "no")
        self.hosts[name] = self.nodes[name] = host
        routes, lines = [], []
        count = int(options.get("addrs", 1))
        for i in range(count):
            net, net6 = self.network()
            label = name if count == 1 else "%s.%d" % (name, i + 1)
            if options.get("v4", "yes") != "no":
                at = options.get("v4", "yes")
                host.addrs.append(net + ".1" if at == "yes" else at)
                routes.append(host.addrs[-1])
                lines.append("host %s %s %s" % (name, routes[-1], label))
            if host.has_v6:
                host.addrs6.append(net6 + "::1")
                routes.append(net6 + "::/48")
                lines.append("host %s %s::1 %s" % (name, net6, label))
        words = ["node", name, "core", self.descriptors(host, "eth0"),
                 "route=" + ",".join(routes)]
        if "nat" in options:
            words.append("nat=" + options["nat"])
        if host.has_v6:
            words.append("fw6=" + FIREWALLS[v6])
        return [" ".join(words + for_wan(options))] + lines

    def add_cgnat(self, name, options):
        node = self.nodes[name] = Home(name, options)
        node.v6, node.next = "no", 1
        net, _ = self.network()
        addrs = ["%s.%d" % (net, i + 1)
                 for i in range(int(options.get("addrs", 1)))]
        node.ext = addrs[0]
        words = ["node", name, "core -1 -1", "nat=" + node.kind,
                 "ext=" + ",".join(addrs), "route=%s.0/24" % net]
        return [" ".join(words + for_wan(options))]

    def add_home(self, name, options):
        home = self.nodes[name] = Home(name, options)
        net, home.net6 = self.network()
        home.ext = net + ".1"
        if "behind" in options:
            home.parent = self.nodes[options["behind"]]
            home.ext = "100.64.%d.1" % home.parent.next
            home.parent.next += 1
        if options.get("v4") == "no":
            home.ext = None
        elif not home.is_translating():
            home.lan = home.ext.rsplit(".", 1)[0]
        home.space = Space()
        quiet(home.space, True)
        lines = [self.home_node(home, options)]
        if home.parent and home.v6 != "no":
            lines.append("route %s %s::/48" % (home.node(), home.net6))
        for one in filter(None, options.get("hosts", "").split(",")):
            self.hosts[self.name(one)] = Host(one, home, home.v6 != "no")
        return lines

    def home_node(self, home, options):
        words = ["node", home.name, home.node(), self.descriptors(
            home.space, "wan0", "portmap" in options)]
        routes = []
        if home.ext and not home.is_translating():
            words.append("nat=" + home.kind)
            routes.append(home.lan + ".0/24")
        elif home.ext:
            routes.append(home.ext)
            if not home.is_linux:
                words += ["nat=" + home.kind, "ext=" + home.ext]
        if home.v6 != "no":
            routes.append(home.net6 + "::/48")
            words.append("fw6=" + FIREWALLS[home.v6])
        if "portmap" in options:
            words.append("portmap=" + options["portmap"])
        words.append("route=" + ",".join(routes))
        return " ".join(words + for_wan(options))

    def set_up_host(self, host):
        lines = ["link set lo up", "link set eth0 addrgenmode none",
                 "link set eth0 txqueuelen %d up" % QUEUE]
        lines += ["addr add %s/32 dev eth0" % a for a in host.addrs]
        lines += ["addr add %s/128 dev eth0 nodad" % a for a in host.addrs6]
        host.ip(*lines, *self.routes_of(host))

    def routes_of(self, host):
        """Those of a public host."""
        lines = []
        if host.addrs:
            lines.append("route replace default dev eth0")
        if host.addrs6:
            lines.append("route replace ::/0 dev eth0")
        return lines

    def set_up_home(self, home):
        space = home.space
        lines = ["link set lo up",
                 "link add br0 address 02:00:00:00:00:01 type bridge "
                 "mcast_snooping 0 forward_delay 0",
                 "link set br0 up", "link set wan0 addrgenmode none",
                 "link set wan0 txqueuelen %d up" % QUEUE]
        if home.ext:
            lines += ["addr add %s.1/24 dev br0" % home.lan,
                      "route add default dev wan0"]
        if home.is_linux:
            lines.append("addr add %s/32 dev wan0" % home.ext)
        if home.v6 != "no":
            lines += ["addr add %s/64 dev br0 nodad" % GATE6,
                      "addr add %s::1/64 dev br0 nodad" % home.net6,
                      "route add ::/0 dev wan0"]
        space.ip(*lines)
        space.set("ipv4/ip_forward", 1)
        space.set("ipv6/conf/all/forwarding", 1)
        for dev in ("all", "br0", "wan0"):
            space.set("ipv4/conf/%s/send_redirects" % dev, 0)
        if home.is_linux:
            self.set_up_linux(home)
        for host in self.hosts.values():
            if host.home is home:
                self.attach(host, home)

    def set_up_linux(self, home):
        options = home.options
        how = "random,fully-random" if home.kind == "linux-random" else ""
        if not nft():
            raise LabError("nat=%s needs nft" % home.kind)
        subprocess.run(
            home.space.command(nft(), "-f", "-"), text=True, check=True,
            input=LINUX_NAT % (how, INPUTS[options.get("input", "drop")]))
        for key, name in (("t_new", "nf_conntrack_udp_timeout"),
                          ("t_est", "nf_conntrack_udp_timeout_stream")):
            if key in options:
                home.space.set("netfilter/" + name, options[key].rstrip("s"))

    def attach(self, host, home):
        """Plugs a host into the LAN of a home."""
        number = home.next
        home.next += 1
        host.home, host.plug = home, "p%d" % number
        host.addrs, host.addrs6 = [], []
        home.space.ip("link add %s type veth peer name eth0 netns %s" % (
                          host.plug, host.path),
                      "link set %s master br0" % host.plug,
                      "link set %s up" % host.plug)
        if home.options.get("isolated") == "yes":
            self.bridge(host, "isolated on")
        lines = ["link set lo up", "link set eth0 up"]
        if home.ext:
            host.addrs = ["%s.%d" % (home.lan, number)]
            lines += ["addr add %s/24 brd + dev eth0" % host.addr,
                      "route replace default via %s.1" % home.lan]
        if home.v6 != "no" and host.has_v6:
            host.addrs6 = ["%s::%d" % (home.net6, number)]
            lines += ["addr add %s/64 dev eth0 nodad" % host.addr6,
                      "route replace ::/0 via %s dev eth0" % GATE6]
        host.ip(*lines)
        for addr in host.addrs + host.addrs6:
            self.wan.ask("host", home.name, addr, host.name)
        if home.is_linux:
            self.wan.ask("host", home.name, home.ext, home.name)

    def bridge(self, host, what):
        with host.home.space.inside():
            subprocess.run(["bridge", "link", "set", "dev", host.plug,
                            *what.split()], check=True)

    def join(self, name, other):
        """A host is in the LAN of another home, too, as with Wi-Fi and
        mobile: by eth1, and only when eth0 is down."""
        host, home = self.hosts[name], self.nodes[other]
        number, lan = home.next, self.other_lan(host, home)
        home.next += 1
        home.space.ip("link add p%d type veth peer name eth1 netns %s" % (
                          number, host.path),
                      "link set p%d master br0" % number,
                      "link set p%d up" % number)
        addr = "%s.%d" % (lan, number)
        host.ip("addr add %s/24 brd + dev eth1" % addr, "link set eth1 up",
                "route add default via %s.1 dev eth1 metric 1000" % lan)
        self.wan.ask("host", other, addr, name)

    def other_lan(self, host, home):
        if host.addrs and host.addr.startswith(home.lan + "."):
            raise LabError("two LANs of one prefix: give %s another lan=" %
                           home.name)
        return home.lan

    def leave(self, name):
        """A host that joined a second home leaves its first, and knows."""
        self.hosts[name].ip("link set eth0 down")

    # ---- trouble ----

    def node_of(self, name):
        """The node through which a host, home or cgnat is reached."""
        if name in self.nodes:
            return name
        return self.hosts[name].home.name

    def cut(self, name):
        """Everything is lost, in silence."""
        if name in self.nodes:
            self.wan.ask("cut", name)
        else:
            self.bridge(self.hosts[name], "state 0")

    def heal(self, name):
        if name in self.nodes:
            self.wan.ask("heal", name)
        else:
            self.bridge(self.hosts[name], "state 3")

    def unplug(self, name):
        """The interface of a host loses its carrier."""
        host = self.hosts[name]
        space, dev = ((host.home.space, host.plug) if host.home
                      else (host, "eth0"))
        space.ip("link set %s down" % dev)

    def plug(self, name):
        host = self.hosts[name]
        if host.home:
            host.home.space.ip("link set %s up" % host.plug)
            return  # the bridge forwards by itself once there is a carrier
        host.ip("link set eth0 up", *[
            "addr replace %s/128 dev eth0 nodad" % a for a in host.addrs6],
            *self.routes_of(host))

    def set(self, name, *words):
        """Parameters of a node, as in the topology."""
        options = dict(word.split("=", 1) for word in words)
        more = [key + "=" + options[key] for key in ("nat", "portmap")
                if key in options]
        if "v6" in options:
            more.append("fw6=" + FIREWALLS[options["v6"]])
        self.wan.ask("set", self.node_of(name), *more, *for_wan(options))

    def group(self, name, number):
        """Only nodes of one group reach each other."""
        self.wan.ask("set", self.node_of(name), "group=%d" % number)

    def reboot(self, name):
        """A router forgets its mappings."""
        home = self.nodes[name]
        self.wan.ask("flush", name)
        if home.is_linux:
            flush_conntrack(home.space)

    def roam(self, name, to=None):
        """A home or a public host gets another address, which the world sees
        at once; or a host moves to another home."""
        node = self.nodes.get(name) or self.hosts[name]
        if isinstance(node, Home):
            self.roam_home(node)
        elif node.home:
            self.roam_lan(node, self.nodes[to or node.home.name])
        else:
            self.roam_public(node)

    def roam_lan(self, host, home):
        host.home.space.ip("link del " + host.plug)
        self.attach(host, home)

    def roam_home(self, home):
        net, net6 = self.network()
        space = home.space
        if home.ext and home.is_translating():
            old = home.ext
            head, last = old.rsplit(".", 1)
            home.ext = ("%s.%d" % (head, int(last) + 1) if home.parent
                        else net + ".1")
            self.wan.ask("readdress", home.name, old, home.ext)
            if home.is_linux:
                space.ip("addr add %s/32 dev wan0" % home.ext,
                         "addr del %s/32 dev wan0" % old)
                self.wan.ask("host", home.name, home.ext, home.name)
                flush_conntrack(space)
        if home.v6 != "no":
            self.roam_prefix(home, net6)

    def roam_prefix(self, home, net6):
        old, home.net6 = home.net6, net6
        nodes = [home.name] + [home.node()] * bool(home.parent)
        for node in nodes:
            self.wan.ask("route", node, net6 + "::/48")
            self.wan.ask("unroute", node, old + "::/48")
        home.space.ip("addr add %s::1/64 dev br0 nodad" % net6,
                      "addr del %s::1/64 dev br0" % old)
        for host in self.hosts.values():
            if host.home is not home or not host.addrs6:
                continue
            was = host.addr6
            host.addrs6 = [net6 + "::" + was.rsplit("::", 1)[1]]
            host.ip("addr add %s/64 dev eth0 nodad" % host.addr6,
                    "addr del %s/64 dev eth0" % was)
            self.wan.ask("host", home.name, host.addr6, host.name)

    def roam_public(self, host):
        if len(host.addrs) > 1 or len(host.addrs6) > 1:
            raise LabError("%s has several addresses" % host.name)
        net, net6 = self.network()
        if host.addrs:
            self.replace(host, host.addr, net + ".1", host.addr,
                         net + ".1", 32)
            host.addrs = [net + ".1"]
        if host.addrs6:
            was = host.addr6
            self.replace(host, was, net6 + "::1",
                         was.rsplit("::", 1)[0] + "::/48", net6 + "::/48", 128)
            host.addrs6 = [net6 + "::1"]
        host.ip(*self.routes_of(host))

    def replace(self, host, old, new, old_route, new_route, bits):
        self.wan.ask("route", host.name, new_route)
        self.wan.ask("host", host.name, new, host.name)
        host.ip("addr add %s/%d dev eth0%s" % (
                    new, bits, " nodad" if bits == 128 else ""),
                "addr del %s/%d dev eth0" % (old, bits))
        self.wan.ask("unroute", host.name, old_route)

    # ---- looking ----

    def stats(self):
        return self.wan.ask("stats")

    def drops(self, name):
        """Why packets of a node were lost, up and down together."""
        found = {}
        for link in self.stats()["links"]:
            if link["node"] == self.node_of(name):
                for why, count in link["drops"].items():
                    found[why] = found.get(why, 0) + count
        return found

    def flows(self):
        """{(from, to): packets}, as delivered; hosts on one LAN talk without
        wan's knowing. Homes of linux kinds appear by their own name."""
        return {(f["from"], f["to"]): f["packets"]
                for f in self.wan.ask("flows")}

    def reset(self):
        """Counters begin anew."""
        self.wan.ask("reset")

    def mappings(self, name):
        return self.wan.ask("mappings", self.node_of(name))

    def capture(self, path, name="core"):
        """Writes a pcap file of what passes a node; path "off" ends it."""
        self.wan.ask("capture", name, path)


def flush_conntrack(space):
    with space.inside(), socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        sock.send(CONNTRACK_FLUSH)
        error = struct.unpack_from("=i", sock.recv(512), 16)[0]
        if error != 0:
            raise LabError("conntrack is not flushed: %d" % error)
