# `make` alone lists what there is. Everything below works in .venv, which `make setup` makes and keeps up to date.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test kills differential journey lint fix golden bench build pyz docs lock clean

# The Python to set up with: PYTHON=... if given, else that of .venv, else the first of these that runs.
PYTHON ?=
# The torch to install: auto, none, or anything that pip takes.
TORCH ?= auto
VENV := .venv/bin
COURSE ?= demo-course
# Processes that share the tests (more than one is quicker, but tests that time something may then fail), and more options
# for pytest: make test JOBS=auto ARGS="-k taxonomy"
JOBS ?= 0
ARGS ?=

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

setup:  ## .venv with pinned packages, and the torch build that fits this machine
	@for python in $(PYTHON) $(if $(PYTHON),,.venv/bin/python python3.11 python3.12 python3.13 python3); do \
	  if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
	    exec "$$python" dev/setup.py --torch "$(TORCH)"; fi; done; \
	echo "set-up: no Python 3.11, 3.12 or 3.13 found$(if $(PYTHON), as $(PYTHON))" >&2; \
	echo "  -> Install one and name it: make setup PYTHON=/path/to/python3.11" >&2; exit 4

demo: setup  ## teach the shipped insurance handbook to the small student and show what it learned
	@[ -d "$(COURSE)" ] || $(VENV)/homeroom init "$(COURSE)" --example insurance
	$(VENV)/homeroom run "$(COURSE)"

test: setup  ## the tests: no network, no GPU; six to ten minutes on two busy cores
	$(VENV)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

differential: setup  ## our verdict on taxonomies against InstructLab's, on thousands of files (minutes)
	HOMEROOM_DIFFERENTIAL=full $(VENV)/python -m pytest tests/taxonomy/test_differential.py $(ARGS)

kills: setup  ## a worker is killed at 30 random points of a job (half a minute)
	HOMEROOM_KILLS=30 $(VENV)/python -m pytest tests/jobs -k random_points $(ARGS)

journey: setup  ## the whole way through the page in a browser, with the embedded models (a quarter of an hour)
	HOMEROOM_JOURNEY=1 $(VENV)/python -m pytest -s tests/web/test_whole_journey.py $(ARGS)

lint: setup  ## what CI checks besides the tests
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .

fix: setup  ## mend what can be mended by a program
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .

golden: setup  ## write golden files and docs/commands.md anew; review the diff like code
	HOMEROOM_GOLDEN=write $(VENV)/python -m pytest -q -k golden || [ $$? = 5 ]  # 5: there are none
	$(VENV)/python dev/make_docs.py

bench: setup  ## do the examples teach, three seeds each? (hours; the other programs: benchmarks/README.md)
	$(VENV)/python benchmarks/teach.py

build: setup  ## the wheel, in dist/
	$(VENV)/python -m pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir dist .
	@ls -l dist

pyz: setup  ## dist/homeroom.pyz: one file that sets itself up and opens the page
	rm -f dist/homeroom-*.whl
	$(VENV)/python -m pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir dist .
	$(VENV)/python dev/make_pyz.py

docs: setup  ## docs/commands.md from --help
	$(VENV)/python dev/make_docs.py

lock: setup  ## resolve requirements/*.in anew (LOCK="--upgrade" for newer versions); needs the network
	@[ -x .lock-venv/bin/uv ] || { $(VENV)/python -m venv .lock-venv && .lock-venv/bin/pip install --quiet uv; }
	@# --no-config and no header: nothing of this machine's own set-up ends up in the files
	for name in run dev; do (cd requirements && ../.lock-venv/bin/uv pip compile --quiet --no-config --universal \
	  --python-version 3.11 --generate-hashes --no-annotate --no-header --only-binary :all: \
	  $(LOCK) $$name.in -o $$name.txt) || exit; done
	rm -rf .lock-venv

clean:  ## remove what make made: .venv, dist, caches (courses and models stay)
	rm -rf .venv .lock-venv dist build .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
