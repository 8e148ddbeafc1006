# Every target makes its own .venv. No make? README.md says what to type instead.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: demo test test-all lint format bench clean

demo: $(INSTALLED)  ## fresh clone to finished report
	$(BIN)/biounet demo --out demo --overwrite

test: $(INSTALLED)  ## the checks of every change: under ten minutes on two cores
	$(BIN)/python -m pytest -m "not slow"

test-all: $(INSTALLED)
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(INSTALLED)  ## one JSON line per benchmark
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	@for file in benchmarks/*.py; do echo "# $$file" >&2; $(BIN)/python $$file || exit 1; done

# torch first: any other order may pull in another build of it
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv demo
