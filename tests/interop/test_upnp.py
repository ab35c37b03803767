#!/usr/bin/python3
"""UPnP-IGD: Debian's miniupnpd on a real NAT, and gateways that lie to the
helper, or to the whole network. Each has a home of its own, all at once: none is
asked before PCP and NAT-PMP have had their time."""
import contextlib
import http.server
import os
import re
import select
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
import home  # noqa: E402
import internet  # noqa: E402
import test_portmap as portmap  # noqa: E402
from check import DAEMON, check, finish, skip  # noqa: E402
from net import Net, need_build  # noqa: E402

GROUP, SSDP, HTTP = "239.255.255.250", 1900, 5000
WAN = "urn:schemas-upnp-org:service:WANIPConnection:1"
GLOBAL = "203.0.113.1"
ROUND_S = 10.0  # without a search: another job
ELSEWHERE = home.FAR  # a machine that nobody here has to ask

DESCRIPTION = """<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0">%(base)s
<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1
</deviceType><serviceList><service><serviceType>%(type)s</serviceType>
<controlURL>%(control)s</controlURL><eventSubURL>/e</eventSubURL>
<SCPDURL>/s.xml</SCPDURL></service></serviceList></device></root>"""
SOAP = """<?xml version="1.0"?><s:Envelope
xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>%s</s:Body>
</s:Envelope>"""
FAULT = """<s:Fault><faultcode>s:Client</faultcode><detail><UPnPError>
<errorCode>%d</errorCode></UPnPError></detail></s:Fault>"""


class Igd:
    """A gateway on the router of a home, as its members say."""

    def __init__(self, where, **how):
        self.how = {"location": "http://%s:%d/d.xml" % (home.ROUTER, HTTP),
                    "base": "", "control": "/c", "type": WAN,
                    "address": GLOBAL, "errors": [], "drip": False,
                    "flood": 0}
        self.how.update(how)
        self.searches, self.rounds, self.last = 0, 0, 0.0
        self.actions, self.opened = [], 0
        self.open = {}  # port outside: (machine, port inside, lease)
        igd = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def reply(self, code, body):
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def do_GET(self):
                igd.opened += 1
                if igd.how["drip"]:
                    igd.drip(self)
                elif igd.how["flood"]:
                    self.reply(200, b"<a>" * igd.how["flood"])
                else:
                    self.reply(200, (DESCRIPTION % igd.how).encode())

            def do_POST(self):
                body = self.rfile.read(
                    int(self.headers["Content-Length"])).decode()
                action = self.headers["SOAPAction"].strip('"').split("#")[1]
                self.reply(*igd.act(action, body))

        with where.router.inside():
            self.ssdp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.ssdp.bind((GROUP, SSDP))
            self.ssdp.setsockopt(
                socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                socket.inet_aton(GROUP) + socket.inet_aton(home.ROUTER))
            self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.out.bind((home.ROUTER, 0))
            self.server = http.server.ThreadingHTTPServer(
                (home.ROUTER, HTTP), Handler)
        self.server.daemon_threads = True
        self.done = threading.Event()
        for target in (self.server.serve_forever, self.answer_searches):
            threading.Thread(target=target, daemon=True).start()

    def answer_searches(self):
        while True:
            try:
                data, sender = self.ssdp.recvfrom(2000)
            except OSError:
                return
            if self.done.is_set():
                return
            st = re.search(rb"\r\nST: *([^\r]*)", data)
            if not data.startswith(b"M-SEARCH") or not st:
                continue
            self.searches += 1
            if time.monotonic() - self.last > ROUND_S:
                self.rounds += 1
            self.last = time.monotonic()
            if self.how["location"]:
                self.out.sendto(
                    b"HTTP/1.1 200 OK\r\nST: %s\r\nUSN: uuid:1\r\n"
                    b"LOCATION: %s\r\n\r\n" % (
                        st[1], self.how["location"].encode()), sender)

    def drip(self, handler):
        """A byte now and then, for ever."""
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            while not self.done.wait(1):
                handler.wfile.write(b"<")

    def act(self, action, body):
        field = dict(re.findall(r"<(New\w+)>([^<]*)</", body))
        self.actions.append((action, field))
        if action == "GetExternalIPAddress":
            return 200, (SOAP % (
                '<u:%sResponse xmlns:u="%s"><NewExternalIPAddress>%s'
                "</NewExternalIPAddress></u:%sResponse>" % (
                    action, WAN, self.how["address"], action))).encode()
        if action == "AddPortMapping":
            if self.how["errors"]:
                error = self.how["errors"].pop(0)
                return 500, (SOAP % (FAULT % error)).encode()
            self.open[int(field["NewExternalPort"])] = (
                field["NewInternalClient"], int(field["NewInternalPort"]),
                int(field["NewLeaseDuration"]))
        elif action == "DeletePortMapping":
            self.open.pop(int(field["NewExternalPort"]), None)
        return 200, (SOAP % ('<u:%sResponse xmlns:u="%s"/>' % (
            action, WAN))).encode()

    def close(self):
        self.done.set()
        self.server.shutdown()
        self.server.server_close()
        with contextlib.suppress(OSError):
            self.ssdp.shutdown(socket.SHUT_RDWR)
        self.ssdp.close()
        self.out.close()


class Trap:
    """Counts who connects to another machine than the gateway."""

    def __init__(self, where):
        where.outside.ip("route add %s via %s" % (home.HOST, home.OUTER))
        with where.outside.inside():
            self.socket = socket.create_server((ELSEWHERE, 80))
        self.socket.setblocking(False)

    def caught(self):
        try:
            self.socket.accept()[0].close()
        except BlockingIOError:
            return False
        return True


class Case:
    """A home, its gateway, a daemon; good says what must come of it."""

    def __init__(self, stack, net, name, good, extra=(), gateway=None, **how):
        self.name, self.good = name, good
        self.where = stack.enter_context(home.Home())
        self.igd = Igd(self.where, **how)
        stack.callback(self.igd.close)
        self.trap = Trap(self.where)
        self.pcp = portmap.Gateway(self.where.router) if gateway else None
        if self.pcp:
            stack.callback(self.pcp.close)
        self.daemon = net.add(name.replace(" ", "-"), host=self.where.host,
                              extra=list(extra)).start()

    def is_mapped(self):
        m = portmap.mapped(self.daemon)
        return m["endpoint"] if m["protocol"] == "upnp" else None

    def added(self):
        return [f for a, f in self.igd.actions if a == "AddPortMapping"]


def mapped_at(address):
    def good(c):
        end = portmap.wait_for(c.is_mapped)
        inside = c.igd.open.get(int((end or ":0").split(":")[1]))
        return check("%s: the port is mapped" % c.name,
                     end and end.startswith(address + ":") and inside and
                     inside[:2] == (home.HOST, c.daemon.port),
                     end, inside, c.igd.actions) and inside
    return good


def plain(c):
    inside = mapped_at(GLOBAL)(c)
    check("%s: for an hour, under a name that tells nothing" % c.name,
          inside and inside[2] == 3600 and
          c.added()[0]["NewPortMappingDescription"] == str(c.daemon.port),
          c.added())
    c.daemon.stop()
    check("%s: a clean end takes it back" % c.name,
          portmap.wait_for(lambda: not c.igd.open), c.igd.open)


def permanent(c):
    inside = mapped_at(GLOBAL)(c)
    check("%s: only then it is" % c.name, inside and inside[2] == 0 and
          [f["NewLeaseDuration"] for f in c.added()] == ["3600", "0"],
          c.added())


def taken(c):
    mapped_at(GLOBAL)(c)
    ports = [f["NewExternalPort"] for f in c.added()]
    check("%s: another is asked for" % c.name,
          len(ports) == 2 and ports[0] != ports[1], ports)


def behind(c):
    good = portmap.wait_for(
        lambda: portmap.mapped(c.daemon)["behind_nat"])
    check("%s: it is seen, and nothing told" % c.name, good and
          portmap.mapped(c.daemon)["endpoint"] is None,
          portmap.mapped(c.daemon))


def nothing(c):
    """It was looked for, and what came was not believed."""
    # When the next round begins the first job has ended.
    tried = portmap.wait_for(lambda: c.igd.rounds > 1)
    check("%s: nothing is mapped, the daemon is well" % c.name,
          tried and not c.is_mapped() and
          c.daemon.call("net.status")["udp"] and
          c.daemon.process.poll() is None, portmap.mapped(c.daemon))
    check("%s: no other machine is asked" % c.name, not c.trap.caught())


def unasked(c):
    check("%s: nobody is looked for" % c.name, c.igd.searches == 0,
          c.igd.searches)


def by_pcp(c):
    good = portmap.wait_for(lambda: portmap.mapped(c.daemon)["endpoint"])
    check("%s: the port is mapped by that" % c.name, good and
          portmap.mapped(c.daemon)["protocol"] == "pcp")
    unasked(c)


LIES = (
    ("a gateway elsewhere", {"location": "http://%s/d.xml" % ELSEWHERE}),
    ("a gateway with a user", {"location": "http://%s@%s/d.xml" % (
        home.ROUTER, ELSEWHERE)}),
    ("a gateway with a longer name", {"location": "http://%s.%s/d.xml" % (
        home.ROUTER, ELSEWHERE)}),
    ("control elsewhere", {"control": "http://%s/c" % ELSEWHERE}),
    ("a base elsewhere", {"base": "<URLBase>http://%s/</URLBase>" %
                          ELSEWHERE}),
    ("no such service", {"type": "urn:schemas-upnp-org:service:Light:1"}),
    ("an address that is none", {"address": "%s<b" % ("9" * 40)}),
    ("errors only", {"errors": [501] * 99}),
    ("endless dripping", {"drip": True}),
    ("a flood of tags", {"flood": 20000000}),
    ("a file for an address", {"location": "file:///etc/passwd"}),
)


def all_at_once(net):
    with contextlib.ExitStack() as stack:
        cases = [Case(stack, net, name, nothing, **how)
                 for name, how in LIES]
        cases += [
            Case(stack, net, "a gateway", plain),
            Case(stack, net, "permanent leases only", permanent,
                 errors=[725]),
            Case(stack, net, "a port that is taken", taken, errors=[718]),
            Case(stack, net, "a second NAT", behind, address="100.64.0.9"),
            Case(stack, net, "PCP besides", by_pcp, gateway=True),
            Case(stack, net, "upnp = no", unasked,
                 extra=["--set", "upnp=no"]),
        ]
        real = stack.enter_context(Real(net))
        helped = stack.enter_context(Helped(net))
        for c in cases:  # the last ones: all others have been asked by then
            c.good(c)
        helped.check()
        real.check()


def helper_of(daemon):
    """Its process ids: the helper, and what it runs."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                words = f.read().split(b"\0")
            with open("/proc/%s/stat" % pid) as f:
                parent = int(f.read().rsplit(")", 1)[1].split()[1])
            if b"--upnp-helper" in words and parent == daemon.process.pid:
                found.append(int(pid))
    return found


class Helped:
    """Nothing hangs on the helper; nor does it on us."""

    def __init__(self, net):
        self.net = net

    def __enter__(self):
        self.where = home.Home()
        self.igd = Igd(self.where)
        self.daemon = self.net.add("helper", host=self.where.host).start()
        return self

    def __exit__(self, kind, value, trace):
        self.igd.close()
        self.where.close()

    def check(self):
        d = self.daemon
        pids = helper_of(d)
        check("there is one helper", len(pids) == 1, pids)
        with open("/proc/%d/environ" % pids[0], "rb") as f:
            check("it has no environment", f.read() == b"")
        inherited = sorted(
            os.readlink("/proc/%d/fd/%s" % (pids[0], fd)).split(":")[0]
            for fd in os.listdir("/proc/%d/fd" % pids[0]))
        check("it has nothing open but its socket", set(inherited) <= {
            "/dev/null", "socket", d.log} and
            inherited.count("socket") == 1, inherited)
        good = portmap.wait_for(lambda: portmap.mapped(d)["endpoint"])
        check("it maps the port", good)
        os.kill(pids[0], 9)
        check("the daemon lives on without it", portmap.wait_for(
            lambda: "upnp-off" in d.tail()) and d.call("net.status"))
        check("it leaves no child", not helper_of(d))
        d.stop()
        other = self.net.add("orphan", host=self.where.host).start()
        fd = os.pidfd_open(helper_of(other)[0])
        other.kill()
        check("a daemon that is killed leaves no helper", portmap.wait_for(
            lambda: select.select([fd], [], [], 0)[0]))
        os.close(fd)


class Real:
    """Debian's miniupnpd."""

    SETTINGS = portmap.SETTINGS.replace(
        "enable_natpmp=yes", "enable_natpmp=no").replace(
        "enable_upnp=no", "enable_upnp=yes")

    def __init__(self, net):
        self.net = net

    def __enter__(self):
        self.where = home.Home()
        self.gateway = portmap.miniupnpd(self.where, self.SETTINGS)
        self.why = self.gateway.__enter__()
        if not self.why:
            self.daemon = self.net.add("real", host=self.where.host).start()
        return self

    def __exit__(self, *error):
        self.gateway.__exit__(*error)
        self.where.close()

    def is_gone(self):
        return home.HOST not in subprocess.run(
            self.where.router.command("nft", "list", "ruleset"), text=True,
            capture_output=True).stdout

    def check(self):
        if self.why:
            print("ok a real gateway # SKIP " + self.why)
            return
        d = self.daemon
        good = portmap.wait_for(lambda: portmap.mapped(d)["endpoint"])
        check("miniupnpd maps the port by UPnP", good and
              good.startswith(home.OUTER + ":") and
              portmap.mapped(d)["protocol"] == "upnp", portmap.mapped(d))
        check("a datagram from outside comes in",
              bool(good) and portmap.arrives(self.where, d, good))
        d.stop()
        check("after a clean end there is no rule",
              portmap.wait_for(self.is_gone))


def main():
    need_build()
    why = internet.missing()
    if why:
        skip(why)
    with Net() as net:
        probe = subprocess.run(["ldd", DAEMON], text=True,
                               capture_output=True).stdout
        if "miniupnpc" not in probe:
            skip("built without libminiupnpc")
        all_at_once(net)
    finish()


if __name__ == "__main__":
    main()
