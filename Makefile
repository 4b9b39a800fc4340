# Every target first sets up .venv, and again when setup.py, pyproject.toml or constraints.txt has changed.
# PYTHON=python3.12 make test     another interpreter for a new .venv
# make test ARGS="-k ema"         more arguments for the command

PYTHON ?= python3
ARGS ?=
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo real ablation test chaos lint bench clean

help:
	@echo "make demo      draw the demo data, train on it, write output/demo/report.html"
	@echo "make real      ROOT=lspet: the same on real people, Leeds Sports Pose extended as downloaded (an hour)"
	@echo "make ablation  train with and without each part of the method on the demo data, write table and chart (an hour)"
	@echo "make test      run all tests that need no GPU"
	@echo "make chaos     try out what is promised about kills, signals and bad files (10 minutes)"
	@echo "make lint      check style and formatting"
	@echo "make bench     time the loader, steps, an epoch, options, backbones; read the memory (half an hour)"
	@echo "make setup     only create .venv and install"
	@echo "make clean     remove .venv and caches"

setup: $(STAMP)

$(STAMP): setup.py pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "error: semipose needs Python 3.10 or later, and '$(PYTHON)' is not: \
	$$($(PYTHON) --version 2>&1). Name another one: PYTHON=python3.12 make $(MAKECMDGOALS)" >&2; exit 2; }
	@$(RUN) -m pip --version >/dev/null 2>&1 || { \
	  echo "== creating $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv --clear $(VENV); }
	@echo "== installing into $(VENV) (about 1.5 GB with CPU torch; a few minutes)"
	@$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,fast-eval]'
	@touch $@

demo: $(STAMP)
	@$(RUN) -m semipose demo drawn $(ARGS)

real: $(STAMP)
	@test -n '$(ROOT)' || { echo "error: make real ROOT=DIR, the folder with joints.mat and images/" >&2; exit 2; }
	@$(RUN) -m semipose demo lsp --root '$(ROOT)' $(ARGS)

ablation: $(STAMP)
	@$(RUN) tools/sweep.py experiments/sweeps/demo.yaml $(ARGS)

# One thread per worker: more threads than cores make small networks slower.
test: $(STAMP)
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -q -n auto --maxprocesses 4 $(ARGS)

chaos: $(STAMP)
	@OMP_NUM_THREADS=1 $(RUN) tools/chaos.py $(ARGS)

lint: $(STAMP)
	@$(RUN) -m ruff check $(ARGS) .
	@$(RUN) -m ruff format --check .

bench: $(STAMP)
	@$(RUN) benchmarks/bench.py $(ARGS)
	@$(RUN) benchmarks/bench_annotations.py

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis build lib/*.egg-info
