#!/usr/bin/env python3
"""The websocket protocol of real nodes, from outside.

usage: protocol.py BINARY

Plays the cases of cases.md; then TLS with a certificate that is renewed, origins, compression as clients of today
negotiate it, a storm of handshakes, and what clients see of a node that goes down.
"""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

import websockets

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../scripts"))
from private_cluster import Cluster  # noqa: E402
sys.path.insert(0, HERE)
import conformance  # noqa: E402
from conformance import Connection, Server  # noqa: E402

SECONDS = 10
# Certificates are looked at again when the last look is five seconds old.
RENEWAL_SECONDS = 15
DRAIN_SECONDS = 2
# The `handshakes_per_second` of protocol.yaml.
RATE = 300


def require(condition, what, got):
    if not condition:
        raise SystemExit(f"expected {what}, got {got}")


# MARK: TLS


def make_certificate(directory, name, place="server"):
    """A certificate that has signed itself, put in place as renewal tools do: whole, by renaming."""
    new = os.path.join(directory, "new")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", new + ".key", "-out", new + ".pem"],
        check=True, capture_output=True)
    for suffix in (".key", ".pem"):
        os.replace(new + suffix, os.path.join(directory, place + suffix))


def trusting(directory):
    return ssl.create_default_context(cafile=os.path.join(directory, "server.pem"))


async def shown(port, subprotocols=None):
    """The certificate that a server shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return found


async def log_in(connection):
    await connection.send(json.dumps(["login", {"qid": 1, "login": "alice", "pwd": "secret", "td": "demo.example"}]))
    method, reply = json.loads(await asyncio.wait_for(connection.recv(), SECONDS))
    require(reply.get("result") == "ok", "a login", reply)


async def ping(connection):
    await connection.send('["ping",{"qid":9}]')
    return json.loads(await asyncio.wait_for(connection.recv(), SECONDS))[0] == "ping_result"


async def try_tls(cluster):
    port, sip_port = cluster.ports[19103], cluster.ports[19104]
    first = trusting(cluster.directory)
    async with websockets.connect(
            f"wss://127.0.0.1:{port}/ws", ssl=first, subprotocols=["rollcall.v1"]) as old:
        require(old.subprotocol == "rollcall.v1", "the subprotocol", old.subprotocol)
        require(not old.extensions, "no compression where it is off", old.extensions)
        await log_in(old)
        async with websockets.connect(f"wss://127.0.0.1:{sip_port}/", ssl=first, subprotocols=["sip"]) as phone:
            await phone.send(
                "OPTIONS sip:demo.example SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bKo\r\nMax-Forwards: 70\r\n"
                "From: <sip:a@demo.example>;tag=a\r\nTo: <sip:demo.example>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\n\r\n")
            answer = await asyncio.wait_for(phone.recv(), SECONDS)
            require(answer.startswith("SIP/2.0 200 "), "200", answer)

        before = await shown(port)
        # Files that cannot be used change nothing.
        with open(os.path.join(cluster.directory, "server.pem"), "r+") as file:
            whole = file.read()
            file.seek(0)
            file.write("-----BEGIN NONSENSE")
        await asyncio.sleep(6)
        require(await shown(port) == before, "the earlier certificate", "another")
        with open(os.path.join(cluster.directory, "server.pem"), "w") as file:
            file.write(whole)

        make_certificate(cluster.directory, "renewed")
        for one in (port, sip_port):
            deadline = time.monotonic() + RENEWAL_SECONDS
            while await shown(one) == before:
                require(time.monotonic() < deadline, f"a renewed certificate within {RENEWAL_SECONDS} s", "the old one")
                await asyncio.sleep(0.2)
        async with websockets.connect(f"wss://127.0.0.1:{port}/ws", ssl=trusting(cluster.directory)) as new:
            await log_in(new)
        try:
            async with websockets.connect(f"wss://127.0.0.1:{port}/ws", ssl=first):
                raise SystemExit("who trusts the old certificate alone was let in")
        except ssl.SSLCertVerificationError:
            pass
        require(await ping(old), "a connection that outlives the renewal", "its end")
    # What is no TLS gets no further, and takes nobody along.
    with Connection(Server(port)) as plain:
        plain.send(conformance.request(path="/ws"))
        require(not plain.more() or plain.bytes[:1] == b"\x15", "the end, or an alert", plain.bytes)


async def try_origins(cluster):
    context = trusting(cluster.directory)
    for origin, is_welcome in (
            (None, True), ("https://app.example", True), ("https://APP.example", True), ("https://app.example:443", True),
            ("https://a.apps.example", True), ("http://a.b.apps.example:8080", True), ("http://app.example", False),
            ("https://app.example:8443", False), ("https://apps.example", False), ("https://evilapps.example", False),
            ("https://app.example.evil.test", False), ("null", False)):
        try:
            async with websockets.connect(f"wss://127.0.0.1:{cluster.ports[19103]}/ws", ssl=context, origin=origin):
                status = 101
        except websockets.InvalidStatusCode as refusal:
            status = refusal.status_code
        require(status == (101 if is_welcome else 403), f"{'101' if is_welcome else '403'} for {origin}", status)


def try_tail(cluster):
    """The program's own client over TLS: it trusts the certificate that the topology names, and no other."""
    with open(cluster.topology) as file:
        lines = file.readlines()
    alone = os.path.join(cluster.directory, "tls-only.yaml")
    with open(alone, "w") as file:
        file.writelines(line for line in lines if "name: ws1" not in line)

    def snapshot():
        process = subprocess.Popen(
            [cluster.rollcall, "tail", alone, "--domain", "demo.example", "--json", "--snapshot"], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        timer = threading.Timer(4, process.kill)
        timer.start()
        line = process.stdout.readline()
        timer.cancel()
        process.kill()
        process.wait()
        return line and json.loads(line)

    line = snapshot()
    require(line and line["event"]["type"] == "clear", "the clear that begins a snapshot", line)
    good = os.path.join(cluster.directory, "server.pem")
    os.rename(good, good + ".good")
    try:
        make_certificate(cluster.directory, "stranger", "stranger")
        os.replace(os.path.join(cluster.directory, "stranger.pem"), good)
        line = snapshot()
        require(not line, "nothing by another certificate than the server's", line)
    finally:
        os.replace(good + ".good", good)


# MARK: compression


def register(cluster, account):
    request = urllib.request.Request(
        f"http://127.0.0.1:{cluster.ports[19111]}/rest/v1/registrar/domains/demo.example/contacts", method="POST",
        data=json.dumps({"kind": "sipuser", "account": account, "contact_id": "desk", "ttl": 60,
                         "contact_uri": f"sip:{account}@192.0.2.7:5060"}).encode())
    urllib.request.urlopen(request, timeout=SECONDS).read()


async def try_compression(cluster):
    """Two clients with different windows and one without get the same events."""
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
    offers = [
        {},
        {"extensions": [ClientPerMessageDeflateFactory(server_max_window_bits=9)], "compression": None},
        {"compression": None},
    ]
    followers = []
    for offer in offers:
        connection = await websockets.connect(f"ws://127.0.0.1:{cluster.ports[19102]}/ws", **offer)
        require(bool(connection.extensions) == (offer is not offers[2]), "what was offered", connection.extensions)
        await log_in(connection)
        await connection.send(json.dumps(
            ["subscribe", {"qid": 2, "id": "all", "events": ["registrarevents.sipuser_registered"]}]))
        require(json.loads(await connection.recv())[1]["result"] == "ok", "a subscription", "a refusal")
        followers.append(connection)
    for number in range(20):
        register(cluster, str(1000 + number))
    heard = []
    for connection in followers:
        events = []
        while len(events) < 20:
            method, body = json.loads(await asyncio.wait_for(connection.recv(), SECONDS))
            if body["event"]["type"] == "sipuser_registered":
                events.append(body)
        heard.append(events)
        await connection.close()
    require(heard[0] == heard[1] == heard[2], "the same events for all", "others")
    accounts = [event["event"]["data"]["sipuser_id"] for event in heard[0]]
    require(accounts == [str(1000 + number) for number in range(20)], "all of them in order", accounts)


# MARK: crowds


def try_storm(cluster):
    """More handshakes than are taken: some are told when to come back, and who then comes is taken."""
    server, statuses, waits = Server(cluster.ports[19102]), [], []
    begin = time.monotonic()
    while len(statuses) < 3000 and (statuses.count(503) < 50 or len(statuses) < 1000):
        with Connection(server) as connection:
            connection.send(conformance.request(path="/ws"))
            status, headers = connection.head()
            statuses.append(status)
            if status == 503:
                waits.append(int(dict(headers)["retry-after"]))
    seconds = time.monotonic() - begin
    taken = statuses.count(101)
    require(set(statuses) == {101, 503}, "101 and 503", set(statuses))
    require(taken <= 2 * RATE + RATE * seconds + 1, f"at most {2 * RATE} at once and {RATE} a second in {seconds:.2f} s", taken)
    require(all(1 <= wait <= 60 for wait in waits), "sensible waits", waits)
    time.sleep(1)
    with Connection(server) as connection:
        connection.send(conformance.request(path="/ws"))
        require(connection.head()[0] == 101, "101 after a while", "a refusal")
    return taken, len(waits)


async def try_drain(cluster):
    """A node that goes down closes its sockets with 1012, spread over a time, and takes nobody meanwhile."""
    port = cluster.ports[19102]
    await asyncio.sleep(1)
    connections = [await websockets.connect(f"ws://127.0.0.1:{port}/ws") for _ in range(100)]
    pid = cluster.node_pids()["ws1"]
    begin = time.monotonic()
    os.kill(pid, signal.SIGTERM)

    async def end(connection):
        await connection.wait_closed()
        return time.monotonic() - begin, connection.close_code

    ends = asyncio.gather(*map(end, connections))
    await asyncio.sleep(DRAIN_SECONDS / 2)
    with Connection(Server(port)) as late:
        late.send(conformance.request(path="/ws"))
        status, headers = late.head()
        require(status == 503 and "retry-after" in dict(headers), "503 with Retry-After while it drains", status)
    ends = await ends
    require({code for _, code in ends} == {1012}, "1012 for all", ends)
    times = sorted(at for at, _ in ends)
    for quarter in range(4):
        count = sum(DRAIN_SECONDS * quarter / 4 <= at < DRAIN_SECONDS * (quarter + 1) / 4 + 0.05 for at in times)
        require(count >= 10, f"some in quarter {quarter + 1} of {DRAIN_SECONDS} s", times)
    require(times[-1] < DRAIN_SECONDS + 1, f"the last within {DRAIN_SECONDS + 1} s", times[-1])
    return times[0], times[-1]


# MARK: the run


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    cluster = Cluster(os.path.abspath(sys.argv[1]), os.path.join(HERE, "protocol.yaml"))
    try:
        make_certificate(cluster.directory, "first")
        accounts = os.path.join(cluster.directory, "accounts.csv")
        with open(accounts, "w") as file:
            file.write("domain,kind,name,password\ndemo.example,user,alice,secret\n")
        cluster.command("account import", accounts)
        cluster.start()
        counts = conformance.play(Server(cluster.ports[19102]))
        parts = ", ".join(f"{count} of {section.lower()}" for section, count in counts.items())
        print(f"ok: {sum(counts.values())} cases of RFC 6455 and RFC 7692: {parts}", flush=True)
        over_tls = conformance.play(Server(cluster.ports[19103], trusting(cluster.directory)), ["Frames"])
        print(f"ok: {sum(over_tls.values())} of them over TLS", flush=True)
        asyncio.run(try_origins(cluster))
        print("ok: origins", flush=True)
        asyncio.run(try_compression(cluster))
        print("ok: compression", flush=True)
        asyncio.run(try_tls(cluster))
        print("ok: TLS, also for SIP, with a renewed certificate", flush=True)
        try_tail(cluster)
        print("ok: rollcall tail over TLS", flush=True)
        taken, refused = try_storm(cluster)
        print(f"ok: a storm, of which {taken} were taken and {refused} told to come back", flush=True)
        first, last = asyncio.run(try_drain(cluster))
        print(f"ok: drained from {first:.2f} s to {last:.2f} s", flush=True)
        cluster.process.require_alive()
    except BaseException:
        print(cluster.logs() if cluster.process else "", file=sys.stderr)
        raise
    finally:
        cluster.stop()
        cluster.remove()


main()
