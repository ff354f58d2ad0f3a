"""Phones of many domains over UDP: one REGISTER at a time for each, whose answer is timed."""

import heapq
import selectors
import socket
import time

# RFC 3261 section 17.1.2: an unanswered request is sent again after T1, 2 T1, … up to T2.
T1, T2 = 0.5, 4.0


class Phones:
    """One phone in each of some domains, at a gateway that asks for no digest."""

    def __init__(self, gateway):
        self.gateway = ("127.0.0.1", gateway)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.socket, selectors.EVENT_READ)
        self.sequence = 0
        self.waiting = {}  # branch -> [domain, began, level, message]
        self.due = []

    def close(self):
        self.selector.close()
        self.socket.close()

    def register(self, domain):
        self.sequence += 1
        branch = f"z9hG4bK{self.port}-{self.sequence}"
        message = (
            f"REGISTER sip:{domain} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{self.port};branch={branch};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:probe@{domain}>;tag=p\r\nTo: <sip:probe@{domain}>\r\n"
            f"Call-ID: probe-{self.port}@{domain}\r\nCSeq: {self.sequence} REGISTER\r\n"
            f"Contact: <sip:probe@127.0.0.1:{self.port}>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n").encode()
        now = time.monotonic()
        self.waiting[branch] = [domain, now, 0, message]
        heapq.heappush(self.due, (now + T1, branch))
        self._send(message)

    def _send(self, message):
        try:
            self.socket.sendto(message, self.gateway)
        except BlockingIOError:
            pass  # As lost as on the way: it is sent again.

    def answers(self, timeout):
        """What came within a time: domain, status code, how long the request waited, and when it was answered."""
        now = time.monotonic()
        while self.due and self.due[0][0] <= now:
            _, branch = heapq.heappop(self.due)
            request = self.waiting.get(branch)
            if request is None:
                continue
            request[2] += 1
            self._send(request[3])
            heapq.heappush(self.due, (now + min(T1 * 2 ** request[2], T2), branch))
        found = []
        if not self.selector.select(timeout):
            return found
        while True:
            try:
                datagram = self.socket.recv(65_536)
            except BlockingIOError:
                return found
            head = datagram.split(b"\r\n\r\n", 1)[0].decode()
            code = int(head.split(" ", 2)[1])
            if code < 200:
                continue
            request = self.waiting.pop(head.split("branch=", 1)[1].split(";")[0].split("\r\n")[0], None)
            if request:
                now = time.monotonic()
                found.append((request[0], code, now - request[1], now))


def first_acknowledged(phones, domains, limit):
    """A REGISTER in each domain at once, and again where it is refused. When each was granted, from now on, by domain."""
    began = time.monotonic()
    granted, again = {}, []
    for domain in domains:
        phones.register(domain)
        for answered, code, _, now in phones.answers(0):
            note(answered, code, now, began, granted, again)
    while len(granted) < len(domains) and time.monotonic() - began < limit:
        for answered, code, _, now in phones.answers(0.002):
            note(answered, code, now, began, granted, again)
        while again and again[0][0] <= time.monotonic():
            phones.register(again.pop(0)[1])
    return granted


def note(domain, code, now, began, granted, again):
    if code == 200:
        granted[domain] = now - began
    else:
        again.append((now + 0.02, domain))


class SteadyWrites:
    """Each domain is written to again and again at a pace, as phones that refresh do, until told to stop."""

    def __init__(self, phones, domains, pause):
        self.phones, self.pause = phones, pause
        now = time.monotonic()
        self.next = [(now + pause * index / len(domains), domain) for index, domain in enumerate(domains)]
        heapq.heapify(self.next)
        self.longest = dict.fromkeys(domains, 0.0)
        self.granted, self.failed = 0, {}

    def run(self, seconds, until=lambda: True):
        """For so long, and then on until the condition holds; what is under way is waited for at the end."""
        end = time.monotonic() + seconds
        while time.monotonic() < end or not until():
            now = time.monotonic()
            while self.next and self.next[0][0] <= now:
                self.phones.register(heapq.heappop(self.next)[1])
            self.take(0.002)
        limit = time.monotonic() + 10
        while self.phones.waiting and time.monotonic() < limit:
            self.take(0.01)
        if self.phones.waiting:
            self.failed["silence"] = len(self.phones.waiting)
            self.phones.waiting.clear()

    def take(self, timeout):
        for domain, code, waited, now in self.phones.answers(timeout):
            if code == 200:
                self.granted += 1
                self.longest[domain] = max(self.longest[domain], waited)
            else:
                self.failed[code] = self.failed.get(code, 0) + 1
            heapq.heappush(self.next, (now + self.pause, domain))
