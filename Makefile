# The words of this project. Each sets up what it needs in .venv, which is made once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFORMANCE ?= ../shared/conformance

.DEFAULT_GOAL := help

.PHONY: help
help:  ## list the words
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: demo
demo: $(VENV)/.runtime  ## show whole logins, end to end, without a network or an account
	$(BIN)/python contrib/demo.py

.PHONY: test
test: check $(VENV)/.stock-clients  ## check, then run every test
	$(BIN)/python -m pytest

.PHONY: check
check: $(VENV)/.development  ## read: format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

.PHONY: fix
fix: $(VENV)/.development  ## write: what check would only complain about
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: coverage
coverage: $(VENV)/.development  ## run the tests, and show the lines and branches that they miss
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage report --show-missing --skip-covered

.PHONY: soak
soak: $(VENV)/.development  ## look for new examples in the model of the logins' life, for as long as that takes
	$(BIN)/python -m pytest tests/model --hypothesis-profile=soak --timeout=0

.PHONY: conformance
conformance: $(VENV)/.development  ## hold the daemon against the records of the real app-server, over both framings
	$(BIN)/python tests/conformance/check.py $(CONFORMANCE)

.PHONY: bench
bench: $(VENV)/.development  ## write docs/performance.md's table; PEER=COMMAND, with {socket}, is measured beside it; ROUNDS=5
	PYTHONPATH=contrib $(BIN)/python -m bench --into docs/performance.md \
		$(if $(PEER),--peer "$(PEER)") $(if $(ROUNDS),--rounds $(ROUNDS))

.PHONY: contrib
contrib: $(VENV)/.runtime  ## write the completions, man pages and units that are made from the package
	PYTHONPATH=contrib $(BIN)/python -m generators

.PHONY: clean
clean:  ## remove what the other words made
	rm -rf $(VENV) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.runtime: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.development: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@

# What cannot be had keeps no other test from running; those that need it say so, and fail where CI=true.
$(VENV)/.stock-clients: $(VENV)/.development tests/stock_clients/requirements.txt
	@rm -f $@
	$(BIN)/python -m venv --clear --without-pip $(VENV)/stock-clients
	$(BIN)/python -m pip --python $(VENV)/stock-clients/bin/python install --quiet --disable-pip-version-check \
		--no-deps --no-compile --requirement tests/stock_clients/requirements.txt && touch $@ \
		|| echo "The stock clients cannot be installed: their tests will be skipped."
