"""A webhook to try the sender with: it answers as it is told to, verifies every request, and keeps the set."""

import importlib.util
import json
import pathlib
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "Examples"


def example(name):
    """A module of Examples/."""
    path = EXAMPLES / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


Reducer = example("reducer-python/reducer.py").Reducer
webhook = example("webhook-python/webhook.py")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        status, headers = self.server.receiver.answer(self.path, self.headers, body)
        if status is None:
            self.close_connection = True  # It has hung until it was told otherwise.
            return
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("content-length", "0")
            self.end_headers()
        except OSError:
            pass  # The sender has given up.

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # A sender that was killed.
            super().handle_error(request, client_address)


class Receiver:
    """`mode` is a status, with headers where it is a pair, or `hang`. What is answered with 2xx counts, nothing else."""

    def __init__(self, secret, port=0, reducer=Reducer, keeps=True):
        self.keeps = keeps  # The events themselves, and not only the set.
        self.key = webhook.key_of(secret)
        self.mode = 204
        self.lock = threading.Lock()
        self.reducer = reducer()
        self.lines = []  # What was taken, as `rollcall conformance` plays it.
        self.requests = []  # (time, id, status, events)
        self.problems = []
        self.clears = []
        self.batches = 0
        self.events = 0
        self.under_way = {}
        self.most_at_once = 0
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.receiver = self
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.mode = 503
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path, headers, body):
        arrived = time.time()
        batch = json.loads(body)
        domain = batch["domain"]
        with self.lock:
            problem = webhook.verify(self.key, headers, body, arrived)
            if problem:
                self.problems.append(problem)
            self.under_way[domain] = self.under_way.get(domain, 0) + 1
            self.most_at_once = max(self.most_at_once, sum(1 for count in self.under_way.values() if count))
        status, more = self.decide(batch)
        with self.lock:
            self.under_way[domain] -= 1
            self.requests.append((arrived, headers["webhook-id"], status, len(batch["events"])))
            if status is not None and 200 <= status < 300:
                self.take(batch)
        return status, more

    def decide(self, batch):
        """The status to answer with, and headers."""
        while self.mode == "hang":
            time.sleep(0.02)
            if self.mode != "hang":
                return None, {}
        return self.mode if isinstance(self.mode, tuple) else (self.mode, {})

    def take(self, batch):
        self.batches += 1
        for event in batch["events"]:
            if event["domain"] != batch["domain"]:
                self.problems.append("an event of another domain than its batch's")
            if self.keeps:
                self.lines.append(json.dumps(["event", event]))
            self.events += 1
            if self.reducer.take(event) and event["type"] == "clear":
                self.clears.append(event["data"]["reason"])

    def state(self, domain):
        """Contacts and counts, as they are now."""
        with self.lock:
            kept = self.reducer.domain(domain)
            return {
                "contacts": set(kept.contacts), "position": kept.position, "whole": kept.is_whole, "gaps": kept.gaps,
                "duplicates": kept.duplicates, "deposed": kept.deposed, "clears": list(self.clears), "events": self.events,
                "batches": self.batches, "requests": len(self.requests), "problems": list(self.problems)}


class Counter(Receiver):
    """Takes everything as it is: for measuring the sender."""

    def answer(self, path, headers, body):
        if self.mode != 204:
            return self.mode, {}
        with self.lock:
            self.batches += 1
            self.events += body.count(b'"eventts":')
        return 204, {}
