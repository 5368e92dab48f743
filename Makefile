# Everything runs in .venv, made at first use with a Python that is new enough.
#   make run      the self-test: finds each known defect of the built-in layer, and no other
#   make test     the tests
#   make lint     ruff and mypy
#   make realbugs bugs in released packages: found in the bad version, silent on the good one
#   make nightly  slow tests, the examples, longer hunts
#   make clean    remove what the above made
# Another interpreter: make PYTHON=python3.12 test

SHELL := /bin/bash
PYTHON ?=
CANDIDATES := $(PYTHON) python3.13 python3.12 python3.11 python3
BIN := .venv/bin

.PHONY: run test lint realbugs nightly clean help

help:
	@sed -n 's/^#   //p' Makefile

run: .venv/ready-run
	$(BIN)/isomodel hunt

test: .venv/ready-dev
	$(BIN)/python -m pytest -n auto -m "not slow"

lint: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

realbugs: .venv/ready-run
	$(BIN)/python examples/realbugs/run.py

nightly: .venv/ready-dev
	$(BIN)/python -m pytest -m slow
	$(BIN)/python examples/realbugs/run.py
	$(BIN)/isomodel hunt --seed $$(date +%Y%m%d) --executions 100000
	$(BIN)/isomodel hunt factory --seed $$(date +%Y%m%d) --for 30m

clean:
	rm -rf .venv .venv-3.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .isomodel \
	  examples/realbugs/.venvs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A command on the PATH may be a shim that does not work, so each candidate is run. Making a
# virtual environment needs ensurepip, which some distributions package apart.
.venv/ready-%: pyproject.toml setup.py $(wildcard src/isomodel/engine/core/*.p*)
	@set -e; \
	if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  found=; \
	  for each in $(CANDIDATES); do \
	    if "$$each" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' \
	      >/dev/null 2>&1; then found=$$each; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "make: no Python 3.11 or newer that can make a virtual environment;" \
	      "tried: $(strip $(CANDIDATES)); install one, or name it: make PYTHON=/path/to/python" >&2; \
	    exit 1; \
	  fi; \
	  echo "making .venv with $$found ($$("$$found" -V))"; \
	  "$$found" -m venv --clear .venv; \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  -e ".$(if $(filter dev,$*),[dev])"
	@touch $@ $(if $(filter dev,$*),.venv/ready-run)
