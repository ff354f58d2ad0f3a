#!/usr/bin/env python3
"""Kafka and a webhook as destinations of one cluster, tried with a real broker and readers that keep the set.

usage: trial.py --rollcall BINARY [--rate EVENTS_PER_SECOND] [--kills N] [--outage SECONDS] [TRIAL ...]

kills        phones keep a domain busy while its owner is killed, again and again: what both readers hold in the end is what
             `rollcall contacts` lists, every gap in an epoch's numbers is followed by a `clear`, and what came twice is counted
outage       the broker is killed and comes back empty; the webhook answers 500 meanwhile, and then hangs: nothing is missing as
             long as the spool holds. How long phones wait for their answers is measured before and meanwhile
overflow     the same for longer than memory and spool last: both are told by `clear` and replay
gone         the webhook answers 410 and is sent nothing more, until `rollcall destinations --resume`: then it is told everything
faults       brokers err in every way, go and come: the cursor goes on by their acknowledgements alone, and nothing is lost
secure       Kafka behind TLS that asks for a certificate, with a login by SCRAM-SHA-512
credentials  TLS and logins by themselves and together; a wrong password and an unknown authority, with which nothing comes through
paused       the owner is stopped until another has taken over, and wakes up: nothing it still writes counts
fenced       the same with transactions: the broker refuses what it still writes
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
from faults import faults  # noqa: E402
from secure import credentials, secure  # noqa: E402
from stage import DOMAIN, TOPIC, Trial, wait  # noqa: E402


async def kills(chosen):
    async with Trial(chosen) as trial:
        trial.phones.keep_busy(chosen.rate, churn=True)
        for number in range(chosen.kills):
            _, pid, epoch = await trial.owner()
            await asyncio.sleep(random.Random(chosen.seed + number).uniform(1.0, 2.0))
            os.kill(pid, signal.SIGKILL)
            await trial.succeeded(epoch)
        await asyncio.sleep(1)
        trial.rest()
        listed = await trial.converge("the readers have what the owner lists")
        kcat(trial)
        print(f"kills: {chosen.kills} owners killed under {chosen.rate} events/s; both readers hold the owner's {len(listed)} "
              f"contacts; {trial.repetitions()}; missing within an epoch and told: {trial.reader.gaps() or 'none'}")


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
        await asyncio.sleep(1)
        trial.measure()
        await asyncio.sleep(min(chosen.outage, 20))
        print(f"outage: answers to phones, destinations well: {trial.measured()}", flush=True)
        trial.rest()
        await trial.drain()
        before, told = trial.reader.last(), len(trial.webhook.clears)
        trial.reader.stop()
        trial.broker.kill()
        trial.webhook.mode = 500
        trial.phones.keep_busy(chosen.rate, churn=True)
        trial.measure()
        await asyncio.sleep(chosen.outage)
        print(f"outage: no broker, the webhook answers 500: {trial.measured()}", flush=True)
        away = {name: await trial.destination(name) for name in ("kafka", "audit")}
        trial.broker.start()
        trial.reader.begin()
        trial.webhook.mode = "hang"
        trial.measure()
        await asyncio.sleep(chosen.outage)
        print(f"outage: broker back, the webhook hangs: {trial.measured()}", flush=True)
        away["audit"] = await trial.destination("audit")
        # Kafka is away as soon as a batch is given up, after ten seconds.
        if away["audit"]["state"] != "away" or (away["kafka"]["state"] != "away" and chosen.outage > 15):
            raise SystemExit(f"they take nothing, and nobody says so: {away}")
        trial.webhook.mode = 204
        trial.rest()
        listed = await trial.converge("the readers have everything after the outage")
        told = trial.webhook.clears[told:]
        # A machine that stands still for a second has another owner, whose epoch begins with a clear.
        if trial.reader.gaps() or "resync" in told:
            raise SystemExit(f"the spool had room, and yet these are missing after {before}: {trial.reader.gaps()}; {told}")
        for name, fared in away.items():
            after = await trial.destination(name)
            if after["dropped"] or after["resyncs"]:
                raise SystemExit(f"the spool had room, and yet something was dropped: {after}")
            print(f"outage: {name} had {fared['queued_events']} events waiting in memory and {fared['spooled_events']} on disk")
        print(f"outage: {chosen.outage} s without broker, which came back empty, and {2 * chosen.outage} s without webhook: both "
              f"readers hold {len(listed)} contacts, nothing missing after {before}; {trial.repetitions()}"
              + (f"; told by the next owner: {told}" if told else ""))


async def overflow(chosen):
    async with Trial(chosen, room="memory: 64KiB, spool: 1MiB") as trial:
        await trial.drain()
        trial.reader.stop()
        trial.broker.kill()
        trial.webhook.mode = 500
        trial.phones.keep_busy(chosen.rate, churn=True)

        async def are_full():
            return all([(await trial.destination(name))["dropped"] > 1_000 for name in ("kafka", "audit")])

        await wait(are_full, 60, "memory and spool are full")
        trial.broker.start()
        trial.reader.begin()
        trial.webhook.mode = 204
        await asyncio.sleep(1)
        trial.rest()
        listed = await trial.converge("the readers were told by clear and replay")
        for name, told in (("kafka", trial.reader.restated), ("audit", "resync" in trial.webhook.clears)):
            fared = await trial.destination(name)
            if not fared["resyncs"] or not told:
                raise SystemExit(f"events were dropped, and no clear was made: {fared}")
            print(f"overflow: {name}: {fared['dropped']} events found no room, {fared['resyncs']} clear and replay made up for them")
        print(f"overflow: {len(listed)} contacts; gaps, each followed by a clear: {trial.reader.gaps()}")


async def gone(chosen):
    async with Trial(chosen) as trial:
        trial.webhook.mode = 410
        trial.phones.keep_busy(chosen.rate, churn=True)

        async def is_gone():
            return (await trial.destination("audit"))["state"] == "gone"

        await wait(is_gone, 60, "the webhook is found to be gone")
        requests = trial.webhook.state(DOMAIN)["requests"]
        await asyncio.sleep(1)
        asked = trial.webhook.state(DOMAIN)["requests"] - requests
        if asked:
            raise SystemExit(f"a webhook that wanted nothing any more was sent {asked} requests")
        trial.webhook.mode = 204
        trial.cluster.command("destinations", "--resume", "audit")
        await asyncio.sleep(1)
        trial.rest()
        listed = await trial.converge("the readers have what the owner lists")
        if "resync" not in trial.webhook.clears:
            raise SystemExit(f"the webhook was resumed, and told no clear: {trial.webhook.clears}")
        print(f"gone: the webhook was sent nothing until it was resumed, and then everything: {len(listed)} contacts")


async def paused(chosen, kafka="", name="paused"):
    async with Trial(chosen, kafka) as trial:
        trial.phones.keep_busy(chosen.rate, churn=True)
        for _ in range(2):
            _, pid, epoch = await trial.owner()
            await asyncio.sleep(1)
            os.kill(pid, signal.SIGSTOP)
            try:
                await trial.succeeded(epoch)
                await asyncio.sleep(1)
            finally:
                os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(2)
        trial.rest()
        listed = await trial.converge("the readers have what the owner lists")
        _, late = trial.reader.counts()
        if late and name == "fenced":
            raise SystemExit(f"{late} records of a deposed owner came after its successor's")
        print(f"{name}: owners stopped and woken; {len(listed)} contacts; {trial.repetitions()}")


async def fenced(chosen):
    await paused(chosen, "fencing: transactions", "fenced")


TRIALS = {trial.__name__: trial for trial in (kills, outage, overflow, gone, faults, secure, credentials, paused, fenced)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollcall", required=True)
    parser.add_argument("--rate", type=int, default=1000, help="events a second")
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--outage", type=int, default=6, help="seconds")
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
