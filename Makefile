# Each target sets up what it needs in .venv, next to this file; nothing is installed anywhere else.
# `make serve ARGS="--port 2048"` passes arguments on.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
# flake8-async takes a second for each file: those that have to do with Trio, two at a time.
ASYNC := git grep -lwE 'async|await|trio' --
EACH := xargs -P 2 -n 10 $(BIN)/flake8-async --enable=ASYNC
PYTEST := pytest --numprocesses auto --dist worksteal
# The tests start hundreds of processes: none has to compile what another one has.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: serve test coverage check lint regression bench picture docs clean

serve: .venv/.serve
	$(BIN)/trichat serve $(ARGS)

test: .venv/.dev
	$(BIN)/$(PYTEST) $(ARGS)

# The same, and which lines no test has run; that takes twice as long.
coverage: .venv/.dev
	$(BIN)/coverage erase
	$(BIN)/coverage run --module $(PYTEST) $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

check: lint test regression

lint: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(ASYNC) 'trichat/*.py' 'plugins/*.py' 'examples/*.py' | $(EACH) --disable=ASYNC114,ASYNC128,ASYNC300,ASYNC910,ASYNC911
	$(ASYNC) 'tests/*.py' | $(EACH) --disable=ASYNC114,ASYNC124,ASYNC128,ASYNC300,ASYNC910,ASYNC911,ASYNC912
	$(BIN)/mypy
	$(BIN)/lint-imports

# What a message costs, beside the floor: twenty seconds.
regression: .venv/.dev
	PYTHONPATH=benchmarks $(BIN)/python benchmarks/check_regression.py
	$(BIN)/python benchmarks/instructions.py

# Forty minutes and more; `make bench ARGS="--quick --rows small"` is a glance. Peers are taken from PATH.
bench: .venv/.bench
	PYTHONPATH=benchmarks $(BIN)/python -m bench $(ARGS)

# The picture in the README, from a session with a server that runs.
picture: .venv/.dev
	PYTHONPATH=tests $(BIN)/python scripts/session_picture.py

# The documentation as a site, in site/. What the generator warns of, and links that lead nowhere, are errors.
docs: .venv/.docs
	$(BIN)/python scripts/build_site.py

clean:
	rm -rf build site .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* dist benchmarks/build
	find . -name __pycache__ -prune -exec rm -r {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "trichat needs Python 3.11 or later; name one with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
	    { rm -rf .venv; echo "on Debian, 'apt install python3-venv' brings what is missing" >&2; exit 1; }

.venv/.serve: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/.serve

.venv/.bench: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@ .venv/.serve

# The pip that comes with Python 3.11 to 3.13 knows no dependency groups.
.venv/.docs: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	@touch $@
