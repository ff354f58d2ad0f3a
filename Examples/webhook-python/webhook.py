#!/usr/bin/env python3
"""Receives a webhook of Rollcall, and prints each event as a line of JSON. Python's standard library alone.

webhook.py --listen 127.0.0.1:8200 --secret SECRET | reducer.py

What is printed was signed with the secret and is not older than five minutes. The answer goes out after the lines: what
was not answered is sent again.
"""
import argparse
import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE = 300  # Seconds between the time stamp and our clock: what is older may be a recording.
MAXIMUM_BODY = 8 << 20


def key_of(secret):
    """The bytes that a secret stands for: base64 behind `whsec_`, else itself."""
    return base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()


def verify(key, headers, body, now):
    """Why a request is not to be believed; None when it is. https://www.standardwebhooks.com has the scheme."""
    name, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not stamp.isascii() or not stamp.isdigit() or abs(now - int(stamp)) > TOLERANCE:
        return "the time stamp is not of now"
    wanted = hmac.new(key, f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
    for signature in headers.get("webhook-signature", "").split():
        version, _, text = signature.partition(",")
        try:
            given = base64.b64decode(text, validate=True)
        except ValueError:
            continue
        # In a time that does not tell how much of it was right.
        if version == "v1" and hmac.compare_digest(given, wanted):
            return None
    return "the signature is not ours"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # Connections stay open from batch to batch.
    output = threading.Lock()

    def do_POST(self):
        length = int(self.headers.get("content-length") or 0)
        if length > MAXIMUM_BODY:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(length)
        problem = verify(self.server.key, self.headers, body, time.time())
        if problem:
            print(f"refused: {problem}", file=sys.stderr)
            return self.answer(401)
        with self.output:
            for event in json.loads(body)["events"]:
                print(json.dumps(event))
            sys.stdout.flush()
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


def main():
    arguments = argparse.ArgumentParser(description="Prints the events of a webhook.")
    arguments.add_argument("--listen", default="127.0.0.1:8200", help="host:port")
    arguments.add_argument("--secret", default=os.environ.get("WEBHOOK_SECRET"), help="or in WEBHOOK_SECRET")
    chosen = arguments.parse_args()
    if not chosen.secret:
        arguments.error("no secret; expected --secret or WEBHOOK_SECRET")
    host, _, port = chosen.listen.rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), Handler)
    server.key = key_of(chosen.secret)
    server.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        pass
