#!/usr/bin/env python3
"""A gate in front of a Kafka broker: TLS, and logins as RFC 4616 (PLAIN) and RFC 5802 (SCRAM) have them.

usage: gate.py --broker PORT [--cert FILE --key FILE [--client-ca FILE]] [--login MECHANISM USER PASSWORD]

Prints the port it listens on, and a line for each connection that it let in or refused. What the broker says of its own address
is rewritten, so that clients come back through the gate. Nothing but the login reaches it before that has succeeded.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import os
import ssl
import struct

METADATA, FIND_COORDINATOR, HANDSHAKE, VERSIONS, AUTHENTICATE = 3, 10, 17, 18, 36
HOST = b"127.0.0.1"
HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
AUTHENTICATION_FAILED, UNSUPPORTED_MECHANISM = 58, 33


class Refused(Exception):
    pass


async def frame(reader):
    size = struct.unpack(">i", await reader.readexactly(4))[0]
    return await reader.readexactly(size)


def framed(payload):
    return struct.pack(">i", len(payload)) + payload


class Login:
    """One client's login: takes what it says and gives what is answered."""

    def __init__(self, mechanism, user, password):
        self.mechanism, self.user, self.password = mechanism, user, password
        self.is_through = False
        self.first = None

    def take(self, said):
        return self.plain(said) if self.mechanism == "PLAIN" else self.scram(said.decode())

    def plain(self, said):
        _, user, password = said.decode().split("\0")
        if (user, password) != (self.user, self.password):
            raise Refused(f"PLAIN of {user}")
        self.is_through = True
        return b""

    def scram(self, said):
        algorithm = HASHES[self.mechanism]
        if self.first is None:
            bare = said.removeprefix("n,,")
            fields = dict(part.split("=", 1) for part in bare.split(","))
            self.nonce = fields["r"] + base64.b64encode(os.urandom(18)).decode()
            self.salt, self.user_said = os.urandom(16), fields["n"]
            self.first = f"{bare},r={self.nonce},s={base64.b64encode(self.salt).decode()},i=4096"
            return self.first.removeprefix(bare + ",").encode()
        without, proof = said.rsplit(",p=", 1)
        fields = dict(part.split("=", 1) for part in without.split(","))
        sign = lambda key, text: hmac.new(key, text, algorithm).digest()  # noqa: E731
        salted = hashlib.pbkdf2_hmac(algorithm, self.password.encode(), self.salt, 4096)
        client = sign(salted, b"Client Key")
        text = f"{self.first},{without}".encode()
        signature = sign(hashlib.new(algorithm, client).digest(), text)
        expected = bytes(a ^ b for a, b in zip(client, signature))
        right = hmac.compare_digest(expected, base64.b64decode(proof))
        # As Kafka does up to 3.9: librdkafka before 2.6.1 puts its own nonce in front of the whole a second time.
        if self.user_said != self.user or not fields["r"].endswith(self.nonce) or fields["c"] != "biws" or not right:
            raise Refused(f"{self.mechanism} of {self.user_said}")
        self.is_through = True
        return b"v=" + base64.b64encode(sign(sign(salted, b"Server Key"), text))


class Gate:
    def __init__(self, chosen):
        self.chosen = chosen

    def tls(self):
        if not self.chosen.cert:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.chosen.client_ca)
        context.load_cert_chain(self.chosen.cert, self.chosen.key)
        if self.chosen.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    async def run(self):
        server = await asyncio.start_server(self.serve, HOST.decode(), 0, ssl=self.tls())
        self.port = server.sockets[0].getsockname()[1]
        print(self.port, flush=True)
        await server.serve_forever()

    async def serve(self, reader, writer):
        broker = None
        try:
            broker = await asyncio.open_connection(HOST.decode(), self.chosen.broker)
            asked = {}
            answers = asyncio.ensure_future(self.answers(broker[0], writer, asked))
            try:
                await self.requests(reader, writer, broker[1], asked)
            finally:
                answers.cancel()
        except Refused as why:
            print(f"refused {why}", flush=True)
        except (OSError, asyncio.IncompleteReadError):
            pass  # One side has gone.
        finally:
            for end in [writer] + ([broker[1]] if broker else []):
                end.close()

    async def requests(self, reader, writer, broker, asked):
        login = Login(*self.chosen.login) if self.chosen.login else None
        subject = writer.get_extra_info("peercert")
        name = dict(part for parts in subject["subject"] for part in parts).get("commonName") if subject else None
        if not login:
            print(f"let in {name}", flush=True)
        while True:
            request = await frame(reader)
            kind, version, number, size = struct.unpack(">hhih", request[:10])
            body = request[10 + max(size, 0):]
            if login and not login.is_through and kind in (HANDSHAKE, AUTHENTICATE):
                writer.write(framed(struct.pack(">i", number) + self.log_in(login, kind, version, body, writer)))
                if login.is_through:
                    print(f"let in {name} by {login.mechanism} as {login.user}", flush=True)
            elif login and not login.is_through and kind != VERSIONS:
                raise Refused(f"request {kind} without login")
            else:
                asked[number] = kind
                broker.write(framed(request))
                await broker.drain()

    def log_in(self, login, kind, version, body, writer):
        (size,) = struct.unpack(">h" if kind == HANDSHAKE else ">i", body[:2 if kind == HANDSHAKE else 4])
        if kind == HANDSHAKE:
            offered = login.mechanism.encode()
            error = 0 if body[2:2 + size] == offered else UNSUPPORTED_MECHANISM
            return struct.pack(">hih", error, 1, len(offered)) + offered
        lifetime = struct.pack(">q", 0) if version > 0 else b""
        try:
            answer = login.take(body[4:4 + size])
            return struct.pack(">hhi", 0, -1, len(answer)) + answer + lifetime
        except Refused as why:
            print(f"refused {why}", flush=True)
            text = b"wrong user or password"
            return struct.pack(">hh", AUTHENTICATION_FAILED, len(text)) + text + struct.pack(">i", 0) + lifetime

    async def answers(self, broker, writer, asked):
        try:
            while True:
                answer = await frame(broker)
                kind = asked.pop(struct.unpack(">i", answer[:4])[0], None)
                if kind in (METADATA, FIND_COORDINATOR):
                    # Host and port stand side by side in every version of these.
                    answer = answer.replace(
                        HOST + struct.pack(">i", self.chosen.broker), HOST + struct.pack(">i", self.port))
                writer.write(framed(answer))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            writer.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--broker", type=int, required=True)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--client-ca")
    parser.add_argument("--login", nargs=3)
    asyncio.run(Gate(parser.parse_args()).run())


main()
