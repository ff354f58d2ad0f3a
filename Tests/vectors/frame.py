#!/usr/bin/env python3
"""Frames of the cluster wire, built from docs/wire.md alone, without a line of the Swift code.

frame.py            compares frames.json with what this script builds; exit 1 on a difference
frame.py --write    writes frames.json

Needs: pip install cryptography msgpack
"""
import json
import pathlib
import struct
import sys

import msgpack
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FILE = pathlib.Path(__file__).with_name("frames.json")
HELLO, DATA = 0, 1


def hkdf(secret, salt, info, length):
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def header(kind, sealed, name, incarnation, key_id, counter):
    name = name.encode()
    return b"RC" + struct.pack(">BBBB", 1, kind, sealed, len(name)) + name + struct.pack(">QIQ", incarnation, key_id, counter)


def hello(secret, sender, receiver, echo, wants_answer, entropy):
    head = header(HELLO, secret is not None, sender["name"], sender["incarnation"], 0, 0)
    body = msgpack.packb([sender["nonce"], echo, receiver["name"], wants_answer], use_bin_type=True)
    if secret is None:
        return head + body
    key = hkdf(secret, b"", b"rollcall 1 hello", 32)
    return head + entropy + ChaCha20Poly1305(key).encrypt(entropy, body, head)


def data(secret, sender, receiver, counter, body):
    info = b"rollcall 1"
    for name in (sender["name"].encode(), receiver["name"].encode()):
        info += bytes([len(name)]) + name
    derived = hkdf(secret or b"", sender["nonce"] + receiver["nonce"], info, 36)
    key_id = int.from_bytes(derived[32:], "big")
    head = header(DATA, secret is not None, sender["name"], sender["incarnation"], key_id, counter)
    if secret is None:
        return head + body
    return head + ChaCha20Poly1305(derived[:32]).encrypt(b"\0\0\0\0" + struct.pack(">Q", counter), body, head)


def vectors():
    sr1 = {"name": "sr1", "incarnation": 1_767_225_600_123, "nonce": bytes(range(32))}
    ws1 = {"name": "ws-ü", "incarnation": 1_767_225_601_000, "nonce": bytes(range(100, 132))}
    entropy = bytes(range(200, 212))
    body = msgpack.packb([[2, 7, -1], [99, "a kind of the future"]])
    for secret in (bytes(range(64, 96)), None):
        common = {"secret": secret, "sender": sr1, "receiver": ws1, "entropy": entropy}
        for echo, wants in ((b"", True), (ws1["nonce"], False)):
            yield common | {"type": "hello", "echo": echo, "wantsAnswer": wants,
                            "frame": hello(secret, sr1, ws1, echo, wants, entropy)}
        for counter in (1, 2):
            yield common | {"type": "data", "counter": counter, "body": body,
                            "frame": data(secret, sr1, ws1, counter, body)}


def plain(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def main():
    text = json.dumps([plain(vector) for vector in vectors()], indent=1, ensure_ascii=False) + "\n"
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(text)
    elif sys.argv[1:]:
        sys.exit(__doc__)
    elif FILE.read_text() != text:
        sys.exit(f"{FILE} differs from what this script builds; look at docs/wire.md, then frame.py --write")


if __name__ == "__main__":
    main()
