#!/usr/bin/env python3
"""Two versions of the program in one cluster, under load, from the one to the other and back.

1. Every node runs the version before. A drill of the new program loads the cluster and follows it all the while.
2. Node by node the new program is started in its place: sr nodes are drained before and undrained after. Half way, the
   owner is killed.
3. `rollcall restart --rolling` of the new program takes every node back to the version before.
4. The drill's checker says what was lost, stale or out of order; `rollcall verify` compares all copies.

This script stands in for `rollcall up`: it starts a node's program again when it ends, whichever is the node's by then.
"""
import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from private_cluster import Cluster, Process, health, wait_until  # noqa: E402

DRILL = """name: two versions of the wire
topology: {topology}
load: {{ domain: demo.example, registrations: 1000, renewals_per_s: 200, churn_per_s: 20, subscribers: 8 }}
for: {seconds}s
expect: {{ lost: 0, stale: 0, duplicated: 0 }}
"""
# Routers that stand by, frontiers, owners, and the router that leads at last.
ORDER = ["router2", "ws1", "ws2", "sg1", "sr1", "sr2", "sr3", "router1"]
HALF = 5


class Nodes:
    """The nodes' processes, each started from the program that is the node's."""

    def __init__(self, cluster, program):
        self.cluster = cluster
        self.programs = dict.fromkeys(ORDER, program)
        self.children = {}
        self.lives = dict.fromkeys(ORDER, 0)
        self.stopping = False
        # A node dies with the thread that started it, so each has one that stays.
        self.threads = [threading.Thread(target=self.keep_running, args=(name,)) for name in ORDER]
        for thread in self.threads:
            thread.start()

    def keep_running(self, name):
        environment = dict(os.environ, ROLLCALL_SUPERVISOR=str(os.getpid()))
        folder = os.path.join(self.cluster.directory, "var/log")
        os.makedirs(folder, exist_ok=True)
        while not self.stopping:
            with open(os.path.join(folder, f"{name}.log"), "a") as log:
                child = subprocess.Popen(
                    [self.programs[name], "node", self.cluster.topology, name], stdout=log, stderr=log,
                    stdin=subprocess.DEVNULL, env=environment, start_new_session=True)
                self.children[name] = child
                self.lives[name] += 1
                code = child.wait()
            # Asked to restart: at once. Anything else: not too often.
            if code != 75 and not self.stopping:
                time.sleep(0.2)

    def end(self, name, number):
        """Signals a node, and waits until its next life is there."""
        life = self.lives[name]
        self.children[name].send_signal(number)
        wait_until(lambda: self.lives[name] > life, 30, f"{name} is started again", self.cluster.logs)

    def stop(self):
        self.stopping = True
        for child in self.children.values():
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for thread in self.threads:
            thread.join(20)
        for child in self.children.values():
            if child.poll() is None:
                child.kill()


def status(cluster):
    done = subprocess.run(
        [cluster.rollcall, "status", cluster.topology, "--json"], capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout) if done.returncode == 0 else None


def is_ready(cluster):
    """Whether everybody is there, and everything is in sync."""
    seen = status(cluster)
    if not seen or not any(router["state"] == "active" for router in seen["routers"]):
        return False
    return (
        all(node["status"] == "up" for node in seen["nodes"])
        and all(
            domain["owner"] and "moving_to" not in domain and domain["standbys"]
            and all(standby["in_sync"] for standby in domain["standbys"]) for domain in seen["domains"])
        and all(health(port) == 200 for port in cluster.admin_ports))


def wait_ready(cluster, when):
    wait_until(lambda: is_ready(cluster), 90, f"the cluster is whole {when}", lambda: cluster.logs() + str(status(cluster)))


def upgrade(cluster, nodes, name, program):
    is_owner = name.startswith("sr")
    if is_owner:
        cluster.command("drain", name)
    nodes.programs[name] = program
    nodes.end(name, signal.SIGTERM)
    port = cluster.admin_ports[cluster.names.index(name)]
    wait_until(lambda: health(port) == 200, 60, f"{name} is healthy", cluster.logs)
    if is_owner:
        cluster.command("undrain", name)
    wait_ready(cluster, f"after {name} was upgraded")


def versions(cluster):
    return {node["name"]: node.get("wire_version", 1) for node in status(cluster)["nodes"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollcall", required=True, help="the new program")
    parser.add_argument("--former", required=True, help="that of the version before")
    parser.add_argument("--seconds", type=int, default=120, help="how long the load runs; all must be over by then")
    options = parser.parse_args()
    new, former = os.path.abspath(options.rollcall), os.path.abspath(options.former)

    cluster = Cluster(new, str(ROOT / "topology/local.yaml"))
    cluster.process = None
    with open(cluster.topology) as file:
        cluster.names = [line.split("name: ")[1].split(",")[0] for line in file if "role: " in line]
    started = time.monotonic()

    def say(text):
        print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True)

    nodes = Nodes(cluster, former)
    load = None
    try:
        # Logs of nodes stand for the supervisor's, which there is none of.
        cluster.logs = lambda: "\n".join(
            f"--- {name}\n" + "".join(open(os.path.join(cluster.directory, "var/log", f"{name}.log")).readlines()[-8:])
            for name in ORDER)
        wait_ready(cluster, "with the version before")
        drill = os.path.join(cluster.directory, "drill.yaml")
        with open(drill, "w") as file:
            file.write(DRILL.format(topology=os.path.basename(cluster.topology), seconds=options.seconds))
        load = Process(
            [new, "drill", cluster.topology, drill, "--use-running", "--json"],
            os.path.join(cluster.directory, "drill.log"))
        wait_until(
            lambda: load.require_alive() and "load and faults" in load.tail(), 60, "the load runs", load.tail)
        say("every node runs the version before; the load runs")

        for index, name in enumerate(ORDER):
            upgrade(cluster, nodes, name, new)
            say(f"{name} upgraded")
            if index + 1 == HALF:
                say(f"half way: {HALF} nodes run the new program, {len(ORDER) - HALF} the one before, which leads")
                owner = next(d["owner"] for d in status(cluster)["domains"] if d["name"] == "demo.example")
                nodes.end(owner, signal.SIGKILL)
                wait_ready(cluster, f"after {owner} was killed")
                say(f"{owner}, the owner, was killed and is back")
        seen = versions(cluster)
        if len(set(seen.values())) != 1 or set(seen.values()) == {1}:
            raise SystemExit(f"the new program was to speak one version above 1 everywhere: {seen}")
        say(f"every node speaks version {seen['sr1']}")

        load.require_alive()
        nodes.programs = dict.fromkeys(ORDER, former)
        done = subprocess.run(
            [new, "restart", cluster.topology, "--rolling", "--json"], capture_output=True, text=True, timeout=600)
        report = json.loads((done.stdout.splitlines() or ["{}"])[-1])
        if done.returncode != 0 or not report.get("done") or len(report["nodes"]) != len(ORDER):
            raise SystemExit(f"the rolling restart did not do all:\n{done.stdout}{done.stderr}")
        wait_ready(cluster, "with the version before, again")
        if set(versions(cluster).values()) != {1}:
            raise SystemExit(f"not every node is back at the version before: {versions(cluster)}")
        say(f"every node is back at the version before, by a rolling restart of {report['seconds']} s")
        load.require_alive()
        cluster.command("verify")

        load.child.wait(options.seconds + 120)
        lines = [line for line in open(load.log) if line.startswith("{")]
        if not lines:
            raise SystemExit(f"the drill ended without a report\n{load.tail(40)}")
        found = json.loads(lines[-1])
        say(f"load: {found['acknowledged']} acknowledged, {found['failed']} failed, lost {found['lost']}, "
            f"stale {found['stale']}, duplicated {found['duplicated']}, order {found['order']}")
        if not found["ok"] or load.child.returncode != 0:
            raise SystemExit("\n".join(["a promise was broken:"] + found["violations"]))
        say("passed")
    finally:
        if load:
            load.stop()
        nodes.stop()
        cluster.remove()


if __name__ == "__main__":
    main()
