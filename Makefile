# Few verbs, and each sets up what it needs. Nothing is installed outside this folder. CI calls the same ones.
#
#   ARGS     more arguments for the tool behind the verb:  make test ARGS="-k consent -x" (one process: -n 0)
#   BENCH    what is measured:                             make bench BENCH=audit ARGS="--rounds 9"
#   CONFIG   the configuration that `make check` reads:    make check CONFIG=config/gateway.yaml
#   PYTHON   the interpreter for .venv, 3.11 or later

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

UV_VERSION := 0.13.9
BIN        := .venv/bin
ARGS       ?=
BENCH      ?= verification audit audit_verify tokens revocation
CONFIG     ?= config/gateway.yaml
SANDBOX    ?= sandbox
PYTHON     ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3; do \
                "$$name" -c 'import sys; sys.version_info >= (3, 11) or sys.exit(1); print(sys.executable)' 2>/dev/null && break; \
              done)

# uv keeps to the lock file, to the interpreter above and to .venv, whatever the shell's own environment says.
export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON_DOWNLOADS := never
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

.PHONY: help setup demo test check bench fmt run

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.synced ## create .venv from the lock file (a no-op when it is up to date)

demo: .venv/.synced ## tell the whole story in a fresh sandbox, step by step
	@$(BIN)/python -m gateway demo $(ARGS)

run: .venv/.synced ## the sandbox: gateway, DVP platform, sources and clients on this machine, until interrupted
	@$(BIN)/python -m gateway sandbox --dir $(SANDBOX) $(ARGS)

test: .venv/.synced ## run the tests
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

check: .venv/.synced ## format, lint, types, import directions, house rules, example configuration
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tests/lint/mirror.py
	$(BIN)/python -m gateway config check --without-files $(CONFIG)

bench: .venv/.synced ## measure; tables here, numbers in build/bench
	@for name in $(BENCH); do $(BIN)/python tests/bench/$$name.py $(ARGS); done

fmt: .venv/.synced ## format, and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.venv/.synced: pyproject.toml uv.lock build/uv/$(UV_VERSION)
	@build/uv/bin/uv sync --quiet --frozen --all-extras --python "$(PYTHON)"
	@touch $@

# uv has a virtual environment of its own, because `uv sync` removes from .venv what the lock file does not name.
build/uv/$(UV_VERSION):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed: install it, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 2; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 2; }
	@rm -rf build/uv
	@"$(PYTHON)" -m venv build/uv
	@build/uv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: uv==$(UV_VERSION)
	@touch $@
