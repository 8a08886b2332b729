# `make help` says what there is. All of it works in the checkout: the environment is .venv, nothing else is touched.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo demo-fleet test test-fast test-deps soak bench-peers lint types bench fuzz clean

# The first Python that is new enough; `make PYTHON=...` takes another.
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell \
	$(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && command -v $(p))))
VENV ?= .venv
RUN := $(VENV)/bin/python -P
READY := $(VENV)/.installed
# Tests wait for processes more than they compute; a module's tests stay together, for some share a daemon.
PYTEST := $(RUN) -m pytest -n auto --maxprocesses 4 --dist loadscope

# Debian packages, each with a program of its name; without one, the tests that need it are skipped.
TEST_PROGRAMS := shellcheck bats busybox dash git chromium

help:  ## say what can be made
	@grep -hE '^[a-z-]+:.*  ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*  ## (.*)/  make \1\t\2/' | expand -t 20

# An editable install copies the shell library into bin.
$(READY): pyproject.toml client/shell/flightlog.sh
	@test -n "$(PYTHON)" || { echo 'make: no Python 3.11 or newer found; name one with PYTHON=/path/to/python3' >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'make: $(PYTHON) cannot make virtual environments; on Debian or Ubuntu: apt-get install python3-venv' >&2; exit 2; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@# pip reads dependency groups since 25.1, the one that comes with Python is older
	@$(RUN) -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[daemon,cli,mcp,web,fleet,otel,parquet]' --group dev
	@touch $@

demo: $(READY)  ## record a real run, watch it live, look into it
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" demo/demo.sh

demo-fleet: $(READY)  ## three machines and a centre over a cluster of NATS, one server of which is killed
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" demo/fleet.sh

test: $(READY)  ## run all tests
	@$(PYTEST) $(ARGS)

test-fast: $(READY)  ## run the tests that take no more than a moment each
	@$(PYTEST) -m 'not slow' $(ARGS)

test-deps:  ## install what some tests need: shellcheck, bats, busybox, systemd, chromium
	@missing=; for program in $(TEST_PROGRAMS); do \
		command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	command -v systemd-analyze >/dev/null || missing="$$missing systemd"; \
	test -z "$$missing" || { apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends $$missing >/dev/null; }
	@# axe-core looks for what keeps people out of the page; npm takes exactly what the lock file says.
	@test -d tests/page/node_modules/axe-core || ! command -v npm >/dev/null || \
		npm ci --prefix tests/page --ignore-scripts --no-audit --no-fund --silent

bench-peers:  ## install what make bench compares with: Redis, PostgreSQL (NATS is there)
	apt-get install --yes --no-install-recommends redis-server postgresql

# Every operation of SQLite on its files fails once: of how many in each step, and which kinds of faults.
SOAK_FAULT_ROUNDS ?= 10000
SOAK_S ?= 600

soak: $(READY)  ## mixed load for SOAK_S=600; then every write, sync and open fails once (hours; SOAK_FAULT_ROUNDS=50)
	@SOAK_S=$(SOAK_S) $(RUN) -m pytest -q tests/daemon/test_soak.py
	@SOAK_FAULT_ROUNDS=$(SOAK_FAULT_ROUNDS) $(PYTEST) --dist load --log-cli-level=INFO tests/daemon/test_faults.py $(ARGS)

lint: $(READY)  ## check style and format
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

types: $(READY)  ## check types, strictly
	@$(VENV)/bin/mypy
	@$(VENV)/bin/mypy tests

bench: $(READY)  ## measure speed beside Redis, NATS, PostgreSQL and a bare disk (PART=bulk ARGS=--quick)
	@PYTHONPATH=tests $(RUN) -m bench $(PART) $(ARGS)

fuzz: $(READY)  ## feed the daemon's decoders with what nobody would send (ARGS="--seconds 600 --seed 7 line")
	@PYTHONPATH=tests $(RUN) -m fuzz $(ARGS)

clean:  ## remove environments, caches and builds
	rm -rf .venv .venv-* build dist tests/page/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
