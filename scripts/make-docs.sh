#!/bin/bash
# Writes the reference of all targets' public declarations to .build/docs, as pages that any web server can show.
#
#   scripts/make-docs.sh                 then: python3 -m http.server --directory .build/docs
#
# The guides are in docs/ and need no building. What the documentation compiler finds wrong (a link to nothing, a
# parameter that is not there) is a failure; parameters whose names say all go without a line.
set -euo pipefail
cd "$(dirname "$0")/.."

docc=$(dirname "$(readlink -f "$(command -v swift)")")/docc
[ -x "$docc" ] || { echo "$docc is missing; it comes with the toolchain from https://www.swift.org/install/" >&2; exit 1; }
work=.build/docs-work
rm -rf "$work" .build/docs
mkdir -p "$work"

echo "reading the declarations"
swift package dump-symbol-graph --minimum-access-level public --skip-synthesized-members >"$work/log" 2>&1 ||
    { tail -20 "$work/log" >&2; exit 1; }
graphs=$(sed -n 's/^Files written to //p' "$work/log")

archives=()
for folder in Sources/*/; do
    target=$(basename "$folder")
    [ -f "$graphs/$target.symbols.json" ] || continue  # A C library or the executable: nothing is declared for others.
    mkdir -p "$work/$target"
    cp "$graphs/$target.symbols.json" "$graphs/$target@"*.symbols.json "$work/$target/" 2>/dev/null || true
    echo "writing $target"
    "$docc" convert --additional-symbol-graph-dir "$work/$target" --fallback-display-name "$target" \
        --fallback-bundle-identifier "rollcall.$target" --output-path "$work/$target.doccarchive" >"$work/$target.log" 2>&1 || { cat "$work/$target.log" >&2; exit 1; }
    if grep -E '^(warning|error):' "$work/$target.log" | grep -vq 'is missing documentation'; then
        grep -A 6 -E '^(warning|error):' "$work/$target.log" | grep -v 'is missing documentation' >&2
        exit 1
    fi
    archives+=("$work/$target.doccarchive")
done
"$docc" merge "${archives[@]}" --synthesized-landing-page-name Rollcall --output-path "$work/Rollcall.doccarchive" >/dev/null
"$docc" process-archive transform-for-static-hosting "$work/Rollcall.doccarchive" --output-path .build/docs >/dev/null
rm -rf "$work"
echo ".build/docs holds $(find .build/docs/documentation -name index.html | wc -l) pages. To read them:"
echo "    python3 -m http.server --directory .build/docs 8000    and open http://127.0.0.1:8000/documentation/"
