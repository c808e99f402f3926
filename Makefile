# Each target sets up what it needs in .venv, next to this file; nothing is installed anywhere else.
# `make serve ARGS="--port 2048"` passes arguments on.

PYTHON ?= python3
# `make test-all` uses one environment for each Python.
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# flake8-async takes a second for each file: check only those that use Trio, two processes at a time.
ASYNC := git grep -lwE 'async|await|trio' --
EACH := xargs -P 2 -n 10 $(BIN)/flake8-async --enable=ASYNC
PYTEST := pytest --numprocesses auto --dist worksteal
# Commits made before this date may have longer subjects.
SUBJECTS_SINCE := 2026-11-30T18:00:00Z
# The tests start hundreds of processes: none has to compile what another one has.
unexport PYTHONDONTWRITEBYTECODE

LINT := lint-format lint-rules lint-async lint-types lint-public-types lint-imports lint-subjects

.PHONY: serve test everywhere test-all coverage mutants check lint $(LINT) regression bench dist picture docs clean

serve: $(VENV)/.serve
	$(BIN)/trichat serve $(ARGS)

test: $(VENV)/.test
	$(BIN)/$(PYTEST) $(ARGS)

# The server and the plugins under cancellations and faults in all rows; the check has some of them.
everywhere: $(VENV)/.test
	TRICHAT_EVERYWHERE=1 $(BIN)/$(PYTEST) tests/test_everywhere.py tests/testing/conformance $(ARGS)

# The same tests on each Python that pyproject.toml names, as far as this machine has them.
test-all:
	.ci/test-all

# The same as `test`, and which lines no test has run; that takes twice as long.
coverage: $(VENV)/.test
	$(BIN)/coverage erase
	$(BIN)/coverage run --module $(PYTEST) $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

# Changes the code a little, again and again, and lists the changes that no test notices. `ARGS` has files, and
# `--most N` of the changes; without it, this takes hours.
mutants: $(VENV)/.test
	$(BIN)/python scripts/mutants.py $(ARGS)

check: lint test regression

# .pre-commit-config.yaml has a hook for each of these.
lint: $(LINT)

lint-format: $(VENV)/.dev
	$(BIN)/ruff format --check .

lint-rules: $(VENV)/.dev
	$(BIN)/ruff check .

lint-async: $(VENV)/.dev
	$(ASYNC) 'trichat/*.py' 'plugins/*.py' 'examples/*.py' | $(EACH) --disable=ASYNC114,ASYNC128,ASYNC300,ASYNC910,ASYNC911
	$(ASYNC) 'tests/*.py' | $(EACH) --disable=ASYNC114,ASYNC124,ASYNC128,ASYNC300,ASYNC910,ASYNC911,ASYNC912

lint-types: $(VENV)/.dev
	$(BIN)/mypy

# Whether an author of a plugin gets a type for every public name. It finds trichat by the `python` on PATH.
lint-public-types: $(VENV)/.dev
	PATH="$(abspath $(BIN)):$$PATH" basedpyright --verifytypes trichat --ignoreexternal

lint-imports: $(VENV)/.dev
	$(BIN)/lint-imports

lint-subjects:
	@! git log --no-merges --since=$(SUBJECTS_SINCE) --format='%h %s' | grep -E '^[^ ]+ .{73,}' || \
	    { echo "the subject of a commit has at most 72 characters; git commit --amend, or git rebase -i" >&2; exit 1; }

# Compare the cost of a message with that of the floor: twenty seconds.
regression: $(VENV)/.test
	PYTHONPATH=benchmarks $(BIN)/python benchmarks/check_regression.py
	$(BIN)/python benchmarks/instructions.py

# Nearly an hour; `make bench ARGS="--quick --rows small"` is a glance. Peers are taken from PATH.
bench: $(VENV)/.bench
	PYTHONPATH=benchmarks $(BIN)/python -m bench $(ARGS)

# A wheel and an sdist, in dist/.
dist: $(VENV)/.test
	rm -rf dist
	$(BIN)/python -m hatchling build

# The picture in the README, from a session with a server that runs.
picture: $(VENV)/.dev
	PYTHONPATH=tests $(BIN)/python scripts/session_picture.py

# The documentation as a site, in site/. Warnings of the generator and broken links are errors.
docs: $(VENV)/.docs
	$(BIN)/python scripts/build_site.py

clean:
	rm -rf build site .venv .venvs .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* dist benchmarks/build
	find . -name __pycache__ -prune -exec rm -r {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "trichat needs Python 3.11 or later; name one with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	    { rm -rf $(VENV); echo "on Debian, 'apt install python3-venv' brings what is missing" >&2; exit 1; }

# Dependency groups need pip 25.1, and a new environment may have an older one.
$(VENV)/.pip: | $(VENV)/bin/python
	$(PIP_INSTALL) --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.serve: pyproject.toml | $(VENV)/bin/python
	$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.pip
	$(PIP_INSTALL) --editable . --group test
	@touch $@ $(VENV)/.serve

$(VENV)/.dev: pyproject.toml | $(VENV)/.pip
	$(PIP_INSTALL) --editable . --group dev
	@touch $@ $(VENV)/.test $(VENV)/.serve

$(VENV)/.bench: pyproject.toml | $(VENV)/.pip
	$(PIP_INSTALL) --editable . --group bench
	@touch $@ $(VENV)/.serve

$(VENV)/.docs: pyproject.toml | $(VENV)/.pip
	$(PIP_INSTALL) --group docs
	@touch $@
