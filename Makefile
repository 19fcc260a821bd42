# Two commands from a fresh clone, with only python3 and make: `make run` shows the product,
# `make test` proves it.

.DEFAULT_GOAL := help
.SUFFIXES:

PYTHON ?= python3
export PYTHON PREFIX DESTDIR LIBDIR BINDIR WHEELS
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := pyproject.toml constraints.txt

.PHONY: help
help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: $(VENV)/.runtime ## install, and run the demo: a bad deploy, found and rolled back
	$(BIN)/production-monitor demo

.PHONY: test
test: $(VENV)/.dev ## run everything that has to pass before a change is merged
	scripts/test

.PHONY: lint
lint: $(VENV)/.dev ## check style, format and who may import whom
	scripts/lint

.PHONY: types
types: $(VENV)/.dev ## check the types
	$(BIN)/mypy

.PHONY: unit
unit: $(VENV)/.dev ## run the tests that need no server
	$(BIN)/pytest -q tests/unit

.PHONY: bench
bench: $(VENV)/.dev ## measure what a probe costs, beside blackbox_exporter and Prometheus
	scripts/bench

.PHONY: soak
soak: $(VENV)/.dev ## kill it 1,000 times, and let it run an hour among faults (QUICK=1: a trial)
	scripts/soak

.PHONY: format
format: $(VENV)/.dev ## format the code, and mend what can be mended by itself
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: install
install: ## put it on this machine as a service (root; PREFIX, DESTDIR, LIBDIR, BINDIR, WHEELS)
	@scripts/install

.PHONY: uninstall
uninstall: ## take it off this machine; configuration and store stay
	@scripts/uninstall

.PHONY: venv
venv: $(VENV)/.dev ## create the virtual environment with everything for development

.PHONY: clean
clean: ## remove everything that was made here
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* htmlcov
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find monitor tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is older than what it depends on after a change there, and the install is repeated.
$(VENV)/.created:
	scripts/venv $(PYTHON) $(VENV)
	@touch $@

$(VENV)/.runtime: $(SOURCES) | $(VENV)/.created
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(SOURCES) | $(VENV)/.created
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $(VENV)/.runtime $@
