#!/usr/bin/env python3
"""Kafka as a destination, tried with a real broker and a consumer that keeps the set.

usage: kafka.py --rollcall BINARY [--rate EVENTS_PER_SECOND] [--kills N] [--outage SECONDS] [TRIAL ...]

kills        phones keep a domain busy while its owner is killed, again and again: what the consumer holds in the end is what
             `rollcall contacts` lists, and every gap in an epoch's numbers is followed by a `clear`
outage       the broker is killed and comes back empty: nothing is missing as long as the spool holds
overflow     the same for longer than memory and spool last: told by `clear` and replay
paused       the owner is stopped until another has taken over, and wakes up: nothing it still writes counts
fenced       the same with transactions: the broker refuses what it still writes
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE] + [
    os.path.join(HERE, path) for path in ("../subscribers", "../../scripts", "../../Examples/reducer-python")]
from broker import Broker  # noqa: E402
from consumer import Reader  # noqa: E402
from phones import Phones  # noqa: E402
from private_cluster import Cluster  # noqa: E402

DOMAIN, TOPIC = "demo.example", "demo.example.registrarevents"


class Trial:
    """A broker, a cluster, phones and a reader."""

    def __init__(self, chosen, settings="create_topics: { partitions: 3 }"):
        self.chosen, self.settings = chosen, settings

    async def __aenter__(self):
        self.broker = Broker().start()
        self.cluster = Cluster(os.path.abspath(self.chosen.rollcall), os.path.join(HERE, "kafka.yaml"))
        try:
            with open(self.cluster.topology) as file:
                text = file.read()
            with open(self.cluster.topology, "w") as file:
                file.write(text.replace("BROKER", self.broker.address).replace("SETTINGS", self.settings))
            self.cluster.start()
            self.reader = Reader(self.broker, TOPIC, DOMAIN)
            self.phones = await Phones(self.cluster.ports[19060], DOMAIN, accounts=60, seed=self.chosen.seed).open()
            await self.phones.register_all()
        except BaseException:
            await self.__aexit__(*sys.exc_info())
            raise
        return self

    async def __aexit__(self, kind, error, trace):
        if kind is not None:
            print(self.cluster.logs(), file=sys.stderr)
        if hasattr(self, "phones"):
            self.phones.close()
        if hasattr(self, "reader"):
            self.reader.stop()
        self.cluster.stop()
        self.cluster.remove()
        self.broker.stop()

    async def ask(self, *arguments):
        return json.loads(await asyncio.to_thread(self.cluster.command, *arguments, "--json"))

    async def contacts(self):
        return {(one["kind"], one["account"], one["contact_id"]) for one in await self.ask("contacts", "--domain", DOMAIN)}

    async def owner(self):
        """Name and process of the domain's owner, and the epoch."""
        async def known():
            status = await self.ask("status")
            domain = next(one for one in status["domains"] if one["name"] == DOMAIN)
            pids = {node["name"]: node["pid"] for node in status["nodes"] if node["status"] == "up"}
            in_sync = any(one["in_sync"] for one in domain["standbys"])
            return (domain["owner"], pids[domain["owner"]], domain["epoch"]) if domain["owner"] in pids and in_sync else None

        return await wait(known, 60, "the domain has an owner and a standby in sync")

    async def converge(self, what):
        """Until the consumer holds what the owner lists."""
        async def is_same():
            listed = await self.contacts()
            return listed if listed and listed == self.reader.contacts() else None

        try:
            listed = await wait(is_same, 60, what)
        except SystemExit as late:
            listed, held = await self.contacts(), self.reader.contacts()
            raise SystemExit(f"{late}: {len(listed - held)} are missing, {len(held - listed)} should not be there\n"
                             f"{sorted(listed - held)[:3]} {sorted(held - listed)[:3]} at {self.reader.last()}")
        if self.reader.problems:
            raise SystemExit(f"{what}: {self.reader.problems}")
        if self.reader.accounted():
            raise SystemExit(f"{what}: these numbers are missing, and no clear follows: {self.reader.accounted()}")
        return listed

    async def drain(self):
        """Until the consumer has read everything that the owner has published."""
        async def is_drained():
            fared = await self.destination()
            domain = next((one for one in fared["domains"] if one["name"] == DOMAIN), None)
            return domain and domain["published"] == domain["delivered"] == "{}:{}".format(*self.reader.last())

        await wait(is_drained, 60, "the consumer has read everything")

    async def destination(self):
        """How Kafka fares at the domain's owner."""
        name, _, _ = await self.owner()
        port = self.cluster.ports[{"sr1": 19111, "sr2": 19112, "sr3": 19113}[name]]

        def get():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/rest/v1/registrar/destinations", timeout=5) as answer:
                return json.load(answer)[0]

        return await asyncio.to_thread(get)


async def wait(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while True:
        found = await condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds} s: {what}")
        await asyncio.sleep(0.1)


async def kills(chosen):
    async with Trial(chosen) as trial:
        trial.phones.keep_busy(chosen.rate, churn=True)
        for number in range(chosen.kills):
            name, pid, epoch = await trial.owner()
            await asyncio.sleep(random.Random(chosen.seed + number).uniform(1.0, 2.0))
            os.kill(pid, signal.SIGKILL)

            async def succeeded():
                return (await trial.owner())[2] > epoch

            await wait(succeeded, 60, f"an epoch after {epoch}")
        await asyncio.sleep(1)
        trial.phones.rest()
        listed = await trial.converge("the consumer has what the owner lists")
        kcat(trial)
        repeated, late = trial.reader.counts()
        print(f"kills: {chosen.kills} owners killed under {chosen.rate} events/s; {len(listed)} contacts, "
              f"{trial.reader.records} records, {repeated} repeated, {late} of deposed owners; missing within an epoch "
              f"and told: {trial.reader.gaps() or 'none'}")


def kcat(trial):
    """Another client sees the same records: by partition, key and headers."""
    found = subprocess.run(
        ["kcat", "-C", "-b", trial.broker.address, "-t", TOPIC, "-o", "beginning", "-e", "-q", "-f", "%p %k %h\n"],
        capture_output=True, text=True, timeout=60)
    lines = found.stdout.splitlines()
    if found.returncode != 0 or len(lines) != trial.reader.records:
        raise SystemExit(f"kcat saw {len(lines)} records, the consumer {trial.reader.records}: {found.stderr[-300:]}")
    accounts = {}
    for line in lines:
        partition, key, headers = line.split(" ", 2)
        if "/" in key and accounts.setdefault(key, partition) != partition:
            raise SystemExit(f"{key} is in partitions {accounts[key]} and {partition}")
        if not all(f"{name}=" in headers for name in ("epoch", "seq", "node")):
            raise SystemExit(f"kcat saw no position: {line}")


async def outage(chosen):
    async with Trial(chosen) as trial:
        trial.phones.keep_busy(chosen.rate, churn=True)
        await asyncio.sleep(2)
        trial.phones.rest()
        await trial.drain()
        before = trial.reader.last()
        trial.reader.stop()
        trial.broker.kill()
        trial.phones.keep_busy(chosen.rate, churn=True)
        await asyncio.sleep(chosen.outage)
        waiting = await trial.destination()
        if waiting["state"] != "away" and chosen.outage > 15:
            raise SystemExit(f"the broker is away, and nobody says so: {waiting}")
        trial.broker.start()
        trial.reader.begin()
        trial.phones.rest()
        listed = await trial.converge("the consumer has everything after the outage")
        if trial.reader.gaps():
            raise SystemExit(f"the spool had room, and yet these are missing after {before}: {trial.reader.gaps()}")
        fared = await trial.destination()
        if fared["dropped"] or fared["resyncs"]:
            raise SystemExit(f"the spool had room, and yet something was dropped: {fared}")
        print(f"outage: broker gone for {chosen.outage} s and back empty: {len(listed)} contacts, nothing missing after "
              f"{before}; {waiting['queued_events']} events waited in memory, {waiting['spooled_events']} on disk")


async def overflow(chosen):
    async with Trial(chosen, "create_topics: { partitions: 3 }, memory: 64KiB, spool: 1MiB") as trial:
        await trial.drain()
        trial.reader.stop()
        trial.broker.kill()
        trial.phones.keep_busy(chosen.rate, churn=True)

        async def is_full():
            return (await trial.destination())["dropped"] > 1_000

        await wait(is_full, 60, "memory and spool are full")
        trial.broker.start()
        trial.reader.begin()
        await asyncio.sleep(1)
        trial.phones.rest()
        listed = await trial.converge("the consumer was told by clear and replay")
        fared = await trial.destination()
        if not fared["resyncs"] or not trial.reader.restated:
            raise SystemExit(f"events were dropped, and no clear was made: {fared}")
        print(f"overflow: {fared['dropped']} events found no room, {fared['resyncs']} clear and replay made up for them; "
              f"{len(listed)} contacts; gaps, each followed by a clear: {trial.reader.gaps()}")


async def paused(chosen, settings="create_topics: { partitions: 3 }", name="paused"):
    async with Trial(chosen, settings) as trial:
        trial.phones.keep_busy(chosen.rate, churn=True)
        for number in range(2):
            owner, pid, epoch = await trial.owner()
            await asyncio.sleep(1)
            os.kill(pid, signal.SIGSTOP)
            try:
                async def succeeded():
                    return (await trial.owner())[2] > epoch

                await wait(succeeded, 60, f"an epoch after {epoch}")
                await asyncio.sleep(1)
            finally:
                os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(2)
        trial.phones.rest()
        listed = await trial.converge("the consumer has what the owner lists")
        repeated, late = trial.reader.counts()
        if late and name == "fenced":
            raise SystemExit(f"{late} records of a deposed owner came after its successor's")
        print(f"{name}: owners stopped and woken; {len(listed)} contacts; {late} records of deposed owners, which do not "
              f"count; {repeated} repeated")


async def fenced(chosen):
    await paused(chosen, "create_topics: { partitions: 3 }, fencing: transactions", "fenced")


TRIALS = {trial.__name__: trial for trial in (kills, outage, overflow, paused, fenced)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollcall", required=True)
    parser.add_argument("--rate", type=int, default=1000, help="events a second")
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--outage", type=int, default=10, help="seconds")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("trials", nargs="*", metavar="TRIAL")
    chosen = parser.parse_args()
    unknown = set(chosen.trials) - set(TRIALS)
    if unknown:
        parser.error(f"there is no trial {unknown.pop()}; expected {', '.join(TRIALS)}")
    print(f"seed {chosen.seed}", flush=True)
    for name, trial in TRIALS.items():
        if not chosen.trials or name in chosen.trials:
            asyncio.run(trial(chosen))
            sys.stdout.flush()


main()
