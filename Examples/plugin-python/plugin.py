#!/usr/bin/env python3
"""A plugin behind the nanomsg endpoint, on plain sockets: prints each event as a line of JSON.

plugin.py --listen 127.0.0.1:7900 | reducer.py

Written from docs/wire.md, section "The plugin endpoint". Needs msgpack (Debian: python3-msgpack). The receipt of a message
goes out after its lines: what has no receipt is sent again.
"""
import argparse
import asyncio
import json
import struct
import sys

import msgpack

PUSH, PULL = 80, 81
EVENTS, RECEIPT = 1, 2
MAXIMUM_MESSAGE = 8 << 20
KINDS = ("user", "sipuser")
UNREGISTER_REASONS = ("expired_contact", "unregister_contact", "delete_contact", "delete_aor")
CLEAR_REASONS = ("failover", "restart", "moved", "storage_cleared", "snapshot", "resync")
DETAILS = {
    "user": ("session_id", "app", "caps", "peer_address", "peer_port"),
    "sipuser": ("login", "contact_uri", "instance_id", "user_agent", "transport", "path", "call_id", "cseq", "peer_address",
                "peer_port", "reg_id", "contact_params"),
}


async def greet(reader, writer, own, other):
    """Both sides begin with eight bytes that say what they are."""
    writer.write(b"\0SP\0" + struct.pack(">HH", own, 0))
    if await reader.readexactly(8) != b"\0SP\0" + struct.pack(">HH", other, 0):
        raise ConnectionError("the other side is not what it should be")


def contact_data(packed):
    """A packed contact: the key and the details, end to end."""
    unpacker = msgpack.Unpacker(raw=False)
    unpacker.feed(packed)
    kind, account, contact = next(unpacker)
    kind = KINDS[kind]
    names = ("user_id", "connection_id") if kind == "user" else ("sipuser_id", "contact_id")
    return kind, {**dict(zip(names, (account, contact))), **dict(zip(DETAILS[kind], next(unpacker)))}


def event_of(domain, epoch, entry):
    """What Kafka and webhooks would be sent of an entry."""
    seq, time, change, *fields = entry
    more = {}
    if change == 0:  # A contact takes three values.
        kind, data = contact_data(fields[2])
        ttl, replay = fields[3:5]
        type, data["ttl"] = f"{kind}_registered", -(-ttl // 1000)
        if replay:
            more["replay"] = True
    elif change == 1:
        kind, data = contact_data(fields[2])
        type, data["reason"] = f"{kind}_unregistered", UNREGISTER_REASONS[fields[3]]
    elif change == 2:
        type, data = "clear", {"reason": CLEAR_REASONS[fields[0]]}
    else:
        type, data = "unknown", {}  # Of a later version: its place in the order counts.
    return {"class": "registrarevents", "type": type, "data": data, "eventts": time, "domain": domain, "epoch": epoch,
            "seq": seq, **more}


class Plugin:
    def __init__(self):
        self.ways_back = {}  # Address to the connection on which receipts go there.

    async def accept(self, reader, writer):
        """One connection for each registrar node."""
        try:
            await greet(reader, writer, PULL, PUSH)
            while True:
                (length,) = struct.unpack(">Q", await reader.readexactly(8))
                if length > MAXIMUM_MESSAGE:
                    raise ConnectionError("a message over the limit")
                await self.take(msgpack.unpackb(await reader.readexactly(length), raw=False))
        except (OSError, asyncio.IncompleteReadError) as error:
            print(f"a node is gone: {error}", file=sys.stderr)
        finally:
            writer.close()

    async def take(self, message):
        if message[0] != EVENTS:
            return
        _, plugin, node, address, receipt, domain, epoch, entries, *_ = message
        for entry in entries:
            print(json.dumps(event_of(domain, epoch, entry)))
        sys.stdout.flush()
        await self.acknowledge(address, receipt)

    async def acknowledge(self, address, receipt):
        """When it is lost with its connection, the node sends the events again."""
        body = msgpack.packb([RECEIPT, receipt], use_bin_type=True)
        try:
            if address not in self.ways_back or self.ways_back[address].is_closing():
                host, _, port = address.removeprefix("tcp://").rpartition(":")
                reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
                await greet(reader, writer, PUSH, PULL)
                self.ways_back[address] = writer
            self.ways_back[address].write(struct.pack(">Q", len(body)) + body)
            await self.ways_back[address].drain()
        except (OSError, asyncio.IncompleteReadError):
            self.ways_back.pop(address, None)


async def main():
    arguments = argparse.ArgumentParser(description="Prints the events of a plugin endpoint.")
    arguments.add_argument("--listen", default="127.0.0.1:7900", help="host:port, as the topology has it")
    host, _, port = arguments.parse_args().listen.rpartition(":")
    server = await asyncio.start_server(Plugin().accept, host, int(port))
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (KeyboardInterrupt, BrokenPipeError):
        pass
