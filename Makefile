# make demo: the main job. make test: every test. make test-all: every test, and the laws of chance tried as often as
# before a release (an hour). All set themselves up in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# As many processes as cores; a test file stays whole, and so do all tests with a window: see tests/conftest.py.
PARALLEL := -n auto --dist loadgroup --no-loadscope-reorder

.PHONY: install demo test test-all lint clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": run make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

demo: install
	$(BIN)/dkl-ae demo

test: install lint
	$(BIN)/python -m pytest $(PARALLEL)

test-all: install lint
	$(BIN)/python -m pytest $(PARALLEL) --exhaustive --timeout 3000

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) demo-output build *.egg-info
