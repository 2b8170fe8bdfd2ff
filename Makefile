# The verbs. `make up` and `make test` set up all they need, on a bare Debian 12 too; `make help` lists them.

PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
# Test files run side by side: most of their time is waiting. One after another: make test JOBS=0
JOBS   ?= 3

NEEDS_UP := test -x $(BIN)/sppr || { echo "nothing is set up here yet: make up first" >&2; exit 1; }

.PHONY: help up down status setup packages packages-test dataplane lint check test test-all bench bench-smoke fuzz kill-campaign mutants docs fmt clean

help: ## these lines
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

up: setup ## set up what is missing, and bring the lab up (ARGS="-ns 3")
	@./bin/wakeup.py --prove $(ARGS)

down: ## end the lab
	@$(NEEDS_UP)
	@$(BIN)/sppr down

status: ## show the lab
	@$(NEEDS_UP)
	@$(BIN)/sppr status

setup: packages $(VENV)/.up dataplane ## Debian packages, .venv, data plane, hugepages, base image
	@$(BIN)/python -m compileall -q sppr || true # a folder that cannot be written only starts slower
	@$(BIN)/sppr setup

packages:
	@bin/install-packages up

packages-test: packages
	@bin/install-packages test

$(VENV)/bin/python: | packages
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.up: pyproject.toml setup.py $(VENV)/bin/python
	@echo "installing sppr and what it needs into $(VENV)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/.test: $(VENV)/.up
	@echo "installing what the tests need into $(VENV)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[test]'
	@touch $@

dataplane: packages ## build the data plane: spp_primary, spp_nfv, spp_vf, spp_mirror, spp_pcap, spp_vm, spp_capture
	@$(MAKE) -s -C sppr/dataplane

lint: packages $(VENV)/.test dataplane ## linters, types, unit tests of the data plane
	@$(BIN)/ruff check . bin runscripts
	@$(BIN)/ruff format --check -q . bin runscripts
	@$(BIN)/mypy
	@$(BIN)/clang-format --dry-run -Werror $$(find sppr/dataplane -name build -prune -o -name '*.[ch]' -print)
	@$(MAKE) -s -C sppr/dataplane check

check: lint ## lint, unit tests, messages for a wrong conf.yml: a minute or two
	@$(BIN)/python -m pytest -q tests/unit tests/errors

# SUITE=trixie: in a root of that Debian release (docs/distributions.md)
SUITE ?=
ifneq ($(SUITE),)
test: packages
	@$(PYTHON) tests/suite.py $(SUITE) $(ARGS)
else
test: packages-test setup $(VENV)/.test ## set up everything, and run every test (SUITE=trixie: in that Debian release)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --durations 20 $(ARGS)
endif

test-all: test ## every test here, then in Debian 13 and Debian testing (docs/distributions.md; needs root)
	@$(MAKE) test SUITE=trixie
	@$(MAKE) test SUITE=forky

bench: packages-test setup $(VENV)/.test ## measure everything, compare with the goals, write build/bench.json (needs root; SPP_DIR=PATH: upstream SPP, too)
	@$(BIN)/python tests/bench_all.py

bench-smoke: packages-test setup $(VENV)/.test ## run every bench once, briefly; figures are not judged
	@$(BIN)/python tests/bench_all.py --smoke

fuzz: packages-test ## fuzz the commands, a memif client and the options of launch, ten minutes each (FUZZ_SECONDS=600)
	@$(MAKE) -s -C sppr/dataplane fuzz

kill-campaign: packages-test setup $(VENV)/.test ## kill the launcher at 100 random moments, and check that the next run recovers (KILLS=100, needs root)
	@$(BIN)/python tests/kill_campaign.py

$(VENV)/.mutants: $(VENV)/.test
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[mutants]'
	@touch $@

mutants: $(VENV)/.mutants ## change the pure code in one place at a time, and count what the unit tests notice (an hour)
	@$(BIN)/python -m tests.mutants $(ARGS)

docs: $(VENV)/.test ## write the generated parts of docs/
	@$(BIN)/python docs/generate.py

fmt: $(VENV)/.test ## format Python and C
	@$(BIN)/ruff check -q --fix . bin runscripts || true
	@$(BIN)/ruff format -q . bin runscripts
	@$(BIN)/clang-format -i $$(find sppr/dataplane -name build -prune -o -name '*.[ch]' -print)

clean: ## remove what was built; images and .venv stay
	@$(MAKE) -s -C sppr/dataplane clean
	@bin/remove-folder build mutants
