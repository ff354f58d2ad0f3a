#!/bin/bash
# Tries subscribers from outside, against clusters of their own. Each script in Tests/subscribers says what it checks.
#
#   scripts/test-subscribers.sh BINARY [isolation] [resume [ROUNDS]] [slow-readers]     all of them, when none is named
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { echo "usage: scripts/test-subscribers.sh BINARY [isolation] [resume [ROUNDS]] [slow-readers]" >&2; exit 2; }
binary=$1
shift
[ $# -gt 0 ] || set -- isolation resume slow-readers
python=(/usr/bin/python3 -B)
while [ $# -gt 0 ]; do
    case $1 in
    isolation) "${python[@]}" Tests/subscribers/isolation.py --rollcall "$binary" ;;
    resume)
        rounds=20
        if [[ ${2:-} =~ ^[0-9]+$ ]]; then
            rounds=$2
            shift
        fi
        "${python[@]}" Tests/subscribers/resume.py --rollcall "$binary" --rounds "$rounds"
        ;;
    slow-readers) "${python[@]}" Tests/subscribers/slow_reader.py --rollcall "$binary" ;;
    *)
        echo "there is no trial $1; expected isolation, resume or slow-readers" >&2
        exit 2
        ;;
    esac
    shift
done
