# The words of this project. Each sets up what it needs in .venv, which is made once.

PYTHON ?= python3
PYTHON2 ?= python2.7
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help

.PHONY: help
help:  ## list the words
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: demo
demo: $(VENV)/.runtime  ## show whole logins, end to end, without a network or an account
	$(BIN)/python contrib/demo.py

.PHONY: test
test: check $(VENV)/.stock-clients  ## check, then run every test but those of `conformance`, on all cores
	@test -d $(VENV)/peers || echo "With npm, the tests fetch the real app-server, too: 400 MB in $(VENV), once."
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal --ignore=tests/compat

.PHONY: quick
quick: $(VENV)/.development  ## run the tests that start no process, on all cores: the loop of an edit; TESTS=tests/login
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal -m "not process and not matrix" $(TESTS)

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
coverage: $(VENV)/.development  ## run the tests without processes; ground, paper and services: 98 % of lines and branches
	$(BIN)/coverage run -m pytest --timeout=300 --ignore=tests/integration --ignore=tests/compat --ignore=tests/peer \
		--ignore=tests/contrib
	PYTHONPATH=tests $(BIN)/python -m covered

.PHONY: mutants
mutants: $(VENV)/.development  ## make wrong edits, one by one, and see that the tests notice; ONLY=WORD, SAMPLE=5 percent, SEED=7
	PYTHONPATH=tests $(BIN)/python -m mutants $(if $(ONLY),--only "$(ONLY)") $(if $(SAMPLE),--sample $(SAMPLE)) \
		$(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS))

# How long the long ones run; for the fuzzer, each of its targets.
soak cancellation chaos: SECONDS ?= 1500
fuzz: SECONDS ?= 120

.PHONY: soak
soak: $(VENV)/.development  ## look for new examples in the model of the logins' life, for SECONDS (1500)
	PYTHONPATH=tests $(BIN)/python -m model --seconds $(SECONDS)

.PHONY: cancellation
cancellation: $(VENV)/.development  ## cancel every operation after each of its steps, and then twice, for SECONDS (1500)
	PYTHONPATH=tests $(BIN)/python -m cancellation --seconds $(SECONDS)

.PHONY: faults
faults: $(VENV)/.development  ## fail every operation in every way: the whole matrices of network, disk, clock and limits
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal tests/faults -m "whole or not whole"

.PHONY: chaos
chaos: $(VENV)/.development  ## trouble a real daemon at random, for SECONDS (1500); SEED=N repeats a run
	cd tests && ../$(BIN)/python -m faults.chaos $(SECONDS) $(SEED)

# Twice as many at once as there are cores: a scenario waits more than it works.
.PHONY: conformance
conformance: $(VENV)/.development  ## hold the daemon against the records of the real app-server, over both framings
	$(BIN)/python -m pytest --dist=worksteal tests/compat \
		--numprocesses=$$($(BIN)/python -c "import os; print(2 * os.cpu_count())")

.PHONY: follow
follow: $(VENV)/.stock-clients  ## record a release of the real app-server, the newest or PEER=0.171.0, and list what ours does otherwise
	PYTHONPATH=tests $(BIN)/python -m compat.follow $(PEER)

.PHONY: fuzz
fuzz: $(VENV)/.fuzz  ## look for bytes that break a promise, SECONDS (120) for each of the TARGETS, or for all
	PYTHONPATH=tests $(BIN)/python -m fuzz --seconds $(SECONDS) $(if $(JOBS),--jobs $(JOBS)) $(TARGETS)

.PHONY: autobahn
autobahn: $(VENV)/.autobahn  ## hold the WebSocket framing to the Autobahn test suite, which needs a PYTHON2
	PYTHONPATH=tests $(BIN)/python -m autobahn.check $(VENV)/autobahn/bin/wstest $(CASES)

.PHONY: bench
bench: $(VENV)/.development  ## write docs/performance.md's table; PEER=COMMAND, with {socket}, is measured beside it; ROUNDS=5
	PYTHONPATH=contrib $(BIN)/python -m bench --into docs/performance.md \
		$(if $(PEER),--peer "$(PEER)") $(if $(ROUNDS),--rounds $(ROUNDS))
	$(if $(PEER),PYTHONPATH=contrib $(BIN)/python -m bench.front --into docs/performance.md \
		--codex $(firstword $(PEER)) $(if $(ROUNDS),--rounds $(ROUNDS)))

.PHONY: flood
flood: $(VENV)/.development  ## flood a daemon in every way, and write the second table of docs/performance.md; ONLY=WORD prints
	PYTHONPATH=contrib $(BIN)/python -m bench.flood \
		$(if $(ONLY),--only $(ONLY),--into docs/performance.md)

.PHONY: contrib
contrib: $(VENV)/.development  ## write the completions, man pages and units, and the diagram of docs/login.md, that are made from the package
	PYTHONPATH=contrib $(BIN)/python -m generators

# The package is built for the Python of the distribution, in a copy: its tools want a `debian` at the top.
.PHONY: deb
deb: $(VENV)/.development  ## build a Debian package into dist/; it needs debhelper, and fetches the packages of the lock
	rm -rf build/deb && mkdir -p build/deb/accountd dist
	cp -R daemon contrib pyproject.toml requirements-keyring.lock README.md LICENSE CHANGELOG.md build/deb/accountd
	cp -R contrib/debian build/deb/accountd/debian
	$(BIN)/python contrib/debian/changelog.py > build/deb/accountd/debian/changelog
	cd build/deb/accountd && PIP="$(CURDIR)/$(BIN)/python -m pip --disable-pip-version-check --python /usr/bin/python3" \
		dpkg-buildpackage --build=binary --no-sign
	cp build/deb/*.deb dist

LOCKED := --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock"

.PHONY: lock
lock: $(VENV)/.runtime  ## write the locks anew: every runtime package, in its latest release, with its hashes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group lock
	$(BIN)/uv pip compile $(LOCKED) --upgrade --output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile $(LOCKED) --constraints requirements.lock --extra keyring \
		--output-file requirements-keyring.lock --upgrade pyproject.toml

.PHONY: sbom
sbom: $(VENV)/.development  ## write dist/accountd.cdx.json: what an installation consists of, with hashes, as CycloneDX
	mkdir -p dist
	$(BIN)/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible \
		--output-file dist/accountd.cdx.json requirements-keyring.lock

.PHONY: clean
clean:  ## remove what the other words made
	rm -rf $(VENV) build dist .autobahn .coverage .fuzz .hypothesis .mypy_cache .pytest_cache .ruff_cache

# An environment that is too old, or was not finished, is made anew; one that cannot be made is not left behind.
NEEDED := $(shell sed -nE 's/^requires-python = ">=(.*)"/\1/p' pyproject.toml)
NEW_ENOUGH := import sys; sys.exit(sys.version_info < tuple(map(int, '$(NEEDED)'.split('.'))))
VERSION := import sys; print('%d.%d' % sys.version_info[:2])

$(VENV)/.runtime: pyproject.toml
	@$(BIN)/python -c "import pip; $(NEW_ENOUGH)" 2>/dev/null || { \
		$(PYTHON) -c "$(NEW_ENOUGH)" 2>/dev/null || { \
			found=$$($(PYTHON) -c "$(VERSION)" 2>/dev/null || echo not there); \
			echo "accountd needs Python $(NEEDED) or newer, and $(PYTHON) is $$found:" \
				"name another, as in \`make $(or $(MAKECMDGOALS),demo) PYTHON=python3.12\`" >&2; \
			exit 1; }; \
		rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.development: $(VENV)/.runtime
	@echo "The tools for tests and checks are fetched: 350 MB in $(VENV), once."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev --editable ".[keyring]"
	@touch $@

$(VENV)/.fuzz: $(VENV)/.development
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group fuzz
	@touch $@

# virtualenv 20.21 is the last that can make an environment of Python 2.7.
$(VENV)/.autobahn: $(VENV)/.runtime tests/autobahn/requirements.txt
	$(BIN)/python -m venv --clear $(VENV)/virtualenv
	$(VENV)/virtualenv/bin/python -m pip install --quiet --disable-pip-version-check "virtualenv==20.21.1"
	$(VENV)/virtualenv/bin/virtualenv --quiet --clear --no-download --python $(PYTHON2) $(VENV)/autobahn
	$(VENV)/autobahn/bin/python -W ignore -m pip install --quiet --disable-pip-version-check --no-python-version-warning \
		--no-deps --requirement tests/autobahn/requirements.txt
	@touch $@

# What cannot be had keeps no other test from running; those that need it say so, and fail where CI=true.
$(VENV)/.stock-clients: $(VENV)/.development tests/stock_clients/requirements.txt
	@rm -f $@
	$(BIN)/python -m venv --clear --without-pip $(VENV)/stock-clients
	$(BIN)/python -m pip --python $(VENV)/stock-clients/bin/python install --quiet --disable-pip-version-check \
		--no-deps --no-compile --requirement tests/stock_clients/requirements.txt && touch $@ \
		|| echo "The stock clients cannot be installed: their tests will be skipped."
