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
# Those of whole processes wait three quarters of their time.
WAITING_WORKERS ?= $(shell echo $$((2 * $(WORKERS) - 1)))

# Those few that fail in the crowd run once more, alone.
CROWD := $(BIN)/python tools/testing/crowd.py

.PHONY: help run setup test test-compiled compiled test-model test-sdk test-long faults search check static quick sources format lint types imports dead docs catalogue locks sbom wheel coverage bench bench-peers clean

help: ## List the tasks
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Nothing is installed whose hash is not in requirements/: what builds the package comes from there too.
INSTALL := pip install --quiet --require-hashes --requirement

$(VENV)/.run: requirements/run.txt requirements/build.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Headworks needs Python 3.11 or newer; say which: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/$(INSTALL) requirements/run.txt --requirement requirements/build.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(BIN)/$(INSTALL) requirements/dev.txt
	@touch $@

setup: $(VENV)/.dev ## Make the virtual environment with everything that tests and checks need

run: $(VENV)/.run ## Start the gateway on the example project against the simulator; no API key needed
	@$(BIN)/headworks serve --config examples/first-light/headworks.yaml

test: check ## Check the code and pass the tests: what CI runs

check: setup ## Formatting, lint, strict types, import rules, dead code, tests, tests of the compiled form
	@$(MAKE) --no-print-directory -j3 static sources $(COMPILED)
	@$(MAKE) --no-print-directory test-compiled

# What is compiled is tested as it is released: whole processes with official clients, and the parts that are compiled.
COMPILED := $(if $(shell command -v cc),build/compiled/.made)
COMPILED_TESTS ?= tests/e2e tests/server tests/transport tests/test_unary.py tests/test_limiting.py tests/test_flow.py \
  tests/screening/privacy tests/screening/injection tests/test_streaming.py tests/test_settlement.py tests/test_headers.py tests/test_wheel.py tests/test_failure_classes.py

build/compiled/.made: $(shell find src/headworks -name '*.py') tools/compiling/compiling.py $(VENV)/.dev
	nice $(BIN)/python tools/compiling/compiling.py --output build/compiled
	@touch $@

compiled: build/compiled/.made ## Compile the hot path with mypyc, into a copy of the package (needs a C compiler)

test-compiled: setup $(COMPILED) ## Test the package with its hot path compiled
	@test -n "$(COMPILED)" || echo "There is no C compiler here (cc): these tests run on the sources as they are."
	PYTHONPATH=$(if $(COMPILED),$(CURDIR)/build/compiled) $(CROWD) -n $(WAITING_WORKERS) --dist worksteal $(COMPILED_TESTS)

# Beside the tests, in what time they leave, and in one piece, for what two tasks say at once cannot be read.
static: setup
	@nice $(MAKE) --no-print-directory --keep-going lint types imports dead > .static-report 2>&1; code=$$?; \
	  echo; cat .static-report; exit $$code

quick: setup ## The tests alone
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

# Whole processes are tested compiled.
sources: setup
	$(CROWD) -n $(WORKERS) --dist worksteal --ignore tests/e2e

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

LOCK_VENV ?= .venv-lock
$(LOCK_VENV)/.lock: requirements/lock.txt
	@test -x $(LOCK_VENV)/bin/python || $(PYTHON) -m venv $(LOCK_VENV)
	$(LOCK_VENV)/bin/$(INSTALL) requirements/lock.txt
	@touch $@

COMPILE = $(LOCK_VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
  --no-header --no-emit-index-url --output-file
locks: $(LOCK_VENV)/.lock ## Pin what requirements/*.in name, with hashes for every platform (ARGS="--upgrade")
	$(COMPILE) requirements/run.txt $(ARGS) requirements/run.in
	$(COMPILE) requirements/build.txt $(ARGS) requirements/build.in --constraint requirements/run.txt
	$(COMPILE) requirements/compile.txt $(ARGS) requirements/compile.in \
	  --constraint requirements/run.txt --constraint requirements/build.txt
	$(COMPILE) requirements/dev.txt $(ARGS) requirements/dev.in \
	  --constraint requirements/run.txt --constraint requirements/build.txt --constraint requirements/compile.txt
	$(COMPILE) requirements/sdk.txt $(ARGS) requirements/sdk.in \
	  --constraint requirements/run.txt --constraint requirements/build.txt --constraint requirements/dev.txt
	$(COMPILE) requirements/lock.txt $(ARGS) requirements/lock.in

sbom: setup ## Write the software bill of materials (CycloneDX) of the base install to dist/
	$(BIN)/python tools/sbom.py --output dist/headworks.cdx.json

wheel: setup $(COMPILED) ## Build wheel and source archive twice into dist/, fail unless the bytes are the same; add a compiled wheel
	rm -f dist/*.whl
	$(BIN)/python tools/reproduce.py --output dist
	@test -z "$(COMPILED)" || $(BIN)/python tools/compiling/platform_wheel.py dist/*-none-any.whl --compiled build/compiled --output dist

MODEL_VENV ?= .venv-model
$(MODEL_VENV)/.model: requirements/model.txt
	@test -x $(MODEL_VENV)/bin/python || $(PYTHON) -m venv $(MODEL_VENV)
	$(MODEL_VENV)/bin/pip install --quiet --requirement requirements/model.txt
	@touch $@

test-model: setup $(MODEL_VENV)/.model ## Test with a real small model behind the gateway (compiles llama.cpp once)
	MODEL_PYTHON=$(abspath $(MODEL_VENV))/bin/python $(BIN)/pytest -m model tests/e2e/test_real_model.py

SDK_VENV ?= .venv-sdk
$(SDK_VENV)/.sdk: requirements/sdk.txt
	@test -x $(SDK_VENV)/bin/python || $(PYTHON) -m venv $(SDK_VENV)
	$(SDK_VENV)/bin/$(INSTALL) requirements/sdk.txt
	@touch $@

test-sdk: setup $(SDK_VENV)/.sdk ## Run the own tests of OpenAI's and Anthropic's SDKs of the wire against the gateway (ARGS=--write for the page)
	$(BIN)/python tools/sdk/run.py --venv $(SDK_VENV) $(ARGS)

test-long: setup ## Kill workers under load fifty times, and whatever else takes its time
	$(BIN)/pytest -m long

faults: setup ## Break everything under load for a quarter of an hour, and write docs/explanation/reliability.md's table
	$(BIN)/python tests/faults/faults_table.py $(ARGS)

search: setup ## Let property tests and fuzzers look for new failures, at random and for longer
	SEARCH=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal $$(grep -rl --include='test_*.py' '^from hypothesis\|^import hypothesis' tests)
	for fuzzer in http readers dialects templates redactor; do \
	  $(BIN)/python tests/fuzz/fuzz_$$fuzzer.py --seconds 60 || exit 1; done

coverage: setup ## The tests with branch coverage, in twice the time; fails below the share that pyproject.toml sets
	$(BIN)/coverage erase
	$(CROWD) --run "coverage run -m pytest" -n $(WORKERS) --dist worksteal --ignore tests/e2e
	$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report > .coverage-report; code=$$?; tail -n 3 .coverage-report; \
	  echo "what is not covered: .coverage-report"; exit $$code

bench: $(VENV)/.run ## Measure the gateway's cost beside nginx (ARGS=--quick, ARGS=--long, ARGS=--enforce)
	$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(VENV)/.run ## The same beside LiteLLM and Portkey, which it installs under benchmarks/
	$(BIN)/python -m benchmarks --peers $(ARGS)

clean: ## Remove the virtual environment and everything that was built
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .static-report build dist
