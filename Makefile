# Every target makes its own .venv first, from Python alone: `make demo` in a fresh clone just works.
# Needs make, Python 3.11 or newer with its venv module (Debian: apt-get install python3-venv).

PYTHON ?= python3
UV ?= uv
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
OLD_PYTHON := Waypost needs Python 3.11 or newer; set PYTHON, as in: make PYTHON=python3.12 demo

# Tests and the local stack start dozens of processes; each would read all the code anew without bytecode.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo dev test lint types bench prove screenshots lock clean

help:
	@echo "make install      .venv with all that Waypost needs, nothing else"
	@echo "make demo         a local stack with a shop's traffic, ends with a summary"
	@echo "make dev          a local stack until Ctrl-C"
	@echo "make test         all tests"
	@echo "make lint types   style, architecture and types"
	@echo "make bench        speed, compared with the bare SDK"
	@echo "make prove        the proofs at full size"
	@echo "make screenshots  the pictures in docs/"
	@echo "make lock         requirements.lock anew (needs uv)"
	@echo "make clean        remove .venv and caches; data in .waypost/ stay"

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "$(OLD_PYTHON)")'
	@echo "Installing Waypost into $(VENV) (once; about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps -e .
	@touch $@

install: $(STAMP)

demo: $(STAMP)
	@$(BIN)/waypost demo $(ARGS)

dev: $(STAMP)
	@$(BIN)/waypost dev

test: $(STAMP)
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/deptry .

types: $(STAMP)
	@$(BIN)/mypy --strict

bench: $(STAMP)
	@$(BIN)/python -m bench $(ARGS)

prove: $(STAMP)
	@WAYPOST_PROOF=full $(BIN)/python -m pytest -m proof $(ARGS)

screenshots: $(STAMP)
	@$(BIN)/python docs/screenshots.py

# Two parts, so that the container image can install the first one alone.
COMPILE := $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header --no-emit-index-url --no-emit-find-links
lock:
	@mkdir -p $(VENV)/lock
	@cp requirements.lock $(VENV)/lock/all.txt 2>/dev/null || true
	@$(COMPILE) --all-extras --group dev --output-file $(VENV)/lock/all.txt $(ARGS)
	@$(COMPILE) --constraints $(VENV)/lock/all.txt --output-file $(VENV)/lock/production.txt
	@$(COMPILE) --constraints $(VENV)/lock/all.txt --all-extras --group dev \
		$$(sed -nE 's/^([a-z0-9._-]+)==.*/--no-emit-package \1/p' $(VENV)/lock/production.txt) \
		--output-file $(VENV)/lock/rest.txt
	@{ \
		echo "# All that Waypost needs, with hashes, for every platform. Made by \`make lock\`; to renew the pins:"; \
		echo "# make lock ARGS=--upgrade"; \
		echo "# --- production ---"; cat $(VENV)/lock/production.txt; \
		echo "# --- local stack and development ---"; cat $(VENV)/lock/rest.txt; \
	} > requirements.lock
	@rm -r $(VENV)/lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
