# Each target sets up what it needs: a virtual environment in .venv, filled by plain pip.
PYTHON ?= python3
# Processes of the default tests; each takes up to 5 GiB.
WORKERS ?= 2
BIN := .venv/bin

.PHONY: demo test test-long test-slow docs lint format clean
.DEFAULT_GOAL := demo

# What the demo needs, 0.9 GB; the tests need 1.5.
.venv/demo: pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'isgd_optax needs Python 3.11 or newer; choose one with make PYTHON=python3.12')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable ".[benchmarks]"
	touch $@

# And what the tests need: the libraries that we are measured against, and the checks of the code.
.venv/installed: .venv/demo
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

demo: .venv/demo ## solve the multi-scale Poisson problem with ISGD, Adam and L-BFGS; about three minutes
	$(BIN)/python -m benchmarks demo

test: .venv/installed ## the default tests and doctests
	$(BIN)/python -m pytest -m "not slow and not long" -n $(WORKERS)

test-long: .venv/installed ## the tests that take seconds each: whole trainings, blocks of the documentation
	$(BIN)/python -m pytest -m "long and not slow" -n $(WORKERS)

test-slow: .venv/installed ## the tests that take minutes, and the notebooks
	$(BIN)/python -m pytest -m slow

# And what the documentation needs.
.venv/docs: .venv/demo
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@

docs: .venv/docs ## the documentation, into docs/_build/html; every warning is an error
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -n -q -j 2 docs docs/_build/html

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv runs docs/_build
