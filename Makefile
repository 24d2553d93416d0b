# edgeward: `make` lists what there is to make.
#
# Everything lives in .venv; stamps in it say what has been done, so that a second `make setup` does nothing.
# Settings: PYTHON (interpreter to build .venv from), SITE (folder for `make demo`), ARGS (more arguments for demo, pytest, bench).

SHELL      := /bin/bash
PYTHON     ?= python3
SITE       ?= site
ARGS       ?=
BIN        := .venv/bin
LOCKS      := requirements/run.txt requirements/dev.txt requirements/bench.txt requirements/data.txt requirements/uv.txt
SOURCES    := src tests tools $(wildcard bench lab)
TYPED      := src tools $(wildcard bench lab)
COMPILE    := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
              --no-emit-index-url --no-emit-find-links

# Without bytecode every start of the program would compile its modules and their libraries anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup lock upgrade check format test test-long demo bench bench-setup data clean
.DELETE_ON_ERROR:
MAKEFLAGS  += --no-print-directory

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: .venv/.project  ## environment in .venv from hash-locked requirements; nginx where it can be had
	@tools/ensure_nginx.sh

# The interpreter's own venv and pip bring in one thing, uv, by hash; uv brings in the rest.
.venv/.uv: requirements/uv.txt tools/make_venv.sh
	@tools/make_venv.sh "$(PYTHON)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/uv.txt
	@touch $@

.venv/.packages: .venv/.uv requirements/run.txt requirements/dev.txt
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --require-hashes -r requirements/run.txt -r requirements/dev.txt
	@touch $@

# The build backend is in dev.txt, with its hash; so nothing is fetched here.
.venv/.project: .venv/.packages pyproject.toml src/edgeward/__init__.py
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.bench: .venv/.packages requirements/bench.txt
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --require-hashes -r requirements/bench.txt
	@touch $@

lock: .venv/.uv  ## write requirements/*.txt anew after a change to requirements/*.in; keeps versions that still fit
	@set -e; for name in uv run dev bench data; do $(COMPILE) requirements/$$name.in --output-file requirements/$$name.txt; done

upgrade: .venv/.uv  ## the same, to the newest versions
	@set -e; for name in uv run dev bench data; do $(COMPILE) --upgrade requirements/$$name.in --output-file requirements/$$name.txt; done

check: .venv/.project  ## format, lint, types, layers, the house rules
	@$(BIN)/ruff format --quiet --check $(SOURCES) || { $(BIN)/ruff format --check $(SOURCES); echo "hint: make format" >&2; exit 1; }
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/mypy --no-error-summary $(TYPED)
	@$(BIN)/lint-imports --cache-dir .cache/import-linter >.cache/layers.txt || { cat .cache/layers.txt; exit 1; }
	@$(BIN)/python tools/check_house.py
	@echo "check: format, lint, types, layers and house rules hold"

format: .venv/.project  ## put every source file into the one format, and mend what ruff can mend safely
	@$(BIN)/ruff format --quiet $(SOURCES)
	@$(BIN)/ruff check --quiet --fix $(SOURCES)
	@$(BIN)/ruff format --quiet $(SOURCES)

test: setup check  ## every check and every test that is not marked long
	@tools/ensure_test_tools.sh
	@$(BIN)/python -m pytest $(ARGS)

test-long: setup  ## the tests marked long: long fuzzing, big sites, chaos
	@tools/ensure_test_tools.sh
	@$(BIN)/python -m pytest -m long -n 0 $(ARGS)  # one after the other: what they time must have the machine to itself

demo: setup  ## a fleet of three edges on this machine with a real site; SITE=/some/folder for your own
	@exec $(BIN)/edgeward demo "$(SITE)" $(ARGS)

bench-setup: setup .venv/.bench  ## the peers that bench measures against

bench: bench-setup  ## speed, side by side with peers, as ratios
	@exec $(BIN)/python -m bench $(ARGS)

.venv/.data: .venv/.packages requirements/data.txt
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --require-hashes -r requirements/data.txt
	@touch $@

data: setup .venv/.data  ## which networks are in which country, asked anew; some ten minutes, for each release
	@exec $(BIN)/python tools/list_countries.py $(ARGS)

clean:  ## everything that make has made
	rm -rf .venv .cache .hypothesis .pytest_cache build dist
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
