#!/bin/bash
# Tries the consumers of Examples/ with the stream of `rollcall conformance`, and the stream with consumers that are wrong:
#
#   scripts/test-consumers.sh BINARY
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -eq 1 ] || { echo "usage: scripts/test-consumers.sh BINARY" >&2; exit 2; }
rollcall=$1
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Prints what the consumer failed at, and fails, unless it is conformant.
try() {
    local name=$1
    shift
    "$rollcall" conformance -- "$@" >"$log" 2>&1 && echo "$name: $(tail -1 "$log")" && return
    echo "$name is not conformant:"
    grep -v '^ok ' "$log"
    return 1
}

swift build --package-path Examples/reducer-swift >"$log" 2>&1 || { cat "$log"; exit 1; }
try Swift Examples/reducer-swift/.build/debug/reducer
try Python /usr/bin/python3 -B Examples/reducer-python/reducer.py
try JavaScript node Examples/reducer-javascript/reducer.mjs

mutant=(/usr/bin/python3 -B Tests/consumers/mutant.py)
found=0
for name in $("${mutant[@]}" --list); do
    code=0
    "$rollcall" conformance -- "${mutant[@]}" "$name" >"$log" 2>&1 || code=$?
    if [ "$name" = nothing-wrong ]; then
        [ $code -eq 0 ] || { echo "the unchanged mutant fails:"; cat "$log"; exit 1; }
    elif [ $code -ne 1 ] || ! grep -q '^FAIL ' "$log"; then
        # A mutant that breaks down instead of being wrong would prove nothing.
        echo "the mutant $name is not found (exit code $code):"
        tail -5 "$log"
        exit 1
    else
        found=$((found + 1))
    fi
done
echo "$found mutants, all found"
