#!/usr/bin/env python3
"""Real phones against a cluster, and what its subscribers are told of them.

usage: phones.py --rollcall BINARY --pjsip-python PYTHON
       phones.py --rollcall BINARY --running TOPOLOGY --pjsip-python PYTHON
                                                             the phones and an expiry, at a cluster that runs already
       phones.py --registrar PORT --pjsip-python PYTHON      only that the phones are served, by any registrar

sipp, baresip and PJSIP each register, refresh and unregister with digest; one sipp falls silent, and one has its
account removed; then watchers.py watches. `rollcall tail` is recorded all the while and checked for the events, their
reasons and one unbroken order.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../scripts"))
from private_cluster import Cluster, free_ports, wait_until  # noqa: E402
sys.path.insert(0, HERE)
from watchers import try_watchers  # noqa: E402
from websocket_phone import try_websocket  # noqa: E402

DOMAIN, PASSWORD = "demo.example", "secret"
STRONG_DOMAIN = "strong.example"  # Where MD5 is not accepted.
SHORT_TTL = 2
# Of topology/local.yaml: where its gateway listens, and the shortest time to live that its domain grants.
RUNNING_PORT, RUNNING_TTL = 5060, 30
# How far from its deadline an expiry may be told, and how much earlier than that clocks and queues may make it look.
EXPIRY_SLACK, EARLY_SLACK = 1.0, 0.25


# MARK: phones


def run(name, command, timeout=40, errors=None, **options):
    """Runs a phone to its end; `errors` is a file in which it says more."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout,
        **options)
    if done.returncode != 0:
        more = ""
        if errors and os.path.exists(errors):
            with open(errors, encoding="utf-8", errors="replace") as file:
                more = file.read()
        raise SystemExit(f"{name} ended with {done.returncode}\n{done.stdout[-4000:]}{more}")
    return done.stdout


def sipp(port, account, scenario, transport="u1", expires=60):
    with tempfile.TemporaryDirectory(prefix="sipp-") as directory:
        errors = os.path.join(directory, "errors")
        run("sipp", [
            "sipp", f"127.0.0.1:{port}", "-sf", os.path.join(HERE, scenario), "-m", "1", "-s", account,
            "-key", "domain", DOMAIN, "-au", account, "-ap", PASSWORD, "-key", "expires", str(expires),
            "-i", "127.0.0.1", "-p", str(free_ports(1)[0]), "-t", transport, "-nostdin", "-timeout", "30s",
            "-timeout_error", "-trace_err", "-error_file", errors], errors=errors, cwd=directory)


def baresip(port, account, transport="udp", ttl=4):
    """Refreshes by itself, at nine tenths of its time to live, and unregisters when it is told to quit two seconds
    after that time."""
    with tempfile.TemporaryDirectory(prefix="baresip-") as directory:
        with open(os.path.join(directory, "config"), "w") as file:
            file.write(f"sip_listen 127.0.0.1:{free_ports(1)[0]}\nmodule_path /usr/lib/baresip/modules\n"
                       "module_app account.so\nmodule_app menu.so\nnet_interface 127.0.0.1\n")
        with open(os.path.join(directory, "accounts"), "w") as file:
            file.write(f"<sip:{account}@{DOMAIN};transport={transport}>;auth_user={account};auth_pass={PASSWORD};"
                       f"outbound=\"sip:127.0.0.1:{port};transport={transport}\";regint={ttl}\n")
        with open(os.path.join(directory, "contacts"), "w"):
            pass
        said = run("baresip", ["baresip", "-4", "-f", directory, "-t", str(ttl + 2)])
        if "200 OK" not in said:
            raise SystemExit(f"baresip did not register\n{said[-4000:]}")


def pjsip(port, account, python, transport="udp", domain=DOMAIN):
    run("pjsip", [python, "-B", os.path.join(HERE, "pjsip_phone.py"), str(port), domain, account, PASSWORD, transport])


async def browser(port):
    """A user of the same domain, over a websocket."""
    import websockets
    async with websockets.connect(f"ws://127.0.0.1:{port}/ws") as socket:
        await socket.send(json.dumps(["login", {"qid": 1, "login": "alice", "pwd": PASSWORD, "td": DOMAIN}]))
        method, reply = json.loads(await asyncio.wait_for(socket.recv(), 10))
        if method != "login_result" or reply["result"] != "ok":
            raise SystemExit(f"the user could not log in: {reply}")


# MARK: events


class Recording:
    """What `rollcall tail` prints, each line with the moment it came."""

    def __init__(self, rollcall, topology):
        self.lines = []
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [rollcall, "tail", topology, "--domain", DOMAIN, "--json", "--snapshot"],
            stdout=subprocess.PIPE, stderr=self.errors, text=True)
        threading.Thread(target=self.read, daemon=True).start()
        wait_until(lambda: self.lines, 20, "tail shows the snapshot", self.problem)

    def read(self):
        for line in self.process.stdout:
            self.lines.append((time.monotonic(), json.loads(line)))

    def problem(self):
        self.errors.seek(0)
        return self.errors.read() + "\n".join(json.dumps(line) for _, line in self.lines[-20:])

    def of(self, account):
        """The account's events: moment, type, data."""
        events = [(at, line["event"]["type"], line["event"]["data"]) for at, line in list(self.lines)]
        return [event for event in events if account in (event[2].get("sipuser_id"), event[2].get("user_id"))]

    def wait(self, account, seconds, *expected):
        """Waits for exactly these events of an account, as (type, reason)."""
        def told():
            return [(kind, data.get("reason")) for _, kind, data in self.of(account)]
        wait_until(
            lambda: len(told()) >= len(expected), seconds, f"{account}: {list(expected)}",
            lambda: f"got {told()}\n{self.problem()}")
        if told() != list(expected):
            raise SystemExit(f"{account}: expected {list(expected)}, got {told()}")
        events = self.of(account)
        contacts = {data.get("contact_id") or data.get("connection_id") for _, _, data in events}
        if len(contacts) != 1:
            raise SystemExit(f"{account}: expected one contact, got {contacts}")
        return events

    def check_order(self):
        """Live events follow one another without a gap, phones and browsers in one row."""
        last = None
        for _, line in self.lines:
            position = (line["epoch"], line["seq"])
            own = line["event"]["type"] == "clear" and line["event"]["data"]["reason"] in ("snapshot", "resync")
            follows = last is None or position in ((last[0], last[1] + 1), (last[0] + 1, 1))
            if not own and not line.get("replay") and not follows:
                raise SystemExit(f"{position} follows {last}")
            last = position

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


REGISTERED = ("sipuser_registered", None)


def ended(reason):
    return ("sipuser_unregistered", reason)


# MARK: the run


def serve_phones(port, python, told, **baresip_options):
    """Each phone once; `told` is given the account and the phone's name afterwards."""
    for name, account, phone in (
        ("sipp over UDP", "1001", lambda: sipp(port, "1001", "register-refresh-unregister.xml")),
        ("sipp over TCP", "1002", lambda: sipp(port, "1002", "register-refresh-unregister.xml", "t1")),
        ("baresip over UDP", "1003", lambda: baresip(port, "1003", **baresip_options)),
        ("baresip over TCP", "1004", lambda: baresip(port, "1004", "tcp", **baresip_options)),
        ("PJSIP over UDP", "1005", lambda: pjsip(port, "1005", python)),
        ("PJSIP over TCP", "1006", lambda: pjsip(port, "1006", python, "tcp")),
    ):
        phone()
        told(account)
        print(f"ok: {name}", flush=True)


def let_expire(port, ttl, recording):
    sipp(port, "1007", "register.xml", expires=ttl)
    (registered, _, data), (expired, _, _) = recording.wait("1007", ttl + 10, REGISTERED, ended("expired_contact"))
    late = expired - registered - data["ttl"]
    if data["ttl"] != ttl or not -EARLY_SLACK <= late <= EXPIRY_SLACK:
        raise SystemExit(f"a ttl of {data['ttl']} s ran out {late:.2f} s after its deadline")
    print(f"ok: expiry told {late:.2f} s after the deadline", flush=True)


def try_running(rollcall, topology, python):
    """At the ports and with the accounts of topology/local.yaml."""
    recording = Recording(rollcall, topology)
    try:
        serve_phones(RUNNING_PORT, python, lambda account: recording.wait(
            account, 10, REGISTERED, REGISTERED, ended("unregister_contact")), ttl=RUNNING_TTL)
        let_expire(RUNNING_PORT, RUNNING_TTL, recording)
        recording.check_order()
        print(f"ok: {len(recording.lines)} events in one order", flush=True)
    finally:
        recording.stop()


def try_cluster(rollcall, python):
    cluster = Cluster(rollcall, os.path.join(HERE, "phones.yaml"))
    recording = None
    try:
        accounts = os.path.join(cluster.directory, "accounts.csv")
        with open(accounts, "w") as file:
            file.write("domain,kind,name,password\n" + f"{DOMAIN},user,alice,{PASSWORD}\n"
                       f"{STRONG_DOMAIN},sipuser,1001,{PASSWORD}\n")
            file.writelines(f"{DOMAIN},sipuser,{number},{PASSWORD}\n" for number in range(1001, 1013))
        cluster.command("account import", accounts)
        cluster.start()
        recording = Recording(rollcall, cluster.topology)
        port = cluster.ports[18060]

        asyncio.run(browser(cluster.ports[18102]))
        recording.wait("alice", 10, ("user_registered", None), ("user_unregistered", "unregister_contact"))
        serve_phones(port, python, lambda account: recording.wait(
            account, 10, REGISTERED, REGISTERED, ended("unregister_contact")))

        pjsip(port, "1001", python, domain=STRONG_DOMAIN)
        print("ok: PJSIP with SHA-256", flush=True)

        try_websocket(cluster.ports[18062], cluster.ports[18131], DOMAIN, "1009", PASSWORD)
        recording.wait("1009", 10, REGISTERED, REGISTERED, REGISTERED, ended("unregister_contact"))
        print("ok: SIP over websocket, GRUUs, Service-Route", flush=True)

        let_expire(port, SHORT_TTL, recording)

        sipp(port, "1008", "register.xml", expires=600)
        recording.wait("1008", 10, REGISTERED)
        cluster.command("account remove", "1008", "--domain", DOMAIN, "--kind", "sipuser")
        recording.wait("1008", 20, REGISTERED, ended("delete_aor"))
        print("ok: account removed", flush=True)

        try_watchers(
            cluster, (port, cluster.ports[18062]), cluster.ports[18131], DOMAIN, ("1011", "1012"), PASSWORD)

        recording.check_order()
        print(f"ok: {len(recording.lines)} events in one order", flush=True)
    except BaseException:
        print(cluster.logs() if cluster.process else "", file=sys.stderr)
        raise
    finally:
        if recording:
            recording.stop()
        cluster.stop()
        cluster.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollcall")
    parser.add_argument("--running")
    parser.add_argument("--registrar", type=int)
    parser.add_argument("--pjsip-python", required=True)
    chosen = parser.parse_args()
    if chosen.rollcall and chosen.running:
        try_running(os.path.abspath(chosen.rollcall), chosen.running, chosen.pjsip_python)
    elif chosen.rollcall:
        try_cluster(os.path.abspath(chosen.rollcall), chosen.pjsip_python)
    elif chosen.registrar:
        serve_phones(chosen.registrar, chosen.pjsip_python, lambda account: None)
    else:
        parser.error("--rollcall or --registrar is needed")


main()
