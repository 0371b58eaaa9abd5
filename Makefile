# Every target does all the set-up it needs; a second run is quick.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PATH := $(CURDIR)/$(BIN):/usr/sbin:$(PATH)

.PHONY: demo grid test explore check screenshots bench gateway large swarm years validation setup system format clean help

help:
	@echo "make demo    a whole grid comes up, a file goes in, seven of ten servers die, the file comes back (KEEP=1 leaves it up)"
	@echo "make grid    a local grid that stays up until Ctrl-C"
	@echo "make test    all tests"
	@echo "make explore   the tests of laws, with new examples"
	@echo "make check   ruff, mypy --strict, import-linter, tidy tests"
	@echo "make screenshots  the pages of a grid as the README shows them, into docs/figures"
	@echo "make bench   the benchmark table (RIVAL=1: against Tahoe-LAFS in the same run)"
	@echo "make gateway the gateway with curl, a page of 10,000 entries, a hundred slow readers: docs/gateway.md"
	@echo "make large   a file of many GB in and out, and every process's peak memory (MEGABYTES=5000)"
	@echo "make years   ten simulated years of fifty servers, with and without a caretaker (YEARS='--seed 2')"
	@echo "make validation  published results against ours: docs/validation.md and its figure"
	@echo "make swarm   a long campaign of seeded simulations (SEEDS=0-1999)"

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3-venv is needed (Debian: apt-get install python3-venv)"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,fs]'
	@touch $(STAMP)

setup: $(STAMP)

system:
	@sh tests/system-packages.sh

demo: setup
	$(BIN)/tahoe demo $(if $(KEEP),--keep) $(DEMO)

grid: setup
	$(BIN)/tahoe demo --keep $(DEMO)

test: setup system
	$(BIN)/python -m pytest -n auto --dist loadfile $(TESTS)

explore: setup system
	$(BIN)/python -m pytest -n auto --dist loadfile --hypothesis-profile=explore -m hypothesis $(TESTS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/test_tidy.py

screenshots: setup system
	$(BIN)/python -m tests.web.pages.screenshots

bench: setup system
	$(BIN)/python -m experiments.bench $(if $(RIVAL),--rival) $(BENCH)

gateway: setup system
	$(BIN)/python -m experiments.bench.gateway

large: setup system
	$(BIN)/python -m tests.real.large --megabytes $(or $(MEGABYTES),5000)

swarm: setup
	$(BIN)/python -m tahoe.sim swarm --demand --seeds $(or $(SEEDS),0-1999) --workers $(or $(WORKERS),2)

years: setup
	$(BIN)/python -m tests.sim.long_years $(YEARS)

validation: setup
	$(BIN)/python -m experiments.validation

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist results .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
