# `make` lists the targets. Needs Python 3.11, 3.12 or 3.13 with pip, and nothing else.

PYTHON ?= python3
LOCK ?= requirements.lock
UV_VERSION := 0.13.8
UV := .bootstrap/bin/uv
ENV := .venv/.made
RUN := .venv/bin/python
SERVICES := .venv-services/.made
SERVICE_TESTS ?= tests/services/sweeps.py tests/services/slurm.py tests/services/outage.py
COMPILE = $(UV) pip compile pyproject.toml --extra dev --extra docs --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --no-header --quiet $(UPGRADE)

# Each keeps what it has compiled, some gigabytes in the end, so all tests are run in two halves, by their files' names.
# A file stays in one process: its tests share what is compiled, and sweeps.
PARALLEL := --numprocesses auto --maxprocesses 2 --dist loadfile

export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help env demo test check services test-services test-candidates coverage correctness golden benchmarks docs lint lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-14s %s\n", $$1, $$2}'

env: $(ENV)  ## make the environment in .venv from the hashed lock; for GPUs with LOCK=requirements-gpu.lock

demo: $(ENV)  ## run the quickstart ablation: 12 small VAEs, a table, an MLflow store
	$(RUN) scripts/train.py experiment=quickstart

test: lint  ## run lint, types and all tests, two processes at a time
	$(RUN) -m pytest $(PARALLEL) tests/test_[a-g]*.py
	$(RUN) -m pytest $(PARALLEL) tests/test_[h-z]*.py

check: lint  ## run lint, types and the tests that are not slow: what to call after each edit
	$(RUN) -m pytest $(PARALLEL) -m "not slow"

services: $(SERVICES)  ## get what test-services needs, as far as this machine allows
	tests/services/system_packages.sh

test-services: services  ## sweeps over Slurm, Ray and an MLflow server on PostgreSQL, all real (docs/clusters.md)
	.venv-services/bin/python -m pytest -v -rs $(SERVICE_TESTS)

test-candidates: $(ENV)  ## the quick tests on release candidates: make test-candidates CANDIDATES="hydra-core omegaconf"
	$(UV) venv --quiet --clear --python $(PYTHON) .venv-candidates
	VIRTUAL_ENV=.venv-candidates $(UV) pip sync --quiet --require-hashes requirements.lock
	VIRTUAL_ENV=.venv-candidates $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	VIRTUAL_ENV=.venv-candidates $(UV) pip install --upgrade --prerelease allow $(CANDIDATES)
	.venv-candidates/bin/python -m pytest -m "not slow"

coverage: $(ENV)  ## the quick tests, and which lines and branches they reach
	$(RUN) -m pytest -m "not slow" --cov --cov-report term:skip-covered --cov-report html:outputs/coverage

correctness: $(ENV)  ## measure docs/correctness.md anew
	$(RUN) -m pytest --figures docs/correctness.md tests/test_ppca.py tests/test_importance_toy.py tests/test_evaluation.py \
	  tests/test_posterior.py tests/test_prior.py tests/test_likelihood.py tests/test_bounds.py tests/test_flows.py \
	  tests/test_discrete.py tests/test_sphere.py tests/test_hierarchy.py tests/test_sequential.py \
	  tests/test_gradients.py tests/test_weights.py tests/test_gaps.py

golden: $(ENV)  ## compute the golden values anew: what has moved is the diff of tests/golden.json
	$(RUN) tests/golden.py

benchmarks: $(ENV)  ## measure speed beside its peers into docs/benchmarks.md (a quarter of an hour)
	$(RUN) -m benchmarks

docs: $(ENV)  ## build the site into site/, without a network; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet
	@echo "open site/index.html"

lint: $(ENV)  ## run ruff and mypy only
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

lock: $(UV)  ## resolve what pyproject.toml has new into the two locks; make lock UPGRADE=--upgrade for all
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --extra gpu --constraint requirements.lock --output-file requirements-gpu.lock

clean:  ## remove the environment (runs and data stay)
	rm -rf .venv .venv-services .venv-candidates .bootstrap site

$(UV):
	$(PYTHON) -c 'import sys; v = sys.version_info; assert (3, 11) <= v < (3, 14), \
	  "vae_lab needs Python 3.11, 3.12 or 3.13; name one with: make PYTHON=python3.12"'
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target .bootstrap uv==$(UV_VERSION)

$(ENV): $(UV) $(LOCK) pyproject.toml
	$(UV) venv --quiet --seed --allow-existing --python $(PYTHON) .venv
	VIRTUAL_ENV=.venv $(UV) pip sync --require-hashes $(LOCK)  # whatever environment is active
	VIRTUAL_ENV=.venv $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# What the lock holds comes hashed; the launchers, Ray and psycopg on top of it do not.
$(SERVICES): $(UV) requirements.lock pyproject.toml
	$(UV) venv --quiet --clear --python $(PYTHON) .venv-services
	VIRTUAL_ENV=.venv-services $(UV) pip sync --quiet --require-hashes requirements.lock
	VIRTUAL_ENV=.venv-services $(UV) pip install --quiet --no-build-isolation --editable '.[slurm,ray]' 'psycopg[binary]>=3.2'
	@touch $@
