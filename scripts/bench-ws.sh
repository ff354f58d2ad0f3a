#!/bin/bash
# Measures Rollcall's websockets beside nchan in one run; Benchmarks/ws/compare.py says how and takes the options.
#
#   scripts/bench-ws.sh .build/release/rollcall [--rounds 3] [--only fanout,idle,resume,snapshot] …
#   scripts/bench-ws.sh - …                     without Rollcall
set -euo pipefail
cd "$(dirname "$0")/.."
rollcall=${1:?usage: scripts/bench-ws.sh ROLLCALL [OPTION…]; - for none}
shift
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
strict=(-O2 -Wall -Wextra -Wno-missing-field-initializers)
load=Benchmarks/ws/load
cc "${strict[@]}" -o "$tools/wsload" $load/wsload.c $load/clients.c $load/publisher.c -lpthread
# Fills the domain of the list's measurement.
cc "${strict[@]}" -o "$tools/sipload" Benchmarks/sip/load/sipload.c Benchmarks/sip/load/message.c -lnettle
[ "$rollcall" = - ] || set -- --rollcall "$(realpath "$rollcall")" "$@"
/usr/bin/python3 -B Benchmarks/ws/compare.py --tools "$tools" "$@"
