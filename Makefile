# The two commands of a new user are `make run` and `make test`; `make help` lists the rest.

PYTHON ?= python3
# Tests at a time. Some start servers and measure time-outs, so more than the machine's cores does harm.
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Set-up has happened when the stamp is newer than what it was made from. The development lock holds everything of the
# runtime lock at the same versions, so one environment serves both.
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev

.PHONY: help run setup test check format bench soak january fired lock lock-upgrade clean
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUNTIME)  ## start the monitor on its demonstration (simulated exchange, page on http://127.0.0.1:8600)
	$(BIN)/rotation run --demo

setup: $(DEV)  ## create .venv with everything for running, testing and checking

test: $(DEV)  ## every test that needs nothing but this machine
	$(BIN)/python -m pytest -n $(JOBS) -m "not soak and not bench"

check: $(DEV)  ## static checks: lint, format, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV)  ## format the code and repair what ruff can repair
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(DEV)  ## benchmarks: a table of ratios, and JSON
	$(BIN)/python -m tests.benchmarks

soak: $(DEV)  ## tests that run for a long time
	$(BIN)/python -m pytest -m soak --timeout 0

january: $(DEV)  ## what the shipped rules said in January 2026, for the README, from recorded prices
	$(BIN)/python -m tests.tables.january

fired: $(DEV)  ## how often each shipped rule fired, for the comments above it, from recorded prices
	$(BIN)/python -m tests.tables.fired

# pip compares versions and hashes with the lock; the project itself is linked, not copied, so an edit takes effect at once.
$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing the locked dependencies into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "Installing the locked dependencies and the test tools into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(RUNTIME)

# A half-made environment (Debian without python3-venv leaves one) is removed, so that the next try starts afresh.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "error: Python 3.11 or newer is needed and \`$(PYTHON)\` is not: try \`make PYTHON=python3.12 ...\`" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "error: \`$(PYTHON)\` has no venv module: install it, on Debian and Ubuntu with \`apt install python3-venv\`" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# --universal: one lock for every platform and Python. Versions that are in a lock stay there; lock-upgrade lets them move.
UV_LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-config \
	--custom-compile-command "make lock" $(UPGRADE)

lock: $(DEV)  ## write the lock files again after a change of pyproject.toml
	$(UV_LOCK) --group build --output-file requirements.lock
	$(UV_LOCK) --group build --group dev --constraint requirements.lock --output-file requirements-dev.lock

lock-upgrade: UPGRADE := --upgrade
lock-upgrade: lock  ## the same with the newest versions that pyproject.toml allows

clean:  ## remove the environment, caches and build outputs
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
