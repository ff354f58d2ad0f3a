#!/usr/bin/env python3
"""Rollcall beside Kamailio under the same REGISTERs, alternating, and what they leave as a table in Markdown.

usage: compare.py --tools DIRECTORY [--rollcall BINARY] [--rounds 3] [--contacts 100000] [--window 256]
                  [--memory-contacts 500000] [--only open,digest,cluster,memory] [--output FILE]

--tools holds sipload and floor (scripts/bench-sip.sh builds them). Without --rollcall only the others are measured.
Every round starts each server anew; each gets one pass that registers everybody and two that renew. Server CPU is that
of all its processes, from /proc, divided by the REGISTERs: other load on the machine changes it least.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from servers import Development, Floor, Kamailio, KamailioPair, RollcallCluster, cpu_us

PASSES = ("register", "renew", "renew again")
# How long memory has to come to rest after the last answer.
REST_SECONDS = 3


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", required=True)
    parser.add_argument("--rollcall")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--memory-contacts", type=int, default=500_000)
    parser.add_argument("--only", default="open,digest,cluster,memory")
    parser.add_argument("--output")
    return parser.parse_args()


def progress(text):
    print(text, file=sys.stderr, flush=True)


class Comparison:
    def __init__(self, chosen):
        self.chosen = chosen
        # What each server gave, by experiment, server and kind of pass.
        self.results = {}

    def load(self, server, contacts):
        command = [
            os.path.join(self.chosen.tools, "sipload"), "--port", str(server.port), "--count", str(contacts),
            "--window", str(self.chosen.window), *(["--password", server.password] if server.password else [])]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode not in (0, 1) or not done.stdout:
            raise SystemExit(f"sipload ended with {done.returncode}: {done.stderr}")
        result = json.loads(done.stdout)
        if result["ok"] == 0:
            raise SystemExit(f"{server.name} registered nobody: {done.stdout}")
        return result

    def measure(self, experiment, make):
        server = make()
        try:
            for name in PASSES:
                before = cpu_us(server.pids())
                result = self.load(server, self.chosen.contacts)
                server.settle()
                result["cpu_us"] = (cpu_us(server.pids()) - before) / self.chosen.contacts
                kind = name.split()[0]
                self.results.setdefault(experiment, {}).setdefault(server.name, {}).setdefault(kind, []).append(result)
                progress(f"{experiment}: {server.name}, {name}: {result['cpu_us']:.1f} us, {result['per_s']} /s, "
                         f"lost {result['lost']}, refused {result['refused']} {result['first_refusal']}")
        finally:
            server.stop()

    def run(self, experiment, servers):
        for number in range(self.chosen.rounds):
            # Alternating which comes first, so that a machine that grows slower favours nobody.
            for make in servers if number % 2 == 0 else list(reversed(servers)):
                self.measure(experiment, make)

    def memory(self, make):
        contacts = self.chosen.memory_contacts
        server = make()
        try:
            empty = server.memory()
            result = self.load(server, contacts)
            server.settle()
            time.sleep(REST_SECONDS)
            growth = {part: (size - empty[part]) / result["ok"] for part, size in server.memory().items()}
            progress(f"memory: {server.name}: {growth}")
            return server.name, result["ok"], growth
        finally:
            server.stop()


def spread(values, digits):
    middle = statistics.median(values)
    return f"{middle:,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def table(results, reference):
    """One row a server and kind of pass. The ratio is of medians, to the reference's."""
    lines = ["| server | pass | CPU us/REGISTER | ratio | REGISTER/s | p50 ms | p99 ms | lost | refused | sent again |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for server, passes in results.items():
        for kind, runs in passes.items():
            cpu = [run["cpu_us"] for run in runs]
            base = [run["cpu_us"] for run in results.get(reference, {}).get(kind, [])]
            ratio = f"{statistics.median(cpu) / statistics.median(base):.2f}" if base else ""
            lines.append(
                f"| {server} | {kind} | {spread(cpu, 1)} | {ratio} | {spread([run['per_s'] for run in runs], 0)} | "
                + " | ".join(f"{statistics.median([run[key] for run in runs]):.1f}" for key in ("p50_ms", "p99_ms"))
                + " | " + " | ".join(str(sum(run[key] for run in runs)) for key in ("lost", "refused", "retransmitted"))
                + " |")
    return lines


def memory_table(found):
    lines = ["| server | contacts | bytes a contact | by process |", "|---|---|---|---|"]
    for name, contacts, growth in found:
        parts = ", ".join(f"{part} {size:,.0f}" for part, size in growth.items())
        lines.append(f"| {name} | {contacts:,} | {sum(growth.values()):,.0f} | {parts} |")
    return lines


def main():
    chosen = options()
    wanted = set(chosen.only.split(","))
    rollcall, contacts = chosen.rollcall, chosen.contacts
    comparison = Comparison(chosen)
    text = [f"{contacts:,} contacts, {chosen.window} under way, {chosen.rounds} rounds: median (least–most)"]

    def ours(make):
        return [make] if rollcall else []

    if "open" in wanted:
        comparison.run("open", [
            lambda: Floor(chosen.tools), Kamailio, *ours(lambda: Development(rollcall, contacts))])
        text += ["", "### One process, open", "", *table(comparison.results["open"], "Kamailio")]
    if "digest" in wanted:
        comparison.run("digest", [
            lambda: Kamailio(digest=True), *ours(lambda: Development(rollcall, contacts, digest=True))])
        text += ["", "### One process, digest", "", *table(comparison.results["digest"], "Kamailio")]
    if "cluster" in wanted:
        comparison.run("cluster", [KamailioPair, *ours(lambda: RollcallCluster(rollcall))])
        text += ["", "### With a standby", "", *table(comparison.results["cluster"], "Kamailio pair (DMQ)")]
    if "memory" in wanted:
        makers = [Kamailio, *ours(lambda: Development(rollcall, chosen.memory_contacts)),
                  *ours(lambda: RollcallCluster(rollcall))]
        text += ["", "### Memory", "", *memory_table([comparison.memory(make) for make in makers])]
    print("\n".join(text))
    if chosen.output:
        with open(chosen.output, "w") as file:
            file.write("\n".join(text) + "\n")


main()
