#!/usr/bin/env python3
"""Followers that are cut while owners are killed, and miss nothing.

usage: resume.py --rollcall BINARY [--rounds N] [--no-browser]

A stock `websockets` client and a page in headless Chromium follow a domain that phones keep busy. Their first snapshot is
cut in the middle: what is missing of it comes after no position, so they ask for another one. Then, in each round, both
are cut without a goodbye and let in at the other wssubscr node alone, where they go on after their position, and the owner of
the domain is killed, at a moment between. Then the phones rest, and the set that each follower maintains must be what
`rollcall contacts` lists. No further snapshot may have been given, since all that was missed is kept.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../scripts")]
from browser import Page, program  # noqa: E402
from follower import Cutter, Follower, contact_key  # noqa: E402
from phones import Phones  # noqa: E402
from private_cluster import Cluster, add_users  # noqa: E402

DOMAIN, PASSWORD = "demo.example", "secret"
EVENTS_PER_SECOND = 300
HALF_A_SNAPSHOT = 100_000  # Bytes; the phones' contacts make some 300,000.
WEBSOCKETS = (19106, 19104)  # Of ws1 and ws2, as followers.yaml numbers them.


async def ask(cluster, verb, *arguments):
    return json.loads(await asyncio.to_thread(cluster.command, verb, *arguments, "--json"))


async def owner(cluster):
    """The owner's name, process and the domain's position, once the domain has both owner and standby."""
    for _ in range(600):
        try:
            status = await ask(cluster, "status")
        except SystemExit:
            status = None  # The router is busy electing, or the like.
        domain = status and status["domains"][0]
        if domain and domain["owner"] and any(one["in_sync"] for one in domain["standbys"]):
            pids = {node["name"]: node["pid"] for node in status["nodes"] if node["status"] == "up"}
            if domain["owner"] in pids:
                return domain["owner"], pids[domain["owner"]], domain["epoch"]
        await asyncio.sleep(0.1)
    raise SystemExit(f"{DOMAIN} has no owner with a standby\n{cluster.logs()}")


async def wait(condition, seconds, what):
    """Asks again until the condition gives something."""
    deadline = time.monotonic() + seconds
    while True:
        found = await condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds} s: {what}")
        await asyncio.sleep(0.1)


class StockClient:
    name = "websockets"

    def __init__(self, ports):
        self.follower = Follower(ports, {"qid": 1, "login": "u1", "pwd": PASSWORD, "td": DOMAIN})

    async def open(self):
        self.follower.start()
        return self

    async def state(self):
        reducer = self.follower.reducer
        return {
            "contacts": set(reducer.contacts), "position": reducer.position, "isLive": self.follower.live.is_set(),
            "clears": list(reducer.clears), "connections": list(self.follower.connections),
            "problems": list(reducer.problems), "events": reducer.events}

    async def close(self):
        await self.follower.stop()


class Browser:
    name = "chromium"

    def __init__(self, ports):
        path = f"page.html?ports={','.join(map(str, ports))}&login=u2&pwd={PASSWORD}&td={DOMAIN}"
        self.page = Page(HERE, path)

    async def open(self):
        await self.page.open()
        return self

    async def state(self):
        state = json.loads(await self.page.evaluate("JSON.stringify(state())"))
        state["contacts"] = {tuple(json.loads(key)) for key in state["contacts"]}
        return state

    async def close(self):
        await self.page.close()


class Subject:
    """A follower with its cutters: what it reaches of the cluster goes through them."""

    def __init__(self, kind):
        self.kind = kind

    async def open(self, ports):
        self.cutters = [await Cutter(ports[0], limit=HALF_A_SNAPSHOT).start(), await Cutter(ports[1]).start()]
        self.client = await self.kind([cutter.port for cutter in self.cutters]).open()
        self.name, self.node = self.client.name, 1
        await wait(self.is_live, 30, f"{self.name} follows")
        state = await self.client.state()
        self.clears = state["clears"]
        if state["connections"] != [0, 1] or self.clears != ["snapshot", "snapshot"]:
            raise SystemExit(f"{self.name}, cut in the middle of a snapshot, had {self.clears} at {state['connections']}")
        return self

    async def is_live(self):
        return (await self.client.state())["isLive"]

    def cut(self):
        """From now on only the other node lets it in."""
        self.cutters[1 - self.node].heal()
        self.cutters[self.node].cut()
        self.node = 1 - self.node

    async def check(self, contacts, round_number):
        async def is_same():
            state = await self.client.state()
            return state if state["isLive"] and state["contacts"] == contacts() else None

        try:
            state = await wait(is_same, 20, f"{self.name} has what the owner lists")
        except SystemExit as late:
            state = await self.client.state()
            missing, surplus = contacts() - state["contacts"], state["contacts"] - contacts()
            raise SystemExit(f"round {round_number}: {late}: {len(missing)} are missing, {len(surplus)} should not be "
                             f"there\n{sorted(missing)[:5]} {sorted(surplus)[:5]}\n{state['position']} {state['clears']}")
        if state["problems"]:
            raise SystemExit(f"round {round_number}: {self.name} missed something: {state['problems'][:5]}")
        if state["connections"][-1] != self.node:
            raise SystemExit(f"round {round_number}: {self.name} is not at the other node: {state['connections']}")
        if state["clears"][:2] != self.clears or set(state["clears"][2:]) - {"failover"}:
            raise SystemExit(f"round {round_number}: {self.name} was cleared by {state['clears']}, which a delta could serve")
        return state


async def play(cluster, subjects, phones, number, chance):
    name, pid, epoch = await owner(cluster)
    phones.keep_busy(EVENTS_PER_SECOND, churn=True)
    await asyncio.sleep(chance.uniform(0.3, 1.0))
    # In each order: cut before the owner is lost, or while another takes over.
    moments = [(chance.uniform(0, 1.5), lambda: os.kill(pid, signal.SIGKILL))]
    moments += [(chance.uniform(0, 1.5), subject.cut) for subject in subjects]
    start = time.monotonic()
    for moment, act in sorted(moments, key=lambda one: one[0]):
        await asyncio.sleep(max(0, start + moment - time.monotonic()))
        act()
    await asyncio.sleep(2.5)
    phones.rest()
    await asyncio.sleep(0.5)
    successor, _, later = await owner(cluster)
    if later <= epoch:
        raise SystemExit(f"round {number}: {name} was killed, and yet no epoch followed {epoch}")
    listed = await settled(cluster)
    states = [await subject.check(lambda: listed, number) for subject in subjects]
    print(f"round {number}: {name} killed, {successor} took over in epoch {later}; {len(listed)} contacts; " + ", ".join(
        f"{subject.name} at ws{subject.node + 1} after {state['events']} events"
        for subject, state in zip(subjects, states)), flush=True)


async def settled(cluster):
    """What the owner lists, once that no longer changes."""
    async def listed():
        return {contact_key({**one, "user_id": one["account"], "connection_id": one["contact_id"]}
                            if one["kind"] == "user" else one)
                for one in await ask(cluster, "contacts", "--domain", DOMAIN)}

    before = await listed()
    for _ in range(60):
        await asyncio.sleep(0.5)
        now = await listed()
        if now == before:
            return now
        before = now
    raise SystemExit("the owner's list does not come to rest")


async def run(cluster, chosen):
    chance = random.Random(chosen.seed)
    ports = [cluster.ports[port] for port in WEBSOCKETS]
    phones = await Phones(cluster.ports[19060], DOMAIN, accounts=60, seed=chosen.seed).open()
    subjects = []
    try:
        await phones.register_all()
        for kind in [StockClient] + ([] if chosen.no_browser else [Browser]):
            subjects.append(await Subject(kind).open(ports))
        start = time.monotonic()
        for number in range(1, chosen.rounds + 1):
            await play(cluster, subjects, phones, number, chance)
        print(f"resume: {chosen.rounds} rounds in {time.monotonic() - start:.0f} s; nothing missed, nothing too much, no "
              f"snapshot but those at the start (seed {chosen.seed})")
    finally:
        phones.close()
        for subject in subjects:
            await subject.client.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollcall", required=True)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--no-browser", action="store_true", help="only the stock client")
    chosen = parser.parse_args()
    if not chosen.no_browser and not program():
        raise SystemExit("there is no Chromium: scripts/install-dependencies.sh --test installs one; or --no-browser")
    cluster = Cluster(os.path.abspath(chosen.rollcall), os.path.join(HERE, "followers.yaml"))
    try:
        add_users(cluster, DOMAIN, ["u1", "u2"], PASSWORD)
        cluster.start()
        asyncio.run(run(cluster, chosen))
    except BaseException:
        print(cluster.logs(), file=sys.stderr)
        raise
    finally:
        cluster.stop()
        cluster.remove()


if __name__ == "__main__":
    main()
