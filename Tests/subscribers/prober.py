#!/usr/bin/env python3
"""How long a registrar's answers take. As a program it runs beside whatever else keeps the interpreter busy:

usage: prober.py PORT DOMAIN PER_SECOND     for each line on its input a line of JSON: what it found since the last one
"""

import asyncio
import json
import subprocess
import sys
import time


class Prober(asyncio.DatagramProtocol):
    """A phone that registers again and again, and measures how long each answer takes."""

    def __init__(self, port, domain, per_second):
        self.port, self.domain, self.pause = port, domain, 1 / per_second
        self.cseq = 0
        self.answer = asyncio.Event()
        self.milliseconds = []
        self.unanswered = 0
        self.is_over = False  # Cancelled while an answer comes, `wait_for` forgets that it was.

    async def open(self):
        self.transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, remote_addr=("127.0.0.1", self.port))
        self.task = asyncio.ensure_future(self.run())
        return self

    def datagram_received(self, data, address):
        if data.startswith(b"SIP/2.0 200") and f"CSeq: {self.cseq} ".encode() in data:
            self.answer.set()

    async def run(self):
        local = self.transport.get_extra_info("sockname")[1]
        while not self.is_over:
            self.cseq += 1
            self.answer.clear()
            start = time.monotonic()
            self.transport.sendto(
                f"REGISTER sip:{self.domain} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{local};branch=z9hG4bKp{self.cseq};rport\r\n"
                f"From: <sip:probe@{self.domain}>;tag=1\r\nTo: <sip:probe@{self.domain}>\r\nMax-Forwards: 70\r\n"
                f"Call-ID: probe-{local}@prober\r\nCSeq: {self.cseq} REGISTER\r\nContact: <sip:probe@127.0.0.1:5999>;expires=3600\r\n"
                "Content-Length: 0\r\n\r\n".encode())
            try:
                await asyncio.wait_for(self.answer.wait(), 2)
                self.milliseconds.append((time.monotonic() - start) * 1000)
            except asyncio.TimeoutError:
                self.unanswered += 1
            await asyncio.sleep(self.pause)

    def take(self):
        """Median and 99th percentile since the last time, in milliseconds, and how many answers came and did not."""
        found, self.milliseconds = sorted(self.milliseconds), []
        unanswered, self.unanswered = self.unanswered, 0
        at = lambda share: found[min(len(found) - 1, int(len(found) * share))] if found else None  # noqa: E731
        return {"median": at(0.5), "p99": at(0.99), "answers": len(found), "unanswered": unanswered}


class Probe:
    """A prober in a process of its own."""

    def __init__(self, port, domain, per_second=50):
        self.child = subprocess.Popen(
            [sys.executable, "-B", __file__, str(port), domain, str(per_second)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)

    def take(self):
        """What it found since the last time, as text. That nothing was answered is a failure."""
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        found = json.loads(self.child.stdout.readline())
        if not found["answers"]:
            if found["unanswered"]:
                raise SystemExit(f"the registrar answered none of {found['unanswered']} requests of the prober")
            return "nothing was asked yet"
        return (f"median {found['median']:.1f} ms, p99 {found['p99']:.1f} ms of {found['answers']}"
                + (f", {found['unanswered']} without answer" if found["unanswered"] else ""))

    def stop(self):
        self.child.stdin.close()
        self.child.wait()
        self.child.stdout.close()


async def main(port, domain, per_second):
    prober = await Prober(int(port), domain, float(per_second)).open()
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(prober.take()), flush=True)
    prober.is_over = True


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
