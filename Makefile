# The commands of this project, the same for people and for CI: `make help` lists them.

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON := $(BIN)/python

# What runs the balancer, and what works on it. Each stamp is younger than what it was installed from.
INSTALLED      := $(VENV)/.installed
INSTALLED_DEV  := $(VENV)/.installed-dev
INSTALLED_FUZZ := $(VENV)/.installed-fuzz

# An Ethereum node for the tests, a program that is to be had from npm alone.
ANVIL_VERSION := 1.7.1
ANVIL         := $(VENV)/npm/.anvil-$(ANVIL_VERSION)

# The tests that make up their inputs. They take twice as long while branches are counted, and a branch that they
# take by chance has to be taken by a test that means it.
GENERATING := tests/property tests/fuzz

# A copy of the program with its hot path compiled, and what runs it in place of the sources.
SOURCES       := $(shell find src -name '*.py')
BUILD_WHEEL   := $(PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-deps
COMPILED      := build/compiled
WITH_COMPILED := PYTHONPATH=$(CURDIR)/$(COMPILED)

# The tests start the program a thousand times: without cached bytecode, all of it would be compiled each time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test lint unit generated compiled compiled-form accept properties fuzz fmt bench docs wheel clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

run: $(INSTALLED) ## Start the balancer with a mock node on localhost:8080
	$(BIN)/prio-load-balancer -mock-node

# The two forms are tested side by side: most of the time a test waits for a process that it has started.
test: lint ## Run every check: format, lint, types, import rules, all tests of both forms
	@$(MAKE) --no-print-directory --jobs=2 unit compiled-form generated
	@if grep -q '(compiled,' $(COMPILED)/.installed; then \
		echo "Every check has passed, in both forms: interpreted and compiled."; \
		else echo "Every check has passed, interpreted. There is no C compiler here: the compiled form is NOT TESTED."; fi

lint: $(INSTALLED_DEV) ## Run the checks that need no test: format, lint, types, import rules
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(PYTHON) -m mypy
	$(BIN)/lint-imports --no-logo

# Their output comes at the end, and not in between what `unit` says.
generated: $(INSTALLED_DEV) ## Run the tests that make up their inputs, interpreted
	@echo "Testing with generated inputs, which is told at the end"
	@$(PYTHON) -m pytest $(GENERATING) > $(VENV)/generated.log 2>&1; passed=$$?; cat $(VENV)/generated.log; exit $$passed

unit: $(INSTALLED_DEV) $(ANVIL) ## Run the other tests interpreted and report which branches they took
	$(PYTHON) -m coverage erase
	$(PYTHON) -m coverage run -m pytest $(GENERATING:%=--ignore=%)
	$(PYTHON) -m coverage combine --quiet
	$(PYTHON) -m coverage report --include='*/priolb/attest/*' --fail-under=100
	$(PYTHON) -m coverage report

compiled: compiled-form ## Run the tests on the compiled form
	@grep -q '(compiled,' $(COMPILED)/.installed || { echo "It takes a C compiler and Python's headers." >&2; exit 1; }

# All that they print comes at the end, and not in between what the tests of the other form do.
compiled-form: $(COMPILED)/.installed $(ANVIL)
	@if grep -q '(compiled,' $<; then \
		echo "Testing the compiled form, which is told at the end"; \
		$(WITH_COMPILED) $(PYTHON) -m pytest > $(COMPILED).log 2>&1; passed=$$?; cat $(COMPILED).log; exit $$passed; fi

accept: $(COMPILED)/.installed ## Accept what a request costs now (tests/accepted_cost.json)
	PYTHONPATH=tests $(PYTHON) -m support.instructions
	PYTHONPATH=tests:$(COMPILED) $(PYTHON) -m support.instructions

properties: $(INSTALLED_DEV) ## Let the property tests look for new examples for long
	PRIOLB_EFFORT=50 $(PYTHON) -m pytest -o faulthandler_timeout=0 tests/property

fuzz: $(INSTALLED_FUZZ) ## Look for inputs that break a rule, for SECONDS=300, or try one again: INPUT=file
	PYTHONPATH=tests $(PYTHON) -m fuzz $(or $(INPUT),$(SECONDS),300)

fmt: $(INSTALLED_DEV) ## Format the code and apply the safe fixes of the linter
	$(BIN)/ruff check --fix --exit-zero --quiet
	$(BIN)/ruff format

bench: $(COMPILED)/.installed ## Measure, write benchmarks/results/*.json and render the tables in the docs
	$(WITH_COMPILED) $(PYTHON) -m benchmarks

docs: $(INSTALLED) ## Write the generated pages of the docs anew
	$(PYTHON) -m priolb.config.help > $(VENV)/settings.md
	mv $(VENV)/settings.md docs/settings.md
	$(PYTHON) -m priolb.telemetry.metrics_reference > $(VENV)/metrics.md
	mv $(VENV)/metrics.md docs/metrics.md

wheel: $(PYTHON) ## Build the wheels into dist/: for this platform, and the pure one for any other
	rm -rf build dist
	PRIOLB_PURE=1 $(BUILD_WHEEL) --wheel-dir dist .
	$(BUILD_WHEEL) --wheel-dir dist .

# What setuptools finds in build/ goes into the wheel, even when its source is gone.
$(COMPILED)/.installed: $(INSTALLED_DEV) setup.py $(SOURCES)
	rm -rf build
	$(BUILD_WHEEL) --wheel-dir build/wheel .
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --target $(COMPILED) build/wheel/*.whl
	$(WITH_COMPILED) $(PYTHON) -m priolb --version > $@

clean: ## Remove everything that make has made
	rm -rf $(VENV) build dist src/*.egg-info .coverage .coverage.*
	rm -rf .fuzz .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# The name of a Python alone proves nothing: it may be older than it seems, a shim that leads nowhere, or
# lack what makes an environment (Debian keeps that in a package of its own). So each one is asked.
$(PYTHON):
	@for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
		if $$candidate -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$($$candidate --version) ($$candidate)"; \
			$$candidate -m venv --clear $(VENV) && exit 0; \
			rm -rf $(VENV); \
			exit 1; \
		fi; \
	done; \
	echo "No Python 3.11 or newer with its venv module was found on PATH." >&2; \
	echo "Install one (on Debian and Ubuntu: python3 and python3-venv) and try again." >&2; \
	exit 1

$(INSTALLED): pyproject.toml | $(PYTHON)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(INSTALLED_DEV): pyproject.toml | $(PYTHON)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(INSTALLED)

$(INSTALLED_FUZZ): $(INSTALLED_DEV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	@touch $@

# Without npm there is no anvil, and its tests say so.
$(ANVIL): | $(PYTHON)
	@mkdir -p $(@D)
	@if command -v npm >/dev/null; then \
		npm install --silent --ignore-scripts --no-save --no-package-lock --no-audit --no-fund \
			--prefix $(@D) @foundry-rs/anvil@$(ANVIL_VERSION) && touch $@; \
	else \
		echo "npm is not on PATH: the tests that need anvil will be skipped"; \
	fi
