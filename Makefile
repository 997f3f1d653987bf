# Every task of this project; `make` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The tests start our command line more than a thousand times: each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
# Tests wait for other processes, too, so that more of them than there are cores keep the cores busy.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')

.PHONY: help run setup test test-model test-long faults search check static quick format lint types imports dead docs catalogue coverage bench bench-peers clean

help: ## List the tasks
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.run: requirements/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Headworks needs Python 3.11 or newer; say which: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements/run.txt
	$(BIN)/pip install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(BIN)/pip install --quiet --requirement requirements/dev.txt
	@touch $@

setup: $(VENV)/.dev ## Make the virtual environment with everything that tests and checks need

run: $(VENV)/.run ## Start the gateway on the example project against the simulator; no API key needed
	@$(BIN)/headworks serve --config examples/first-light/headworks.yaml

test: check ## Check the code and pass the tests, with coverage: what CI runs

check: setup ## Formatting, lint, strict types, import rules, dead code, tests with coverage
	@$(MAKE) --no-print-directory -j2 static coverage

# Beside the tests, in what time they leave, and in one piece, for what two tasks say at once cannot be read.
static: setup
	@nice $(MAKE) --no-print-directory --keep-going lint types imports dead > .static-report 2>&1; code=$$?; \
	  echo; cat .static-report; exit $$code

quick: setup ## The tests alone, without coverage
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

format: setup ## Format the code and mend what can be mended by machine
	$(BIN)/ruff format src tests benchmarks tools examples
	$(BIN)/ruff check --fix src tests benchmarks tools examples

lint: setup
	$(BIN)/ruff format --check src tests benchmarks tools examples
	$(BIN)/ruff check src tests benchmarks tools examples

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports --no-cache

dead: setup
	$(BIN)/vulture

docs: setup ## Write the generated reference pages (configuration, command line, JSON Schema)
	$(BIN)/python docs/generate.py

catalogue: setup ## Write the catalogue of models from genai-prices and tools/catalogue/overlay.yaml (DAY=2026-11-25)
	$(BIN)/python tools/catalogue/refresh.py --published $(or $(DAY),$(shell date -u +%F))

MODEL_VENV ?= .venv-model
$(MODEL_VENV)/.model: requirements/model.txt
	@test -x $(MODEL_VENV)/bin/python || $(PYTHON) -m venv $(MODEL_VENV)
	$(MODEL_VENV)/bin/pip install --quiet --requirement requirements/model.txt
	@touch $@

test-model: setup $(MODEL_VENV)/.model ## Test with a real small model behind the gateway (compiles llama.cpp once)
	MODEL_PYTHON=$(abspath $(MODEL_VENV))/bin/python $(BIN)/pytest -m model tests/e2e/test_real_model.py

test-long: setup ## Kill workers under load fifty times, and whatever else takes its time
	$(BIN)/pytest -m long

faults: setup ## Break everything under load for a quarter of an hour, and write docs/explanation/reliability.md's table
	$(BIN)/python tests/faults/faults_table.py $(ARGS)

search: setup ## Let property tests and fuzzers look for new failures, at random and for longer
	SEARCH=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal $$(grep -rl --include='test_*.py' '^from hypothesis\|^import hypothesis' tests)
	$(BIN)/python tests/fuzz/fuzz_http.py --seconds 60
	$(BIN)/python tests/fuzz/fuzz_dialects.py --seconds 60

coverage: setup ## The tests with branch coverage; fails below the share that pyproject.toml sets
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(WORKERS) --dist worksteal
	$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report > .coverage-report; code=$$?; tail -n 3 .coverage-report; \
	  echo "what is not covered: .coverage-report"; exit $$code

bench: $(VENV)/.run ## Measure the gateway's cost beside nginx (ARGS=--quick, ARGS=--long, ARGS=--enforce)
	$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(VENV)/.run ## The same beside LiteLLM and Portkey, which it installs under benchmarks/
	$(BIN)/python -m benchmarks --peers $(ARGS)

clean: ## Remove the virtual environment and everything that was built
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .static-report build dist
