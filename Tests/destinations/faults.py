"""Errors of brokers, one after the other: retriable, of a leader that is none, fatal, requests that time out, brokers that go
and come. The brokers are librdkafka's mock cluster in a process of its own (mock_brokers.c), which errs as it is told."""

import asyncio
import os
import signal
import subprocess
import sys

from stage import DOMAIN, TOPIC, Trial, wait

BROKERS, PARTITIONS = 3, 3
PRODUCE, INIT_PRODUCER = 0, 22  # Kinds of requests, as Kafka numbers them.
REFUSE = 100_000  # More errors than there will be requests.
ERRORS = {  # By Kafka's numbers; the first five are tried again below, by librdkafka itself.
    "LEADER_NOT_AVAILABLE": 5, "NOT_LEADER_FOR_PARTITION": 6, "REQUEST_TIMED_OUT": 7, "NOT_ENOUGH_REPLICAS": 19,
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND": 20, "the connection breaks": -195, "TOPIC_AUTHORIZATION_FAILED": 29,
    "CLUSTER_AUTHORIZATION_FAILED": 31, "OUT_OF_ORDER_SEQUENCE_NUMBER": 45, "UNKNOWN_PRODUCER_ID": 59, "INVALID_REQUEST": 42}


class MockBrokers:
    """In the place of a real one, with the topic made."""

    def start(self):
        self.child = subprocess.Popen(
            [os.path.join(os.path.dirname(sys.executable), "../mock-brokers"), str(BROKERS), TOPIC, str(PARTITIONS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self.entrance = self.child.stdout.readline().strip()
        return self

    def tell(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline().strip()
        if answer != "ok":
            raise SystemExit(f"the brokers were told {line!r}, and said {answer!r}")

    def stop(self):
        self.child.stdin.close()
        self.child.wait()
        self.child.stdout.close()


def position(text):
    return tuple(int(part) for part in text.split(":"))


async def stand(trial):
    """How far the owner's log is, and how far Kafka's cursor."""
    domain = next(one for one in (await trial.destination())["domains"] if one["name"] == DOMAIN)
    return position(domain["published"]), position(domain["delivered"])


async def catch_up(trial, what):
    """Until Kafka has everything that had been published by now."""
    published, _ = await stand(trial)

    async def has_it():
        _, delivered = await stand(trial)
        return delivered >= published

    await wait(has_it, 60, f"everything is delivered after {what}")


async def is_held(trial, what):
    """Nothing is written at present: whatever is sent, the cursor stays where it is. Gives that place."""
    await asyncio.sleep(0.5)  # What was under way has been answered.
    before = await stand(trial)
    await asyncio.sleep(2)
    published, delivered = await stand(trial)
    if published <= before[0]:
        raise SystemExit(f"{what}: the owner has published nothing after {before[0]}")
    if delivered != before[1]:
        raise SystemExit(f"{what}: nothing was written, and yet the cursor went from {before[1]} to {delivered}")
    return delivered


async def faults(chosen):
    async with Trial(chosen, broker=MockBrokers) as trial:
        brokers = trial.broker
        trial.phones.keep_busy(min(chosen.rate, 500), churn=True)  # What the mock keeps is bounded.
        for name, code in ERRORS.items():
            brokers.tell(f"errors {PRODUCE} {code} 3")
            await asyncio.sleep(0.3)
            await catch_up(trial, name)
        brokers.tell(f"errors {INIT_PRODUCER} 15 2")  # COORDINATOR_NOT_AVAILABLE, while a new producer begins.
        brokers.tell(f"errors {PRODUCE} 45 1")
        await catch_up(trial, "errors of producer and coordinator")
        for partition in range(PARTITIONS):
            brokers.tell(f"lead {partition} {1 + partition}")
        await catch_up(trial, "other leaders")
        for broker in range(1, BROKERS + 1):
            brokers.tell(f"down {broker}")
            await asyncio.sleep(0.5)
            brokers.tell(f"up {broker}")
        await catch_up(trial, "a restart of each broker")
        for broker in range(1, BROKERS + 1):
            brokers.tell(f"down {broker}")
        await is_held(trial, "no broker")
        for broker in range(1, BROKERS + 1):
            brokers.tell(f"up {broker}")
        await catch_up(trial, "all brokers are back")
        # Refused, whatever is tried; the owner dies meanwhile, and its successor goes on from the cursor.
        brokers.tell(f"errors {PRODUCE} {ERRORS['NOT_ENOUGH_REPLICAS']} {REFUSE}")
        delivered = await is_held(trial, "every request is refused")

        async def is_read():
            return trial.reader.last() >= delivered

        await wait(is_read, 30, f"what the cursor says is delivered, to {delivered}, can be read")
        published, _ = await stand(trial)
        _, pid, epoch = await trial.owner()
        os.kill(pid, signal.SIGKILL)
        await trial.succeeded(epoch)
        brokers.tell(f"well {PRODUCE}")
        await asyncio.sleep(1)
        trial.rest()
        listed = await trial.converge("the readers have what the owner lists")
        fared = await trial.destination()
        last = max(trial.reader.seen[epoch])
        if (epoch, last) < published:
            raise SystemExit(f"{published} was published and not delivered when its owner died: epoch {epoch} ends at {last}")
        if trial.reader.gaps() or trial.reader.restated or fared["dropped"]:
            raise SystemExit(f"nothing had to be dropped, and yet: {trial.reader.gaps()}, {trial.reader.restated}, {fared}")
        print(f"faults: {len(ERRORS)} errors, other leaders, brokers gone and back, an owner killed while nothing is written: both "
              f"readers hold {len(listed)} contacts, nothing is missing; {trial.repetitions()}")
