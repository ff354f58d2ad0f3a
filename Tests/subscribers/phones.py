"""Devices that keep a domain busy: REGISTER over UDP, several contacts at once, so that few datagrams make many events."""

import asyncio
import random
import time


class Phones(asyncio.DatagramProtocol):
    """Registers, refreshes and unregisters the contacts of some accounts at a rate, from a seed. Answers are counted and
    otherwise not looked at: what became of a REGISTER is told by the events."""

    CONTACTS = 8  # Of an account; with fewer than its domain's `devices`.

    def __init__(self, port, domain, accounts, seed=1, ttl=3600, marker=""):
        self.port, self.domain, self.ttl, self.marker = port, domain, ttl, marker
        self.accounts = [f"{marker}a{number}" for number in range(accounts)]
        self.random = random.Random(seed)
        self.cseq = 0
        self.sent = self.answered = 0
        self.statuses = {}
        self.task = None

    async def open(self):
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=("127.0.0.1", self.port))
        return self

    def close(self):
        if self.task:
            self.task.cancel()
        self.transport.close()

    def datagram_received(self, data, address):
        self.answered += 1
        status = data[8:11]
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def error_received(self, error):
        pass  # The gateway is not there at the moment.

    def register(self, account, contacts):
        """One request for contacts given as {number: expires}; 0 unregisters."""
        self.cseq += 1
        lines = "".join(
            f"Contact: <sip:{account}-{number}@127.0.0.1:{5000 + number}>;expires={expires}\r\n"
            for number, expires in contacts.items())
        local = self.transport.get_extra_info("sockname")[1]
        self.transport.sendto(
            f"REGISTER sip:{self.domain} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{local};branch=z9hG4bK{self.cseq}x;rport\r\n"
            f"From: <sip:{account}@{self.domain}>;tag=1\r\nTo: <sip:{account}@{self.domain}>\r\nMax-Forwards: 70\r\n"
            f"Call-ID: {account}@phones\r\nCSeq: {self.cseq} REGISTER\r\nUser-Agent: {self.marker}phone/1.0\r\n{lines}"
            "Content-Length: 0\r\n\r\n".encode())
        self.sent += 1

    async def register_all(self, per_second=200):
        """Every contact of every account; again for those without answer."""
        for _ in range(20):
            before, wanted = self.statuses.get(b"200", 0), 0
            for account in self.accounts:
                self.register(account, {number: self.ttl for number in range(self.CONTACTS)})
                wanted += 1
                await asyncio.sleep(1 / per_second)
            await asyncio.sleep(0.5)
            if self.statuses.get(b"200", 0) - before >= wanted:
                return
        raise SystemExit(f"the phones of {self.domain} could not register: {self.statuses}")

    def keep_busy(self, events_per_second, churn):
        """Sends until closed. With churn, contacts also go; else each request refreshes all of an account."""
        self.task = asyncio.ensure_future(self.run(events_per_second, churn))

    def rest(self):
        self.task.cancel()
        self.task = None

    async def run(self, events_per_second, churn):
        start, events = time.monotonic(), 0
        while True:
            account = self.random.choice(self.accounts)
            if churn:
                chosen = self.random.sample(range(self.CONTACTS), self.random.randint(1, self.CONTACTS))
                contacts = {number: self.random.choice([0, self.ttl]) for number in chosen}
            else:
                contacts = {number: self.ttl for number in range(self.CONTACTS)}
            self.register(account, contacts)
            events += len(contacts)
            ahead = start + events / events_per_second - time.monotonic()
            if ahead > 0.002:
                await asyncio.sleep(ahead)
            elif events % 64 == 0:
                await asyncio.sleep(0)
