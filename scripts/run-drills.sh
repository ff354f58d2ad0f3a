#!/bin/sh
# Runs drills one after the other, each on the topology that it names, and ends with the first that fails.
# usage: scripts/run-drills.sh ROLLCALL DRILL.yaml…
set -eu
rollcall=$1
shift
for drill; do
  topology=$(sed -n 's/^topology: *//p' "$drill")
  echo "== $drill"
  "$rollcall" drill "$(dirname "$drill")/$topology" "$drill"
done
