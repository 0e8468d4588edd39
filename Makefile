# Each target makes what it needs: .venv holds the versions of requirements.lock and this checkout.
# Another interpreter: make test PYTHON=/path/to/python

export TF_CPP_MIN_LOG_LEVEL ?= 2

BIN := .venv/bin

.PHONY: demo test test-fast lint docs clean

demo: .venv/installed
	$(BIN)/vlae-tf demo --out demo

# One process for each core; the tests of a file share its fixtures.
PYTEST := $(BIN)/pytest -n logical --dist loadfile

test: lint
	$(PYTEST)

# What takes less than a few seconds.
test-fast: lint
	$(PYTEST) -m "not slow"

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/mypy

# The documentation site, in docs/_build/html/index.html: its notebooks are run, and a warning is an error.
docs: .venv/installed-docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build/html

clean:
	rm -rf docs/_build docs/generated .venv build dist *.egg-info demo .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A version manager's stub may stand on the path and not run, and some distributions leave out the
# venv module: so try each interpreter.
FIND_PYTHON := for python in $(or $(PYTHON),python3.11 python3.12 python3.13 python3 python); do \
	if $$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; \
	then echo $$python; break; fi; done

.venv/installed: requirements.lock setup.py pyproject.toml vlae_tf/_version.py
	@python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then \
		echo "vlae_tf needs Python 3.11 or newer with its venv module. Received:" \
			"PYTHON=$(or $(PYTHON),not set, and none on the path)." \
			"Install one, or name it: make PYTHON=/path/to/python" >&2; \
		exit 1; \
	fi; \
	set -x; $$python -m venv .venv
	$(BIN)/python -m pip install --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/installed-docs: .venv/installed requirements-docs.lock
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-docs.lock
	@touch $@
