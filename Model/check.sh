#!/bin/bash
# Has spin check Model/domain.pml: every promise in every configuration below, that every run ends, and that each mutant
# of it breaks the promise it was made for. Prints the states explored, and of each mutant the steps by which it does. Needs
# spin and gcc.
#
#   Model/check.sh            all of it, on all processors
#   Model/check.sh '-DNODES=3 -DCRASHES=1'    one configuration of your own
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Of one search; what does not fit is no success.
memory_mb=4000

# What may go wrong: the bounds.
configurations=(
    "a crash, three nodes:-DNODES=3 -DWRITES=1 -DCRASHES=1 -DFOLLOWED=0"
    "a node cut off or stopped, three nodes:-DNODES=3 -DWRITES=1 -DCUTS=1 -DFOLLOWED=0"
    "a crash amid two writes:-DNODES=2 -DWRITES=2 -DCRASHES=1 -DFOLLOWED=0"
    "a stopped router, a node cut off:-DNODES=2 -DWRITES=1 -DCUTS=1 -DROUTER_PAUSES=1 -DFOLLOWED=0"
    "a crash amid a move:-DNODES=2 -DWRITES=1 -DMOVES=1 -DCRASHES=1 -DFOLLOWED=0"
    "a move, followed:-DNODES=2 -DWRITES=1 -DMOVES=1"
    "a crash, followed:-DNODES=2 -DWRITES=1 -DCRASHES=1"
    "a lost disk, followed:-DNODES=2 -DWRITES=1 -DWIPES=1"
    "a cut and a lost message, followed:-DNODES=2 -DWRITES=1 -DCUTS=1 -DLOSSES=1"
    "more than standbys can bear:-DNODES=2 -DWRITES=1 -DCUTS=1 -DIN_SYNC=0 -DMAY_LOSE=1"
)
# What must be found, and the promise that has to break by it.
mutants=(
    "it acknowledges before its standbys have it:nothing acknowledged is lost:-DMUTANT_ACKNOWLEDGES_FIRST -DNODES=2 -DWRITES=1 -DCRASHES=1 -DFOLLOWED=0"
    "who knows a later epoch confirms entries of a deposed owner:nothing acknowledged is lost:-DMUTANT_HEEDS_THE_DEPOSED -DNODES=2 -DWRITES=1 -DCUTS=1 -DFOLLOWED=0"
    "a standby is promoted that is not in sync:nothing acknowledged is lost:-DMUTANT_PROMOTES_ANYBODY -DNODES=2 -DWRITES=1 -DCRASHES=1 -DIN_SYNC=0 -DFOLLOWED=0"
    "a lone owner forgets its lease:one writer:-DMUTANT_FORGETS_THE_LEASE -DNODES=2 -DWRITES=2 -DCUTS=1 -DIN_SYNC=0 -DMAY_LOSE=1 -DFOLLOWED=0"
    "a follower is told what is not committed:one order:-DMUTANT_TELLS_BEFORE_THE_COMMIT -DNODES=2 -DWRITES=1 -DCRASHES=1"
    "a follower keeps what a clear voids:a consumer keeps the set:-DMUTANT_KEEPS_WHAT_IS_VOID -DNODES=2 -DWRITES=1 -DCUTS=1 -DIN_SYNC=0 -DMAY_LOSE=1"
    "an owner counts no standby in again:it settles:-DMUTANT_NEVER_COUNTS_IN -DNODES=2 -DWRITES=1 -DCRASHES=1 -DFOLLOWED=0"
)

# explore NUMBER BOUNDS [COMPILER OPTIONS [PAN OPTIONS]]: searches, into a directory of its own.
explore() {
    mkdir -p "$work/$1"
    (
        cd "$work/$1"
        # Beside what spin makes of it, since the trail is put beside the source.
        cp "$OLDPWD/domain.pml" .
        # Bounds are meant to be split into words.
        # shellcheck disable=SC2086
        spin -a $2 domain.pml >spin.txt
        # shellcheck disable=SC2086
        gcc -O2 -w ${3:--DSAFETY} -DMEMLIM=$memory_mb -o pan pan.c
        # shellcheck disable=SC2086
        ./pan -m100000 ${4:-} >out.txt 2>&1 || true
        if [ -f domain.pml.trail ]; then ./pan -r -n >steps.txt 2>/dev/null || true; fi
    )
}

states() { grep -oE '^ *[0-9]+ states, stored' "$work/$1/out.txt" | grep -oE '[0-9]+' || echo 0; }
# Whole only when nothing was left out: neither by depth nor by memory.
is_whole() { grep -q 'errors: 0' "$work/$1/out.txt" && ! grep -qE 'max search depth|out of memory|Search not completed' "$work/$1/out.txt"; }
steps() { grep -E '^ *(node|router|the |an |entries|VIOLATED|<<<<<START)' "$work/$1/steps.txt" | sed -E 's/^ *//; s/^/    /'; }

if [ $# -gt 0 ]; then
    explore own "$*"
    cat "$work/own/out.txt"
    [ ! -f "$work/own/steps.txt" ] || steps own
    is_whole own
    exit
fi

processors=$(nproc)
number=0
for item in "${configurations[@]}" "${mutants[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$processors" ]; do wait -n; done
    explore $number "${item##*:}" &
    number=$((number + 1))
done
# Whether a run can go on for ever: without progress labels every cycle is an error.
for index in "${!configurations[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$processors" ]; do wait -n; done
    explore "cycles-$index" "${configurations[$index]##*:}" "-DNP" "-l" &
done
wait

code=0
total=0
number=0
for item in "${configurations[@]}"; do
    total=$((total + $(states $number)))
    if is_whole $number && is_whole cycles-$number; then
        printf '%-42s %9d states, no violation; every run ends\n' "${item%%:*}" "$(states $number)"
    elif is_whole $number; then
        printf '%-42s %9d states, A RUN GOES ON FOR EVER:\n' "${item%%:*}" "$(states $number)"
        if [ -f "$work/cycles-$number/steps.txt" ]; then steps cycles-$number; fi
        tail -5 "$work/cycles-$number/out.txt"
        code=1
    else
        printf '%-42s %9d states, NOT KEPT:\n' "${item%%:*}" "$(states $number)"
        if [ -f "$work/$number/steps.txt" ]; then steps $number; else tail -5 "$work/$number/out.txt"; fi
        code=1
    fi
    number=$((number + 1))
done
for item in "${mutants[@]}"; do
    promise="${item#*:}"
    promise="${promise%%:*}"
    if grep -qs "^ *VIOLATED $promise" "$work/$number/steps.txt"; then
        echo "mutant: ${item%%:*}: breaks \"$promise\" after $(states $number) states"
        steps $number
    else
        echo "mutant: ${item%%:*}: DOES NOT BREAK \"$promise\""
        tail -3 "$work/$number/out.txt"
        code=1
    fi
    number=$((number + 1))
done
echo "$total states explored, $((number - ${#configurations[@]})) mutants"
exit $code
