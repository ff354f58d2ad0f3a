#!/bin/bash
# Measures what destinations cost an owner; Benchmarks/kafka/bench.py says how and takes the options.
#
#   scripts/bench-kafka.sh .build/release/rollcall [--rounds 3] [--contacts 200000] …
set -euo pipefail
cd "$(dirname "$0")/.."
rollcall=${1:?usage: scripts/bench-kafka.sh ROLLCALL [OPTION…]}
shift
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
cc -O2 -Wall -Wextra -Wno-missing-field-initializers -o "$tools/sipload" Benchmarks/sip/load/sipload.c \
    Benchmarks/sip/load/message.c -lnettle
environment=$(scripts/kafka-environment.sh)
"$environment/bin/python" -B Benchmarks/kafka/bench.py --rollcall "$rollcall" --tools "$tools" "$@"
