"""A cluster of many domains, and what it is asked: who owns what, what each node holds, what it costs."""

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../scripts"))
from private_cluster import Cluster, Process, health, wait_until  # noqa: E402

NODES = ["sr1", "sr2", "sr3"]
# Filling a domain is no measurement; what is refused for longer than this is a fault.
FILL_ATTEMPTS = 5
TICK = os.sysconf("SC_CLK_TCK")


def topology(domains, coordinator, frontiers):
    """Two routers, three registrars and, if wanted, a websocket node and a gateway, each with all domains."""
    lines = [
        "cluster: many", "secret: { file: var/secret }", f"coordinator: {coordinator}",
        "journal: { path: var/journal }", "directory: { kind: file, path: accounts.yaml }", "admin: { open: true }",
        "domains:", *[f"  - {{ name: {name}, replicas: 2 }}" for name in domains],
        "sites:", "  - name: main", "    servers:"]
    for index, node in enumerate(NODES):
        lines += [
            f"      - name: host-{index}", "        address: 127.0.0.1", "        nodes:",
            f"          - {{ name: {node}, role: sr, cluster: {7101 + index}, admin: {8111 + index} }}"]
        if index < 2:
            lines.append(
                f"          - {{ name: router{index + 1}, role: router, order: {index + 1}, "
                f"cluster: {7001 + index}, admin: {8080 + index} }}")
        elif frontiers:
            lines += [
                "          - { name: ws1, role: wssubscr, cluster: 7201, admin: 8121, websocket: { listen: 8101 } }",
                "          - { name: sg1, role: sg, cluster: 7301, admin: 8131, sip: { udp: 5060, open: true } }"]
    return "\n".join(lines) + "\n"


class ManyDomains:
    """A cluster of its own with so many domains, which are d00000.example and so on."""

    def __init__(self, rollcall, count, coordinator="{ kind: embedded, path: var/router.db }", frontiers=True):
        self.domains = [f"d{number:05}.example" for number in range(count)]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "many.yaml")
            with open(path, "w") as file:
                file.write(topology(self.domains, coordinator, frontiers))
            with open(os.path.join(folder, "accounts.yaml"), "w") as file:
                file.write("accounts: {}\n")
            self.cluster = Cluster(rollcall, path)
        self.ports = self.cluster.ports
        self.routers = {"router1": self.ports[8080], "router2": self.ports[8081]}
        self.admin = {node: self.ports[8111 + index] for index, node in enumerate(NODES)}
        self.gateway, self.frontier = self.ports.get(5060), self.ports.get(8121)
        self.down = set()

    def start(self):
        self.began = time.monotonic()
        self.cluster.process = Process(
            [self.cluster.rollcall, "up", "--no-restart", self.cluster.topology],
            os.path.join(self.cluster.directory, "up.log"))

    def remove(self):
        self.cluster.stop()
        self.cluster.remove()

    def status(self):
        """What the active router says, or one that stands by while none leads; None when nobody answers."""
        for name, port in self.routers.items():
            if name in self.down:
                continue
            try:
                url = f"http://127.0.0.1:{port}/rest/v1/cluster/status"
                with urllib.request.urlopen(url, timeout=10) as answer:
                    return json.load(answer)
            except (OSError, ValueError):
                continue
        return None

    def wait(self, whole, began, limit, what):
        """Asks for the status until the condition holds. Seconds since `began`, and that status."""
        while time.monotonic() - began < limit:
            self.cluster.process.require_alive()
            status = self.status()
            now = time.monotonic() - began
            if status and whole(status):
                return now, status
            time.sleep(0.1)
        raise SystemExit(f"{what}: not within {limit} s\n{self.cluster.logs()}")

    @staticmethod
    def are_owned(status):
        up = {node["name"] for node in status["nodes"] if node["status"] in ("up", "draining", "drained")}
        return all(domain["owner"] in up for domain in status["domains"])

    @staticmethod
    def are_whole(status):
        up = {node["name"] for node in status["nodes"] if node["status"] in ("up", "draining", "drained")}
        return ManyDomains.are_owned(status) and all(
            any(standby["in_sync"] and standby["name"] in up for standby in domain["standbys"])
            for domain in status["domains"])

    def follow_up(self, within):
        """Waits until gateway and websocket node are ready too."""
        ports = [port for port in (self.ports.get(8121), self.ports.get(8131)) if port]
        wait_until(
            lambda: all(health(port) == 200 for port in ports), within, "the frontiers are healthy",
            self.cluster.logs)

    def held(self, port):
        """What a node holds: epoch, count and digest by domain."""
        url = f"http://127.0.0.1:{port}/rest/v1/registrar/verify"
        with urllib.request.urlopen(url, timeout=20) as answer:
            copies = json.load(answer)
        return {
            copy["domain"]: (copy["epoch"], copy["contacts"]["sipuser"], copy["digest"], copy["role"])
            for copy in copies if copy["complete"]}

    def wait_converged(self, domains, epochs, began, limit):
        """Until the websocket node has what the owners hold, in a later epoch than before. Seconds since `began`."""
        missing = set(domains)
        while time.monotonic() - began < limit:
            owners = {}
            for node in NODES:
                if node not in self.down:
                    held = self.held(self.admin[node])
                    owners.update({name: copy for name, copy in held.items() if copy[3] == "owner"})
            followed = self.held(self.frontier)
            now = time.monotonic() - began
            missing = {
                name for name in missing
                if name not in owners or name not in followed or followed[name][0] <= epochs[name]
                or followed[name][:3] != owners[name][:3]}
            if not missing:
                return now
        raise SystemExit(f"{len(missing)} domains have not converged within {limit} s\n{self.cluster.logs()}")

    def messages(self):
        """How many messages each node has sent to others so far."""
        ports = {**self.admin, "ws1": self.ports.get(8121), "sg1": self.ports.get(8131)}
        sent = {}
        for node, port in ports.items():
            if port is None or node in self.down:
                continue
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                lines = answer.read().decode().splitlines()
            sent[node] = sum(
                float(line.split()[1]) for line in lines if line.startswith("rollcall_transport_messages_out_total "))
        return sent

    def pids(self):
        return {node["name"]: node["pid"] for node in self.status()["nodes"] if node["pid"]}

    def kill(self, node):
        """Gives the moment of the kill."""
        pid = self.pids()[node]
        self.down.add(node)
        os.kill(pid, signal.SIGKILL)
        return time.monotonic()

    def fill(self, sipload, contacts):
        """Registers so many contacts in each domain over SIP; again where a busy machine had some refused."""
        def one(domain):
            for _ in range(FILL_ATTEMPTS):
                done = subprocess.run(
                    [sipload, "--port", str(self.gateway), "--domain", domain, "--count", str(contacts), "--window",
                     "64", "--expires", "3600"], capture_output=True, text=True)
                if done.returncode == 0:
                    break
            return done.returncode, done.stdout + done.stderr

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for code, text in pool.map(one, self.domains):
                if code != 0:
                    raise SystemExit(f"filling failed: {text}")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024
