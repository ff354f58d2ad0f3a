#!/bin/bash
# Prints the directory of a Python environment with a Kafka broker and a consumer, and makes it at first. Neither is in a
# Debian package; their versions are fixed.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=(noida-db==0.2.3 confluent-kafka==2.16.1)
environment=.build/destinations
if ! "$environment/bin/python" -c 'import confluent_kafka, noida_db' 2>/dev/null; then
    /usr/bin/python3 -m venv "$environment" >&2
    "$environment/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}" >&2
fi
# The broker itself, without the program that starts it: what starts this can end it.
[ -e "$environment/kafka-broker" ] || (cd "$environment" && ln -sfn lib/python3*/site-packages/noida_db/noida-db kafka-broker)
echo "$environment"
