#!/usr/bin/env python3
"""Subscribers that stop reading, and what that costs the node and the others.

usage: slow_reader.py --rollcall BINARY [--seconds N] [--rate EVENTS_PER_SECOND] [--readers N]

Some stock `websockets` clients stop reading for half a minute while phones make a thousand events a second. The node's
memory must stay within the budget that each of them has. Then they read on: what waited for them, then exactly one
`clear` with everything live, then each event as it comes. Two more follow the domain on the same node and read all the
time: they are told of each event as fast as before, which is measured by the events' own time stamps.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import socket
import sys
import time

import websockets

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../scripts")]
from follower import Reducer  # noqa: E402
from phones import Phones  # noqa: E402
from private_cluster import Cluster  # noqa: E402

DOMAIN = "demo.example"
WEBSOCKET = 19106  # Of ws1, as followers.yaml numbers it.
NODE = "ws1"
BUDGET = 1 << 20  # `websocket_budget_bytes`.
# What the node's memory may grow by for other reasons: the allocator's, and what a moment's work needs.
SLACK = 24 << 20
WARM_UP = 10  # Seconds in which the ring is filled and the allocator finds its size.


class Reader:
    """A follower of everything, with the kernel's buffers kept small, so that what it leaves lies at the node."""

    def __init__(self, port, token, receive_buffer=None):
        self.port, self.token, self.receive_buffer = port, token, receive_buffer
        self.reducer = Reducer()
        self.is_reading = asyncio.Event()
        self.is_reading.set()
        self.delays = []  # (moment, milliseconds) of live events.
        self.synced = self.clears = 0
        self.synced_at = None

    async def open(self):
        connection = socket.socket()
        if self.receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        connection.connect(("127.0.0.1", self.port))
        # One message of the client's own queue, so that not reading is what the server sees.
        self.socket = await websockets.connect(
            f"ws://127.0.0.1:{self.port}/ws/token/v1/{self.token}", sock=connection, max_queue=1, read_limit=4096,
            ping_interval=None, compression=None)
        await self.socket.send(json.dumps(
            ["subscribe", {"qid": 1, "id": 1, "events": ["registrarevents.*"],
                           "exargs": {"snapshot": True, "synced": True}}]))
        self.task = asyncio.ensure_future(self.read())
        return self

    async def read(self):
        while True:
            await self.is_reading.wait()
            method, body = json.loads(await self.socket.recv())
            if method == "event":
                self.reducer.take(body)
                if not body.get("replay"):
                    now = time.time()
                    self.delays.append((time.monotonic(), now * 1000 - body["event"]["eventts"]))
            elif method == "synced":
                self.synced += 1
                self.synced_at = time.monotonic()
            elif body["result"] != "ok":
                raise SystemExit(f"refused: {body}")

    def report(self):
        reducer = self.reducer
        return {"clears": reducer.clears[self.clears:], "synced": self.synced, "synced_at": self.synced_at,
                "problems": reducer.problems[:3], "contacts": reducer.contacts, "position": reducer.position}


class Stoppable:
    """Readers in a process of their own, so that their work is not what others wait for."""

    def __init__(self, port, token, count):
        context = multiprocessing.get_context("spawn")
        self.here, there = context.Pipe()
        self.process = context.Process(target=self.main, args=(there, port, token, count), daemon=True)
        self.process.start()

    async def ask(self, command):
        self.here.send(command)
        while not self.here.poll():
            if not self.process.is_alive():
                raise SystemExit("the readers have ended")
            await asyncio.sleep(0.01)
        return self.here.recv()

    @staticmethod
    def main(pipe, port, token, count):
        asyncio.run(Stoppable.serve(pipe, port, token, count))

    @staticmethod
    async def serve(pipe, port, token, count):
        readers = [await Reader(port, token, receive_buffer=32 << 10).open() for _ in range(count)]
        while True:
            while not pipe.poll():
                await asyncio.sleep(0.01)
            command = pipe.recv()
            if command == "end":
                return
            for reader in readers:
                if command == "stop":
                    reader.is_reading.clear()
                    reader.synced, reader.clears = 0, len(reader.reducer.clears)
                elif command == "read":
                    reader.is_reading.set()
            pipe.send([reader.report() for reader in readers] if command == "report" else None)


def rss(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmRSS"))


def metric(cluster, name):
    """A counter of the node, by its metrics."""
    import urllib.request
    port = cluster.ports[19121]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {cluster.command('token', '--admin').strip()}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
    return 0.0


def delays(reader, since, until):
    """Of the live events that came between two moments: their number, median, 99th percentile and greatest delay, and
    the longest time without any."""
    chosen = [(at, delay) for at, delay in reader.delays if since <= at < until]
    if not chosen:
        raise SystemExit("a reader was told nothing")
    values = sorted(delay for _, delay in chosen)
    gap = max((later[0] - earlier[0] for earlier, later in zip(chosen, chosen[1:])), default=0) * 1000
    return {"events": len(values), "median": values[len(values) // 2], "p99": values[len(values) * 99 // 100],
            "max": values[-1], "gap": gap}


def show(what, found):
    print(f"{what:12} {found['events']:6} events, delay median {found['median']:6.1f} ms, p99 {found['p99']:6.1f} ms, "
          f"max {found['max']:6.1f} ms, longest gap {found['gap']:6.1f} ms", flush=True)


async def run(cluster, chosen):
    token = cluster.command("token", "--domain", DOMAIN).strip()
    pid = cluster.node_pids()[NODE]
    phones = await Phones(cluster.ports[19060], DOMAIN, accounts=400).open()
    await phones.register_all(per_second=400)
    contacts = len(phones.accounts) * phones.CONTACTS
    swift = [await Reader(cluster.ports[WEBSOCKET], token).open() for _ in range(2)]
    slow = Stoppable(cluster.ports[WEBSOCKET], token, chosen.readers)
    await slow.ask("report")
    phones.keep_busy(chosen.rate, churn=False)
    await asyncio.sleep(WARM_UP)
    began = time.monotonic()
    await asyncio.sleep(5)
    before, dropped = rss(pid), metric(cluster, "rollcall_websocket_events_dropped_total")

    await slow.ask("stop")
    stopped, most = time.monotonic(), before
    while time.monotonic() < stopped + chosen.seconds:
        await asyncio.sleep(0.5)
        most = max(most, rss(pid))
    missed = metric(cluster, "rollcall_websocket_events_dropped_total") - dropped
    resumed = time.monotonic()
    await slow.ask("read")
    await asyncio.sleep(10)
    phones.rest()
    await asyncio.sleep(1.5)
    ended = time.monotonic()
    most = max(most, rss(pid))

    for reader in swift:
        if reader.reducer.problems or reader.reducer.clears != ["snapshot"]:
            raise SystemExit(f"who read all the time: {reader.reducer.clears} {reader.reducer.problems[:3]}")
    calm, stalled, after = (delays(swift[0], since, until) for since, until in (
        (began, stopped), (stopped, resumed), (resumed, ended - 1.5)))
    show("before", calm)
    show("stopped", stalled)
    show("resumed", after)
    growth = most - before
    allowed = BUDGET * chosen.readers + SLACK
    print(f"{chosen.readers} readers stopped for {chosen.seconds} s and left {missed:.0f} events; the node grew from "
          f"{before >> 20} to {most >> 20} MiB, may grow by {allowed >> 20}", flush=True)
    problems = []
    if growth > allowed:
        problems.append(f"the node grew by {growth >> 20} MiB")
    if missed < chosen.seconds * chosen.rate * chosen.readers / 4:
        problems.append("the readers did not fall behind, so nothing was tried")
    reports = await slow.ask("report")
    for report in reports:
        if report["clears"] != ["resync"] or report["synced"] != 1:
            problems.append(f"who had stopped was told {report['clears']}, and {report['synced']} times that all was there")
        if report["problems"]:
            problems.append(f"who had stopped missed something: {report['problems']}")
        if report["contacts"] != swift[0].reducer.contacts or len(report["contacts"]) != contacts:
            problems.append(f"who had stopped has {len(report['contacts'])} contacts of {contacts}")
        if report["position"] != swift[0].reducer.position:
            problems.append(f"who had stopped is at {report['position']}, others at {swift[0].reducer.position}")
    limit = max(chosen.delay, 3 * calm["max"])
    for what, found in (("stopped", stalled), ("resumed", after)):
        if found["max"] > limit or found["gap"] > limit:
            problems.append(f"others waited up to {found['max']:.0f} ms while the readers {what}; at most {limit:.0f} ms")
    if problems:
        raise SystemExit("\n".join(problems))
    late = max(report["synced_at"] for report in reports) - resumed
    print(f"slow readers: one clear and snapshot each, live again {late:.1f} s after they read on; others not delayed")
    phones.close()
    slow.here.send("end")
    slow.process.join(10)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollcall", required=True)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--readers", type=int, default=3)
    parser.add_argument("--delay", type=float, default=300, help="milliseconds that others may wait at most")
    chosen = parser.parse_args()
    cluster = Cluster(os.path.abspath(chosen.rollcall), os.path.join(HERE, "followers.yaml"))
    try:
        open(os.path.join(cluster.directory, "accounts.yaml"), "w").write("accounts: {}\n")
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
