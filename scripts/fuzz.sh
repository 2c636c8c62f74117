#!/usr/bin/env bash
# Coverage-guided fuzzing of each target in tests/fuzz, EACH seconds apiece (60).
#
# A target is a program tests/fuzz/fuzz_NAME.py that takes libFuzzer's options. What it finds is
# kept in build/fuzz/NAME, with the inputs it has learnt from.
set -euo pipefail
cd "$(dirname "$0")/.."

EACH="${EACH:-60}"
shopt -s nullglob
targets=(tests/fuzz/fuzz_*.py)
if [ ${#targets[@]} = 0 ]; then
    echo "there is no fuzz target in tests/fuzz" >&2
    exit 1
fi
if ! .venv/bin/python -c 'import atheris' 2>/dev/null; then
    echo "installing atheris, which only the fuzzing needs"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check atheris
fi
for target in "${targets[@]}"; do
    name="$(basename "$target" .py)"
    folder="build/fuzz/${name#fuzz_}"
    mkdir -p "$folder/corpus"
    echo "## ${name#fuzz_}: $EACH s"
    .venv/bin/python "$target" -max_total_time="$EACH" -artifact_prefix="$folder/" \
        -print_final_stats=1 "$folder/corpus" 2>&1 | tail -n 12
done
