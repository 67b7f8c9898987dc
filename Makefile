# Everything a developer of Holdfast does, by one word. `make` alone explains them.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
READY := .venv/.installed
CODE := holdfast tests examples bench scripts
# Three workers for two cores, the smallest machine we promise: tests with phones mostly wait.
WORKERS ?= 3
ARGS ?=
SEED ?= 1
N ?= 200

# Tests and benches start programs of this tree by the dozen: they are compiled once, whatever the shell's habits.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help install demo serve test check interop conformance-openapi fuzz mutants bench diagrams pages lock clean

help:
	@printf '%s\n' \
	  'Holdfast: hold and resume live phone calls, on Twilio or on the engine inside.' \
	  '' \
	  '  make demo      two calls held and resumed on this machine; a picture of what each ear heard' \
	  '  make serve     the engine and the holds service, until Ctrl-C; it prints a link to the console' \
	  '' \
	  '  make test      every test that needs only this tree (ARGS="-k hold" narrows)' \
	  '  make check     ruff, mypy --strict, import contracts' \
	  '  make interop   foreign phones, SDKs and a browser (sudo apt-get install -y baresip chromium ffmpeg nginx sip-tester sox nodejs npm)' \
	  '  make conformance-openapi OPENAPI=twilio_api_v2010.json' \
	  '                 every REST operation of an OpenAPI file, fuzzed by schemathesis on a real engine' \
	  '  make fuzz      hostile packets for a minute (ARGS="--seconds 600 --from 5000000" looks elsewhere)' \
	  '  make mutants   small faults put into the product, one at a time: do the tests notice? (SEED=1 N=200)' \
	  '  make bench     the figures, each beside its bar' \
	  '  make diagrams  docs/machines.md, docs/drawings and the tree of docs/design.md' \
  '  make pages     the status pages: proofs into footnotes, in the order of the rows' \
	  '' \
	  '  make install   only the .venv, from requirements.lock (the others do it when needed)' \
	  '  make lock      new lock files from pyproject.toml and requirements-openapi.in' \
	  '  make clean     forget .venv and every cache' \
	  '' \
	  'Start with: make demo.  Then: .venv/bin/holdfast --help, README.md, docs/design.md.'

$(READY): requirements.lock pyproject.toml scripts/install
	@scripts/install

install: $(READY)

demo: $(READY)
	@$(BIN)/holdfast demo $(ARGS)

serve: $(READY)
	@$(BIN)/holdfast serve $(ARGS)

test: $(READY)
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m 'not interop' $(ARGS)

check: $(READY)
	@echo '· ruff format';     $(BIN)/ruff format --quiet --check $(CODE)
	@echo '· ruff check';      $(BIN)/ruff check --quiet $(CODE)
	@echo '· mypy --strict';   $(BIN)/mypy
	@echo '· import contracts'; $(BIN)/lint-imports

interop: $(READY)
	@$(BIN)/python -m pytest -q -m interop $(ARGS)

conformance-openapi: $(READY)
	@[ -n "$(OPENAPI)" ] || { echo 'Name the file: make conformance-openapi OPENAPI=twilio_api_v2010.json' >&2; exit 2; }
	@scripts/install-openapi
	@$(BIN)/python -m scripts.conformance_openapi "$(OPENAPI)" $(ARGS)

fuzz: $(READY)
	@$(BIN)/python -m tests.fuzz $(ARGS)

mutants: $(READY)
	@$(BIN)/python -m scripts.mutants --seed $(SEED) -n $(N) $(ARGS)

bench: $(READY)
	@$(BIN)/python -m bench $(ARGS)

diagrams: $(READY)
	@$(BIN)/python -m scripts.diagrams

pages: $(READY)
	@$(BIN)/python -m scripts.status_pages

lock:
	@scripts/lock

clean:
	@rm -rf .venv .lock-venv .openapi-venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .mutants_cache demo-out bench-out
