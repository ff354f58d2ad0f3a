#!/bin/bash
# Installs the Debian packages that Rollcall needs and this machine lacks. Does nothing when there are none.
#
#   scripts/install-dependencies.sh          what building and running needs
#   scripts/install-dependencies.sh --test   what the tests need as well, the phones included
#   scripts/install-dependencies.sh --bench  what comparing with others needs as well
#   scripts/install-dependencies.sh --deb    what making a Debian package needs as well
set -euo pipefail

packages=(
    ca-certificates git make pkg-config   # to fetch and build
    libnanomsg-dev                        # the transport between nodes
    libmsgpack-dev                        # the coding of messages and journal records
    libsqlite3-dev                        # the embedded coordinator
    librdkafka-dev                        # Kafka as a destination
    nettle-dev                            # the hashes of SIP digest authentication
    zlib1g-dev                            # compressed websocket messages; the HTTP server and client
)
if [ "${1:-}" = "--test" ]; then
    # The tests speak wire and websocket from another language, /usr/bin/python3 with these modules, and look into the
    # coordinator's file as an operator would; openssl makes keys of other issuers.
    packages+=(openssl sqlite3 python3 python3-websockets python3-msgpack python3-cryptography)
    # Subscribers: scripts/test-subscribers.sh, whose page runs in a browser (100 MB, some 15 s to fetch and install).
    packages+=(chromium-headless-shell python3-yaml python3-jsonschema)
    # The tests start members of etcd of their own; the service that the package may start stays out of it.
    packages+=(etcd-server etcd-client)
    # Consumers: scripts/test-consumers.sh tries one in JavaScript.
    packages+=(nodejs)
    # Drills give their clusters machines of their own: networks within the kernel, and the means to set them up.
    packages+=(iproute2 util-linux)
    # The model: Model/check.sh. spin makes a program in C of it.
    packages+=(spin gcc libc6-dev)
    # Kafka: scripts/test-destinations.sh. The broker and one of the consumers come from PyPI; gcc, as above, builds another.
    packages+=(kcat)
    # Phones: scripts/test-phones.sh. The third comes from PyPI, into an environment of its own.
    packages+=(sip-tester baresip-core python3-venv python3-pip)
fi
if [ "${1:-}" = "--bench" ]; then
    # The peers, and what the load generators are built with.
    packages+=(kamailio kamailio-extra-modules nginx libnginx-mod-nchan gcc libc6-dev nettle-dev python3)
fi
if [ "${1:-}" = "--deb" ]; then
    packages+=(binutils dpkg-dev patchelf)
fi

if ! command -v swift >/dev/null; then
    echo "Swift is missing. Install Swift 6.3 or later from https://www.swift.org/install/ and put it on the PATH." >&2
    exit 1
fi

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = "installed" ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "These packages are missing, and installing them needs root or sudo, of which there is neither:" >&2
        echo "    apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
if ! command -v apt-get >/dev/null; then
    echo "This is not a Debian machine. Install what these Debian packages hold, and try again: ${missing[*]}" >&2
    exit 1
fi

echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq </dev/null
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null
