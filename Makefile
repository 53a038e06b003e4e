# Needs make and Python 3.11 or newer; every target first makes .venv if it is missing or out of date.
BIN := .venv/bin
EXTRAS := serving,training,loggers,tune,monitoring,torchserve,tokenizer,signing,dev
LOCKING := build/locking
.DEFAULT_GOAL := help
# Without compiled files, each of the many processes of a test would compile what it imports anew.
export PYTHONDONTWRITEBYTECODE :=
.PHONY: help setup fmt fmt-check lint types imports docs docs-check test soak cover check bench clients fuzz demo lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "  make %-11s %s\n", $$1, $$2 }'

setup: .venv/.installed ## make .venv and install what requirements.lock names
.venv/.installed: requirements.lock pyproject.toml setup.sh $(wildcard native/*)
	@sh setup.sh

demo: setup ## the whole loop on a year of real data; KEEP=1 leaves server and sidecar running
	$(BIN)/python -m examples.bikeshare.demo --output demo-output $(if $(filter 1 yes true,$(KEEP)),--keep)

# -n: how many workers share the tests (tests/workers.py); ARGS="-n 0" for none.
test: setup ## all tests, end-to-end ones included, on two cores; ARGS="-k name" goes to pytest
	$(BIN)/python -m pytest -n 2 $(ARGS)

soak: setup ## overload and reloads of the server for their full time, some minutes; prints what it measured
	$(BIN)/python -m pytest -m soak tests/load $(ARGS)

check: fmt-check lint types imports docs-check test ## everything that CI checks

fmt: setup ## format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix-only --select I

fmt-check: setup
	$(BIN)/ruff format --check

lint: setup ## ruff, all rules
	$(BIN)/ruff check

types: setup ## mypy, strict
	$(BIN)/mypy

imports: setup ## the direction of imports between the packages
	$(BIN)/lint-imports

docs: setup ## write docs/settings.md from the code
	$(BIN)/python -m staytrue.document

docs-check: setup
	@mkdir -p build && $(BIN)/python -m staytrue.document build/settings.md
	diff -u docs/settings.md build/settings.md

proto: setup ## write serving/proto's Python from the pinned .proto
	$(BIN)/python -m serving.proto.generate .

chart: setup ## write the chart's rules, dashboards, types of a project and table of values
	$(BIN)/python -m helm.generate

cover: setup ## branch coverage of the kernel
	$(BIN)/python -m pytest --cov --cov-report=term-missing staytrue $(wildcard tests/unit/staytrue tests/golden tests/property)

bench: setup ## what serving costs beside other servers, ARGS="--models T"; OF=training, training.loop or collecting: of those
	$(BIN)/python -m benchmarks$(if $(OF),.$(OF)) $(ARGS)

clients: setup ## the clients of KServe, MLServer and TensorFlow Serving against a server; ARGS=kserve for one
	$(BIN)/python -m tests.clients $(ARGS)

fuzz: setup ## made-up bytes and requests for a few minutes; SECONDS=600 for longer
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps atheris==3.0.0
	test -x build/fuzz/venv/bin/schemathesis || { $(BIN)/python -m venv build/fuzz/venv && \
	  build/fuzz/venv/bin/python -m pip install --quiet --disable-pip-version-check schemathesis==4.32.5; }
	$(BIN)/python -m tests.fuzz.codecs $(or $(SECONDS),60)
	$(BIN)/python -m tests.fuzz.compiled $(or $(SECONDS),60)
	$(BIN)/python -m tests.fuzz.framing $(or $(SECONDS),60)
	$(BIN)/python -m tests.fuzz.addresses build/fuzz/venv/bin/schemathesis
	$(BIN)/python -m pytest -q tests/property

lock: setup ## write requirements.lock anew from pyproject.toml
	rm -rf $(LOCKING) && $(BIN)/python -m venv $(LOCKING)
	$(LOCKING)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	{ sed '/^#/!d' requirements.lock; \
	  $(LOCKING)/bin/python -m pip freeze --exclude-editable | sed 's/^\(torch==[0-9.]*\)+.*/\1/'; } > $(LOCKING)/lock
	mv $(LOCKING)/lock requirements.lock && rm -rf $(LOCKING)

clean: ## remove .venv, caches and what the demo wrote
	rm -rf .venv build demo-output .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
