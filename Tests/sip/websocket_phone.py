"""A browser's phone: SIP over websocket (RFC 7118), written out by hand, so that it can also do what no phone should.

`try_websocket(port, admin_port, domain, account, password)` registers, refreshes and removes a contact with digest,
follows its GRUUs (RFC 5627), and breaks the rules of RFC 6455 one by one.
"""

import asyncio
import hashlib
import json
import os
import re
import socket
import struct
import urllib.error
import urllib.parse
import urllib.request

import websockets

SECONDS = 10
INSTANCE = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"


def require(condition, what, got):
    if not condition:
        raise SystemExit(f"SIP over websocket: expected {what}, got {got}")


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


class Phone:
    def __init__(self, connection, domain, account, password, call):
        self.connection, self.call, self.cseq = connection, call, 0
        self.domain, self.account, self.password = domain, account, password

    def request(self, expires, authorization=""):
        self.cseq += 1
        return (
            f"REGISTER sip:{self.domain} SIP/2.0\r\n"
            f"Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bK{os.urandom(6).hex()};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:{self.account}@{self.domain}>;tag=a\r\n"
            f"To: <sip:{self.account}@{self.domain}>\r\nCall-ID: {self.call}\r\nCSeq: {self.cseq} REGISTER\r\n"
            f"Supported: gruu\r\n{authorization}"
            f"Contact: <sip:x7k@df7jal23ls0d.invalid;transport=ws>;+sip.instance=\"<{INSTANCE}>\";expires={expires}\r\n"
            "Content-Length: 0\r\n\r\n")

    async def exchange(self, request, binary=False):
        await self.connection.send(request.encode() if binary else request)
        answer = await asyncio.wait_for(self.connection.recv(), SECONDS)
        require(isinstance(answer, bytes) == binary, "an answer of the request's kind", answer)
        return answer.decode() if binary else answer

    async def register(self, expires, binary=False):
        """Answers the challenge. Gives the 200."""
        challenge = await self.exchange(self.request(expires), binary)
        require(challenge.startswith("SIP/2.0 401 "), "401", challenge)
        nonce = re.search(r'nonce="([^"]+)"', challenge)[1]
        uri, cnonce = f"sip:{self.domain}", os.urandom(4).hex()
        response = md5(":".join((
            md5(f"{self.account}:{self.domain}:{self.password}"), nonce, "00000001", cnonce, "auth",
            md5(f"REGISTER:{uri}"))))
        answer = await self.exchange(self.request(
            expires,
            f'Authorization: Digest username="{self.account}", realm="{self.domain}", nonce="{nonce}", uri="{uri}", '
            f'algorithm=MD5, qop=auth, nc=00000001, cnonce="{cnonce}", response="{response}"\r\n'), binary)
        require(answer.startswith("SIP/2.0 200 "), "200", answer)
        return answer


def resolve(admin_port, domain, gruu, account=None):
    """Where a GRUU leads; the status when it leads nowhere."""
    url = f"http://127.0.0.1:{admin_port}/rest/v1/registrar/domains/{domain}/gruu/{urllib.parse.quote(gruu, safe='')}"
    try:
        with urllib.request.urlopen(url + (f"?account={account}" if account else ""), timeout=SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code


def temporary(answer, domain):
    return re.search(rf'temp-gruu="sip:([^"]+)@{re.escape(domain)};gr"', answer)[1]


async def try_phone(port, admin_port, domain, account, password):
    async with websockets.connect(f"ws://127.0.0.1:{port}/", subprotocols=["other", "sip"]) as connection:
        require(connection.subprotocol == "sip", "the subprotocol sip", connection.subprotocol)
        await connection.send("\r\n\r\n")
        pong = await asyncio.wait_for(connection.recv(), SECONDS)
        require(pong == "\r\n", "a line end for a keep-alive", pong)
        await asyncio.wait_for(await connection.ping(), SECONDS)

        phone = Phone(connection, domain, account, password, "first")
        answer = await phone.register(300)
        routes = re.findall(r"Service-Route: <([^>]+)>", answer)
        require(routes == ["sip:edge.example;lr", "sip:core.example:5070;lr"], "the route in its order", answer)
        require(f'pub-gruu="sip:{account}@{domain};gr={INSTANCE}"' in answer, "a public GRUU", answer)
        first = temporary(answer, domain)
        second = temporary(await phone.register(300), domain)
        require(first != second, "a new GRUU", second)
        for gruu, owner in ((first, None), (second, None), (INSTANCE, account)):
            found = resolve(admin_port, domain, gruu, owner)
            require(
                isinstance(found, dict) and found["account"] == account and found["instance_id"] == INSTANCE
                and [contact["transport"] for contact in found["contacts"]] == ["ws"], f"where {gruu} leads", found)
        forged = first[:-2] + ("AA" if first[-2:] != "AA" else "BB")
        for gruu in (forged, first[:20], "tgruu.", "tgruu." + "A" * 300, "x"):
            require(resolve(admin_port, domain, gruu) == 404, f"404 for {gruu}", resolve(admin_port, domain, gruu))

        # Another call makes what was given out before void.
        phone = Phone(connection, domain, account, password, "second")
        third = temporary(await phone.register(300, binary=True), domain)
        require(resolve(admin_port, domain, first) == 404, "404 after another call", resolve(admin_port, domain, first))
        require(isinstance(resolve(admin_port, domain, third), dict), "where the new GRUU leads", third)
        answer = await phone.register(0, binary=True)
        require("Contact:" not in answer, "no contact", answer)
        require(resolve(admin_port, domain, third) == 404, "404 for who is gone", resolve(admin_port, domain, third))


# MARK: rules


def handshake(port, extra="Sec-WebSocket-Protocol: sip\r\n"):
    connection = socket.create_connection(("127.0.0.1", port), SECONDS)
    connection.sendall((
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extra}\r\n").encode())
    head = b""
    while b"\r\n\r\n" not in head:
        some = connection.recv(4096)
        if not some:
            break
        head += some
    return connection, head.decode()


def frame(opcode, payload=b"", final=True, masked=True):
    head = bytes([opcode | (128 if final else 0)])
    bit = 128 if masked else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += struct.pack("!BH", bit | 126, len(payload))
    else:
        head += struct.pack("!BQ", bit | 127, len(payload))
    return head + (b"\0\0\0\0" if masked else b"") + payload


def close_code(port, data):
    connection, _ = handshake(port)
    with connection:
        connection.sendall(data)
        answer = b""
        while len(answer) < 4:
            some = connection.recv(4096)
            if not some:
                return None
            answer += some
        return struct.unpack("!H", answer[2:4])[0] if answer[0] == 0x88 else answer


def try_rules(port):
    for extra in ("", "Sec-WebSocket-Protocol: chat, xmpp\r\n"):
        connection, head = handshake(port, extra)
        connection.close()
        require(head.startswith("HTTP/1.1 400 "), "400 without the subprotocol", head)
    half = b"x" * 40000
    for name, data, code in (
        ("an unmasked frame", frame(1, b"a", masked=False), 1002),
        ("a continuation of nothing", frame(0, b"a"), 1002),
        ("a reserved opcode", frame(3), 1002),
        ("a fragmented ping", frame(9, final=False), 1002),
        ("text that is not UTF-8", frame(1, b"\xff"), 1007),
        ("a message that is too big", frame(2, b"x" * 65536), 1009),
        ("fragments that are too big", frame(1, half, final=False) + frame(0, half), 1009),
        ("a close", frame(8, struct.pack("!H", 1000)), 1000),
    ):
        got = close_code(port, data)
        require(got == code, f"{code} for {name}", got)
    # A request in fragments, with a ping between them.
    request = (
        b"OPTIONS sip:demo.example SIP/2.0\r\nVia: SIP/2.0/WS a.invalid;branch=z9hG4bKf\r\nMax-Forwards: 70\r\n"
        b"From: <sip:a@demo.example>;tag=a\r\nTo: <sip:demo.example>\r\nCall-ID: f\r\nCSeq: 1 OPTIONS\r\n\r\n")
    connection, _ = handshake(port)
    with connection:
        connection.sendall(
            frame(1, request[:30], final=False) + frame(9, b"p") + frame(0, request[30:31], final=False)
            + frame(0, request[31:]))
        answer = b""
        while b"\r\n\r\n" not in answer:
            some = connection.recv(4096)
            require(some, "an answer", answer)
            answer += some
    require(answer.startswith(b"\x8a\x01p"), "a pong first", answer)
    require(b"SIP/2.0 200 " in answer, "200", answer)


def try_websocket(port, admin_port, domain, account, password):
    asyncio.run(try_phone(port, admin_port, domain, account, password))
    try_rules(port)
