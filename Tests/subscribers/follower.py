"""A follower as docs/websocket.md describes it, on the stock `websockets` client of Debian's python3-websockets."""

import asyncio
import json

import websockets


def contact_key(data):
    """Kind, account and contact id of an event's data, or of an entry of `rollcall contacts --json`."""
    if "sipuser_id" in data:
        return ("sipuser", data["sipuser_id"], data["contact_id"])
    return ("user", data["user_id"], data["connection_id"])


class Reducer:
    """Keeps the set from the events, and checks that nothing is missing between them."""

    def __init__(self):
        self.contacts = set()
        self.position = None
        self.is_whole = False  # Not while a snapshot is under way: what is missing of it comes after no position.
        self.clears = []
        self.events = 0
        self.problems = []

    def take(self, notification):
        position = (notification["epoch"], notification["seq"])
        event = notification["event"]
        kind, data = event["type"], event["data"]
        alone = kind == "clear" and data["reason"] in ("snapshot", "resync")
        replay = notification.get("replay", False)
        if not alone and not (replay and position == self.position):
            self.check(position, kind)
        if position != self.position:
            self.is_whole = True
        if alone:
            self.is_whole = False
        self.position = position
        self.events += 1
        if kind == "clear":
            self.contacts.clear()
            self.clears.append(data["reason"])
        elif kind.endswith("_registered"):
            self.contacts.add(contact_key(data))
        elif kind.endswith("_unregistered"):
            self.contacts.discard(contact_key(data))

    def check(self, position, kind):
        """The next position in the log: a step in the epoch, or the clear that begins a later one."""
        if self.position is None:
            return
        epoch, seq = self.position
        follows = position == (epoch, seq + 1) or (position[0] > epoch and position[1] == 1 and kind == "clear")
        if not follows:
            self.problems.append(f"{position} {kind} came after {self.position}")


class Follower:
    """Stays connected to one of several nodes: when it is cut, it goes on at the next one after its position."""

    def __init__(self, ports, login):
        self.ports, self.login = ports, login
        self.reducer = Reducer()
        self.connections = []
        self.live = asyncio.Event()
        self.task = None

    def start(self):
        self.task = asyncio.ensure_future(self.run())
        return self

    async def stop(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def run(self):
        attempt = 0
        while True:
            node = attempt % len(self.ports)
            attempt += 1
            try:
                async with websockets.connect(f"ws://127.0.0.1:{self.ports[node]}/ws", open_timeout=5) as socket:
                    await self.follow(socket, node)
            except (OSError, asyncio.TimeoutError, websockets.WebSocketException):
                pass  # Cut, or not let in: the next node.
            self.live.clear()
            await asyncio.sleep(0.05)

    async def follow(self, socket, node):
        await socket.send(json.dumps(["login", self.login]))
        if self.reducer.is_whole:
            epoch, seq = self.reducer.position
            start = {"after": {"epoch": epoch, "seq": seq}}
        else:
            start = {"snapshot": True}
        await socket.send(json.dumps(
            ["subscribe", {"qid": 2, "id": 1, "expires": 3600, "events": ["registrarevents.*"], "exargs": {**start, "synced": True}}]))
        async for message in socket:
            method, body = json.loads(message)
            if method == "event":
                self.reducer.take(body)
            elif method == "synced":
                self.reducer.is_whole = True
                self.live.set()
            elif body["result"] != "ok":
                return  # Try elsewhere.
            elif method == "subscribe_result":
                self.connections.append(node)


class Cutter:
    """Stands between one client and one node: lets through, and on demand cuts what is there and lets nobody in.

    With a limit it does that by itself, after the node has said so many bytes."""

    def __init__(self, target, limit=None):
        self.target, self.limit = target, limit
        self.open = True
        self.writers = set()

    async def start(self):
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def accept(self, reader, writer):
        if not self.open:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, far_writer}
        self.writers |= pair
        await asyncio.gather(
            self.pump(reader, far_writer), self.pump(far_reader, writer, self.limit), return_exceptions=True)
        for one in pair:
            one.transport.abort()
        self.writers -= pair

    async def pump(self, reader, writer, limit=None):
        passed = 0
        while data := await reader.read(16384):
            writer.write(data)
            await writer.drain()
            passed += len(data)
            if limit and passed > limit:
                await asyncio.sleep(0.2)  # So that the client has it.
                self.cut()
        writer.transport.abort()

    def cut(self):
        """No goodbye: both ends see the connection break."""
        self.open, self.limit = False, None
        for writer in list(self.writers):
            writer.transport.abort()

    def heal(self):
        self.open = True
