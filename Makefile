# Two commands, each from nothing: `make quickstart` and `make test`. They need only Python and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# What CI and these commands install; the package itself names ranges.
CONSTRAINTS := requirements/lock.txt
# The contract of the management plane, which is not part of this repository.
CONTRACT ?= ../shared/specs/BatchAI-2018-05-01.json
# How many requests of each kind `make fuzz` makes up; CI takes fewer.
EXAMPLES ?= 300
# The environment with CNTK, made from a Python 3.6 that PYTHON36, PATH or pyenv gives.
CNTK_VENV ?= .venv-cntk
# The most processes that share the tests; never more than there are processors.
WORKERS ?= 4
CPU_INDEX := https://download.pytorch.org/whl/cpu

MEASURED := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n auto \
  --maxprocesses $(WORKERS) --dist worksteal --cov
# Where the tests are that tests/conftest.py marks so.
FIBERS := tests/unit/aio tests/end_to_end/test_aio.py tests/end_to_end/test_aio_loop.py \
  tests/documents src/batchai_recipes/aio

.PHONY: help quickstart cntk test test-ray docs lint types contracts fuzz check clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

quickstart: $(VENV)/trainer.stamp  ## Train the MNIST network as a Batch AI job, end to end
	$(BIN)/batchai-recipes quickstart $(ARGS)

# In two parts: telling greenlets apart doubles what coverage costs, and few tests have any. Tests start
# hundreds of interpreters, which are to find their modules compiled.
test: $(VENV)/develop.stamp  ## Run all tests but those that need Ray, with coverage
	$(BIN)/python -m coverage erase
	status=0; \
	$(MEASURED) -m 'not ray and not fibers' --cov-report= $(ARGS) || status=$$?; \
	BATCHAI_TEST_CONCURRENCY=greenlet $(MEASURED) -m fibers --cov-append --cov-report=term \
	  --cov-fail-under=90 $(FIBERS) $(ARGS) || status=$$?; \
	exit $$status

# Two processes, each with a Ray cluster of four machines for one module after the other. A test that
# hangs ends by a signal, so that the cluster is ended, too.
test-ray: $(VENV)/ray.stamp  ## Run the tests that need Ray, and install it
	$(BIN)/python -m pytest -m ray --timeout-method signal -n auto --maxprocesses 2 --dist loadfile \
	  tests/service/engines tests/documents/test_ray_clusters.py $(ARGS)

cntk:  ## Make .venv-cntk with CNTK 2.7, for `quickstart --engine cntk`
	$(PYTHON) src/batchai_recipes/trainer/cntk_environment.py $(CNTK_VENV)

docs: $(VENV)/docs.stamp  ## Build the manual into build/docs; a warning is an error
	$(BIN)/sphinx-build -E -W --keep-going -n -q -b html docs build/docs
	@echo "build/docs/index.html"

lint: $(VENV)/develop.stamp  ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/develop.stamp  ## Check types
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

contracts: $(VENV)/develop.stamp  ## Check that the two halves stay apart
	$(BIN)/lint-imports

fuzz: $(VENV)/fuzz.stamp $(VENV)/develop.stamp  ## Ask the service all that the contract allows
	$(BIN)/python tests/service/management/fuzz.py --contract $(CONTRACT) \
	  --schemathesis $(VENV)/fuzz/bin/schemathesis --examples $(EXAMPLES)

check: test test-ray docs lint types contracts  ## Everything that CI checks

clean:  ## Remove what these commands made
	rm -rf $(VENV) $(CNTK_VENV) build .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# PyTorch's CPU build is a fraction of the CUDA build's size. The index that has it is offered only
# where there is no GPU, in a call of its own that does not retry: where it cannot be reached, the
# call fails quickly and the next one takes PyTorch from the ordinary index.
$(VENV)/torch.stamp: $(VENV)/bin/python pyproject.toml $(CONSTRAINTS)
	@command -v nvidia-smi >/dev/null 2>&1 || $(BIN)/python -c 'import torch' 2>/dev/null || \
	  $(PIP) install -q --retries 0 --timeout 15 -c $(CONSTRAINTS) \
	    --extra-index-url $(CPU_INDEX) torch || \
	  echo "PyTorch's CPU index cannot be reached; taking PyTorch from the ordinary index"
	@touch $@

$(VENV)/trainer.stamp: $(VENV)/torch.stamp
	$(PIP) install -q -c $(CONSTRAINTS) -e '.[trainer]'
	@touch $@

$(VENV)/develop.stamp: $(VENV)/trainer.stamp
	$(PIP) install -q -c $(CONSTRAINTS) -r requirements/develop.in
	@touch $@

$(VENV)/ray.stamp: $(VENV)/develop.stamp
	$(PIP) install -q -c $(CONSTRAINTS) -e '.[ray]'
	@touch $@

# The reference is made of the package's docstrings, with the names of all that it can import.
$(VENV)/docs.stamp: $(VENV)/trainer.stamp
	$(PIP) install -q -c $(CONSTRAINTS) -e '.[docs,pandas,plot,tracing]'
	@touch $@

# A pytest plug-in comes with schemathesis, so it stays out of the environment of the tests.
$(VENV)/fuzz.stamp: $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)/fuzz
	$(VENV)/fuzz/bin/python -m pip --disable-pip-version-check install -q schemathesis==4.32.5
	@touch $@
