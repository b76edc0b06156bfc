# Two commands do all the set-up there is: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo_run

.PHONY: demo test test-slow lint types imports unit presets models clean

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

test: lint types imports unit

lint: $(VENV)/.tested
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.tested
	$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(VENV)/.tested
	$(BIN)/lint-imports

unit: $(VENV)/.tested
	$(BIN)/python -m pytest -n 2

test-slow: $(VENV)/.tested
	$(BIN)/python -m pytest -n 2 -m slow

demo: $(VENV)/.installed
	BIN=$(BIN) bash example_data/demo.sh $(DEMO)

presets: $(VENV)/.installed
	$(BIN)/python benchmarks/write_presets.py

models: $(VENV)/.installed
	bash benchmarks/train_models.sh $(BIN)/genomix

clean:
	rm -rf $(VENV) demo_run
