# Every target makes its own .venv. No make? CONTRIBUTING.md says what to type instead.
PYTHON ?= python3
# options of pip for torch alone, such as --index-url https://download.pytorch.org/whl/cpu
PIP_TORCH ?=
BIN := .venv/bin
INSTALLED := .venv/installed
# a process per core, each with one thread: more of them would wait for each other
SIDE_BY_SIDE := --numprocesses logical --maxprocesses 8 --dist loadfile --max-worker-restart 0

.PHONY: install demo test test-all chaos lint format docs tables bench models clean

demo: $(INSTALLED)  ## fresh clone to finished report
	$(BIN)/biounet demo --out demo --overwrite

install: $(INSTALLED)  ## .venv with everything that the checks need

test: $(INSTALLED)  ## the checks of every change: under ten minutes on two cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" $(SIDE_BY_SIDE)

test-all: $(INSTALLED)
	$(BIN)/python -m pytest -o faulthandler_timeout=3600

chaos: $(INSTALLED)  ## attacks with seeds: damage, kills, pairs, changed inputs, full disks, plans; `make test` has a share
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m tests.chaos

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/codespell

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(INSTALLED)  ## the site, in build/docs; a warning is an error
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build -E -W --keep-going -b html docs build/docs

tables: $(INSTALLED)  ## write the pages anew that are made from trials: architectures, layouts, formats
	$(BIN)/python docs/make_architectures.py
	$(BIN)/python docs/make_layouts.py
	$(BIN)/python docs/make_formats.py

bench: $(INSTALLED)  ## one JSON line per benchmark
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	@for file in benchmarks/*.py; do echo "# $$file" >&2; $(BIN)/python $$file || exit 1; done

models: $(INSTALLED)  ## the shipped models anew, from public and drawn images: 48 minutes of training
	$(BIN)/python scripts/make_models.py

# torch first: any other order may pull in another build of it
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch $(PIP_TORCH)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv demo build
