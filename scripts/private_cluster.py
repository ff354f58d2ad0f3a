"""Clusters and other servers that a script runs for itself: free ports, a directory of their own, and an end that
touches nothing else and comes also when the script is ended by SIGTERM."""

import atexit
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def free_ports(count):
    """Ports that nobody listens on, over UDP and TCP alike."""
    held, ports = [], []
    while len(ports) < count:
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.bind(("127.0.0.1", 0))
        held.append(tcp)
        port = tcp.getsockname()[1]
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held.append(udp)
        try:
            udp.bind(("127.0.0.1", port))
        except OSError:
            continue
        ports.append(port)
    for one in held:
        one.close()
    return ports


def wait_until(condition, seconds, what, problem=lambda: ""):
    """Asks again until the condition gives something; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {seconds} s\n{problem()}")
        time.sleep(0.05)


def health(port):
    """The status of a node's health address; None when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


class Process:
    """A child in a process group of its own, with its output in a file."""

    def __init__(self, command, log, **options):
        self.log = log
        self.output = open(log, "w")
        self.child = subprocess.Popen(
            command, stdout=self.output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            start_new_session=True, **options)
        atexit.register(self.stop)

    def tail(self, lines=15):
        with open(self.log, errors="replace") as file:
            return "".join(file.readlines()[-lines:])

    def require_alive(self):
        if self.child.poll() is not None:
            raise SystemExit(f"{self.child.args[0]} ended with {self.child.returncode}\n{self.tail()}")
        return True

    def pids(self):
        """The process and all that came from it."""
        parents = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat") as file:
                    parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue  # It has ended meanwhile.
        found = [self.child.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def stop(self, seconds=20):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()
        atexit.unregister(self.stop)
        self.output.close()


class Cluster:
    """The cluster of a topology file, on a copy with free ports."""

    PORT = re.compile(r"\b(cluster|admin|listen|udp|tcp|ws): (\d+)\b")

    def __init__(self, rollcall, topology):
        self.rollcall = rollcall
        self.directory = tempfile.mkdtemp(prefix="rollcall-")
        self.topology = os.path.join(self.directory, os.path.basename(topology))
        with open(topology) as file:
            text = file.read()
        # SIP has one number for UDP and TCP, and so has the copy.
        numbers = sorted({match[1] for match in self.PORT.findall(text)})
        self.ports = dict(zip(map(int, numbers), free_ports(len(numbers))))
        with open(self.topology, "w") as file:
            file.write(self.PORT.sub(lambda match: f"{match[1]}: {self.ports[int(match[2])]}", text))
        accounts = os.path.join(os.path.dirname(topology), "accounts.yaml")
        if os.path.exists(accounts):
            shutil.copy(accounts, self.directory)
        self.admin_ports = [self.ports[int(port)] for key, port in self.PORT.findall(text) if key == "admin"]
        self.process = None

    def start(self):
        self.process = Process(
            [self.rollcall, "up", self.topology], os.path.join(self.directory, "up.log"))
        wait_until(
            lambda: self.process.require_alive() and all(health(port) == 200 for port in self.admin_ports),
            60, "the cluster is healthy", self.logs)
        return self

    def command(self, verb, *arguments):
        """Runs `rollcall VERB TOPOLOGY …` and gives what it printed."""
        verb, *more = verb.split()
        done = subprocess.run(
            [self.rollcall, verb, *more, self.topology, *arguments], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise SystemExit(f"rollcall {verb} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def node_pids(self):
        """The nodes' processes by name."""
        status = json.loads(self.command("status", "--json"))
        return {node["name"]: node["pid"] for node in status["nodes"]}

    def logs(self):
        texts = [self.process.tail()]
        folder = os.path.join(self.directory, "var/log")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, name), errors="replace") as file:
                texts.append(f"--- {name}\n" + "".join(file.readlines()[-8:]))
        return "\n".join(texts)

    def stop(self):
        if self.process:
            self.process.stop()

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


def add_users(cluster, domain, names, password):
    """Gives a domain some users, before the cluster starts."""
    accounts = os.path.join(cluster.directory, f"{domain}.csv")
    with open(accounts, "w") as file:
        file.write("domain,kind,name,password\n" + "".join(f"{domain},user,{name},{password}\n" for name in names))
    cluster.command("account import", accounts)
