"""Kafka over TLS and with a login: a gate in front of the broker (gate.py) has both, since no broker that runs here does."""

import asyncio
import os
import subprocess
import sys

from broker import Broker
from private_cluster import Process, wait_until
from stage import HERE, Trial, wait

USER, PASSWORD = "rollcall", "the password, with = and , in it"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"openssl {arguments[0]}: {done.stderr}")


class Authority:
    """A certificate authority, and what it has certified, as files."""

    def __init__(self, directory, name):
        self.path = os.path.join(directory, name)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-days", "2", "-keyout", self.path + ".key", "-out", self.path + ".pem")
        self.certificate = self.path + ".pem"

    def certify(self, name, extension):
        stem = f"{self.path}-{name}"
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", stem + ".key", "-out", stem + ".csr")
        with open(stem + ".ext", "w") as file:
            file.write(extension)
        openssl("x509", "-req", "-in", stem + ".csr", "-CA", self.certificate, "-CAkey", self.path + ".key", "-days", "2",
                "-extfile", stem + ".ext", "-out", stem + ".pem")
        return stem + ".pem", stem + ".key"


class GatedBroker(Broker):
    """A broker behind a gate. The cluster comes through the gate, the consumer does not."""

    def __init__(self, tls=False, client=False, mechanism=None, password=PASSWORD, stranger=False):
        super().__init__()
        authority = Authority(self.directory, "authority")
        known = Authority(self.directory, "stranger") if stranger else authority
        self.command = []
        settings = []
        if tls:
            certificate, key = authority.certify("broker", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
            self.command += ["--cert", certificate, "--key", key]
            paths = {"ca": known.certificate}
            if client:
                self.command += ["--client-ca", authority.certificate]
                paths["cert"], paths["key"] = authority.certify("registrars", "extendedKeyUsage=clientAuth\n")
            settings.append("tls: { " + ", ".join(f'{name}: "{path}"' for name, path in paths.items()) + " }")
        if mechanism:
            self.command += ["--login", mechanism, USER, PASSWORD]
            path = os.path.join(self.directory, "password")
            with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(password)
            settings.append(f'sasl: {{ mechanism: {mechanism}, user: {USER}, password: {{ file: "{path}" }} }}')
        self.settings = ", ".join(settings)
        self.gate = None

    def start(self):
        super().start()
        self.gate = Process(
            [sys.executable, "-B", os.path.join(HERE, "gate.py"), "--broker", str(self.port), *self.command],
            os.path.join(self.directory, "gate.log"))
        self.entrance = f"127.0.0.1:{wait_until(lambda: self.gate.require_alive() and self.said(), 30, 'the gate')[0]}"
        return self

    def said(self):
        with open(self.gate.log) as file:
            return file.read().splitlines()

    def stop(self):
        if self.gate:
            self.gate.stop()
        super().stop()


def gated(chosen, **how):
    broker = GatedBroker(**how)
    return Trial(chosen, kafka=broker.settings, broker=lambda: broker)


async def passes(chosen, what, entry, **how):
    async with gated(chosen, **how) as trial:
        trial.phones.keep_busy(min(chosen.rate, 500), churn=True)
        await asyncio.sleep(1)
        trial.rest()
        listed = await trial.converge(f"the readers have what the owner lists, {what}")
        if entry not in trial.broker.said():
            raise SystemExit(f"{what}: expected {entry!r} of the gate, and it said {trial.broker.said()}")
        print(f"secure: {what}: {len(listed)} contacts came through; the gate {entry}", flush=True)


async def is_refused(chosen, what, expected, **how):
    """Nothing comes through, what is wrong is said, and owners do not mind."""
    async with gated(chosen, **how) as trial:
        async def is_away():
            fared = await trial.destination()
            return fared["state"] == "away" and fared

        fared = await wait(is_away, 60, f"Kafka is found to be away, {what}")
        if fared["delivered"] or expected not in fared["last_error"]:
            raise SystemExit(f"{what}: expected {expected!r}, and {fared['last_error']!r} was said; {fared['delivered']} delivered")
        print(f"secure: {what}: nothing came through; {fared['last_error'][:160]}", flush=True)


async def secure(chosen):
    await passes(
        chosen, "TLS with a client's certificate and SCRAM-SHA-512", f"let in registrars by SCRAM-SHA-512 as {USER}", tls=True,
        client=True, mechanism="SCRAM-SHA-512")


async def credentials(chosen):
    await passes(chosen, "TLS alone", "let in None", tls=True)
    for mechanism in MECHANISMS:
        await passes(chosen, f"{mechanism} without TLS", f"let in None by {mechanism} as {USER}", mechanism=mechanism)
        await passes(chosen, f"{mechanism} over TLS", f"let in None by {mechanism} as {USER}", tls=True, mechanism=mechanism)
        await is_refused(
            chosen, f"a wrong password by {mechanism}", "wrong user or password", tls=True, mechanism=mechanism, password="another one")
    await is_refused(chosen, "a broker of an unknown authority", "certificate", tls=True, stranger=True)
