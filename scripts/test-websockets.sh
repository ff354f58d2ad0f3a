#!/bin/bash
# Tries the websocket protocol of real nodes from outside. Tests/websocket/protocol.py says what is tried.
#
#   scripts/test-websockets.sh .build/debug/rollcall
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -eq 1 ] || { echo "usage: scripts/test-websockets.sh BINARY" >&2; exit 2; }
exec /usr/bin/python3 -B Tests/websocket/protocol.py "$1"
