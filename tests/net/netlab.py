#!/usr/bin/python3
"""A lab to play with: builds a topology and obeys.

    tests/net/netlab.py tests/net/topo/example.conf

Commands come from the terminal or a pipe, a line each; the lab goes with the
end of its input. In another terminal the command that "ls" shows enters a
host.
"""
import cmd
import os
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Home, Lab, LabError, missing  # noqa: E402


class Shell(cmd.Cmd):
    prompt = "netlab> " if sys.stdin.isatty() else ""
    use_rawinput = sys.stdin.isatty()

    def __init__(self, lab):
        super().__init__()
        self.lab = lab

    def onecmd(self, line):
        try:
            return super().onecmd(line)
        except (KeyError, LabError, OSError, TypeError, ValueError,
                subprocess.CalledProcessError) as error:
            print("%s: %s" % (type(error).__name__, error))
            return False

    def emptyline(self):
        return False

    def do_EOF(self, line):
        """The end of the lab."""
        return True

    def do_ls(self, line):
        """Homes, hosts, and how to enter a host."""
        for node in self.lab.nodes.values():
            if isinstance(node, Home):
                print("%-12s %s %s, IPv6 %s" % (
                    node.name, node.kind, node.ext, node.v6))
        for host in self.lab.hosts.values():
            print("%-12s %s  %s" % (host.name, " ".join(
                host.addrs + host.addrs6), " ".join(host.command())))

    def do_exec(self, line):
        """exec HOST COMMAND..."""
        host, *words = shlex.split(line)
        subprocess.run(self.lab[host].command(*words))

    def do_cut(self, line):
        """cut NODE: all is lost, in silence"""
        self.lab.cut(line)

    def do_heal(self, line):
        """heal NODE: after a cut"""
        self.lab.heal(line)

    def do_unplug(self, line):
        """unplug HOST: it loses its carrier"""
        self.lab.unplug(line)

    def do_plug(self, line):
        """plug HOST: it has it again"""
        self.lab.plug(line)

    def do_roam(self, line):
        """roam HOST [HOME] | roam HOME: other addresses"""
        self.lab.roam(*line.split())

    def do_join(self, line):
        """join HOST HOME: a second interface there"""
        self.lab.join(*line.split())

    def do_leave(self, line):
        """leave HOST: its first interface goes down"""
        self.lab.leave(line)

    def do_reboot(self, line):
        """reboot HOME: mappings are lost"""
        self.lab.reboot(line)

    def do_set(self, line):
        """set NODE key=value..."""
        self.lab.set(*line.split())

    def do_group(self, line):
        """group NODE NUMBER: only those of one group reach each other"""
        name, number = line.split()
        self.lab.group(name, int(number))

    def do_capture(self, line):
        """capture FILE [NODE] | capture off"""
        self.lab.capture(*line.split())

    def do_mappings(self, line):
        """mappings NODE: of its NAT and firewall"""
        for m in self.lab.mappings(line):
            print("%(inside)s %(outside)s" % m, "dead" * (not m["alive"]),
                  *(remote["at"] for remote in m["remotes"]))

    def do_flows(self, line):
        """Packets from host to host, as delivered."""
        for (source, to), packets in sorted(self.lab.flows().items()):
            print("%-16s %-16s %8d" % (source, to, packets))

    def do_stats(self, line):
        """What each link carried and lost."""
        stats = self.lab.stats()
        for link in stats["links"]:
            print("%-12s %-4s %8d packets %10d bytes " % (
                link["node"], link["dir"], link["packets"], link["bytes"]),
                *("%s=%d" % pair for pair in link["drops"].items()))
        print("worst lateness %.3f ms" % stats["late_ms"])

    def do_reset(self, line):
        """Counters begin anew."""
        self.lab.reset()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    why = missing()
    if why:
        sys.exit("netlab: " + why)
    with open(sys.argv[1]) as f:
        text = f.read()
    with Lab(text) as lab:
        try:
            Shell(lab).cmdloop()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
