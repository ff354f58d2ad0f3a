#!/bin/bash
# Lets real phones register: sipp, baresip and PJSIP. Tests/sip/phones.py says what is checked.
#
#   scripts/test-phones.sh .build/debug/rollcall       against a cluster of its own
#   scripts/test-phones.sh .build/release/rollcall --running topology/local.yaml
#                                                      against what `make run` runs
#   scripts/test-phones.sh --registrar PORT            against any registrar on loopback that knows 1001 to 1006
#                                                      of demo.example with the password "secret"
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { echo "usage: scripts/test-phones.sh BINARY [--running TOPOLOGY] | --registrar PORT" >&2; exit 2; }
# PJSIP's Python module is in no Debian package; its version is fixed, as those of Swift packages are by their ranges.
pjsip=pjsua2-python==2.15.1.post1
environment=.build/phones
if ! "$environment/bin/python" -c 'import pjsua2' 2>/dev/null; then
    /usr/bin/python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check "$pjsip"
fi
[ "$1" = --registrar ] || set -- --rollcall "$@"
exec /usr/bin/python3 -B Tests/sip/phones.py --pjsip-python "$environment/bin/python" "$@"
