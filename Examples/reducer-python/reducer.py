#!/usr/bin/env python3
"""Keeps the set of who is registered from a stream of registrarevents. Nothing but Python's standard library.

As a module: `Reducer().take(notification)`. As a program it reads one notification a line, as `rollcall tail --json`
prints them, or the messages of `rollcall conformance`, and answers `["state", …]`.
"""
import json
import sys

REGISTERED = {"user_registered": "user", "sipuser_registered": "sipuser"}
UNREGISTERED = {"user_unregistered": "user", "sipuser_unregistered": "sipuser"}


def key_of(kind, data):
    """A contact is known by all three: names repeat from kind to kind and from account to account."""
    if kind == "user":
        return kind, data["user_id"], data["connection_id"]
    return kind, data["sipuser_id"], data["contact_id"]


class DomainSet:
    """One domain: its contacts, and where in its order they stand."""

    def __init__(self):
        self.contacts = {}  # Key to the data of its last event.
        self.position = (0, 0)  # Epoch and sequence number of the last event that counted.
        self.is_whole = False  # False when something is missing, until the next `clear`.
        self.restating = None  # The position of a snapshot, while its end was not seen: who is cut off then begins anew.
        self.duplicates = self.deposed = self.gaps = 0

    def take(self, body):
        """Applies a notification. False when it says nothing new."""
        position = (body["epoch"], body["seq"])
        event = body.get("event", body)  # Kafka and webhooks send it in one piece.
        kind = event["type"] if event["class"] == "registrarevents" else None
        is_clear = kind == "clear"
        is_ours = is_clear and event["data"]["reason"] in ("snapshot", "resync")
        # What is restated for us alone is not in the log, and has the position that it was taken at.
        if position > self.position or (position == self.position and (is_ours or body.get("replay", False))):
            self.follow(position, is_clear, is_ours)
        else:
            if position[0] < self.position[0]:
                self.deposed += 1  # From an owner that was replaced.
            else:
                self.duplicates += 1
            return False
        self.position = position
        self.apply(kind, event.get("data"))
        return True

    def follow(self, position, is_clear, is_ours):
        """Is this the next event of the log? After a `clear` nothing that came before it matters."""
        epoch, seq = self.position
        is_next = position == self.position or position == (epoch, seq + 1)
        if not is_clear and not is_next and self.position != (0, 0):
            self.gaps += 1
        self.is_whole = is_clear or (is_next and self.is_whole)
        if is_ours:
            self.restating = position
        elif position != self.position:
            self.restating = None

    def apply(self, kind, data):
        if kind == "clear":
            self.contacts.clear()
        elif kind in REGISTERED:
            self.contacts[key_of(REGISTERED[kind], data)] = {name: data[name] for name in data if name != "ttl"}
        elif kind in UNREGISTERED:
            self.contacts.pop(key_of(UNREGISTERED[kind], data), None)

    def synced(self, body):
        """Told that everything up to a position has been sent (websockets, with `exargs.synced`)."""
        if (body["epoch"], body["seq"]) == self.position:
            self.restating = None

    def listing(self):
        return [
            {"kind": kind, "account": account, "contact_id": contact, **data}
            for (kind, account, contact), data in self.contacts.items()]


class Reducer:
    """All domains of a stream, each with an order of its own."""

    def __init__(self):
        self.domains = {}

    def domain(self, name):
        return self.domains.setdefault(name, DomainSet())

    def take(self, body):
        return self.domain(body["domain"]).take(body)


def main(reducer):
    for line in sys.stdin:
        message = json.loads(line)
        method, body = message if isinstance(message, list) else ("event", message)
        if method == "event":
            reducer.take(body)
        elif method == "synced":
            reducer.domain(body["domain"]).synced(body)
        elif method == "state":
            kept = reducer.domain(body["domain"])
            epoch, seq = kept.position
            print(json.dumps(["state_result", {
                "qid": body["qid"], "result": "ok", "position": {"epoch": epoch, "seq": seq}, "whole": kept.is_whole,
                "contacts": kept.listing()}]), flush=True)


if __name__ == "__main__":
    main(Reducer())
