"""A consumer of a domain's topic that keeps the set by the reducer of Examples/reducer-python, a set for each partition, and
checks what it is sent."""

import json
import threading

from confluent_kafka import Consumer, TopicPartition
from reducer import DomainSet, REGISTERED, UNREGISTERED, key_of


class Reader:
    """Reads a topic from its beginning, in a thread of its own, until stopped."""

    def __init__(self, broker, topic, domain):
        self.broker, self.topic, self.domain = broker, topic, domain
        self.partitions = {}
        self.seen = {}  # epoch: numbers of the log that were told
        self.restated = {}  # epoch: the positions of clears that were made for Kafka alone
        self.problems = []
        self.records = 0
        self.lock = threading.Lock()
        self.begin()

    def begin(self):
        """Also to read a topic that began anew."""
        self.consumer = Consumer({
            "bootstrap.servers": self.broker.address, "group.id": "test", "enable.auto.commit": False,
            "auto.offset.reset": "earliest", "isolation.level": "read_committed", "log_level": 0, "fetch.wait.max.ms": 20,
            "topic.metadata.refresh.interval.ms": 500})
        self.is_stopping = False
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def stop(self):
        self.is_stopping = True
        self.thread.join()
        self.consumer.close()

    def read(self):
        assigned = set()
        while not self.is_stopping:
            if not assigned:
                try:
                    topic = self.consumer.list_topics(self.topic, timeout=1).topics[self.topic]
                except Exception:
                    continue
                if topic.error is not None or not topic.partitions:
                    self.is_stopping or threading.Event().wait(0.1)
                    continue
                assigned = set(topic.partitions)
                self.consumer.assign([TopicPartition(self.topic, number, 0) for number in assigned])
            for message in self.consumer.consume(1000, timeout=0.1):
                if message.error() is None:
                    with self.lock:
                        self.take(message)

    def take(self, message):
        self.records += 1
        if message.value() is None:
            return
        event = json.loads(message.value())
        headers = {name: value.decode() for name, value in message.headers() or []}
        position = (event["epoch"], event["seq"])
        kind, data = event["type"], event["data"]
        self.expect(event["class"] == "registrarevents" and event["domain"] == self.domain, "envelope", event)
        self.expect((int(headers["epoch"]), int(headers["seq"])) == position, "position", headers)
        self.expect(("replay" in headers) == event.get("replay", False) and headers["node"].startswith("sr"), "headers", headers)
        account = {**REGISTERED, **UNREGISTERED}.get(kind)
        key = "/".join((self.domain,) + key_of(account, data)[:2]) if account else self.domain
        self.expect(message.key().decode() == key, "key", message.key())
        if kind == "clear" and data["reason"] == "resync":
            self.restated.setdefault(position[0], set()).add(position[1])
        self.seen.setdefault(position[0], set()).add(position[1])
        if message.timestamp()[1] != event["eventts"]:
            self.expect(False, "timestamp", event)
        self.partitions.setdefault(message.partition(), DomainSet()).take({**event, "event": event})

    def expect(self, is_true, what, found):
        if not is_true and len(self.problems) < 10:
            self.problems.append(f"{what}: {found}")

    def contacts(self):
        """The set, over all partitions."""
        with self.lock:
            return {key for partition in self.partitions.values() for key in partition.contacts}

    def last(self):
        with self.lock:
            return max((partition.position for partition in self.partitions.values()), default=(0, 0))

    def counts(self):
        with self.lock:
            return (sum(partition.duplicates for partition in self.partitions.values()),
                    sum(partition.deposed for partition in self.partitions.values()))

    def gaps(self):
        """For each epoch the numbers that were not told, as ranges: within it, not at its end, which only its owner knows."""
        with self.lock:
            found = {}
            for epoch, seqs in sorted(self.seen.items()):
                ranges, expected = [], 1
                for seq in sorted(seqs):
                    if seq > expected:
                        ranges.append((expected, seq - 1))
                    expected = seq + 1
                if ranges:
                    found[epoch] = ranges
            return found

    def accounted(self):
        """The gaps that no `clear` made for Kafka follows."""
        gaps = self.gaps()
        return {epoch: [one for one in ranges if not any(seq >= one[1] for seq in self.restated.get(epoch, ()))]
                for epoch, ranges in gaps.items()
                if any(not any(seq >= one[1] for seq in self.restated.get(epoch, ())) for one in ranges)}
