#!/usr/bin/env bash
# Writes requirements/*.txt: every version with its hashes, one lock for all supported Pythons.
# build.txt are the tools that build; the others what client, publisher, server and this
# repository's tests install. Versions that the old locks name are kept; UPGRADE=1 takes the newest.
set -euo pipefail
cd "$(dirname "$0")/.."
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv

printf 'pip >= 25.3\nsetuptools >= 77\n' >"$folder/build.in"
echo "-e ." >"$folder/client.in"
printf -- '-e .\n-e ./motd\n' >"$folder/motd.in"
printf -- '-e .\n-e ./server\n' >"$folder/server.in"
printf -- '-e .[dev]\n-e ./server\n-e ./motd\n' >"$folder/dev.in"
mkdir -p requirements
for name in dev build client motd server; do
    constraint=()
    [ "$name" = dev ] || [ "$name" = build ] || constraint=(-c requirements/dev.txt)
    "$folder/venv/bin/uv" pip compile --quiet --universal --generate-hashes --no-annotate --no-header \
        --python-version 3.11 ${UPGRADE:+--upgrade} "${constraint[@]}" \
        --no-emit-package mars-client --no-emit-package mars-server --no-emit-package mars-motd \
        --output-file "requirements/$name.txt" "$folder/$name.in"
    sed -i '/^-e /d' "requirements/$name.txt"
    sed -i "1i # The versions and hashes that are installed; written by make lock." "requirements/$name.txt"
    echo "requirements/$name.txt holds $(grep -c == "requirements/$name.txt") versions"
done
