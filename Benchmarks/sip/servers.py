"""The registrars that compare.py measures. Each says how to start it, which processes are its own, how many contacts it
has, and what they take."""

import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../scripts"))
from private_cluster import Cluster, Process, free_ports, health, wait_until  # noqa: E402

TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")


def cpu_us(pids):
    """Microseconds of CPU, user and system, that the processes have taken so far."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * TICK_US


def resident(pid):
    """Resident bytes of a process."""
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) * 1024


class Server:
    name = ""
    password = None

    def settle(self):
        """Waits until the work that a pass gave is done, where that is later than the last answer."""

    def stop(self):
        self.process.stop()


class Floor(Server):
    """Answers and does nothing else."""

    name = "floor"

    def __init__(self, tools):
        self.port = free_ports(1)[0]
        self.process = Process([os.path.join(tools, "floor"), str(self.port)], os.path.join(tools, "floor.log"))

    def pids(self):
        return self.process.pids()


class Kamailio(Server):
    """One Kamailio with two workers. -x fm: Debian builds with a debugging allocator as default, three times slower;
    the comparison is with the fast one."""

    name = "Kamailio"

    def __init__(self, digest=False, config="kamailio.cfg", port=None, defines=()):
        self.password = "secret" if digest else None
        self.directory = tempfile.TemporaryDirectory(prefix="kamailio-")
        self.port = port or free_ports(1)[0]
        self.control = f"unix:{self.directory.name}/control"
        defines = [f'CONTROL="{self.control}"', *(["WITH_AUTH"] if digest else []), *defines]
        self.process = Process(
            ["kamailio", "-f", os.path.join(HERE, config), "-l", f"udp:127.0.0.1:{self.port}", "-x", "fm",
             "-n", "2", "-m", "2048", "-M", "16", "-DD", "-E", "-Y", self.directory.name,
             "-P", f"{self.directory.name}/pid", *(word for one in defines for word in ("-A", one))],
            f"{self.directory.name}/log")
        wait_until(
            lambda: self.process.require_alive() and self.ask("core.shmmem"), 20, "Kamailio answers", self.process.tail)

    def ask(self, *request):
        """Asks over the control socket; nothing when it cannot be asked."""
        done = subprocess.run(["kamcmd", "-s", self.control, *request], capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else ""

    def pids(self):
        return self.process.pids()

    def contacts(self):
        found = re.search(r"usrloc\.location.contacts\s*=\s*(\d+)|location.contacts = (\d+)",
                          self.ask("stats.get_statistics", "all"))
        return int(found[1] or found[2]) if found else 0

    def memory(self):
        """Shared memory in use, where all its contacts are."""
        return {"Kamailio": int(re.search(r"real_used: (\d+)", self.ask("core.shmmem"))[1])}

    def stop(self):
        super().stop()
        self.directory.cleanup()


class KamailioPair(Server):
    """Two Kamailios that replicate over DMQ; phones speak to the first."""

    name = "Kamailio pair (DMQ)"

    def __init__(self):
        one, other = free_ports(2)
        self.nodes = [self.node(one, other), self.node(other, one)]
        self.port = one
        for node, peer in zip(self.nodes, (other, one)):
            wait_until(lambda: str(peer) in node.ask("dmq.list_nodes"), 30, "the two Kamailios know each other")

    @staticmethod
    def node(port, peer):
        return Kamailio(
            config="kamailio-pair.cfg", port=port,
            defines=[f'SELF="sip:127.0.0.1:{port}"', f'PEER="sip:127.0.0.1:{peer}"'])

    def pids(self):
        return [pid for node in self.nodes for pid in node.pids()]

    def settle(self):
        """Until a second long nothing moves any more: the other node has what the first has answered for."""
        wait_until(
            lambda: self.nodes[0].contacts() == self.nodes[1].contacts(), 60, "the other Kamailio has every contact",
            lambda: f"{self.nodes[0].contacts()} and {self.nodes[1].contacts()}")
        idle = [cpu_us(self.pids())]
        wait_until(lambda: self.is_idle(idle), 30, "the Kamailios have nothing left to do")

    def is_idle(self, seen):
        import time
        time.sleep(0.5)
        seen.append(cpu_us(self.pids()))
        return seen[-1] - seen[-2] <= 2 * TICK_US

    def memory(self):
        return {f"Kamailio {number}": node.memory()["Kamailio"] for number, node in enumerate(self.nodes, 1)}

    def stop(self):
        for node in self.nodes:
            node.stop()


class Development(Server):
    """Rollcall in one process."""

    name = "Rollcall"

    def __init__(self, rollcall, accounts, digest=False):
        self.password = "secret" if digest else None
        self.directory = tempfile.TemporaryDirectory(prefix="rollcall-dev-")
        base = self.free_base()
        self.port = base + 2
        self.process = Process(
            [rollcall, "dev", "--accounts", str(accounts), "--port-base", str(base), *([] if digest else ["--open"])],
            f"{self.directory.name}/log")
        wait_until(
            lambda: self.process.require_alive() and health(base) == 200, 60, "rollcall dev is healthy",
            self.process.tail)

    @staticmethod
    def free_base():
        """A port with nothing on the 15 after it, where `dev` puts its addresses."""
        import socket
        for base in free_ports(100):
            if base > 65500:
                continue
            try:
                for offset in range(16):
                    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                        with socket.socket(socket.AF_INET, kind) as probe:
                            probe.bind(("127.0.0.1", base + offset))
                return base
            except OSError:
                continue
        raise SystemExit("no 16 free ports in a row")

    def pids(self):
        return self.process.pids()

    def memory(self):
        return {"rollcall dev": resident(self.process.child.pid)}

    def stop(self):
        super().stop()
        self.directory.cleanup()


class RollcallCluster(Server):
    """Gateway, owner and standby in processes of their own. The 200 goes out after the standby has the contact."""

    name = "Rollcall cluster"

    def __init__(self, rollcall):
        self.cluster = Cluster(rollcall, os.path.join(HERE, "cluster.yaml")).start()
        with open(self.cluster.topology) as file:
            self.port = int(re.search(r"udp: (\d+)", file.read())[1])

    def pids(self):
        return self.cluster.process.pids()

    def memory(self):
        return {name: resident(pid) for name, pid in self.cluster.node_pids().items()}

    def stop(self):
        self.cluster.stop()
        self.cluster.remove()
