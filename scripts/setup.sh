#!/usr/bin/env bash
# From a fresh clone to everything that `make demo` and `make test` need: system packages, a
# virtual environment in .venv, the project in it (editable) with the locked versions.
set -euo pipefail
cd "$(dirname "$0")/.."

LEAST="3.11"
good() { "$1" -c "import sys; sys.exit(sys.version_info < tuple(map(int, '$LEAST'.split('.'))))" 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13 /usr/bin/python3}; do
        if good "$candidate"; then echo "$candidate" && return; fi
    done
}

NAMED="${PYTHON:-}"
PYTHON="$(find_python)"
if [ -z "$NAMED$PYTHON" ] || [ -n "$PYTHON" ]; then
    PYTHON="$PYTHON" bash scripts/packages.sh setup
fi
PYTHON="$(PYTHON="$NAMED" find_python)"
if [ -z "$PYTHON" ]; then
    echo "Python $LEAST or later is needed (Debian 12, Ubuntu 24.04 or later have it); name yours with make setup PYTHON=/path/to/python3" >&2
    exit 1
fi
echo "setting up .venv with $("$PYTHON" --version) and the locked versions of requirements/dev.txt"
[ -x .venv/bin/python ] && good .venv/bin/python || "$PYTHON" -m venv --clear .venv
install() { .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"; }
install --require-hashes -r requirements/build.txt
# stem comes as source alone; it is built by the tools that the line before has pinned.
install --require-hashes --no-build-isolation --only-binary :all: --no-binary stem -r requirements/dev.txt
PYTHONWARNINGS=ignore install --no-deps --no-build-isolation -e . -e server -e motd
touch .venv/.stamp
echo "ready: make demo, make test, make check"
