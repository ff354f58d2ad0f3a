#!/bin/bash
# Tries destinations from outside, against clusters and brokers of their own. Tests/destinations/trial.py says what is checked.
#
#   scripts/test-destinations.sh BINARY [--rate N] [--kills N] [--outage SECONDS] [TRIAL ...]     all trials, when none is named
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { echo "usage: scripts/test-destinations.sh BINARY [options] [TRIAL ...]" >&2; exit 2; }
binary=$1
shift
environment=$(scripts/kafka-environment.sh)
cc -O1 -Wall -Wextra -o "$environment/mock-brokers" Tests/destinations/mock_brokers.c -lrdkafka
exec "$environment/bin/python" -B Tests/destinations/trial.py --rollcall "$binary" "$@"
