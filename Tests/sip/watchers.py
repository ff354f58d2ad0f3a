"""SIP watchers of registrations (RFC 3680) from raw sockets: over UDP, TCP and websocket, against real processes.

`try_watchers(cluster, …)` watches accounts while phones register, refresh, expire and leave, while the owner of the domain is
killed, an account is removed and the gateway is stopped. Each watcher keeps the table that RFC 3680 section 5.2 describes;
what it says is compared with the owner's own list. The documents are read by Python's XML parser.
"""

import hashlib
import json
import os
import re
import select
import signal
import socket
import struct
import time
import urllib.request
import xml.etree.ElementTree as ElementTree

from private_cluster import wait_until
from websocket_phone import frame, handshake

SECONDS = 15
REGINFO = "{urn:ietf:params:xml:ns:reginfo}"
STATES = {"reginfo": {"full", "partial"}, "registration": {"init", "active", "terminated"}}
EVENTS = {
    "active": {"registered", "created", "refreshed", "shortened"},
    "terminated": {"expired", "deactivated", "probation", "unregistered", "rejected"},
}


def require(condition, what, got):
    if not condition:
        raise SystemExit(f"SIP watchers: expected {what}, got {got}")


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


# MARK: messages


class Message:
    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.data, self.start = data, lines[0]
        self.headers = [(name.strip().lower(), value.strip()) for name, _, value in (
            line.partition(":") for line in lines[1:])]

    def all(self, name):
        return [value for key, value in self.headers if key == name.lower()]

    def __getitem__(self, name):
        return (self.all(name) or [""])[0]

    @property
    def status(self):
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else None

    def __str__(self):
        return self.data.decode(errors="replace")


class UDP:
    name, parameter = "UDP", ""

    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))

    def send(self, data):
        self.socket.send(data)

    def receive(self, seconds):
        if not select.select([self.socket], [], [], seconds)[0]:
            return None
        return Message(self.socket.recv(65536))


class TCP:
    name, parameter = "TCP", ";transport=tcp"

    def __init__(self, port):
        self.socket, self.buffer = socket.create_connection(("127.0.0.1", port), SECONDS), b""

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, seconds):
        deadline = time.monotonic() + seconds
        while True:
            message = self.cut()
            if message:
                return message
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                return None
            some = self.socket.recv(65536)
            require(some, "an open connection", "its end")
            self.buffer += some

    def cut(self):
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return None
        length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)[1])
        if len(rest) < length:
            return None
        self.buffer = rest[length:]
        return Message(head + separator + rest[:length])


class WebSocket(TCP):
    name, parameter = "WS", ";transport=ws"

    def __init__(self, port):
        self.socket, _ = handshake(port)
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(frame(1, data))

    def cut(self):
        if len(self.buffer) < 4:
            return None
        require(self.buffer[0] == 0x81, "a text frame", self.buffer[:2])
        length, start = self.buffer[1], 2
        if length == 126:
            length, start = struct.unpack("!H", self.buffer[2:4])[0], 4
        if len(self.buffer) < start + length:
            return None
        data, self.buffer = self.buffer[start:start + length], self.buffer[start + length:]
        return Message(data)


# MARK: clients


class Client:
    """One end that sends requests, proves who it is, and answers NOTIFY."""

    def __init__(self, wire, domain, account, password):
        self.wire, self.domain, self.account, self.password = wire, domain, account, password
        self.call, self.tag, self.cseq = os.urandom(6).hex(), os.urandom(3).hex(), 0
        self.notifications, self.answers_notify = [], True
        host, port = wire.socket.getsockname()[:2]
        self.address = f"{host}:{port}"
        self.contact = f"<sip:{account}@{self.address}{wire.parameter}>"

    def exchange(self, method, uri, headers, to_tag=None, to=None):
        """Sends a request and gives the answer to it; what comes in between is taken in."""
        self.cseq += 1
        branch = "z9hG4bK" + os.urandom(6).hex()
        to = to or f"sip:{self.account}@{self.domain}"
        self.wire.send("\r\n".join([
            f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/{self.wire.name} {self.address};rport;branch={branch}",
            "Max-Forwards: 70", f"From: <sip:{self.account}@{self.domain}>;tag={self.tag}",
            f"To: <{to}>" + (f";tag={to_tag}" if to_tag else ""), f"Call-ID: {self.call}", f"CSeq: {self.cseq} {method}",
            *headers, "Content-Length: 0", "", ""]).encode())
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            message = self.take(deadline - time.monotonic())
            if message and message.status and branch in message["Via"]:
                return message
        raise SystemExit(f"SIP watchers: no answer to {method} within {SECONDS} s")

    def request(self, method, uri, headers, to_tag=None, to=None):
        """The same with digest."""
        answer = self.exchange(method, uri, headers, to_tag, to)
        if answer.status != 401:
            return answer
        nonce, cnonce = re.search(r'nonce="([^"]+)"', answer["WWW-Authenticate"])[1], os.urandom(4).hex()
        response = md5(":".join((
            md5(f"{self.account}:{self.domain}:{self.password}"), nonce, "00000001", cnonce, "auth",
            md5(f"{method}:{uri}"))))
        credentials = (
            f'Authorization: Digest username="{self.account}", realm="{self.domain}", nonce="{nonce}", uri="{uri}", '
            f'algorithm=MD5, qop=auth, nc=00000001, cnonce="{cnonce}", response="{response}"')
        return self.exchange(method, uri, [credentials, *headers], to_tag, to)

    def take(self, seconds):
        """The next message; a NOTIFY is answered and kept."""
        message = self.wire.receive(max(seconds, 0))
        if message and message.start.startswith("NOTIFY "):
            self.notifications.append(message)
            if self.answers_notify:
                self.answer(message)
        return message

    def answer(self, request):
        self.wire.send("\r\n".join([
            "SIP/2.0 200 OK", *(f"Via: {value}" for value in request.all("Via")), f"From: {request['From']}",
            f"To: {request['To']}", f"Call-ID: {request['Call-ID']}", f"CSeq: {request['CSeq']}", "Content-Length: 0",
            "", ""]).encode())

    def register(self, contact, expires):
        answer = self.request(
            "REGISTER", f"sip:{self.domain}", [f"Contact: <{contact}>;expires={expires};q=0.7;audio"])
        require(answer.status == 200, "200 to REGISTER", answer)


class Watcher(Client):
    """A subscription with the table of RFC 3680 section 5.2."""

    def __init__(self, wire, domain, account, password):
        super().__init__(wire, domain, account, password)
        self.dialog = self.target = None
        self.version, self.contacts, self.state, self.scope, self.events = -1, {}, None, None, []
        self.read = 0

    def subscribe(self, expires=None):
        headers = ["Event: reg", "Accept: application/reginfo+xml", f"Contact: {self.contact}"]
        if expires is not None:
            headers.append(f"Expires: {expires}")
        uri = self.target or f"sip:{self.account}@{self.domain}"
        answer = self.request("SUBSCRIBE", uri, headers, self.dialog)
        require(answer.status == 200, "200 to SUBSCRIBE", answer)
        require("reg" in answer["Allow-Events"], "Allow-Events", answer)
        self.dialog = re.search(r";tag=([^;]+)", answer["To"])[1]
        self.target = re.search(r"<([^>]+)>", answer["Contact"])[1]
        return answer

    def next(self, scope, what):
        """Waits for the next document, and takes it into the table."""
        deadline = time.monotonic() + SECONDS
        while len(self.notifications) <= self.read:
            require(time.monotonic() < deadline, f"{what} within {SECONDS} s", "nothing")
            self.take(deadline - time.monotonic())
        notify = self.notifications[self.read]
        self.read += 1
        self.apply(notify)
        require(self.scope == scope, f"{what} as {scope} state", notify)
        return notify

    def apply(self, notify):
        require(notify["Event"] == "reg" and notify["Content-Type"] == "application/reginfo+xml", "reg events", notify)
        require(f";tag={self.dialog}" in notify["From"] and notify["Call-ID"] == self.call, "the dialog", notify)
        require(int(notify["Content-Length"]) == len(notify.body), "Content-Length", notify)
        require(notify.start.split()[1] == self.contact.strip("<>"), "the contact as Request-URI", notify)
        root = ElementTree.fromstring(notify.body)
        require(root.tag == REGINFO + "reginfo" and root.get("state") in STATES["reginfo"], "reginfo", notify)
        require(int(root.get("version")) == self.version + 1, f"version {self.version + 1}", notify)
        self.version, self.scope = self.version + 1, root.get("state")
        registrations = list(root)
        require(
            len(registrations) == 1 and registrations[0].tag == REGINFO + "registration"
            and registrations[0].get("aor") == f"sip:{self.account}@{self.domain}" and registrations[0].get("id")
            and registrations[0].get("state") in STATES["registration"], "one registration", notify)
        self.state, self.events = registrations[0].get("state"), []
        if self.scope == "full":
            self.contacts = {}
        for contact in registrations[0]:
            require(
                contact.tag == REGINFO + "contact" and contact.get("id")
                and contact.get("event") in EVENTS[contact.get("state")], "contacts", notify)
            require(contact[0].tag == REGINFO + "uri", "a URI first", notify)
            self.events.append((contact.get("event"), contact[0].text))
            if contact.get("state") == "active":
                require(int(contact.get("expires")) >= 0, "expires", notify)
                self.contacts[contact.get("id")] = contact
            else:
                self.contacts.pop(contact.get("id"), None)
        require((self.state == "active") == bool(self.contacts), "a state that fits the contacts", notify)

    def expect(self, scope, *events):
        notify = self.next(scope, f"{list(events)}")
        require(self.events == list(events), f"{list(events)}", f"{self.events}\n{notify}")
        return notify

    def compare(self, cluster):
        """The table holds what the owner has."""
        listed = json.loads(cluster.command(
            "contacts", "--domain", self.domain, "--account", self.account, "--json"))
        own = {key: contact[0].text for key, contact in self.contacts.items()}
        require(own == {entry["contact_id"]: entry["contact_uri"] for entry in listed}, f"{listed}", own)


# MARK: the run


def metric(port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return float(re.search(rf"(?m)^{name} (\S+)$", answer.read().decode())[1])


def try_refusals(port, domain, account, password):
    client = Client(UDP(port), domain, account, password)
    own, contact = f"sip:{account}@{domain}", f"Contact: {client.contact}"
    for status, header, uri, headers, tag in (
        (489, "Allow-Events: reg", own, ["Event: presence", contact], None),
        (423, "Min-Expires: 60", own, ["Event: reg", contact, "Expires: 5"], None),
        (406, "Accept: application/reginfo+xml", own, ["Event: reg", contact, "Accept: application/pidf+xml"], None),
        (403, "", f"sip:1001@{domain}", ["Event: reg", contact], None),
        (404, "", "sip:nowhere.example", ["Event: reg", contact], None),
        (481, "", own, ["Event: reg", contact], "nothing"),
    ):
        answer = client.request("SUBSCRIBE", uri, headers, tag)
        require(answer.status == status and header in str(answer), f"{status} {header}", answer)
    answer = client.exchange("OPTIONS", f"sip:{domain}", [])
    require("SUBSCRIBE" in answer["Allow"] and answer["Allow-Events"] == "reg", "SUBSCRIBE in Allow", answer)


def try_changes(watchers, phone, cluster):
    def expect(scope, *events):
        for watcher in watchers:
            watcher.expect(scope, *events)

    one, two = "sip:one@192.0.2.1:5060;line=1", "sip:two@192.0.2.2"
    expect("full")
    phone.register(one, 300)
    expect("partial", ("registered", one))
    contact = list(watchers[0].contacts.values())[0]
    require(contact.get("q") == "0.7" and contact.get("callid") == phone.call, "q and callid", contact.attrib)
    require([(e.get("name"), e.text) for e in contact[1:]] == [("audio", None)], "audio", list(contact))
    phone.register(one, 300)
    expect("partial", ("refreshed", one))
    phone.register(two, 2)
    expect("partial", ("registered", two))
    expect("partial", ("expired", two))
    phone.register(one, 0)
    expect("partial", ("unregistered", one))
    require(all(watcher.state == "terminated" for watcher in watchers), "terminated", watchers[0].state)
    phone.register(one, 300)
    expect("partial", ("registered", one))
    for watcher in watchers:
        watcher.compare(cluster)
    return one


def try_repetitions(watcher, phone, uri):
    """A NOTIFY that nobody answers comes again, byte for byte; then the watcher gets the rest in one."""
    watcher.answers_notify = False
    phone.register(uri, 300)
    first = watcher.expect("partial", ("refreshed", uri))
    phone.register(uri, 300)
    phone.register(uri, 300)
    began = time.monotonic()
    while len(watcher.notifications) <= watcher.read:
        watcher.take(SECONDS)
    again = watcher.notifications[watcher.read]
    require(again.data == first.data and time.monotonic() - began < 2, "the same again", again)
    watcher.read += 1
    watcher.answers_notify = True
    watcher.answer(again)
    watcher.expect("partial", ("refreshed", uri))


def try_failover(watchers, phone, cluster, uri):
    status = json.loads(cluster.command("status", "--json"))
    domain = next(one for one in status["domains"] if one["name"] == phone.domain)
    wait_until(
        lambda: any(one["in_sync"] for d in json.loads(cluster.command("status", "--json"))["domains"]
                    if d["name"] == phone.domain for one in d["standbys"]), 20, "a standby in sync")
    os.kill(cluster.node_pids()[domain["owner"]], signal.SIGKILL)
    began = time.monotonic()
    for watcher in watchers:
        watcher.expect("full", ("registered", uri))
    print(f"ok: watchers told everything {time.monotonic() - began:.2f} s after the owner was killed", flush=True)
    more = "sip:after@192.0.2.3"
    phone.register(more, 300)
    for watcher in watchers:
        watcher.expect("partial", ("registered", more))
        watcher.compare(cluster)


def try_watchers(cluster, ports, admin_port, domain, accounts, password):
    """Two accounts are used; the second one is removed. `ports` are those of UDP and TCP, and of websockets."""
    account, doomed = accounts
    port, websocket_port = ports
    try_refusals(port, domain, account, password)
    watchers = [
        Watcher(wire, domain, account, password) for wire in (UDP(port), TCP(port), WebSocket(websocket_port))]
    phone = Client(UDP(port), domain, account, password)
    for watcher in watchers:
        require(watcher.subscribe()["Expires"] == "3761", "3761 s", watcher)
    require(metric(admin_port, "rollcall_sip_watchers_open") == 3, "3 watchers", "others")
    uri = try_changes(watchers, phone, cluster)
    print("ok: SIP watchers over UDP, TCP and websocket", flush=True)
    try_repetitions(watchers[0], phone, uri)
    for watcher in watchers[1:]:
        while watcher.take(1.5):
            pass
        while watcher.read < len(watcher.notifications):
            watcher.next("partial", "a refresh")
    try_failover(watchers, phone, cluster, uri)

    watchers[2].subscribe(100)
    watchers[2].next("full", "all there is")
    watchers[2].compare(cluster)
    watchers[2].subscribe(0)
    last = watchers[2].next("full", "the last")
    require(last["Subscription-State"] == "terminated;reason=timeout", "the end", last)
    fetch = Watcher(UDP(port), domain, account, password)
    require(fetch.subscribe(0)["Expires"] == "0", "0 s", fetch)
    last = fetch.next("full", "all there is")
    require(last["Subscription-State"] == "terminated;reason=timeout", "the end", last)
    fetch.compare(cluster)

    guest, owner = Watcher(UDP(port), domain, doomed, password), Client(UDP(port), domain, doomed, password)
    guest.subscribe(600)
    guest.expect("full")
    owner.register("sip:doomed@192.0.2.4", 300)
    guest.expect("partial", ("registered", "sip:doomed@192.0.2.4"))
    cluster.command("account remove", doomed, "--domain", domain, "--kind", "sipuser")
    last = guest.expect("partial", ("rejected", "sip:doomed@192.0.2.4"))
    if last["Subscription-State"].startswith("active"):  # Both may be told in one.
        last = guest.next("partial", "the last")
    require(last["Subscription-State"] == "terminated;reason=noresource", "the end", last)
    print("ok: SIP watchers after an end, a fetch and a removed account", flush=True)

    # The last NOTIFY counts until its answer has come in.
    wait_until(lambda: metric(admin_port, "rollcall_sip_watchers_open") == 2, SECONDS, "2 watchers")
    os.kill(cluster.node_pids()["sg1"], signal.SIGTERM)
    for watcher in watchers[:2]:
        last = watcher.next("partial", "the last")
        state = last["Subscription-State"]
        require(re.fullmatch(r"terminated;reason=probation;retry-after=[1-5]", state), "the end", last)
    print("ok: SIP watchers told that the gateway stops", flush=True)
