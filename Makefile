# Two commands: `make demo` trains the default model; `make test` runs the whole test suite. Both make .venv first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# uv is several times faster than pip; where it cannot be had, pip does the same. Compiled, every process starts in half
# the time, also where Python may not write what it compiles.
INSTALL = $(BIN)/python -m uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt $(1) \
	|| $(BIN)/python -m pip install --quiet -c constraints.txt $(1)

.PHONY: help demo test browser test-kill lint types bench results clean
.DEFAULT_GOAL := help

help:  ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/runtime  ## install, then train the default GAN on handwritten digits (about two minutes)
	$(BIN)/python -m gan_lab.train

test: .venv/develop browser  ## the test suite (GAN_LAB_TEST_DATA names a folder of real data sets)
	$(BIN)/python -m pytest -n 2 --dist loadfile

browser:  ## Chromium, which the tests open reports with (Debian's; elsewhere install it yourself)
	@command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium) \
		|| echo "No Chromium: tests of pages will fail; install it, or run make test as root on Debian."

lint: .venv/develop  ## style
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: .venv/develop  ## types
	$(BIN)/mypy

bench: .venv/runtime  ## speed against bare PyTorch loops, as ratios of one interleaved run; memory of checkpointing
	$(BIN)/python experiments/bench.py
	$(BIN)/python experiments/bench_memory.py

results: .venv/runtime  ## the tables of README.md and experiments/README.md, from experiments/results/*.json
	$(BIN)/python experiments/table.py

test-kill: .venv/develop  ## kill a run twenty times and see that nothing is lost (five to nine minutes)
	$(BIN)/python tests/kill.py

clean:  ## remove the environment and caches, not the runs
	rm -rf .venv .mypy_cache .ruff_cache dist

.venv/pip:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv || true
	@touch $@

.venv/runtime: .venv/pip pyproject.toml constraints.txt
	$(call INSTALL,-e .)
	@touch $@

.venv/develop: .venv/pip pyproject.toml constraints.txt
	$(call INSTALL,-e ".[dev]")
	@touch $@ .venv/runtime
