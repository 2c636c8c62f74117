#!/usr/bin/env bash
# Writes constraints.txt: the versions that a fresh environment gets today.
set -euo pipefail
cd "$(dirname "$0")/.."
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet "setuptools>=77" wheel -e ".[dev]"
{
    echo "# The versions that make setup installs; written by make lock."
    "$folder/venv/bin/python" -m pip freeze --all --exclude-editable --exclude pip
} >"$folder/constraints.txt"
mv "$folder/constraints.txt" constraints.txt
echo "constraints.txt holds $(grep -c == constraints.txt) versions"
