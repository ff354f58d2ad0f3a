"""What the trials of plugins share: a cluster that phones keep busy, and how long its answers take."""

import asyncio
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../subscribers"), os.path.join(HERE, "../../scripts")]
from phones import Phones  # noqa: E402,F401
from private_cluster import Cluster, free_ports  # noqa: E402,F401
from resume import ask, owner, settled, wait  # noqa: E402,F401

DOMAIN = "demo.example"
SIP = 19060  # Of sg1, as the cluster files number it.


class PluginCluster(Cluster):
    """A cluster whose plugins listen on free ports as well."""

    def __init__(self, rollcall, topology, **ports):
        super().__init__(rollcall, topology)
        with open(self.topology) as file:
            text = file.read()
        for name, port in ports.items():
            text = text.replace(f"${name}", str(port))
        with open(self.topology, "w") as file:
            file.write(text)


class Prober(asyncio.DatagramProtocol):
    """A phone that registers again and again, and measures how long each answer takes."""

    def __init__(self, port, per_second):
        self.port, self.pause = port, 1 / per_second
        self.cseq = 0
        self.answer = asyncio.Event()
        self.milliseconds = []
        self.unanswered = 0

    async def open(self):
        self.transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, remote_addr=("127.0.0.1", self.port))
        self.task = asyncio.ensure_future(self.run())
        return self

    def close(self):
        self.task.cancel()
        self.transport.close()

    def datagram_received(self, data, address):
        if data.startswith(b"SIP/2.0 200") and f"CSeq: {self.cseq} ".encode() in data:
            self.answer.set()

    async def run(self):
        local = self.transport.get_extra_info("sockname")[1]
        while True:
            self.cseq += 1
            self.answer.clear()
            start = time.monotonic()
            self.transport.sendto(
                f"REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{local};branch=z9hG4bKp{self.cseq};rport\r\n"
                f"From: <sip:probe@{DOMAIN}>;tag=1\r\nTo: <sip:probe@{DOMAIN}>\r\nMax-Forwards: 70\r\n"
                f"Call-ID: probe@prober\r\nCSeq: {self.cseq} REGISTER\r\nContact: <sip:probe@127.0.0.1:5999>;expires=3600\r\n"
                "Content-Length: 0\r\n\r\n".encode())
            try:
                await asyncio.wait_for(self.answer.wait(), 2)
                self.milliseconds.append((time.monotonic() - start) * 1000)
            except asyncio.TimeoutError:
                self.unanswered += 1
            await asyncio.sleep(self.pause)

    def take(self):
        """Median and 99th percentile since the last time, in milliseconds."""
        found, self.milliseconds = sorted(self.milliseconds), []
        if not found:
            return None
        return found[len(found) // 2], found[min(len(found) - 1, len(found) * 99 // 100)], len(found)
