# Everything a fresh machine with Python 3.11 needs: `make demo` shows the product, `make test` proves it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
STAMP := $(VENV)/.installed
UI_STAMP := ui/node_modules/.installed
WEB := twinlens/web/index.html
UI_SOURCES := $(shell find ui/src ui/public -type f 2>/dev/null) ui/index.html ui/vite.config.ts ui/package.json
# Tests that start servers are grouped by file, so that workers never share one; a third worker computes while others wait.
# The order of files is ours (tests/conftest.py): long ones first.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# Byte code is most of a cold start; a shell that forbids it would make every start compile everything again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo serve test check lint types unit conformance wire guide browser ui ui-test envs system bytecode bench examples superoptix docs clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# --- environment ---------------------------------------------------------------------------------------------------
$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); tools/system-packages python3-venv && $(PYTHON) -m venv $(VENV); }
	@test -x $(UV) || $(BIN)/python -m pip install -q --disable-pip-version-check uv
	$(UV) pip install -q --compile-bytecode -p $(BIN)/python -e '.[dev]'
	@touch $@

$(UI_STAMP): ui/package-lock.json | $(STAMP)
	$(BIN)/python tools/npm.py ci
	@touch $@

$(WEB): $(UI_SOURCES) | $(UI_STAMP)
	$(BIN)/python tools/npm.py run build
	@touch $@

ui: $(WEB)  ## Build the browser UI into twinlens/web

# --- the product ---------------------------------------------------------------------------------------------------
demo: $(STAMP) $(WEB)  ## Start a server with a small, lively sample workload
	$(BIN)/twinlens demo --data .demo $(ARGS)

serve: $(STAMP) $(WEB)  ## Start a server on your own data (ARGS="--port 5001 --port 3000")
	$(BIN)/twinlens serve $(ARGS)

# --- proof -----------------------------------------------------------------------------------------------------------
# What must be installed and checked first runs side by side: one part waits for the network while the other computes.
# The browser's driver keeps an event loop running in its process, so its tests get processes of their own.
test: system $(STAMP)  ## Everything: linters, types, UI, all suites
	$(MAKE) -j 3 --output-sync=target lint types ui-test envs bytecode
	$(PYTEST) tests --ignore tests/browser
	$(PYTEST) tests/browser

bytecode: $(STAMP)
	@$(BIN)/python -m pytest --collect-only -qq tests >/dev/null  # compiled once instead of by every worker

lint: $(STAMP)  ## Formatting, linting, layering
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(STAMP)  ## Types of the package
	$(BIN)/pyright --pythonpath $(BIN)/python

ui-test: $(UI_STAMP) $(WEB)  ## Lint, types, tests and build of the UI
	$(BIN)/python tools/npm.py run check
	$(BIN)/python tools/npm.py test

unit: $(STAMP)  ## Unit and conformance suites only
	$(PYTEST) tests/unit tests/conformance

wire: $(STAMP) envs  ## Real clients over HTTP
	$(PYTEST) tests/wire

guide: $(STAMP) envs  ## The guide's snippets, unmodified
	$(PYTEST) tests/guide

browser: $(STAMP) $(WEB)  ## The UI in a real Chromium
	$(PYTEST) tests/browser

superoptix: $(STAMP)  ## An unmodified SuperOptiX agent against Twinlens and a real MLflow server (350 MB, minutes)
	$(BIN)/python -m examples.superoptix --backend twinlens --backend mlflow

envs: $(STAMP)  ## Environments of the clients that tests run
	UV=$(UV) $(BIN)/python -m tests.envs

system:  ## Chromium and PostgreSQL for the tests (Debian, when run as root)
	@tools/system-packages --for-tests

bench: $(STAMP)  ## Measure against real peers; prints one table
	$(BIN)/python -m bench $(ARGS)

examples: $(STAMP)  ## Programs of many libraries against a server (large downloads; ARGS="mlflow_genai")
	$(BIN)/python -m examples $(ARGS)

docs: $(STAMP)  ## Write the generated pages of docs/
	$(BIN)/python tools/docs.py

clean:  ## Remove environments, builds and the demo's data
	rm -rf $(VENV) .envs .demo ui/node_modules twinlens/web dist build
