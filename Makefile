# make setup   install what is needed, into .venv and (by apt) the system
# make demo    the whole chain on a private Tor network; ONCE=1 ends by itself after its checks
# make test    every test (installs the servers and browsers that they talk to)
# make check   format, lint, types, import contracts
# make bench   every figure that the docs claim, measured here
# make docs    writes the generated pages of docs/ anew and checks every link
# make fuzz    a minute of fuzzing for each parser; EACH=n for n seconds
# make soak    the long trials
# make clean   remove what the above left behind, except .venv

SHELL := /bin/bash
BIN := .venv/bin
STAMP := .venv/.stamp
# One more than cores, as some tests wait: for circuits, for a limit, for a process.
JOBS ?= $(shell expr $$(nproc) + 1)
ARGS ?=

.PHONY: setup demo test check bench docs fuzz soak lock clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# //p' Makefile

setup: $(STAMP)

$(STAMP): setup.cfg server/setup.cfg motd/setup.cfg requirements/build.txt requirements/dev.txt scripts/setup.sh scripts/packages.sh
	@bash scripts/setup.sh

demo: $(STAMP)
	@$(BIN)/python -m examples.demo $(if $(filter-out 0,$(ONCE)),--once) $(ARGS)

test: $(STAMP)
	@bash scripts/packages.sh test
	$(BIN)/pytest -n $(JOBS) --dist loadgroup $(ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	@bash scripts/packages.sh bench
	@$(BIN)/python -m bench $(ARGS)

docs: $(STAMP)
	@$(BIN)/python -m scripts.docs

fuzz: $(STAMP)
	@bash scripts/fuzz.sh

soak: $(STAMP)
	@bash scripts/packages.sh bench
	@$(BIN)/python -m bench.soak $(ARGS)

# Writes every version and its hashes into requirements/.
lock:
	@bash scripts/lock.sh

clean:
	rm -rf build dist */build */dist *.egg-info */*.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage mutants
	find . -name __pycache__ -not -path './.venv/*' -type d -prune -exec rm -rf {} +
