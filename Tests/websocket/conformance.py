"""Plays the tables of cases.md against a websocket server, with raw bytes and no library for websockets.

`play(server)` runs all cases against the echo at `/ws/echo`, and gives how many there were by section.
"""

import os
import re
import socket
import struct
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
KINDS = {"cont": 0, "text": 1, "bin": 2, "close": 8, "ping": 9, "pong": 10}
SENTINEL = b"that was all"


class Wrong(Exception):
    """A case did not go as its RFC asks."""


def tables():
    """The rows of each section: lists of cells."""
    found, section = {}, None
    with open(os.path.join(HERE, "cases.md"), encoding="utf-8") as file:
        for line in file:
            if line.startswith("## "):
                section = found.setdefault(line[3:].strip(), [])
            elif line.startswith("| ") and not line.startswith("| case "):
                section.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    names = [row[0] for rows in found.values() for row in rows]
    assert len(names) == len(set(names)), "two cases of one name"
    return found


# MARK: connections


class Server:
    """A port of this machine; with a context for TLS, or for plain connections."""

    def __init__(self, port, context=None):
        self.port, self.context = port, context


class Connection:
    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if server.context:
            self.socket = server.context.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self.bytes = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data, bytewise=False):
        try:
            for start in range(0, len(data), 1 if bytewise else max(len(data), 1)):
                self.socket.sendall(data[start:start + 1] if bytewise else data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # The server may end the connection early; what it said before is what counts.

    def more(self):
        """Reads on; false at the end."""
        try:
            some = self.socket.recv(1 << 20)
        except ConnectionResetError:
            some = b""
        except socket.timeout:
            raise Wrong(f"nothing for {SECONDS} s after {self.bytes[:200]!r}") from None
        self.bytes += some
        return bool(some)

    def head(self):
        """Status and headers of an answer."""
        while b"\r\n\r\n" not in self.bytes:
            if not self.more():
                raise Wrong(f"the end instead of an answer, after {self.bytes[:200]!r}")
        head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return int(first.split(" ")[1]), headers

    def frame(self):
        """The next frame: first byte and payload; None at the end."""
        while True:
            frame = self.take()
            if frame:
                return frame
            if not self.more():
                if self.bytes:
                    raise Wrong(f"the end inside a frame: {self.bytes[:20].hex()}")
                return None

    def take(self):
        if len(self.bytes) < 2:
            return None
        first, second = self.bytes[0], self.bytes[1]
        if second & 0x80:
            raise Wrong("a masked frame from the server")
        length, start = second, 2
        if second == 126:
            length, start = int.from_bytes(self.bytes[2:4], "big"), 4
        elif second == 127:
            length, start = int.from_bytes(self.bytes[2:10], "big"), 10
        if len(self.bytes) < start + length:
            return None
        if (second == 126 and length < 126) or (second == 127 and length < 65536):
            raise Wrong("a length in more bytes than it needs from the server")
        payload, self.bytes = self.bytes[start:start + length], self.bytes[start + length:]
        return first, payload


def request(changes=(), path="/ws/echo"):
    """A right handshake with changes, as cases.md writes them."""
    line = f"GET {path} HTTP/1.1"
    headers = [("Host", "localhost"), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
               ("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Version", "13")]
    for change in changes:
        if change.startswith("raw "):
            return change[4:].encode().decode("unicode_escape").encode("latin-1")
        if change.startswith("line "):
            line = change[5:]
        elif change.startswith("-"):
            headers = [header for header in headers if header[0] != change[1:]]
        else:
            name, _, value = change.lstrip("+").partition(":")
            value = re.sub(r"^ ?(\w)\*(\d+)$", lambda match: match[1] * int(match[2]), value.strip())
            if not change.startswith("+"):
                headers = [header for header in headers if header[0].lower() != name.lower()]
            headers.append((name, value))
    return (line + "\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n").encode()


def try_handshake(server, changes, answer):
    status, *expected = answer.split(" & ")
    with Connection(server) as connection:
        connection.send(request([change for change in changes.split(" & ") if change]))
        got, headers = connection.head()
        if got != int(status):
            raise Wrong(f"status {got}")
        for one in expected:
            name, _, value = one.partition(":")
            values = [part for key, text in headers if key == name.lstrip("!").lower()
                      for part in re.split(r"\s*[;,]\s*", text)]
            if one.startswith("!"):
                if values:
                    raise Wrong(f"{name[1:]} is {values}")
            elif value.strip() not in values:
                raise Wrong(f"{name} is {values}")


# MARK: frames


def payload(text):
    """What `'a'*3+xff` and the like stand for."""
    result = b""
    for part in re.findall(r"(?:'[^']*'|[^+'])+", text):
        literal, _, times = part.partition("*") if not part.startswith("'") else (
            part[:part.rindex("'") + 1], "*", part[part.rindex("'") + 2:])
        if literal.startswith("'"):
            piece = literal[1:-1].encode()
        elif literal.startswith("x"):
            piece = bytes.fromhex(literal[1:])
        else:
            piece = struct.pack("!H", int(literal))
        result += piece * int(times or 1)
    return result


class Frame:
    """`KIND[-][/FLAG…] [PAYLOAD]`."""

    def __init__(self, text):
        head, _, content = text.partition(" ")
        kind, *self.flags = head.split("/")
        self.final = not kind.endswith("-")
        kind = kind.rstrip("-")
        self.opcode = KINDS[kind] if kind in KINDS else int(kind[2:])
        self.payload = payload(content.strip())

    def flag(self, name):
        return name in self.flags

    def sent(self):
        data = self.payload
        first = self.opcode | (0x80 if self.final else 0)
        first |= sum(bit for name, bit in (("rsv1", 64), ("rsv2", 32), ("rsv3", 16)) if self.flag(name))
        if self.flag("z"):
            first |= 64
            compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
            data = (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
        claims = [int(flag[6:]) for flag in self.flags if flag.startswith("claim=")]
        length = claims[0] if claims else len(data)
        mask = 0 if self.flag("unmasked") else 0x80
        if self.flag("len64") or length > 65535:
            head = struct.pack("!BBQ", first, mask | 127, length)
        elif self.flag("len16") or length > 125:
            head = struct.pack("!BBH", first, mask | 126, length)
        else:
            head = struct.pack("!BB", first, mask | length)
        if self.flag("unmasked"):
            return head + data
        key = b"\0\0\0\0" if self.flag("key0") else os.urandom(4)
        stream = int.from_bytes((key * (len(data) // 4 + 1))[:len(data)], "big")
        return head + key + (int.from_bytes(data, "big") ^ stream).to_bytes(len(data), "big")


def steps(text):
    return [step.strip() for step in text.split(";") if step.strip()]


def sent(text):
    """The bytes of a cell, whether each goes by itself, and whether the connection is cut after them."""
    data, bytewise, cut = b"", False, False
    for step in steps(text):
        if step == "bytewise":
            bytewise = True
        elif step == "cut":
            cut = True
        elif step.startswith("raw "):
            data += payload(step[4:])
        else:
            data += Frame(step).sent()
    return data, bytewise, cut


def cuts(text):
    """What `each` stands for: the message in two fragments, cut at each place."""
    frame = Frame(steps(text)[1])
    kind = "text" if frame.opcode == 1 else "bin"
    flags = "".join("/" + flag for flag in frame.flags)
    for place in range(1, len(frame.payload)):
        first, second = frame.payload[:place].hex(), frame.payload[place:].hex()
        yield f"{kind}-{flags} x{first}; cont x{second}"


def describe(first, data):
    name = {value: key for key, value in KINDS.items()}.get(first & 15, f"op{first & 15}")
    bits = "".join(f"/rsv{3 - shift}" for shift in (2, 1, 0) if first >> (4 + shift) & 1)
    return f"{name}{'' if first & 0x80 else '-'}{bits} {data[:60]!r}{'…' if len(data) > 60 else ''}"


def matches(expected, got, window):
    first, data = got
    frame = Frame(expected)
    if first & 0x80 == 0 or first & 15 != frame.opcode or first & 0x30:
        return False
    if frame.opcode == 8:
        # The server may give a reason in words.
        return data[:2] == frame.payload and (frame.payload or not data)
    if bool(first & 0x40) != frame.flag("z"):
        return False
    if frame.flag("z"):
        # With the agreed window and without context: as the weakest client would.
        data = zlib.decompressobj(-window).decompress(data + b"\0\0\xff\xff")
    return data == frame.payload


def try_frames(server, text, answer, offer=None):
    expected = steps(answer)
    closes = bool(expected) and (expected[-1].split(" ")[0] in ("close", "end"))
    with Connection(server) as connection:
        connection.send(request([f"Sec-WebSocket-Extensions: {offer}"] if offer else []))
        status, headers = connection.head()
        if status != 101:
            raise Wrong(f"status {status}")
        agreed = dict(headers).get("sec-websocket-extensions", "")
        window = int((re.findall(r"server_max_window_bits=(\d+)", agreed) or [15])[0])
        data, bytewise, cut = sent(text)
        if not closes:
            data += Frame(f"ping x{SENTINEL.hex()}").sent()
        connection.send(data, bytewise)
        if cut:
            connection.socket.shutdown(socket.SHUT_WR)
        got = []
        while True:
            frame = connection.frame()
            if frame is None or frame == (0x8a, SENTINEL):
                break
            got.append(frame)
        if closes != (frame is None):
            raise Wrong(f"{'no end' if closes else 'the end'} after {[describe(*one) for one in got]}")
        if expected == ["end"]:
            expected = []
        if len(got) != len(expected) or not all(matches(*pair, window) for pair in zip(expected, got)):
            raise Wrong(f"{[describe(*one) for one in got]}")


# MARK: the run


def cases():
    """Section, name, RFC, what is asked for, and how to try it at a server."""
    found = tables()
    for name, rfc, changes, answer in found["Handshakes"]:
        yield "Handshakes", name, rfc, answer, lambda server, c=changes, a=answer: try_handshake(server, c, a)
    for section in ("Frames", "Compressed frames"):
        for name, rfc, *offer, text, answer in found[section]:
            offered = None if section == "Frames" else offer[0] or "permessage-deflate"
            variants = list(cuts(text)) if text.startswith("each;") else [text]
            for index, variant in enumerate(variants):
                numbered = name if len(variants) == 1 else f"{name}-{index + 1}"
                yield (section, numbered, rfc, answer,
                       lambda server, t=variant, a=answer, o=offered: try_frames(server, t, a, o))


def play(server, sections=None):
    """Runs the cases of some sections or all. Gives how many there were in each; fails with those that went wrong."""
    counts, wrong = {}, []
    for section, name, rfc, answer, attempt in cases():
        # Over TLS a connection cannot be cut in one direction.
        if sections and section not in sections or server.context and name.startswith("cut-"):
            continue
        counts[section] = counts.get(section, 0) + 1
        try:
            attempt(server)
        except Wrong as problem:
            wrong.append(f"{name} (RFC {rfc}): expected {answer or 'nothing'}, got {problem}")
    if wrong:
        raise SystemExit(f"{len(wrong)} of {sum(counts.values())} cases went wrong:\n  " + "\n  ".join(wrong))
    return counts
