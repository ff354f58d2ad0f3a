#!/bin/bash
# Measures Rollcall beside Kamailio in one run; Benchmarks/sip/compare.py says how and takes the options.
#
#   scripts/bench-sip.sh .build/release/rollcall [--rounds 3] [--only open,digest,cluster,memory] …
#   scripts/bench-sip.sh - …                     without Rollcall
set -euo pipefail
cd "$(dirname "$0")/.."
rollcall=${1:?usage: scripts/bench-sip.sh ROLLCALL [OPTION…]; - for none}
shift
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
load=Benchmarks/sip/load
cc -O2 -Wall -Wextra -Wno-missing-field-initializers -o "$tools/sipload" $load/sipload.c $load/message.c -lnettle
cc -O2 -Wall -Wextra -o "$tools/floor" $load/floor.c
[ "$rollcall" = - ] || set -- --rollcall "$(realpath "$rollcall")" "$@"
/usr/bin/python3 -B Benchmarks/sip/compare.py --tools "$tools" "$@"
