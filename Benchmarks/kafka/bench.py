#!/usr/bin/env python3
"""What destinations cost an owner: with and without them in one run, against a real broker on the same machine.

usage: bench.py --rollcall BINARY --tools DIRECTORY [--contacts N] [--rounds N] [--seconds N] [--rate N]

--tools holds sipload (scripts/bench-kafka.sh builds it). Three measurements: without destinations, with Kafka (acks=all, lz4), with
Kafka and `fencing: transactions`, and with Kafka, a webhook and a nanomsg endpoint together. What takes the events runs beside.

replay   The owner of N contacts is killed and starts anew: it restates all of them, which are N events as fast as it and the
         broker can. Events a second, until the brokers have acknowledged the last, and the owner's CPU from its start; what it
         takes without Kafka goes off that.
lag      sipload renews contacts at a rate; a consumer takes each event's age when it comes, by its time stamp.
writes   sipload renews contacts as fast as they are acknowledged, with a standby. The owner's CPU for each write tells what destinations
         cost it; the writes a second also what their other ends take of the same processors.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, path) for path in ("../../Tests/destinations", "../../Tests/plugins", "../../scripts")]
from broker import Broker  # noqa: E402
from private_cluster import Cluster, free_ports, wait_until  # noqa: E402
from receiver import Counter  # noqa: E402

TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
TOPIC = "demo.example.registrarevents"
NONE, KAFKA, TRANSACTIONS, ALL = "none", "Kafka", "Kafka with transactions", "Kafka, a webhook and a nanomsg endpoint"
SECRET = "the webhook of the benchmark"


def cpu_us(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US


class Bench:
    def __init__(self, chosen, kind, replicas):
        self.chosen, self.kind = chosen, kind
        self.broker = Broker().start() if kind != NONE else None
        self.webhook = Counter(SECRET).start() if kind == ALL else None
        self.plugin = None
        self.cluster = Cluster(os.path.abspath(chosen.rollcall), os.path.join(HERE, "cluster.yaml"))
        destinations = ""
        if self.broker:
            fencing = ", fencing: transactions" if kind == TRANSACTIONS else ""
            destinations = f"kafka: {{ brokers: [ {self.broker.address} ], create_topics: {{ partitions: 4 }}{fencing} }}"
        if kind == ALL:
            (port,) = free_ports(1)
            self.plugin = subprocess.Popen(
                ["/usr/bin/python3", "-B", os.path.join(HERE, "counter.py"), "--listen", f"127.0.0.1:{port}"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            destinations += (
                f', plugins: [ {{ name: audit, webhook: {{ url: "http://127.0.0.1:{self.webhook.port}/", secret: "{SECRET}" }} }}, '
                f'{{ name: screens, nanomsg: {{ address: "tcp://127.0.0.1:{port}" }} }} ]')
        with open(self.cluster.topology) as file:
            text = file.read()
        with open(self.cluster.topology, "w") as file:
            file.write(text.replace("DESTINATIONS", destinations).replace("REPLICAS", str(replicas)))
        self.cluster.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            print(self.cluster.logs(), file=sys.stderr)
        self.cluster.stop()
        self.cluster.remove()
        if self.plugin:
            self.plugin.terminate()
            self.plugin.wait()
        if self.webhook:
            self.webhook.stop()
        if self.broker:
            self.broker.stop()

    def load(self, contacts, rate=None):
        command = [os.path.join(self.chosen.tools, "sipload"), "--port", str(self.cluster.ports[17060]), "--count",
                   str(contacts), "--window", "256"] + (["--rate", str(rate)] if rate else [])
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise SystemExit(f"sipload ended with {done.returncode}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def owner(self):
        """Name and process, and the epoch."""
        status = json.loads(self.cluster.command("status", "--json"))
        domain = status["domains"][0]
        pids = {node["name"]: node["pid"] for node in status["nodes"] if node["status"] == "up"}
        return domain["owner"], pids.get(domain["owner"]), domain["epoch"]

    def get(self, node, path):
        port = self.cluster.ports[{"sr1": 17111, "sr2": 17112}[node]]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return None

    def is_idle(self, node):
        """Whether everything published has reached Kafka."""
        if not self.broker:
            return True
        domains = (self.get(node, "/rest/v1/registrar/destinations") or [{"domains": []}])[0]["domains"]
        return bool(domains) and all(one["delivered"] == one["published"] for one in domains)


def replay(chosen, kind):
    """Microseconds of CPU, and events a second."""
    with Bench(chosen, kind, replicas=1) as bench:
        bench.load(chosen.contacts)
        node, pid, epoch = bench.owner()
        wait_until(lambda: bench.is_idle(node), 120, "everything before is delivered")
        os.kill(pid, signal.SIGKILL)

        def began():
            found = bench.get(node, "/rest/v1/registrar/verify")
            return found and found[0]["epoch"] > epoch and found[0]["seq"] > 0

        wait_until(began, 60, "the owner has started anew")
        start = time.monotonic()

        def ended():
            found = bench.get(node, "/rest/v1/registrar/verify")
            return found and found[0]["seq"] > chosen.contacts and bench.is_idle(node)

        while not ended():
            time.sleep(0.02)
            if time.monotonic() - start > 300:
                raise SystemExit("the replay does not end")
        seconds = time.monotonic() - start
        _, pid, _ = bench.owner()
        return cpu_us(pid), chosen.contacts / seconds


class Ages(threading.Thread):
    """The ages of live events when a consumer gets them, in milliseconds."""

    def __init__(self, address):
        super().__init__(daemon=True)
        from confluent_kafka import Consumer, TopicPartition
        self.consumer = Consumer({"bootstrap.servers": address, "group.id": "bench", "log_level": 0,
                                  "fetch.wait.max.ms": 5, "enable.auto.commit": False})
        partitions = self.consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
        # What is there already is not waited for.
        self.consumer.assign([
            TopicPartition(TOPIC, number, self.consumer.get_watermark_offsets(TopicPartition(TOPIC, number))[1])
            for number in partitions])
        self.ages, self.is_stopping = [], False

    def run(self):
        while not self.is_stopping:
            for message in self.consumer.consume(2000, timeout=0.005):
                if message.error() is None:
                    self.ages.append(time.time() * 1000 - message.timestamp()[1])

    def percentile(self, share):
        ages = sorted(self.ages)
        return ages[min(len(ages) - 1, int(len(ages) * share))] if ages else float("nan")


def lag(chosen, kind):
    with Bench(chosen, kind, replicas=2) as bench:
        contacts = chosen.rate * chosen.seconds
        bench.load(min(contacts, 50_000))
        ages = Ages(bench.broker.address)
        ages.start()
        done = bench.load(contacts, rate=chosen.rate)
        wait_until(lambda: bench.is_idle(bench.owner()[0]), 60, "everything is delivered")
        time.sleep(1)
        ages.is_stopping = True
        ages.join()
        return done, ages


def writes(chosen, kind):
    """Acknowledged writes a second, and the owner's CPU for each in microseconds."""
    with Bench(chosen, kind, replicas=2) as bench:
        bench.load(chosen.contacts)
        _, pid, _ = bench.owner()
        before = cpu_us(pid)
        rate = per_second(bench.load(chosen.contacts))
        return rate, (cpu_us(pid) - before) / chosen.contacts


def per_second(done):
    return float(done["per_s"])


def measured(rounds, number):
    """The median of one of the figures."""
    return statistics.median(one[number] for one in rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollcall", required=True)
    parser.add_argument("--tools", required=True)
    parser.add_argument("--contacts", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--rate", type=int, default=20_000)
    chosen = parser.parse_args()
    replays, written = {KAFKA: [], TRANSACTIONS: []}, {NONE: [], KAFKA: [], TRANSACTIONS: [], ALL: []}
    for _ in range(chosen.rounds):
        without, _ = replay(chosen, NONE)
        for kind, found in replays.items():
            took, rate = replay(chosen, kind)
            found.append((rate, (took - without) / chosen.contacts))
            print(f"  replay, {kind}: {rate:,.0f}/s, {found[-1][1]:.1f} us an event", file=sys.stderr)
        for kind, found in written.items():
            rate, cost = writes(chosen, kind)
            # Beside the run without of the same round: machines have moods.
            found.append((rate, cost, rate / (written[NONE][-1][0] if kind != NONE else rate)))
            print(f"  writes, {kind}: {rate:,.0f}/s, {cost:.1f} us of the owner's", file=sys.stderr)
    ages = {kind: lag(chosen, kind) for kind in (KAFKA, TRANSACTIONS)}
    print("""
| what | bar | measured |
|---|---|---|""")
    for kind, found in replays.items():
        print(f"| {kind}: events/s from one owner, acknowledged by all replicas | >= 100,000 | {measured(found, 0):,.0f} |")
        print(f"| {kind}: the owner's CPU for each, beyond the run without | <= 10 us | {measured(found, 1):.1f} us |")
    for kind, (done, taken) in ages.items():
        print(f"| {kind}: age of an event at a consumer at {chosen.rate:,}/s (reached: {per_second(done):,.0f}/s), p50 / p99 | "
              f"p99 <= 100 ms | {taken.percentile(0.5):.0f} / {taken.percentile(0.99):.0f} ms |")
    for kind, found in written.items():
        print(f"| {kind}: acknowledged writes/s, beside those without destinations | {'' if kind == NONE else '>= 0.8x'} | "
              f"{measured(found, 2):.2f}x: {measured(found, 0):,.0f}, {measured(found, 1):.1f} us of the owner's CPU each |")


main()
