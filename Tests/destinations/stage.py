"""What the trials of destinations share: a broker, a webhook, a cluster that tells both, phones that keep it busy, and readers
that keep the set."""

import asyncio
import json
import os
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [
    os.path.join(HERE, path) for path in ("../subscribers", "../plugins", "../../scripts", "../../Examples/reducer-python")]
from broker import Broker  # noqa: E402
from consumer import Reader  # noqa: E402
from phones import Phones  # noqa: E402
from private_cluster import Cluster  # noqa: E402
from prober import Probe  # noqa: E402
from receiver import Receiver  # noqa: E402

DOMAIN, TOPIC = "demo.example", "demo.example.registrarevents"
SIP, ADMIN = 19060, {"sr1": 19111, "sr2": 19112, "sr3": 19113}  # As cluster.yaml numbers them.


class Trial:
    """All of it, for as long as a trial takes.

    kafka: more settings of Kafka's; room: what both destinations may keep, unless they may keep what they do by themselves.
    """

    def __init__(self, chosen, kafka="", room="", broker=Broker):
        self.chosen = chosen
        self.settings = {"$kafka": kafka and f", {kafka}", "$room": room and f", {room}"}
        self.make_broker = broker
        self.phones = self.reader = self.probe = None

    async def __aenter__(self):
        self.broker = self.make_broker().start()
        self.webhook = Receiver("the webhook of the trials", keeps=False).start()
        self.cluster = Cluster(os.path.abspath(self.chosen.rollcall), os.path.join(HERE, "cluster.yaml"))
        try:
            settings = {"$broker": self.broker.entrance, "$webhook": str(self.webhook.port), **self.settings}
            with open(self.cluster.topology) as file:
                text = file.read()
            for name, value in settings.items():
                text = text.replace(name, value)
            with open(self.cluster.topology, "w") as file:
                file.write(text)
            self.cluster.start()
            self.reader = Reader(self.broker, TOPIC, DOMAIN)
            self.phones = await Phones(self.cluster.ports[SIP], DOMAIN, accounts=60, seed=self.chosen.seed).open()
            await self.phones.register_all()
        except BaseException:
            await self.__aexit__(*sys.exc_info())
            raise
        return self

    async def __aexit__(self, kind, error, trace):
        if kind is not None:
            print(self.cluster.logs(), file=sys.stderr)
        if self.probe:
            self.probe.stop()
        if self.phones:
            self.phones.close()
        if self.reader:
            self.reader.stop()
        self.cluster.stop()
        self.cluster.remove()
        self.webhook.stop()
        self.broker.stop()

    def measure(self):
        """Has the time of answers to phones taken from here on."""
        self.probe = self.probe or Probe(self.cluster.ports[SIP], DOMAIN)
        self.probe.take()

    def measured(self):
        return self.probe.take()

    def rest(self):
        """Ends the load and the measuring."""
        self.phones.rest()
        if self.probe:
            self.probe.stop()
        self.probe = None

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

    async def succeeded(self, epoch):
        """Until another epoch than this one has begun."""
        async def has_begun():
            return (await self.owner())[2] > epoch

        await wait(has_begun, 60, f"an epoch after {epoch}")

    def held(self):
        """What each reader holds."""
        return {"Kafka": self.reader.contacts(), "the webhook": self.webhook.state(DOMAIN)["contacts"]}

    async def converge(self, what):
        """Until both readers hold what the owner lists."""
        async def are_same():
            listed = await self.contacts()
            return listed if listed and all(listed == held for held in self.held().values()) else None

        try:
            listed = await wait(are_same, 120 + 4 * self.chosen.outage, what)
        except SystemExit as late:
            listed = await self.contacts()
            raise SystemExit("\n".join([str(late)] + [
                f"{name}: {len(listed - held)} are missing, {len(held - listed)} should not be there: "
                f"{sorted(listed - held)[:3]} {sorted(held - listed)[:3]}" for name, held in self.held().items()]))
        webhook = self.webhook.state(DOMAIN)
        if self.reader.problems or webhook["problems"]:
            raise SystemExit(f"{what}: {self.reader.problems} {webhook['problems'][:3]}")
        if self.reader.accounted() or webhook["gaps"]:
            raise SystemExit(f"{what}: these numbers are missing, and no clear follows: {self.reader.accounted()}, "
                             f"and {webhook['gaps']} times for the webhook")
        return listed

    def repetitions(self):
        """What came again, and what came of deposed owners, for the report."""
        webhook = self.webhook.state(DOMAIN)
        repeated, late = self.reader.counts()
        return (f"Kafka: {self.reader.records} records, {repeated} repeated, {late} of deposed owners; webhook: {webhook['events']} "
                f"events, {webhook['duplicates']} repeated, {webhook['deposed']} of deposed owners")

    async def drain(self):
        """Until the readers have everything that the owner has published."""
        async def are_drained():
            position = "{}:{}".format(*self.reader.last())
            for name in ("kafka", "audit"):
                domain = next((one for one in (await self.destination(name))["domains"] if one["name"] == DOMAIN), None)
                if not domain or not domain["published"] == domain["delivered"] == position:
                    return False
            return True

        await wait(are_drained, 60, "the readers have everything")

    async def destination(self, name="kafka"):
        """How a destination fares at the domain's owner."""
        node, _, _ = await self.owner()

        def get():
            url = f"http://127.0.0.1:{self.cluster.ports[ADMIN[node]]}/rest/v1/registrar/destinations"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return next(one for one in json.load(answer) if one["name"] == name)

        return await asyncio.to_thread(get)


async def wait(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while True:
        found = await condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds:.0f} s: {what}")
        await asyncio.sleep(0.1)
