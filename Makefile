# `make` alone prints what there is.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

# Passed on to the command behind demo, test, test-slow, torture, mutants and bench: make demo ARGS=--json
ARGS ?=
# The interpreter for a new environment; found by scripts/setup.sh when empty.
PYTHON ?=
# Test processes run side by side; tests of one xdist group stay on one of them.
# Three on two cores: many tests wait for a lease to lapse or a process to start.
TEST_PROCESSES ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage test-slow check torture mutants bench pins

help: ## Print this list
	@echo "Penstock: durable jobs on Redis Streams. Targets:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## Install Penstock and its tools into .venv
	@echo "$(VENV) is ready"

$(STAMP): pyproject.toml constraints.txt scripts/setup.sh
	@PYTHON="$(PYTHON)" sh scripts/setup.sh "$(VENV)"
	@touch "$(STAMP)"

demo: $(STAMP) ## Run goals on the whole stack, kill a worker half-way, verify every webhook
	@$(BIN)/python -m penstock demo $(ARGS)

test: check ## Run check, then the test suite with coverage
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadgroup --cov --cov-report=term $(ARGS)

coverage: export PENSTOCK_COVERAGE_OF = subprocess
coverage: test ## Do the same, and measure the processes that tests start as well

test-slow: $(STAMP) ## Run the tests marked slow
	@$(BIN)/python -m pytest -m slow --timeout 900 $(ARGS)

check: $(STAMP) ## Lint, check the format, the types and the direction of imports
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports --no-logo

torture: $(STAMP) ## Strike workers, servers, network and clock at random and audit what is left
	@$(BIN)/python -m pytest -m torture --timeout 7200 tests/torture
	@$(BIN)/python -m penstock torture $(ARGS)

mutants: $(STAMP) ## Take out each guard in a copy and show which test notices
	@$(BIN)/python -m tests.mutants.run $(ARGS)

bench: $(STAMP) ## Measure Penstock beside bare redis-py and other job queues
	@$(BIN)/python -m penstock bench $(ARGS)

pins: $(STAMP) ## Write constraints.txt anew from what pip resolves today
	@$(BIN)/python scripts/pins.py
