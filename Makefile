# Every target makes its own .venv first, from Python alone: `make demo` in a fresh clone just works.
# Needs make, Python 3.11 or newer with its venv module (Debian: apt-get install python3-venv).

PYTHON ?= python3
UV ?= uv
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
STAMP := $(VENV)/.installed
OLD_PYTHON := Waypost needs Python 3.11 or newer; set PYTHON, as in: make PYTHON=python3.12 demo

# Python writes bytecode when a module is first imported. Installers compile all of it, which takes longer than
# the demo's own imports. Tests and the local stack start dozens of processes, so they must find it written.
unexport PYTHONDONTWRITEBYTECODE
unexport UV_COMPILE_BYTECODE

# uv installs in seconds what takes pip a minute. Where no uv is on the PATH, pip fetches it into .venv. Where
# that fails, or uv reaches no index (it does not read pip.conf), pip installs everything.
HAVE_UV := $(shell command -v $(UV) 2>/dev/null)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-compile
UV_PIP := pip install --quiet --python $(BIN)/python
ifdef HAVE_UV
INSTALL = install() { $(UV) $(UV_PIP) "$$@"; }; install
else
INSTALL = install() { { test -x $(BIN)/uv && $(BIN)/uv $(UV_PIP) "$$@"; } || $(PIP) "$$@"; }; install
endif

# One part of requirements.lock, from its heading to the next.
part = sed -n '/^\# --- $(1) ---/,/^\# ---/p' requirements.lock

.DEFAULT_GOAL := help
.PHONY: help install demo dev check lint types quick test bench prove mutation new-migration screenshots lock clean

help:
	@echo "make demo           a local stack with a shop's traffic, ends with a summary"
	@echo "make dev            a local stack until Ctrl-C"
	@echo "make install        .venv with all that Waypost and its tests need, nothing else"
	@echo "make check          the checks before a commit: lint, types and quick"
	@echo "make lint types     style, architecture and types"
	@echo "make quick          tests of pure code and of the shipped journeys"
	@echo "make test           all tests"
	@echo "make bench          speed, compared with the bare SDK"
	@echo "make prove          the proofs at full size"
	@echo "make mutation       whether the unit tests of policy/ notice a changed line"
	@echo "make new-migration  a migration from what the tables say; NAME=\"add a column\""
	@echo "make screenshots    the pictures in docs/"
	@echo "make lock           requirements.lock anew (needs uv)"
	@echo "make clean          remove .venv and caches; data in .waypost/ stay"

$(RUNTIME): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "$(OLD_PYTHON)")'
	@echo "Installing Waypost into $(VENV) (once; under a minute) ..."
ifdef HAVE_UV
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
else
	@$(PYTHON) -m venv $(VENV)
	@$(call part,installer) > $(VENV)/installer.txt
	@$(PIP) --only-binary :all: --require-hashes -r $(VENV)/installer.txt || echo "Going on without uv ..."
endif
	@{ $(call part,production); $(call part,local stack); } > $(VENV)/runtime.txt
	@$(INSTALL) --require-hashes -r $(VENV)/runtime.txt
	@$(INSTALL) --no-deps --editable .
	@touch $@

$(STAMP): $(RUNTIME)
	@echo "Installing the development tools into $(VENV) (once) ..."
	@$(call part,development) > $(VENV)/development.txt
	@$(INSTALL) --require-hashes -r $(VENV)/development.txt
	@touch $@

install: $(STAMP)

demo: $(RUNTIME)
	@$(BIN)/waypost demo $(ARGS)

dev: $(RUNTIME)
	@$(BIN)/waypost dev

check: lint types quick

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/deptry .

types: $(STAMP)
	@$(BIN)/mypy --strict

# Without the benches, and without tests that start type checkers, test runs and stacks of their own.
QUICK := tests/unit $(patsubst %,tests/journeys/test_%.py,cart_abandonment cart_changes post_purchase win_back) \
	$(patsubst %,--ignore-glob='*/test_%.py',bench scaffold) -m "not proof"
quick: $(STAMP)
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(QUICK) $(ARGS)

# Three processes on two cores: tests of the acceptance level wait for servers most of the time.
test: $(STAMP)
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

bench: $(STAMP)
	@$(BIN)/python -m bench $(ARGS)

prove: $(STAMP)
	@WAYPOST_PROOF=full $(BIN)/python -m pytest -m proof $(ARGS)

# All of policy/ unless ARGS names mutants: make mutation ARGS='policy.limits.*'
mutation: $(STAMP)
	@$(BIN)/mutmut run $(ARGS)
	@$(BIN)/mutmut results | sed '/: not checked$$/d'

new-migration: $(STAMP)
	@$(BIN)/python -m local.new_migration "$(NAME)"
	@$(BIN)/ruff check --fix --quiet profiles/db/migrations/versions
	@$(BIN)/ruff format --quiet profiles/db/migrations/versions

screenshots: $(STAMP)
	@$(BIN)/python docs/screenshots.py

# In parts: the container image installs the first, `make demo` the first two, the tests the first three. The
# last holds the installer itself.
COMPILE := $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header --no-emit-index-url --no-emit-find-links
LOCK := $(VENV)/lock
without = $$(sed -nE 's/^([a-z0-9._-]+)==.*/--no-emit-package \1/p' $(1))
lock:
	@mkdir -p $(LOCK)
	@cp requirements.lock $(LOCK)/all.txt 2>/dev/null || true
	@$(COMPILE) --all-extras --group dev --group install --output-file $(LOCK)/all.txt $(ARGS)
	@$(COMPILE) --constraints $(LOCK)/all.txt --output-file $(LOCK)/production.txt
	@$(COMPILE) --constraints $(LOCK)/all.txt --extra local $(call without,$(LOCK)/production.txt) \
		--output-file $(LOCK)/local.txt
	@$(COMPILE) --constraints $(LOCK)/all.txt --all-extras --group dev \
		$(call without,$(LOCK)/production.txt $(LOCK)/local.txt) --output-file $(LOCK)/development.txt
	@$(filter-out pyproject.toml,$(COMPILE)) --constraints $(LOCK)/all.txt --group install \
		--output-file $(LOCK)/installer.txt
	@{ \
		echo "# All that Waypost needs, with hashes, for every platform. Made by \`make lock\`; to renew the pins:"; \
		echo "# make lock ARGS=--upgrade"; \
		echo "# --- production ---"; cat $(LOCK)/production.txt; \
		echo "# --- local stack ---"; cat $(LOCK)/local.txt; \
		echo "# --- development ---"; cat $(LOCK)/development.txt; \
		echo "# --- installer ---"; cat $(LOCK)/installer.txt; \
	} > requirements.lock
	@rm -r $(LOCK)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache mutants
