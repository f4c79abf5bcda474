# Two commands do everything on a fresh Linux machine with Python 3.11: make search, make test.
PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/ready
DEV := .venv/dev

.PHONY: help search test check bench bench-quality clean

help:
	@echo "make search   set up, then search, retrain and draw: the README's first command"
	@echo "make test     set up, then run the tests"
	@echo "make check    set up, then ruff and mypy --strict"
	@echo "make bench    set up, then time the engines, the framework, and the same search done by us and by others: two hours"
	@echo "make bench-quality  set up, then duels on recorded tables: what ours hands over against Ray's and Optuna's, 15 minutes"
	@echo "make clean    remove what make made; results/ stays"

search: $(READY)
	$(BIN)/python -m search.run --num-samples 32 --gpus-per-trial 0.25

test: $(DEV)
	$(BIN)/pytest --numprocesses 2 --dist loadfile

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict heart search tests benchmarks

INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) .
	touch $(READY)

# What the tests and the checks need besides: trackers, a browser's driver, mypy, ...
$(DEV): $(READY)
	$(INSTALL) ".[dev]"
	touch $(DEV)

bench: $(DEV)
	$(BIN)/python -m benchmarks.loop
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.run

bench-quality: $(DEV)
	$(BIN)/python -m benchmarks.quality.run

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
