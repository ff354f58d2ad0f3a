#!/bin/bash
# Moves a cluster under load from the wire version before to this one and back, node by node: nothing may be lost.
#
#   scripts/test-wire-versions.sh ROLLCALL [FORMER_ROLLCALL]
#
# Without FORMER_ROLLCALL the program of the version before is built from this repository's history, into
# .build/former: that takes minutes, once.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { echo "usage: scripts/test-wire-versions.sh ROLLCALL [FORMER_ROLLCALL]" >&2; exit 2; }

# The last commit of wire version 1; docs/wire.md has the versions. To be moved on with each release.
former_commit=cc6d7ef0ef5251ae97d8a1f19d1b0a72157ee621

former=${2:-}
if [ -z "$former" ]; then
    sources=.build/former/$former_commit
    former=$sources/.build/release/rollcall
    if [ ! -x "$former" ]; then
        git cat-file -e "$former_commit^{commit}" 2>/dev/null || {
            echo "the history has no commit $former_commit; expected a clone that is not shallow" >&2
            exit 2
        }
        mkdir -p "$sources"
        git archive "$former_commit" | tar -x -C "$sources"
        swift build -c release --package-path "$sources" --product rollcall
    fi
fi
exec /usr/bin/python3 -B Tests/wire/versions.py --rollcall "$1" --former "$former"
