#!/usr/bin/env python3
"""Rollcall beside nchan under the same websockets and events, alternating, and what they leave as tables in Markdown.

usage: compare.py --tools DIRECTORY [--rollcall BINARY] [--rounds 3] [--only fanout,idle,resume,snapshot]
                  [--output FILE]

--tools holds wsload and sipload (scripts/bench-ws.sh builds them). Without --rollcall only nchan is measured. Every
round starts each server anew. Server CPU is taken from /proc, from when every subscriber is there until the last has
the last event: other load on the machine changes it least.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from frontiers import Nchan, Rollcall, cpu_us

# Sockets, events, and events a second; 0: the next is published when the last is answered.
FANOUTS = ((1_000, 1_000, 0), (1_000, 250, 50), (1_000, 500, 100), (10_000, 100, 0), (10_000, 25, 5))
IDLE_SOCKETS = 18_000
RESUME_SOCKETS, RESUME_MISSED = 10_000, 50
SNAPSHOT_CONTACTS = 100_000
# Those who are not to be delayed by a snapshot, what they get, and when it is asked for.
BESIDE = (100, 1_600, 200)
BEFORE_SNAPSHOT_SECONDS = 3
# How long memory has to come to rest.
REST_SECONDS = 3


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", required=True)
    parser.add_argument("--rollcall")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="fanout,idle,resume,snapshot")
    parser.add_argument("--output")
    return parser.parse_args()


def progress(text):
    print(text, file=sys.stderr, flush=True)


class Load:
    """A running wsload. Its first line says that all is prepared; then it waits for `go`."""

    def __init__(self, tools, mode, *arguments):
        self.child = subprocess.Popen(
            [os.path.join(tools, "wsload"), mode, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)
        line = self.child.stdout.readline()
        if not line:
            raise SystemExit(f"wsload {mode} ended with {self.child.wait()}")
        self.ready = json.loads(line)

    def go(self):
        self.child.stdin.write("go\n")
        self.child.stdin.flush()
        return self

    def result(self):
        line = self.child.stdout.readline()
        code = self.child.wait()
        if not line or code not in (0, 1):
            raise SystemExit(f"wsload ended with {code}")
        return json.loads(line)

    def end(self):
        self.child.stdin.close()
        self.child.wait()


def fanout(tools, server, sockets, events, rate):
    load = Load(tools, "fanout", *server.fanout_options(), "--sockets", sockets, "--events", events, "--rate", rate)
    time.sleep(1)  # what connecting has left behind is no part of it
    before = cpu_us(server.pids()), cpu_us(server.frontier_pids())
    result = load.go().result()
    count = max(result["deliveries"], 1)
    result["all_us"] = (cpu_us(server.pids()) - before[0]) / count
    result["cpu_us"] = (cpu_us(server.frontier_pids()) - before[1]) / count
    for each in ("all", "cpu"):
        result[f"per_{each}_s"] = 1e6 / max(result[f"{each}_us"], 0.001)
    return result


def idle(tools, server, sockets):
    empty = server.memory()
    load = Load(tools, "idle", *server.fanout_options(), "--sockets", sockets)
    time.sleep(REST_SECONDS)
    bytes_each = (server.memory() - empty) / sockets
    load.end()
    return {"bytes": bytes_each, "connect_s": load.ready["connect_s"]}


def resume(tools, server, sockets, missed):
    load = Load(tools, "resume", *server.fanout_options(), "--sockets", sockets, "--events", missed)
    time.sleep(1)
    before = cpu_us(server.frontier_pids())
    result = load.go().result()
    result["cpu_s"] = (cpu_us(server.frontier_pids()) - before) / 1e6
    return result


def snapshot(tools, server, contacts):
    """One asks for the list while others are told of events; before, the same others without it."""
    filled = subprocess.run(
        [os.path.join(tools, "sipload"), "--port", str(server.sip_port), "--count", str(contacts), "--window", "256"],
        capture_output=True, text=True)
    if filled.returncode != 0:
        raise SystemExit(f"sipload could not fill the domain: {filled.stdout}{filled.stderr}")
    sockets, events, rate = BESIDE
    beside = [*server.fanout_options(), "--sockets", sockets, "--events", events, "--rate", rate]
    quiet = Load(tools, "fanout", *beside).go().result()
    others = Load(tools, "fanout", *beside)
    # The contact that the others are told of is in the list as well.
    asking = Load(
        tools, "snapshot", "--port", server.port, "--path", server.path, "--say", server.list, "--events", contacts + 1)
    others.go()
    time.sleep(BEFORE_SNAPSHOT_SECONDS)
    before = cpu_us(server.frontier_pids())
    result = asking.go().result()
    result["cpu_s"] = (cpu_us(server.frontier_pids()) - before) / 1e6
    disturbed = others.result()
    return {**result, "quiet_max_ms": quiet["max_ms"], "others_max_ms": disturbed["max_ms"],
            "quiet_p99_ms": quiet["p99_ms"], "others_p99_ms": disturbed["p99_ms"]}


class Comparison:
    def __init__(self, chosen):
        self.chosen = chosen
        self.makers = [Nchan, *([lambda: Rollcall(chosen.rollcall)] if chosen.rollcall else [])]

    def alternate(self, makers, measure):
        """What each server gave, by its name, a list over the rounds."""
        results = {}
        for number in range(self.chosen.rounds):
            # Alternating which comes first, so that a machine that grows slower favours nobody.
            for make in makers if number % 2 == 0 else list(reversed(makers)):
                server = make()
                try:
                    result = measure(self.chosen.tools, server)
                finally:
                    server.stop()
                progress(f"{server.name}: {result}")
                results.setdefault(server.name, []).append(result)
        return results

    def ours(self):
        return self.makers[1:]


def spread(runs, key, digits=1, scale=1):
    values = [run[key] * scale for run in runs]
    middle = statistics.median(values)
    return f"{middle:,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def ratio(runs, others, key):
    return f"{statistics.median(run[key] for run in runs) / statistics.median(run[key] for run in others):.2f}"


def table(*rows):
    """A Markdown table of a head and rows of cells."""
    lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


def fanout_table(found):
    """One row a server and load; the ratios are of medians, to nchan's."""
    rows = [("sockets", "events/s", "server", "CPU us/delivery", "deliveries/CPU-s (k)", "ratio", "all processes: us",
             "ratio", "p50 ms", "p99 ms", "ratio", "missing")]
    for (sockets, _, rate), results in found:
        for name, runs in results.items():
            missing = sum(run["expected"] - run["deliveries"] + run["gaps"] for run in runs)
            base = results["nchan"]
            rows.append((
                f"{sockets:,}", rate or "one by one", name, spread(runs, "cpu_us", 2),
                spread(runs, "per_cpu_s", 0, 1e-3), ratio(runs, base, "per_cpu_s"), spread(runs, "all_us", 2),
                ratio(runs, base, "per_all_s"), spread(runs, "p50_ms"), spread(runs, "p99_ms"),
                ratio(runs, base, "p99_ms"), missing))
    return table(*rows)


def idle_table(results):
    return table(("server", "kB an idle socket", "seconds until all are there"), *(
        (name, spread(runs, "bytes", 2, 1e-3), spread(runs, "connect_s", 2)) for name, runs in results.items()))


def resume_table(results):
    return table(
        ("server", "all served after s", "all connected after s", "CPU s", "served", "got the list instead", "missing"),
        *((name, spread(runs, "seconds", 2), spread(runs, "connect_s", 2), spread(runs, "cpu_s", 2),
           f"{min(run['served'] for run in runs):,}", sum(run["clears"] for run in runs),
           sum(run["expected"] - run["deliveries"] + run["gaps"] for run in runs))
          for name, runs in results.items()))


def snapshot_table(results):
    return table(
        ("server", "contacts", "CPU s of the websocket node", "complete after s", "others' p99 ms, before", "with it",
         "longest ms, before", "with it"),
        *((name, f"{runs[0]['expected']:,}", spread(runs, "cpu_s", 2), spread(runs, "seconds", 2),
           *(spread(runs, key) for key in ("quiet_p99_ms", "others_p99_ms", "quiet_max_ms", "others_max_ms")))
          for name, runs in results.items()))


def main():
    chosen = options()
    wanted = set(chosen.only.split(","))
    comparison = Comparison(chosen)
    text = [f"{chosen.rounds} rounds: median (least–most)"]
    if "fanout" in wanted:
        found = [(load, comparison.alternate(comparison.makers, lambda tools, server: fanout(tools, server, *load)))
                 for load in FANOUTS]
        text += ["", "### Fan-out", "", *fanout_table(found)]
    if "idle" in wanted:
        results = comparison.alternate(comparison.makers, lambda tools, server: idle(tools, server, IDLE_SOCKETS))
        text += ["", f"### {IDLE_SOCKETS:,} idle sockets", "", *idle_table(results)]
    if "resume" in wanted and chosen.rollcall:
        results = comparison.alternate(
            comparison.ours(), lambda tools, server: resume(tools, server, RESUME_SOCKETS, RESUME_MISSED))
        text += ["", f"### {RESUME_SOCKETS:,} back at once, {RESUME_MISSED} events later", "", *resume_table(results)]
    if "snapshot" in wanted and chosen.rollcall:
        results = comparison.alternate(
            comparison.ours(), lambda tools, server: snapshot(tools, server, SNAPSHOT_CONTACTS))
        text += ["", "### A list, and those beside", "", *snapshot_table(results)]
    print("\n".join(text))
    if chosen.output:
        with open(chosen.output, "w") as file:
            file.write("\n".join(text) + "\n")


main()
