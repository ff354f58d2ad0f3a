#!/usr/bin/env python3
"""The Python reducer with one thing wrong: `rollcall conformance` has to notice.

mutant.py --list     the names of the mutants
mutant.py NAME       runs as a consumer
"""
import importlib.util
import pathlib
import sys
import time
import unicodedata

path = pathlib.Path(__file__).parents[2] / "Examples/reducer-python/reducer.py"
spec = importlib.util.spec_from_file_location("reducer", path)
reducer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reducer)
DomainSet = reducer.DomainSet


class IgnoresEpochs(DomainSet):
    """Every owner is believed, the deposed one too."""
    def take(self, body):
        if body["epoch"] < self.position[0]:
            self.apply(body["event"]["type"], body["event"]["data"])
        return super().take(body)


class IgnoresClear(DomainSet):
    def apply(self, kind, data):
        if kind != "clear":
            super().apply(kind, data)


class AppliesTwice(DomainSet):
    """What was sent again counts again."""
    def take(self, body):
        new = super().take(body)
        if not new and body["epoch"] == self.position[0]:
            self.apply(body["event"]["type"], body["event"].get("data"))
        return new


class IgnoresResync(DomainSet):
    """Takes the replay that was made for it for duplicates."""
    def take(self, body):
        if body.get("replay") and (body["epoch"], body["seq"]) == self.position:
            return False
        return super().take(body)


class IgnoresReplay(DomainSet):
    def take(self, body):
        kind = "replay" if body.get("replay") else body["event"]["type"]
        return super().take({**body, "event": {**body["event"], "type": kind}})


class KeepsOldData(DomainSet):
    """A renewal changes nothing."""
    def apply(self, kind, data):
        if kind in reducer.REGISTERED and reducer.key_of(reducer.REGISTERED[kind], data) in self.contacts:
            return
        super().apply(kind, data)


class MissesNothing(DomainSet):
    """Does not notice gaps."""
    def follow(self, *arguments):
        super().follow(*arguments)
        self.is_whole = True


class BelievesAnyClass(DomainSet):
    def take(self, body):
        return super().take({**body, "event": {**body["event"], "class": "registrarevents"}})


class StopsAtTheUnknown(DomainSet):
    """Passes over events that it does not know, without their place in the order."""
    def take(self, body):
        known = ["clear", *reducer.REGISTERED, *reducer.UNREGISTERED]
        return super().take(body) if body["event"]["type"] in known else False


class CountsTimeItself(DomainSet):
    """Ends a contact when its time to live is over by its own clock."""
    def apply(self, kind, data):
        if "ttl" not in (data or {}) or data["ttl"] > 1:
            super().apply(kind, data)


class Clears(DomainSet):
    """Empties the set only for the reasons that it has heard of."""
    def apply(self, kind, data):
        if kind != "clear" or data["reason"] in ("failover", "restart", "resync"):
            super().apply(kind, data)


def keyed(key):
    """A mutant of what a contact is known by."""
    def key_of(kind, data):
        user = kind == "user"
        return key(kind, data["user_id" if user else "sipuser_id"], data["connection_id" if user else "contact_id"])

    class Keyed(DomainSet):
        def apply(self, kind, data):
            whole, reducer.key_of = reducer.key_of, key_of
            super().apply(kind, data)
            reducer.key_of = whole

        def listing(self):
            name = {"user": ("user_id", "connection_id"), "sipuser": ("sipuser_id", "contact_id")}
            listed = []
            for data in self.contacts.values():
                kind = "user" if "user_id" in data else "sipuser"
                account, contact = name[kind]
                listed.append({"kind": kind, "account": data[account], "contact_id": data[contact], **data})
            return listed
    return Keyed


class OneDomain(reducer.Reducer):
    """Keeps one order for all domains."""
    def domain(self, name):
        return super().domain("")


MUTANTS = {
    "ignores-epochs": IgnoresEpochs, "ignores-clear": IgnoresClear, "applies-twice": AppliesTwice,
    "ignores-resync": IgnoresResync, "ignores-replay": IgnoresReplay, "keeps-old-data": KeepsOldData,
    "misses-nothing": MissesNothing, "believes-any-class": BelievesAnyClass, "stops-at-the-unknown": StopsAtTheUnknown,
    "counts-time-itself": CountsTimeItself, "clears-for-some-reasons": Clears,
    "key-without-kind": keyed(lambda kind, account, contact: (account, contact)),
    "key-without-account": keyed(lambda kind, account, contact: (kind, contact)),
    "key-joined": keyed(lambda kind, account, contact: f"{kind}|{account}|{contact}"),
    "key-without-case": keyed(lambda kind, account, contact: (kind, account.lower(), contact.lower())),
    "key-normalised": keyed(lambda *parts: tuple(unicodedata.normalize("NFC", part) for part in parts)),
    "one-domain": OneDomain,
    "nothing-wrong": DomainSet,
}

if sys.argv[1:] == ["--list"]:
    print("\n".join(MUTANTS))
else:
    mutant = MUTANTS[sys.argv[1]]
    if not issubclass(mutant, reducer.Reducer):
        reducer.DomainSet = mutant
        mutant = reducer.Reducer
    reducer.main(mutant())
