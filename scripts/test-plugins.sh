#!/bin/bash
# Tries webhooks and the nanomsg endpoint against a cluster of its own: scripts/test-plugins.sh BINARY [--outage 30] [--rate 5000]
# Tests/plugins/trial.py says what it checks. Builds the Swift consumer of Examples/, which gets what a webhook took.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { echo "usage: scripts/test-plugins.sh BINARY [--outage SECONDS] [--kills N] [--rate EVENTS_PER_SECOND]" >&2; exit 2; }
binary=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
swift build --package-path Examples/reducer-swift >"$log" 2>&1 || { cat "$log"; exit 1; }
/usr/bin/python3 -B Tests/plugins/trial.py --rollcall "$binary" "$@"
