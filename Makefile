# Everything starts here, on a machine that has only Python 3.11 or newer and make:
#   make demo            three nodes, two access processes and a sandbox of providers
#   make help            the other targets
.DEFAULT_GOAL := help
.PHONY: help demo run test test-busy campaign golden check docs clean-demo drill venv venv-dev lock

PYTHON ?= python3
# Files in the order of their folders: those that take long come first.
TESTS := -m pytest -n 2 --dist loadscope --no-loadscope-reorder
VENV ?= $(or $(BAILIWICK_VENV),.venv)
BIN := $(VENV)/bin
DEMO_DATA ?= demo-data
BOOTSTRAP := $(PYTHON) tools/bootstrap.py --venv $(VENV)
LOCK := $(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --no-header --quiet

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1#/p' $(firstword $(MAKEFILE_LIST)) | column -t -s '#' 2>/dev/null \
	  || sed -n 's/^\([a-z-]*\):.*## /  make \1   /p' $(firstword $(MAKEFILE_LIST))

demo: venv ## Run the whole system here; ARGS="--background", "--stop", "--json", ...
	@exec $(BIN)/bailiwick demo --data $(DEMO_DATA) $(ARGS)

run: venv ## Run one command: make run ARGS="pay --help"
	@exec $(BIN)/bailiwick $(ARGS)

drill: venv ## Real faults on many hosts (root, iproute2; else loopback); ARGS="--sample", "--list", ...
	@exec $(BIN)/bailiwick drill $(ARGS)

test: venv-dev ## Run the tests, two files at a time; ARGS="-k name" narrows them
	$(BIN)/python $(TESTS) $(ARGS)

test-busy: venv-dev ## The same while as many processes spin as there are cores
	$(BIN)/python tools/busy.py -- $(BIN)/python $(TESTS) $(ARGS)

campaign: venv-dev ## What a run of all tests takes a part of, whole: mutants, the drill, every order and verb at every crash point
	BAILIWICK_CAMPAIGN=whole $(BIN)/python $(TESTS) tests/mutants tests/cluster/test_drill.py \
	  tests/cluster/test_verb_crashes.py tests/cluster/test_step_crashes.py \
	  tests/cluster/test_setup_faults.py tests/cluster/test_payout_crashes.py $(ARGS)

golden: venv-dev ## Record the golden answers anew, after an intended change; ARGS="01-payments" narrows it
	$(BIN)/python -m tests.golden.record $(ARGS)

check: venv-dev ## Types, lint, format, import rules
	$(BIN)/mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

docs: venv-dev ## Build the documentation into docs/_build
	$(BIN)/python -m sphinx -W -q -b html docs docs/_build

clean-demo: venv ## Stop the demo and delete its data
	@$(BIN)/bailiwick demo --data $(DEMO_DATA) --remove

venv: ## Make or refresh the environment with what the service needs
	@$(BOOTSTRAP)

venv-dev: ## The same with the tools for tests and checks
	@$(BOOTSTRAP) --dev

lock: venv-dev ## Resolve the dependencies anew; ARGS="--upgrade" takes new versions
	$(LOCK) pyproject.toml --group dev -o requirements-dev.lock $(ARGS)
	$(LOCK) pyproject.toml -c requirements-dev.lock -o requirements.lock $(ARGS)
	$(LOCK) --group build -c requirements-dev.lock -o requirements-build.lock $(ARGS)
