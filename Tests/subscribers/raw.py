"""Requests as they are written, with nothing tidied up by a library, each from a loopback address of its own: failed
logins are slowed and turned away by address, and one try should not stand in another's way."""

import asyncio
import base64
import itertools
import json
import os

import websockets

addresses = (f"127.{a}.{b}.{c}" for a, b, c in itertools.product(range(10, 250), range(250), range(1, 250)))


async def http(port, text, patience=8):
    """The answer to a request, as bytes; what it was cut off at when it did not end in time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(next(addresses), 0))
    got = b""
    try:
        writer.write(text if isinstance(text, bytes) else text.encode())
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            rest = deadline - asyncio.get_running_loop().time()
            data = await asyncio.wait_for(reader.read(65536), max(rest, 0.01))
            if not data:
                return got
            got += data
    except (asyncio.TimeoutError, ConnectionError):
        return got
    finally:
        writer.transport.abort()


def request(method, target, token=None, body="", headers=()):
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body.encode())}"]
    return "\r\n".join(lines) + "\r\n\r\n" + body


def upgrade(target, token=None):
    key = base64.b64encode(os.urandom(16)).decode()
    return "\r\n".join([
        f"GET {target} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13",
        *([f"Authorization: Bearer {token}"] if token else [])]) + "\r\n\r\n"


async def talk(port, path, messages, silence=0.3, most=3.0):
    """Says some messages, and collects what comes until nothing has for a while, or long enough."""
    got = []
    loop = asyncio.get_running_loop()
    try:
        async with websockets.connect(
                f"ws://127.0.0.1:{port}{path}", local_addr=(next(addresses), 0), open_timeout=10,
                close_timeout=0.1) as socket:
            for message in messages:
                await socket.send(message if isinstance(message, str) else json.dumps(message))
            end, replies = loop.time() + most, 0
            while loop.time() < end:
                # The answers first, however long a password check takes; then what comes unasked.
                wanted = len(messages) if replies < len(messages) else 0
                text = await asyncio.wait_for(socket.recv(), most if wanted else silence)
                got.append(text)
                replies += not text.startswith('["event"') and not text.startswith('["synced"')
    except asyncio.TimeoutError:
        pass
    except websockets.ConnectionClosed as closed:
        got.append(f"closed {closed.rcvd.code if closed.rcvd else ''}")
    except websockets.InvalidStatusCode as refused:
        got.append(f"refused {refused.status_code}")
    return got
