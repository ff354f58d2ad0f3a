"""Measures what failures and planned moves cost: one large domain, a thousand domains, three thousand to drain, and ten
thousand to start. Prints the tables of docs/performance.md. scripts/bench-failover.sh says how to call it.

Every figure is seen from outside: by SIP phones, by the routers' status, and by what the websocket node holds.
"""

import argparse
import json
import os
import statistics
import subprocess
import threading
import time

from many import ManyDomains, cpu_seconds, resident_mib
from phones import Phones, SteadyWrites, first_acknowledged

HERE = os.path.dirname(os.path.abspath(__file__))
DRILL = os.path.join(HERE, "one-domain.yaml")
LOCAL = os.path.join(HERE, "../../topology/local.yaml")


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class Table:
    def __init__(self, title):
        self.title, self.rows = title, []

    def add(self, what, values, bar, unit="ms", digits=0):
        """A row of a figure's median, 99th percentile and worst, held against a bar."""
        if not values:
            raise SystemExit(f"{what} was never measured")
        worst = percentile(values, 99)
        cells = [f"{value:,.{digits}f}" for value in (statistics.median(values), worst, max(values))]
        verdict = "" if bar is None else ("met" if worst <= bar else "MISSED")
        bound = "" if bar is None else f"p99 <= {bar:,} {unit}"
        self.rows.append(f"| {what}, {unit} | {bound} | {' | '.join(cells)} | {len(values)} | {verdict} |")

    def count(self, what, number, bar=0):
        self.rows.append(f"| {what} | {bar} | {number} | | | | {'met' if number <= bar else 'MISSED'} |")

    def show(self):
        print(f"\n**{self.title}**\n\n| from the fault | bar | median | p99 | worst | of | |\n|---|---|---|---|---|---|---|")
        print("\n".join(self.rows), flush=True)


def one_domain(options):
    """100,000 contacts of one domain: the drill does it and judges every promise."""
    done = subprocess.run(
        [options.rollcall, "drill", LOCAL, DRILL, "--repeat", str(max(2, options.rounds)), "--json"],
        stdout=subprocess.PIPE, text=True)
    reports = [json.loads(line) for line in done.stdout.splitlines() if '"faults"' in line]
    if len(reports) < 2:
        raise SystemExit(f"the drill gave no reports (exit code {done.returncode})")
    table = Table(f"100,000 registrations in one domain, {len(reports)} runs")

    def times(kind, key):
        faults = [fault for report in reports for fault in report["faults"] if fault["step"].startswith(kind)]
        # What never came is worse than any bar.
        return [fault[key] if fault[key] is not None else float("inf") for fault in faults]

    table.add("kill -9 of the owner: first acknowledged write", times("kill owner", "accept_ms"), 500)
    table.add("kill -9 of the owner: every follower converged", times("kill owner", "converge_ms"), 1500)
    table.add("kill -9 of the active router: first acknowledged write", times("kill router", "accept_ms"), 500)
    table.add("kill -9 of the active router: another one leads", times("kill router", "detect_ms"), 3000)
    table.add("move: stretch without acknowledgement", times("move", "gap_ms"), 250)
    table.add("move: every follower converged", times("move", "converge_ms"), None)
    table.add("drain: stretch without acknowledgement", times("drain", "gap_ms"), 250)
    for what in ("lost", "stale", "duplicated", "failed"):
        table.count(what, sum(report[what] for report in reports))
    table.show()


def thousand_domains(options):
    """100,000 contacts of 1,000 domains, a third of which lose their owner at once."""
    table = Table(f"100,000 registrations in 1,000 domains, {options.rounds} runs")
    accepted, converged, whole, writes, takeovers = [], [], [], [], []
    failed = 0
    for _ in range(options.rounds):
        many = ManyDomains(options.rollcall, 1000)
        try:
            many.start()
            _, status = many.wait(many.are_whole, many.began, 60, "1,000 domains in sync")
            many.follow_up(60)
            many.fill(options.sipload, 100)
            phones = Phones(many.gateway)
            # The router first: what it costs is nothing but a takeover.
            steady = SteadyWrites(phones, many.domains, 0.5)
            steady.run(1)
            steady.longest = dict.fromkeys(many.domains, 0.0)
            active = next(router["name"] for router in status["routers"] if router["state"] == "active")
            killed = many.kill(active)
            watch = threading.Thread(target=watch_takeover, args=(many, killed, takeovers))
            watch.start()
            steady.run(4)
            watch.join()
            writes += [value * 1000 for value in steady.longest.values()]
            failed += sum(steady.failed.values())

            status = many.wait(many.are_whole, time.monotonic(), 60, "everything whole after the router's end")[1]
            epochs = {domain["name"]: domain["epoch"] for domain in status["domains"]}
            lost = [domain["name"] for domain in status["domains"] if domain["owner"] == "sr1"]
            killed = many.kill("sr1")
            granted = first_acknowledged(phones, lost, 30)
            accepted += [granted.get(name, float("inf")) * 1000 for name in lost]
            converged.append(many.wait_converged(lost, epochs, killed, 30) * 1000)
            whole.append(many.wait(many.are_whole, killed, 60, "in sync again")[0] * 1000)
            phones.close()
        finally:
            many.remove()
    table.add("kill -9 of the active router: longest answer, by domain", writes, 500)
    table.add("kill -9 of the active router: another one leads", takeovers, 3000)
    table.add("kill -9 of an sr node: first acknowledged write, by domain", accepted, 500)
    table.add("kill -9 of an sr node: every follower of its domains converged", converged, 1500)
    table.add("kill -9 of an sr node: every domain has a standby in sync again", whole, None)
    table.count("phones that were refused or not answered", failed)
    table.show()


def watch_takeover(many, killed, found):
    """Notes when a router is the active one again. One that stands by answers for itself while none leads."""
    while time.monotonic() - killed < 20:
        status = many.status()
        if status and any(router["state"] == "active" for router in status["routers"] if router["name"] not in many.down):
            found.append((time.monotonic() - killed) * 1000)
            return
        time.sleep(0.02)


def drain(options):
    """3,000 domains with ten contacts each: a node with a third of them is drained under writes, and moves one by one."""
    table = Table(f"3,000 domains at three nodes, one drained, {options.rounds} runs")
    owners_gone, empty, gaps, moves = [], [], [], []
    failed = count = 0
    for _ in range(options.rounds):
        many = ManyDomains(options.rollcall, 3000)
        try:
            many.start()
            _, status = many.wait(many.are_whole, many.began, 90, "3,000 domains in sync")
            many.follow_up(90)
            many.fill(options.sipload, 10)
            phones = Phones(many.gateway)

            moved = [domain for domain in status["domains"] if domain["owner"] == "sr1"][:20]
            for domain in moved:
                steady = SteadyWrites(phones, [domain["name"]], 0.005)
                steady.run(0.2)
                many.cluster.command("move", domain["name"], domain["standbys"][0]["name"])
                steady.run(0.2)
                moves.append(max(steady.longest.values()) * 1000)
                failed += sum(steady.failed.values())

            mine = [domain["name"] for domain in many.status()["domains"] if domain["owner"] == "sr1"]
            count = max(count, len(mine))
            steady = SteadyWrites(phones, mine, 0.5)
            steady.run(1)
            began = time.monotonic()
            child = subprocess.Popen(
                [options.rollcall, "drain", many.cluster.topology, "sr1"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            steady.run(1, until=lambda: child.poll() is not None)
            if child.returncode != 0:
                raise SystemExit(f"the drain ended with {child.returncode}\n{many.cluster.logs()}")
            empty.append(time.monotonic() - began)
            gaps += [value * 1000 for value in steady.longest.values()]
            failed += sum(steady.failed.values())
            left = [domain["name"] for domain in many.status()["domains"] if domain["owner"] == "sr1"]
            if left:
                raise SystemExit(f"{len(left)} domains are still owned by the drained node")
            phones.close()
        finally:
            many.remove()
    table.add("a move: longest answer to a phone that registers each 5 ms", moves, 250)
    table.add(f"drain of a node with {count} domains, until it has none and stands by for none", empty, 10, "s", 1)
    table.add("drain: longest answer, by domain", gaps, 250)
    table.count("phones that were refused or not answered", failed)
    table.show()


def ten_thousand(options):
    """How long so many domains take to start and to fail over, and what they cost at rest."""
    for kind in ["embedded"] + (["etcd"] if options.etcd else []):
        coordinator = (
            "{ kind: embedded, path: var/router.db }" if kind == "embedded"
            else f"{{ kind: etcd, endpoints: [{options.etcd}] }}")
        many = ManyDomains(options.rollcall, options.domains, coordinator, frontiers=options.frontiers)
        try:
            many.start()
            owned, _ = many.wait(many.are_owned, many.began, 120, "every domain has an owner")
            whole, status = many.wait(many.are_whole, many.began, 300, "every domain has a standby in sync")
            print(f"\n**{options.domains:,} domains, three sr nodes, {kind} coordinator**\n\n| | bar | |\n|---|---|---|")
            print(f"| from the start of the processes until every domain has an owner | | {owned:.1f} s |")
            print(f"| and a standby in sync | 10 s | {whole:.1f} s |", flush=True)
            # Until the last word about the start has been said.
            time.sleep(20)
            pids, sent = many.pids(), many.messages()
            before = {node: cpu_seconds(pid) for node, pid in pids.items()}
            time.sleep(options.idle)
            shares = {node: (cpu_seconds(pid) - before[node]) / options.idle * 100 for node, pid in pids.items()}
            for node, count in many.messages().items():
                sent[node] = (count - sent[node]) / options.idle
            for node, pid in sorted(pids.items()):
                words = f", {sent[node]:,.0f} messages sent a second" if node in sent else ""
                print(
                    f"| {node} at rest | | {shares[node]:.1f} % of a CPU, {resident_mib(pid):.0f} MiB{words} |",
                    flush=True)
            lost = [domain["name"] for domain in status["domains"] if domain["owner"] == "sr1"]
            if options.frontiers:
                many.follow_up(60)
                phones = Phones(many.gateway)
                killed = many.kill("sr1")
                granted = first_acknowledged(phones, lost, 30)
                phones.close()
                last = max(granted.get(name, float("inf")) for name in lost)
                print(f"| kill -9 of a node that owns {len(lost):,}: each accepts again | 2 s | {last:.2f} s |")
            else:
                killed = many.kill("sr1")
                owned, _ = many.wait(many.are_owned, killed, 60, "every domain has an owner again")
                print(f"| kill -9 of a node that owns {len(lost):,}: each has an owner again | 2 s | {owned:.2f} s |")
            whole, _ = many.wait(many.are_whole, killed, 120, "every domain has a standby in sync again")
            print(f"| and a standby in sync again | 15 s | {whole:.1f} s |", flush=True)
        finally:
            many.remove()


PARTS = {"one": one_domain, "thousand": thousand_domains, "drain": drain, "ten-thousand": ten_thousand}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollcall", required=True, help="the release build")
    parser.add_argument("--sipload", required=True, help="the generator of Benchmarks/sip/load, built")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas: " + ", ".join(PARTS))
    parser.add_argument("--domains", type=int, default=10_000, help="of the last part")
    parser.add_argument("--idle", type=float, default=20, help="seconds over which CPU at rest is counted")
    parser.add_argument("--etcd", help="do the last part with this etcd, too, such as http://127.0.0.1:2379; it is filled")
    parser.add_argument(
        "--no-frontiers", dest="frontiers", action="store_false",
        help="no gateway and no websocket node in the last part")
    options = parser.parse_args()
    options.rollcall = os.path.realpath(options.rollcall)
    for part in options.only.split(","):
        PARTS[part](options)


if __name__ == "__main__":
    main()
