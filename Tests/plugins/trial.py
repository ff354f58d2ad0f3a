#!/usr/bin/env python3
"""Plugins of a cluster that phones keep busy: through outages of theirs, and while owners are killed.

usage: trial.py --rollcall BINARY [--outage SECONDS] [--kills N] [--rate EVENTS_PER_SECOND]
       trial.py --rollcall BINARY --backlog EVENTS        only how fast a webhook gets what waited for it

Two webhooks answer 500 and then hang, each for so long. One has room on disk for what it misses: it must miss nothing, and
be told of no `clear`. The other has not: it must be told by `clear` (resync) and a replay. The phones must not notice, which
is measured. Then owners are killed. After each part the set that each webhook and the plugin behind the nanomsg endpoint
keeps must be what `rollcall contacts` lists, and no number may be missing in an epoch. What the first webhook took is played
to the consumers of Examples/ in the end.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE]
from load import DOMAIN, SIP, Phones, PluginCluster, Probe, ask, free_ports, owner, settled, wait  # noqa: E402
from receiver import EXAMPLES, Counter, Receiver, Reducer  # noqa: E402

SECRET = "the webhook of the trials"
CONSUMERS = {
    "Swift": [str(EXAMPLES / "reducer-swift/.build/debug/reducer")],
    "Python": ["/usr/bin/python3", "-B", str(EXAMPLES / "reducer-python/reducer.py")],
    "JavaScript": ["node", str(EXAMPLES / "reducer-javascript/reducer.mjs")]}


class Plugin:
    """The example behind the nanomsg endpoint, as a process; what it prints is reduced as it comes."""

    def __init__(self, port, directory):
        self.path = os.path.join(directory, "plugin.jsonl")
        self.output = open(self.path, "w")
        self.child = subprocess.Popen(
            ["/usr/bin/python3", "-B", str(EXAMPLES / "plugin-python/plugin.py"), "--listen", f"127.0.0.1:{port}"],
            stdout=self.output, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        self.reading = open(self.path)
        self.rest = ""
        self.reducer = Reducer()

    def state(self, domain):
        lines = (self.rest + self.reading.read()).split("\n")
        self.rest = lines.pop()
        for line in lines:
            self.reducer.take(json.loads(line))
        kept = self.reducer.domain(domain)
        return {"contacts": set(kept.contacts), "position": kept.position, "gaps": kept.gaps, "duplicates": kept.duplicates,
                "deposed": kept.deposed, "problems": []}

    def stop(self):
        self.child.terminate()
        self.child.wait()
        self.output.close()
        self.reading.close()


def destinations(cluster):
    """What `rollcall destinations` says; it exits with 1 while one takes nothing."""
    done = subprocess.run(
        [cluster.rollcall, "destinations", cluster.topology, "--json"], capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout)["destinations"] if done.returncode in (0, 1) else []


async def agree(cluster, consumers, moment):
    """Waits until every consumer holds what the owner lists."""
    listed = await settled(cluster)
    for name, consumer in consumers.items():
        async def is_same():
            return consumer.state(DOMAIN)["contacts"] == listed

        try:
            await wait(is_same, 60, "the same set")
        except SystemExit:
            state = consumer.state(DOMAIN)
            raise SystemExit(
                f"{moment}: {name} lacks {sorted(listed - state['contacts'])[:5]}, has {sorted(state['contacts'] - listed)[:5]} "
                f"too much at {state['position']}\n{json.dumps(destinations(cluster), indent=1)}\n{cluster.logs()}")
        state = consumer.state(DOMAIN)
        if state["gaps"] or state["problems"]:
            raise SystemExit(f"{moment}: {name} has {state['gaps']} gaps that no clear accounts for, {state['problems'][:3]}")
        print(f"{moment}: {name} has the owner's {len(listed)} contacts at {state['position']}; {state['duplicates']} duplicates, "
              f"{state['deposed']} of deposed owners, no gap", flush=True)


async def outage(cluster, phones, probe, webhooks, chosen):
    phones.keep_busy(chosen.rate, churn=True)
    await asyncio.sleep(1)
    probe.take()
    await asyncio.sleep(chosen.outage)
    print(f"answers to phones, webhooks well: {probe.take()}", flush=True)
    told = {name: len(webhook.clears) for name, webhook in webhooks.items()}
    for mode in (500, "hang"):
        for webhook in webhooks.values():
            webhook.mode = mode
        probe.take()
        await asyncio.sleep(chosen.outage)
        print(f"answers to phones, webhooks {mode}: {probe.take()}", flush=True)
    waiting = {one["name"]: one for one in destinations(cluster) if one["kind"] == "webhook" and one["domains"]}
    for name, one in waiting.items():
        print(f"{name}: {one['state']}, {one.get('last_error')!r}, {one['queued_events']} in memory, {one['spooled_events']} on disk, "
              f"{one['dropped']} dropped")
    if any(one["state"] != "away" for one in waiting.values()) or not waiting:
        raise SystemExit(f"the webhooks are not found to be away: {waiting}")
    for webhook in webhooks.values():
        webhook.mode = 204
    await asyncio.sleep(1)
    phones.rest()
    await agree(cluster, webhooks, "after the outage")
    roomy, tight = (webhooks[name].clears[told[name]:] for name in ("audit", "tight"))
    if roomy:
        raise SystemExit(f"audit had room for everything, and yet was told {roomy}")
    if "resync" not in tight or not waiting["tight"]["dropped"]:
        raise SystemExit(f"tight had no room, and yet was told {tight}")


async def failovers(cluster, phones, consumers, chosen):
    for number in range(1, chosen.kills + 1):
        name, pid, epoch = await owner(cluster)
        phones.keep_busy(chosen.rate, churn=True)
        await asyncio.sleep(1)
        os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(2)
        phones.rest()
        print(f"kill {number}: {name}, owner of epoch {epoch}", flush=True)
    await owner(cluster)
    await agree(cluster, consumers, f"after {chosen.kills} kills")


async def backlog(cluster, phones, webhook, count):
    """How many events a second go to a webhook that was away; the receiver only counts."""
    webhook.mode = 503
    seen = webhook.events
    phones.keep_busy(20_000, churn=True)

    async def waits():
        held = [one for one in destinations(cluster) if one["name"] == "audit" and one["domains"]]
        return held and held[0]["queued_events"] + held[0]["spooled_events"] >= count

    await wait(waits, 300, f"{count} events wait")
    phones.rest()
    await asyncio.sleep(1)
    start, batches = time.monotonic(), webhook.batches
    webhook.mode = 204
    await wait(lambda: asyncio.sleep(0, webhook.events - seen >= count), 300, "they are delivered")
    seconds = time.monotonic() - start
    print(f"webhook: {webhook.events - seen} events in {webhook.batches - batches} requests and {seconds:.1f} s: "
          f"{(webhook.events - seen) / seconds:.0f} events/s")


def replay(cluster, webhook):
    """Plays what the webhook took to the consumers of Examples/."""
    state = webhook.state(DOMAIN)
    epoch, seq = state["position"]
    listed = [dict(zip(("kind", "account", "contact_id"), contact)) for contact in sorted(state["contacts"])]
    path = os.path.join(cluster.directory, "recorded.jsonl")
    with open(path, "w") as file:
        file.write("\n".join(webhook.lines) + "\n")
        file.write(json.dumps(["expect", {
            "name": "a real run", "domain": DOMAIN, "position": {"epoch": epoch, "seq": seq}, "contacts": listed}]) + "\n")
    for name, consumer in CONSUMERS.items():
        done = subprocess.run(
            [cluster.rollcall, "conformance", "--stream", path, "--timeout", "60", "--", *consumer], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{name}, with what the webhook took: {done.stdout}{done.stderr}")
    print(f"{len(webhook.lines)} events that audit took, played to the consumers in {', '.join(CONSUMERS)}: the same set")


async def run(chosen):
    kind = Counter if chosen.backlog else Receiver
    webhooks = {name: kind(SECRET).start() for name in ("audit", "tight")}
    (port,) = free_ports(1)
    cluster = PluginCluster(
        os.path.abspath(chosen.rollcall), os.path.join(HERE, "cluster.yaml"), audit=webhooks["audit"].port, tight=webhooks["tight"].port,
        plugin=port)
    plugin = Plugin(port, cluster.directory)
    phones = probe = None
    try:
        cluster.start()
        phones = await Phones(cluster.ports[SIP], DOMAIN, accounts=60).open()
        await phones.register_all()
        if chosen.backlog:
            return await backlog(cluster, phones, webhooks["audit"], chosen.backlog)
        probe = Probe(cluster.ports[SIP], DOMAIN)
        consumers = {**webhooks, "screens": plugin}
        start = time.monotonic()
        await agree(cluster, consumers, "at the start")
        await outage(cluster, phones, probe, webhooks, chosen)
        probe.stop()
        probe = None
        await failovers(cluster, phones, consumers, chosen)
        replay(cluster, webhooks["audit"])
        print(f"plugins: {time.monotonic() - start:.0f} s")
    finally:
        if phones:
            phones.close()
        if probe:
            probe.stop()
        plugin.stop()
        cluster.stop()
        for webhook in webhooks.values():
            webhook.stop()
        cluster.remove()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rollcall", required=True)
    arguments.add_argument("--outage", type=float, default=4, help="seconds of each kind")
    arguments.add_argument("--kills", type=int, default=5)
    arguments.add_argument("--backlog", type=int, help="events to wait for a webhook")
    arguments.add_argument("--rate", type=int, default=1000, help="events a second")
    asyncio.run(run(arguments.parse_args()))


if __name__ == "__main__":
    main()
