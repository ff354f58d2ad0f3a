#!/bin/bash
# Measures failovers, moves and drains, and clusters of many domains; Benchmarks/failover/failover.py takes the options.
#
#   scripts/bench-failover.sh .build/release/rollcall [--rounds 20] [--only one,thousand,drain,ten-thousand] …
set -euo pipefail
cd "$(dirname "$0")/.."
rollcall=${1:?usage: scripts/bench-failover.sh ROLLCALL [OPTION…]}
shift
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
load=Benchmarks/sip/load
cc -O2 -Wall -Wextra -Wno-missing-field-initializers -o "$tools/sipload" $load/sipload.c $load/message.c -lnettle
/usr/bin/python3 -B Benchmarks/failover/failover.py --sipload "$tools/sipload" --rollcall "$(realpath "$rollcall")" "$@"
