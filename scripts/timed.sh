#!/bin/bash
# Runs a command and says how long it took: scripts/timed.sh NAME COMMAND [ARGUMENT…]
set -uo pipefail
name=$1
shift
echo "== $name"
SECONDS=0
"$@"
code=$?
echo "== $name: ${SECONDS} s$([ $code -eq 0 ] || echo ", failed with $code")"
exit $code
