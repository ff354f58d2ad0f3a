#!/usr/bin/env python3
"""Nothing of one tenant by any token of another.

usage: isolation.py --rollcall BINARY

Two tenants, alpha.example and bravo.example, of which bravo is kept busy. Whoever is of alpha tries to get something of
bravo: over every method of the websocket and every route of REST, with spellings, positions, ids and paths, with tokens
that are changed, forged, expired or of another issuer. What comes back is searched for bravo's marks, and each try is made
a second time with a domain that does not exist: the answers must be the same but for the name, so that nobody learns who
else there is. The tries run while controls show that the same requests with bravo's own token are answered.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import sys
import time
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../scripts")]
from phones import Phones  # noqa: E402
from private_cluster import Cluster, add_users  # noqa: E402
from raw import http, request, talk, upgrade  # noqa: E402
from schema import Schema  # noqa: E402
from tokens import Issuer, b64, with_claims, with_secret  # noqa: E402

ALPHA, SALES, BRAVO, NOBODY = "alpha.example", "sales.alpha.example", "bravo.example", "bogus.example"
MARK = "m4rk"  # In the name of each of bravo's accounts, contacts and user agents.
PASSWORD = "secret"
ADMINS = {"ws1": 19621, "sr1": 19611, "router1": 19580, "sg1": 19631}
ALL = ["registrarevents.*"]


class Tenants:
    """The cluster, its keys, and tokens of both tenants."""

    def __init__(self, rollcall):
        self.cluster = Cluster(rollcall, os.path.join(HERE, "tenants.yaml"))
        self.sso, self.stranger, self.keyset = Issuer(), Issuer(), Issuer()
        for name, algorithm in (("es.pem", "ES256"), ("rs.pem", "RS256"), ("ed.pem", "EdDSA")):
            self.write(name, self.sso.pem(algorithm))
        self.write("hs.secret", self.sso.keys["HS256"])
        self.write_keyset(self.keyset, "set")
        add_users(self.cluster, ALPHA, ["alice"], PASSWORD)
        add_users(self.cluster, BRAVO, [f"{MARK}bob"], PASSWORD)

    def write(self, name, data):
        path = os.path.join(self.cluster.directory, name)
        with open(path + ".new", "wb") as file:
            file.write(data)
        os.rename(path + ".new", path)

    def write_keyset(self, issuer, kid):
        keys = [issuer.jwk(algorithm, f"{kid}-{algorithm}") for algorithm in ("ES256", "RS256", "EdDSA")]
        # Such as real issuers publish beside: for encryption, and of a kind that is not known here.
        keys += [{**keys[1], "kid": "enc", "use": "enc", "alg": "RSA-OAEP"}, {"kty": "XYZ", "kid": "new"}]
        self.write("jwks.json", json.dumps({"keys": keys}).encode())

    def token(self, *arguments):
        return self.cluster.command("token", *arguments).strip()

    @property
    def websocket(self):
        return self.cluster.ports[19602]

    def admin(self, node):
        return self.cluster.ports[ADMINS[node]]


# MARK: tries


def spellings(domain):
    """Ways to write a domain that somebody might take for it."""
    name, rest = domain.split(".")
    return [
        domain, domain.upper(), domain.title(), domain + ".", "." + domain, domain + "..", " " + domain, domain + " ",
        domain + "\t", domain + "\u0000", domain + "/", domain + "#", domain + "?", "*." + domain, "*", "", "%" + domain,
        domain.replace(".", "%2e"), domain.replace(".", "\u3002"), domain.replace(".", "\uff0e"),
        "".join(chr(ord(c) + 0xfee0) if c.isalpha() else c for c in domain), domain.replace("o", "\u043e"),
        name + "\u200b." + rest, name + "\u00ad." + rest, "\ufeff" + domain, "xn--" + domain, f"{ALPHA},{domain}",
        f"{ALPHA} {domain}", f"{ALPHA}\n{domain}", f"{ALPHA}/../{domain}", f"{ALPHA}@{domain}", f"{domain}.{ALPHA}",
        f"{domain}:5060", f"sip:{domain}", rest, SALES, domain * 30, [domain], {"name": domain}, [ALPHA, domain], 0, True,
        1.5, {}, []]


def subscribe(exargs=None, **more):
    fields = {"qid": 1, "id": 1, "expires": 60, "events": ALL, **more}
    if exargs is not None:
        fields["exargs"] = exargs
    return ["subscribe", fields]


def websocket_tries(domain, position):
    """What a client of alpha says that is after another domain: a name and the messages of each try."""
    tries = []

    def add(what, *messages):
        tries.append((what, messages))

    for spelling in spellings(domain):
        add("domain", subscribe({"domain": spelling, "snapshot": True}))
    for field in ("domain", "td", "tenant", "org", "class", "classpath"):
        add("field", subscribe({"snapshot": True}, **{field: domain}))
    for path in (f"/rest/v1/registrar/domains/{domain}", f"//{domain}/rest/v1/uc/sipuser_states",
                 f"/rest/v1/uc/sipuser_states?domain={domain}", f"../{domain}"):
        add("classpath", subscribe({"snapshot": True}, classpath=path))
        add("classpath", subscribe(events=["modelevents.data_changed"], classpath=path))
    for event in (f"{domain}.registrarevents.*", f"registrarevents.*@{domain}", f"{domain}/registrarevents.*",
                  f"registrarevents.{domain}", f"registrarevents.user_registered/{domain}", "*.*", "**", "#", "$SYS.#",
                  "registrarevents.>"):
        add("event", subscribe({"snapshot": True}, events=[event]))
    for objects in ([f"{MARK}a1"], [f"{MARK}a1@{domain}"], [domain], [f"{domain}/{MARK}a1"], ["*"], [""], [MARK + "*"],
                    [["*"]], [{"domain": domain}]):
        add("object", subscribe({"snapshot": True}, objects=objects))
    epoch, seq = position
    for after in ({"epoch": epoch, "seq": seq}, {"epoch": epoch, "seq": seq - 5}, {"epoch": 0, "seq": 0},
                  {"epoch": 1, "seq": 0}, {"epoch": 1, "seq": 1}, {"epoch": 2**63 - 1, "seq": 2**63 - 1},
                  {"epoch": 2**64, "seq": 0}, {"epoch": -1, "seq": -1}, {"epoch": "1", "seq": "1"}, {"epoch": 1},
                  {"epoch": 1.5, "seq": 1}, {"epoch": epoch, "seq": seq, "domain": domain}, [epoch, seq],
                  f"{domain}:{epoch}:{seq}", {}):
        add("after", subscribe({"after": after}))
        add("after", subscribe({"after": after, "domain": domain}))
    for other in ({"snapshot": domain}, {"filter": ["==", ["property", "domain"], domain]},
                  {"filter": ["or", ["true"], ["==", ["property", "domain"], domain]], "domain": domain},
                  {"mask": ["*"], "domain": domain}, {"changes": True, "domain": domain}, {"domain": domain},
                  {"domain": None, "td": domain}, {"Domain": domain, "snapshot": True}):
        add("exargs", subscribe(other))
    for identity in ("control", "all", 2**63 - 1, -1, "", "../control", None, {"domain": domain}, [1]):
        add("id", subscribe({"snapshot": True}, id=identity))
        add("id", ["subscribe", {"qid": 1, "id": identity, "expires": 60}])
        add("id", ["subscribe", {"qid": 1, "id": identity, "expires": 0}])
    # From the own domain over to the other, under one id.
    add("change", subscribe(), subscribe({"domain": domain}))
    add("change", subscribe({"domain": domain}), subscribe())
    for method in ("publish", "event", "synced", "subscribe_result", "unsubscribe", "follow", "tail", "snapshot", "resume",
                   "register", "unregister", "list", "contacts", "admin", "SUBSCRIBE", "subscribe ", "subscribe\u0000",
                   "__proto__", "constructor", "rest", "get", domain):
        add("method", [method, {"qid": 1, "id": 1, "domain": domain, "td": domain, "events": ALL,
                                "exargs": {"snapshot": True, "domain": domain}}])
    add("method", ["connection_info", {"qid": 1, "domain": domain, "td": domain}])
    add("method", ["ping", {"qid": {"domain": domain}}])
    add("method", ["setup", {"qid": 1, "app": domain, "capabilities": ["subscr", "admin", domain]}])
    for text in (f'["subscribe",{{"qid":1,"id":1,"events":["*"],"exargs":{{"domain":"{ALPHA}","domain":"{domain}"}}}}]',
                 f'["subscribe",{{"qid":1,"id":1,"events":["*"],"exargs":{{"dom\\u0061in":"{domain}"}}}}]',
                 f'[["subscribe",{{"id":1,"events":["*"],"exargs":{{"domain":"{domain}"}}}}]]',
                 f'["subscribe",{{"id":1,"events":["*"]}},{{"domain":"{domain}"}}]',
                 f'{{"method":"subscribe","domain":"{domain}"}}', f'"{domain}"', f'["{domain}"]', "[]", "null"):
        # Which of two equal names counts is not defined (RFC 8259 section 4).
        add("twice" if text.count('"domain"') > 1 else "message", text)
    return tries


def login_tries(domain):
    """Logins that are not the client's to make."""
    bob = f"{MARK}bob" if domain == BRAVO else "0000bob"
    logins = [{"login": login, "pwd": pwd, "td": td} for login, pwd, td in (
        ("alice", PASSWORD, domain), (f"alice@{domain}", PASSWORD, ALPHA), (f"{domain}/alice", PASSWORD, ALPHA),
        (bob, PASSWORD, ALPHA), (bob, "wrong", domain), (bob, "", domain), (f"{bob}\u0000", PASSWORD, domain + "."),
        (bob, PASSWORD, f"{ALPHA}/{domain}"), ("*", PASSWORD, domain), ("' or 1=1 --", "' or 1=1 --", domain))]
    logins += [{"rsessionid": session} for session in (
        "0", domain, f"{bob}@{domain}", "00000000-0000-0000-0000-000000000000", "*", "%")]
    logins += [{"login": "alice", "pwd": PASSWORD, "td": [ALPHA, domain]}, {"login": "alice", "td": domain, "token": ""},
               {"login": bob, "td": domain}, {"td": domain}]
    follow = subscribe({"snapshot": True, "domain": domain})
    return [("login", (["login", {"qid": 0, **login}], follow)) for login in logins]


def rest_tries(domain, node):
    """Requests to a node's admin address with alpha's service token."""
    base, own = "/rest/v1/registrar/domains", f"/rest/v1/registrar/domains/{ALPHA}"
    contact = json.dumps({"kind": "user", "account": "intruder", "contact_id": "c", "ttl": 60})
    tries = [("GET", target, "") for target in (
        f"{base}/{domain}", f"{base}/{domain}/", f"{base}/{domain}/contacts", f"{base}/{domain}/contacts?kind=sipuser",
        f"{base}/{domain}/contacts?account={MARK}a1", f"{base}/{domain}/gruu/x", f"{base}/{domain}/gruu/x?account={MARK}a1",
        f"/rest/v1/cluster/domains/{domain}/changes", f"{base}/{domain.upper()}/contacts", f"{base}/{domain}./contacts",
        f"{base}/%62{domain[1:]}/contacts", f"{base}/%2562{domain[1:]}/contacts", f"{base}//{domain}/contacts",
        f"{own}/../{domain}/contacts", f"{own}/..%2f{domain}/contacts", f"{base}/{ALPHA}%2f..%2f{domain}/contacts",
        f"{base}/{ALPHA};{domain}/contacts", f"{base}/{ALPHA}%00{domain}/contacts", f"{base}/{ALPHA},{domain}/contacts",
        f"{base}/{domain}%20/contacts", f"{base}/%20{domain}/contacts", f"{base}/{domain}%00/contacts",
        f"{base}/*/contacts", f"{base}/*", f"{base}/%2a/contacts", f"{base}/./{domain}/contacts",
        f"{base}/{urllib.parse.quote(domain.replace('.', chr(0x3002)))}/contacts", f"{own}/contacts?domain={domain}",
        f"{own}/contacts?account={MARK}a1", f"{own}/contacts/../../{domain}/contacts", f"{own}?domain={domain}",
        f"{base}?domain={domain}", f"{base}/{SALES}/contacts", base, "/rest/v1/cluster/status", "/metrics",
        "/rest/v1/master/nodes", "/rest/v1/registrar/verify", f"/rest/v1/registrar/verify?domain={domain}",
        "/rest/v1/bans", "/health", f"/health?domain={domain}", "/", "/rest/v1/uc/sipuser_states",
        f"/rest/v1/uc/sipuser_states?domain={domain}", f"/rest/v1/uc/user_states?domain={domain}",
        f"/rest/v1/uc/sipuser_states/{MARK}a1", f"http://{domain}{base}/{domain}/contacts")]
    tries += [(method, f"{base}/{domain}/contacts", "") for method in ("HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "get")]
    tries += [("POST", f"{base}/{domain}/contacts", contact), ("POST", f"{own}/contacts?domain={domain}", json.dumps(
        {"kind": "user", "account": "a", "contact_id": "c", "ttl": 60, "domain": domain}))]
    tries += [("DELETE", target, "") for target in (
        f"{base}/{domain}/contacts?confirm={domain}", f"{base}/{domain}/contacts/sipuser/{MARK}a1",
        f"{base}/{domain}/contacts/sipuser/{MARK}a1/x", f"{own}/contacts/sipuser/{MARK}a1",
        f"{own}/contacts?confirm={domain}", f"/rest/v1/uc/sipuser_states/{MARK}a1?domain={domain}")]
    headers = [("X-Original-URL", f"{base}/{domain}/contacts"), ("X-Rewrite-URL", f"{base}/{domain}/contacts"),
               ("X-HTTP-Method-Override", "DELETE"), ("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Host", domain),
               ("Forwarded", "for=127.0.0.1"), ("Origin", "http://127.0.0.1"), ("X-Domain", domain)]
    return [(f"{method} {target}", method, target, body, ()) for method, target, body in tries] + [
        (f"{name}: {value} {base}/{domain}/contacts", "GET", f"{base}/{domain}/contacts", "", (f"{name}: {value}",))
        for name, value in headers]


def forged_tokens(tenants, domain, now):
    """Tokens that claim the domain and are none of it, by what is wrong with them."""
    claims = {"scope": "service", "domain": domain, "iat": now - 5, "exp": now + 600}
    named = {**claims, "iss": "https://sso.alpha.example", "aud": "rollcall"}
    sso, stranger, keyset = tenants.sso, tenants.stranger, tenants.keyset
    own = tenants.token("--domain", ALPHA)
    kids = {"ES256": "es", "RS256": "rs", "EdDSA": "ed", "HS256": "hs"}
    tokens = {}
    for alg in ("none", "None", "NONE", "nOnE", ""):
        head, body = b64(json.dumps({"alg": alg, "typ": "JWT"}).encode()), b64(json.dumps(
            {**claims, "iss": "rollcall"}).encode())
        tokens[f"alg {alg!r}"] = f"{head}.{body}."
        tokens[f"alg {alg!r} with a signature"] = f"{head}.{body}.{own.split('.')[2]}"
    tokens["own with another domain"] = with_claims(own, domain=domain)
    tokens["own as admin"] = with_claims(own, scope="admin", domain=None)
    tokens["own with a subtree"] = with_claims(own, domain="example", subtree=True)
    tokens["own without a signature"] = own.rsplit(".", 1)[0] + "."
    tokens["another cluster's"] = with_secret(os.urandom(32), {"alg": "HS256", "typ": "JWT"}, {**claims, "iss": "rollcall"})
    tokens["an empty secret"] = with_secret(b"", {"alg": "HS256", "typ": "JWT"}, {**claims, "iss": "rollcall"})
    for algorithm, kid in kids.items():
        header = {"alg": algorithm, "kid": kid}
        tokens[f"{kid} beyond its domains"] = sso.sign(algorithm, header, named)
        tokens[f"{kid} as admin of all"] = sso.sign(algorithm, header, {**named, "scope": "admin", "domain": None})
        tokens[f"{kid} as admin"] = sso.sign(algorithm, header, {**named, "scope": "admin"})
        tokens[f"{kid} for a parent"] = sso.sign(algorithm, header, {**named, "domain": "example", "subtree": True})
        tokens[f"{kid} as rollcall"] = sso.sign(algorithm, header, {**named, "iss": "rollcall"})
        tokens[f"{kid} of a stranger"] = stranger.sign(algorithm, header, named)
        tokens[f"{kid} without kid"] = sso.sign(algorithm, {"alg": algorithm}, named)
        if algorithm != "HS256":
            # The public key is public: as a secret it would let anybody sign.
            for secret in (sso.pem(algorithm), sso.pem(algorithm).strip()):
                tokens[f"{kid} by its public key, {len(secret)}"] = with_secret(secret, {"alg": "HS256", "kid": kid}, named)
                tokens[f"{kid} by its public key as {algorithm}, {len(secret)}"] = with_secret(secret, header, named)
    for algorithm in ("ES256", "RS256", "EdDSA"):
        tokens[f"key set's {algorithm}"] = keyset.sign(algorithm, {"alg": algorithm, "kid": f"set-{algorithm}"}, named)
        tokens[f"{algorithm} that brings its key"] = stranger.sign(algorithm, {
            "alg": algorithm, "jwk": stranger.jwk(algorithm, "mine"), "jku": "http://127.0.0.1/jwks.json"}, named)
    tokens["for encryption alone"] = keyset.sign("RS256", {"alg": "RS256", "kid": "enc"}, named)
    for kid in ("../hs.secret", "/dev/null", "es' or '1'='1", "", "*", "hs\u0000"):
        tokens[f"kid {kid!r}"] = with_secret(b"", {"alg": "HS256", "kid": kid}, named)
    header = {"alg": "ES256", "kid": "es"}
    for what, value in (("list", [ALPHA, domain]), ("object", {"a": domain}), ("null", None), ("number", 1), ("empty", ""),
                        ("star", "*"), ("dot", domain + "."), ("upper", domain.upper()), ("both", f"{ALPHA},{domain}"),
                        ("newline", f"{ALPHA}\n{domain}"), ("beneath the wrong one", f"{ALPHA}.{domain}"),
                        ("look-alike", f"x{ALPHA}"), ("wide", domain.replace(".", "\u3002"))):
        tokens[f"domain as {what}"] = sso.sign("ES256", header, {**named, "domain": value})
    tokens["domain twice"] = sso.sign("ES256", header, (
        f'{{"scope":"service","domain":"{ALPHA}","exp":{now + 600},"iat":{now},"domain":"{domain}"}}').encode())
    inside = {**named, "domain": ALPHA}
    tokens["expired"] = sso.sign("ES256", header, {**inside, "exp": now - 1})
    tokens["expired long ago"] = sso.sign("ES256", header, {**inside, "exp": 0})
    tokens["not valid yet"] = sso.sign("ES256", header, {**inside, "nbf": now + 300})
    tokens["without end"] = sso.sign("ES256", header, {name: value for name, value in inside.items() if name != "exp"})
    tokens["end as a text"] = sso.sign("ES256", header, {**inside, "exp": "never"})
    tokens["critical header"] = sso.sign("ES256", {**header, "crit": ["exp"]}, inside)
    tokens["issuer of somebody else"] = sso.sign("RS256", {"alg": "RS256", "kid": "rs"}, {**inside, "iss": "https://evil"})
    tokens["audience of somebody else"] = sso.sign("EdDSA", {"alg": "EdDSA", "kid": "ed"}, {**inside, "aud": "other"})
    tokens["role that nobody knows"] = sso.sign("ES256", header, {**inside, "roles": ["root"]})
    tokens["scope that nobody knows"] = sso.sign("ES256", header, {**inside, "scope": "root"})
    tokens["no token"] = "x"
    tokens["too long"] = "a." * 3000
    return tokens


# MARK: judging

VOLATILE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+Z?|\b\d{9,}\b|\"(?:epoch|seq)\":\d+|(?m:^Date: .*$)|nonce[-=\"'a-z0-9]+")


# Of both domains, however they are spelt.
FIRST_LABELS = re.compile(
    "(?:b|%62|%2562)(?:ravo|rav\u043e|ogus|\u043egus)|\uff42(?:\uff52\uff41\uff56\uff4f|\uff4f\uff47\uff55\uff53)", re.IGNORECASE)


class Findings:
    def __init__(self):
        self.counts = {}
        self.problems = []
        self.schema = Schema()

    def judge(self, kind, what, answers, others=None):
        """One try's answers; `others` are those to the same try for the domain that does not exist."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        text = "\n".join(answers)
        if MARK in text.replace(what, "") and MARK not in what:
            self.problems.append(f"{kind}: {what}\n    {text[:400]}")
        for answer in answers:
            if answer.startswith('["') and (problem := self.schema.problem(answer)):
                self.problems.append(f"{kind}: {what} is answered as docs/asyncapi.yaml does not say: {problem}\n    {answer}")
            if answer.startswith('["event"') and json.loads(answer)[1]["domain"] != ALPHA:
                self.problems.append(f"{kind}: {what} got an event\n    {answer[:400]}")
                break
        if others is not None:
            here, there = (self.normal(each) for each in (answers, others))
            if here != there:
                self.problems.append(f"{kind}: {what} tells whether the domain exists\n    {here[:300]}\n    {there[:300]}")

    @staticmethod
    def normal(answers):
        """Without events, which come when they come, and what differs from one time to the next."""
        # Answers of the connection itself may overtake those of the follower.
        text = "\n".join(sorted(one for one in answers if not one.startswith(('["event"', '["synced"'))))
        text = FIRST_LABELS.sub("NAME", text).replace(f"{MARK}bob", "BOB").replace("0000bob", "BOB")
        return VOLATILE.sub("#", text)


async def in_turn(tries, width=24):
    """Carries out what is given as functions, some at a time, in order of their results."""
    gate = asyncio.Semaphore(width)

    async def one(action):
        async with gate:
            return await action()

    return await asyncio.gather(*(one(action) for action in tries))


# MARK: the trial


async def try_websocket(tenants, findings, position):
    service = f"/ws/token/v1/{tenants.token('--domain', ALPHA)}"
    login = ["login", {"qid": 0, "login": "alice", "pwd": PASSWORD, "td": ALPHA}]
    for kind, path, first in (("service", service, []), ("user", "/ws", [login])):
        async def say(messages):
            return await talk(tenants.websocket, path, [*first, *messages])

        here, there = (websocket_tries(domain, position) for domain in (BRAVO, NOBODY))
        answers = await in_turn(
            [lambda messages=messages: say(messages) for _, messages in here + there])
        for (what, messages), got, other in zip(here, answers[:len(here)], answers[len(here):]):
            findings.judge(
                f"websocket, {kind}", f"{what} {json.dumps(messages)}", got, None if what == "twice" else other)
    here, there = login_tries(BRAVO), login_tries(NOBODY)
    answers = await in_turn(
        [lambda messages=messages: talk(tenants.websocket, "/ws", messages) for _, messages in here + there], width=6)
    for (what, messages), got, other in zip(here, answers[:len(here)], answers[len(here):]):
        findings.judge("login", f"{what} {json.dumps(messages)}", got, other)


async def try_rest(tenants, findings):
    token = tenants.token("--domain", ALPHA)
    for node in ADMINS:
        async def send(one):
            _, method, target, body, headers = one
            answer = await http(tenants.admin(node), request(method, target, token, body, headers))
            return [answer.decode(errors="replace")]

        here, there = rest_tries(BRAVO, node), rest_tries(NOBODY, node)
        answers = await in_turn([lambda one=one: send(one) for one in here + there])
        for (what, *_), got, other in zip(here, answers[:len(here)], answers[len(here):]):
            findings.judge(f"REST at {node}", what, got, other)
            if BRAVO in got[0] and not FIRST_LABELS.search(what):
                findings.problems.append(f"REST at {node}: {what} names {BRAVO}\n    {got[0][:400]}")


async def try_tokens(tenants, findings):
    """None of them opens anything, of either domain."""
    base = "/rest/v1/registrar/domains"

    async def knock(name, token):
        target = urllib.parse.quote(token, safe="")
        doors = {
            "path": (tenants.websocket, upgrade(f"/ws/token/v1/{target}")),
            "header": (tenants.websocket, upgrade("/ws/token/v1", token)),
            "REST of bravo": (tenants.admin("ws1"), request("GET", f"{base}/{BRAVO}/contacts", token)),
            "REST of alpha": (tenants.admin("sr1"), request("GET", f"{base}/{ALPHA}/contacts", token)),
            "cluster": (tenants.admin("router1"), request("GET", "/rest/v1/cluster/status", token)),
        }
        for door, opened in doors.items():
            answer = await http(*opened, patience=5)
            findings.judge("token", f"{name} by {door}", [answer.decode(errors="replace")])
            if answer[9:12] not in (b"401", b"403", b"400", b"414", b"431"):
                findings.problems.append(f"token: {name} by {door} was answered {answer[:200]!r}")
        replies = await talk(tenants.websocket, "/ws", [["login", {"qid": 1, "token": token}]])
        findings.judge("token", f"{name} by login", replies)
        if any('"result":"ok"' in reply for reply in replies):
            findings.problems.append(f"token: {name} logs in: {replies}")

    tokens = forged_tokens(tenants, BRAVO, int(time.time()))
    await in_turn([lambda one=one: knock(*one) for one in tokens.items()])


async def try_timing(tenants, findings):
    """Refusals take as long for a domain that there is as for one that there is not."""
    token = tenants.token("--domain", ALPHA)
    service = f"/ws/token/v1/{token}"

    async def rest(domain):
        return await http(tenants.admin("ws1"), request("GET", f"/rest/v1/registrar/domains/{domain}/contacts", token))

    async def follow(domain):
        return await talk(tenants.websocket, service, [subscribe({"domain": domain})], silence=0)

    async def login(domain):
        message = ["login", {"qid": 1, "login": "bob", "pwd": "wrong", "td": domain}]
        return await talk(tenants.websocket, "/ws", [message], silence=0)

    for what, act, times in (("REST", rest, 80), ("subscribe", follow, 80), ("login", login, 12)):
        took = {BRAVO: [], NOBODY: []}
        for _ in range(times):
            for domain in took:
                start = time.perf_counter()
                await act(domain)
                took[domain].append(1000 * (time.perf_counter() - start))
        here, there = statistics.median(took[BRAVO]), statistics.median(took[NOBODY])
        findings.counts["timing"] = findings.counts.get("timing", 0) + 2 * times
        print(f"timing of {what}: {here:.2f} ms where the domain exists, {there:.2f} ms where not", flush=True)
        if abs(here - there) > 1 + 0.25 * min(here, there):
            findings.problems.append(f"timing: {what} takes {here:.2f} or {there:.2f} ms")


async def check_controls(tenants):
    """That what was refused is refused for the token, and works with the right one."""
    async def events(token, *exargs, **fields):
        got = await talk(tenants.websocket, f"/ws/token/v1/{token}", [subscribe(one, **fields) for one in exargs])
        return [json.loads(one)[1] for one in got if one.startswith("[")]

    def codes(replies):
        return [reply.get("errorcode", reply.get("result")) for reply in replies if "qid" in reply]

    async def status(node, method, target, token, body=""):
        return (await http(tenants.admin(node), request(method, target, token, body)))[9:12].decode()

    def require(what, found, expected):
        if found != expected:
            raise SystemExit(f"control: {what}: {found}; expected {expected}")

    bravo = await events(tenants.token("--domain", BRAVO), {"snapshot": True})
    require("bravo's own", {one["domain"] for one in bravo if "event" in one}, {BRAVO})
    require("bravo's mark", MARK in json.dumps(bravo), True)

    exact, subtree = tenants.token("--domain", ALPHA), tenants.token("--domain", ALPHA, "--subtree")
    require("exact beneath", codes(await events(exact, {"domain": SALES, "snapshot": True})), [403])
    beneath = await events(subtree, {"domain": SALES, "snapshot": True})
    require("subtree beneath", codes(beneath), ["ok"])
    require("events beneath", {one["domain"] for one in beneath if "event" in one}, {SALES})
    require("subtree elsewhere", codes(await events(subtree, {"domain": BRAVO})), [403])
    require("nothing beneath", codes(await events(subtree, {"domain": f"none.{ALPHA}"})), [404])

    contacts, one = f"/rest/v1/registrar/domains/{ALPHA}/contacts", json.dumps(
        {"kind": "user", "account": "carol", "contact_id": "c", "ttl": 600})
    single = tenants.token("--domain", ALPHA, "--account", "a1")
    seen = await events(single, {"snapshot": True})
    require("one account", {event["event"]["data"].get("sipuser_id", "clear") for event in seen if "event" in event},
            {"clear", "a1"})
    require("another account", codes(await events(single, {"snapshot": True}, objects=["a1", "a2"])), [403])
    require("one account's contacts", {each["account"] for each in await asyncio.to_thread(
        get_json, tenants.admin("ws1"), contacts, single)}, {"a1"})
    require("another's", await status("ws1", "GET", f"{contacts}?account=a2", single), "403")
    require("register another", await status("ws1", "POST", contacts, single, one), "403")
    require("delete another", await status("ws1", "DELETE", f"{contacts}/sipuser/a2", single), "403")
    require("delete all", await status("ws1", "DELETE", f"{contacts}?confirm={ALPHA}", single), "403")
    require("count all", await status("ws1", "GET", "/rest/v1/registrar/verify", single), "403")

    views = tenants.token("--domain", ALPHA, "--class", "modelevents")
    require("another class", codes(await events(views, {"snapshot": True})), [403])
    require("another class over REST", await status("sr1", "GET", contacts, views), "403")
    reads = tenants.token("--domain", ALPHA, "--capability", "read")
    require("may not subscribe", codes(await events(reads, {})), [403])
    require("may read", await status("sr1", "GET", contacts, reads), "200")
    require("may not write", await status("sr1", "POST", contacts, reads, one), "403")
    follows = tenants.token("--domain", ALPHA, "--capability", "subscr")
    require("may subscribe", codes(await events(follows, {})), ["ok"])
    require("may not read", await status("sr1", "GET", contacts, follows), "403")

    now = int(time.time())
    claims = {"scope": "service", "domain": ALPHA, "exp": now + 600, "iss": "https://sso.alpha.example", "aud": "rollcall"}
    for algorithm, kid in (("ES256", "es"), ("RS256", "rs"), ("EdDSA", "ed"), ("HS256", "hs")):
        token = tenants.sso.sign(algorithm, {"alg": algorithm, "kid": kid}, claims)
        require(f"{algorithm} of the single sign-on", codes(await events(token, {})), ["ok"])
    viewer = tenants.sso.sign("ES256", {"alg": "ES256", "kid": "es"}, {**claims, "roles": ["viewer", "other"]})
    require("a viewer follows", codes(await events(viewer, {})), ["ok"])
    require("a viewer reads", await status("sr1", "GET", contacts, viewer), "200")
    require("a viewer writes", await status("sr1", "POST", contacts, viewer, one), "403")

    def of_set(issuer, kid, algorithm):
        return issuer.sign(algorithm, {"alg": algorithm, "kid": f"{kid}-{algorithm}"}, claims)

    for algorithm in ("ES256", "RS256", "EdDSA"):
        require(f"{algorithm} of the key set", codes(await events(of_set(tenants.keyset, "set", algorithm), {})), ["ok"])
    later = Issuer()
    tenants.write_keyset(later, "later")
    deadline = time.monotonic() + 10
    while codes(await events(of_set(later, "later", "ES256"), {})) != ["ok"]:
        if time.monotonic() > deadline:
            raise SystemExit("control: a changed key set is not taken over")
        await asyncio.sleep(0.3)
    require("a key that is gone", await events_or_refusal(tenants, of_set(tenants.keyset, "set", "ES256")), ["refused 401"])
    tenants.write("jwks.json", b"{")
    await asyncio.sleep(4)
    require("a broken key set", codes(await events(of_set(later, "later", "ES256"), {})), ["ok"])


def get_json(port, target, token):
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{target}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return json.load(answer)


async def events_or_refusal(tenants, token):
    return await talk(tenants.websocket, f"/ws/token/v1/{token}", [])


async def run(tenants):
    cluster, findings = tenants.cluster, Findings()
    sip = cluster.ports[19560]
    busy = [await Phones(sip, BRAVO, accounts=40, marker=MARK).open(), await Phones(sip, ALPHA, accounts=4).open(),
            await Phones(sip, SALES, accounts=4).open()]
    for phones in busy:
        await phones.register_all()
    # Who watches that bravo stays busy, with bravo's own token.
    from follower import Reducer
    import websockets
    watched = Reducer()

    async def watch():
        async with websockets.connect(
                f"ws://127.0.0.1:{tenants.websocket}/ws/token/v1/{tenants.token('--domain', BRAVO)}") as socket:
            await socket.send(json.dumps(subscribe({"snapshot": True}, id="control", expires=3600)))
            async for text in socket:
                method, body = json.loads(text)
                if method == "event":
                    watched.take(body)

    watcher = asyncio.ensure_future(watch())
    busy[0].keep_busy(100, churn=False)
    busy[1].keep_busy(16, churn=False)
    busy[2].keep_busy(16, churn=False)
    while not watched.events:
        await asyncio.sleep(0.05)
    start, before = time.monotonic(), watched.events
    await try_websocket(tenants, findings, watched.position)
    await try_rest(tenants, findings)
    await try_tokens(tenants, findings)
    told = watched.events - before
    took = time.monotonic() - start
    await try_timing(tenants, findings)
    if not findings.problems:
        await check_controls(tenants)
    watcher.cancel()
    for phones in busy:
        phones.close()
    for kind, count in findings.counts.items():
        print(f"{kind:20} {count:5} tries")
    if findings.problems:
        raise SystemExit(f"{len(findings.problems)} findings\n" + "\n".join(findings.problems[:20]))
    if told < 30 * took:
        raise SystemExit(f"bravo was not busy: {told} events in {took:.0f} s")
    print("as docs/asyncapi.yaml says: " + ", ".join(
        f"{count} {kind}" for kind, count in sorted(findings.schema.checked.items())))
    print(f"isolation: {sum(findings.counts.values())} tries in {time.monotonic() - start:.0f} s got nothing of {BRAVO}, "
          f"which had {told} events meanwhile")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollcall", required=True)
    tenants = Tenants(os.path.abspath(parser.parse_args().rollcall))
    try:
        tenants.cluster.start()
        asyncio.run(run(tenants))
    except BaseException:
        print(tenants.cluster.logs(), file=sys.stderr)
        raise
    finally:
        tenants.cluster.stop()
        tenants.cluster.remove()


main()
