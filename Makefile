# `make demo` trains the default model, `make test` runs the whole test suite. Both create .venv first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# uv is several times faster than pip; if it is not available, pip does the same. Compiled bytecode halves the start time of
# every process, even where Python may not write bytecode itself.
INSTALL = $(BIN)/python -m uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt $(1) \
	|| $(BIN)/python -m pip install --quiet -c constraints.txt $(1)

# The next versions of Hydra and OmegaConf. They are laid over the environment, which takes seconds, instead of a second one.
NEXT := hydra-core==1.4.0rc3 omegaconf==2.4.1rc1
SWEEPS := tests/cli/sweeps/test_jobs.py
PARTS := $(addprefix tests/, networks losses common cli/config evaluation/metrics test_language.py test_imports.py \
	models/test_structure.py)
COMPOSING := tests/cli/config tests/cli/sweeps/test_search.py tests/test_experiments.py \
	$(SWEEPS)::test_a_sweep_that_is_cut_short_has_a_table_too $(SWEEPS)::test_every_job_has_a_row_and_one_that_fails_stops_no_other

.PHONY: help demo test quick test-next browser test-kill lint types bench gpu race results clean
.DEFAULT_GOAL := help

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/runtime  ## install, and train a GAN on handwritten digits (about two minutes)
	$(BIN)/python -m gan_lab.train recipe=digits

test: .venv/develop browser  ## run the tests (GAN_LAB_TEST_DATA names a folder of real data sets)
	$(BIN)/python -m pytest -n 2 --dist loadfile

quick: .venv/develop  ## run the half of the tests that takes three minutes: parts, configurations, metrics, wording
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PARTS)

test-next: .venv/next  ## run the tests that compose configurations with the next versions of Hydra and OmegaConf
	PYTHONPATH=.venv/next HYDRA_DEPRECATION_WARNINGS_AS_ERRORS=1 $(BIN)/python -m pytest -n 2 $(COMPOSING) -k "not runs"

browser:  ## install Chromium, in which tests open reports (on Debian; elsewhere install it yourself)
	@command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium) \
		|| echo "Chromium is missing, and tests of reports will fail: install it, or run make test as root on Debian."

lint: .venv/develop  ## check style and formatting
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: .venv/develop  ## check types
	$(BIN)/mypy

bench: .venv/runtime  ## compare the speed with bare PyTorch loops in interleaved runs, and measure the memory of checkpointing
	$(BIN)/python experiments/bench.py
	$(BIN)/python experiments/bench_memory.py

gpu: .venv/runtime  ## measure the training of StyleGAN2 at 256 px on a GPU: speed, memory, use of the device (under eight minutes)
	$(BIN)/python experiments/bench_gpu.py --output experiments/results/bench_gpu.json

race: .venv/runtime  ## compare the speed with other projects' scripts, from checkouts in the folder PEERS, for an hour
	$(BIN)/python experiments/race.py $(PEERS) --output experiments/results/race.json

results: .venv/runtime  ## write the tables of README.md, docs and experiments from experiments/results/*.json
	$(BIN)/python experiments/table.py

test-kill: .venv/develop  ## end runs of three methods forty times and check that nothing is lost (ten to twenty minutes)
	$(BIN)/python tests/kill.py

clean:  ## remove the environment and the caches, but no runs
	rm -rf .venv .mypy_cache .ruff_cache dist

.venv/pip:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv || true
	@touch $@

.venv/runtime: .venv/pip pyproject.toml constraints.txt
	$(call INSTALL,-e .)
	@touch $@

.venv/next: .venv/develop Makefile
	rm -rf $@
	$(BIN)/python -m pip install --quiet --no-deps --target $@ $(NEXT)
	@touch $@

.venv/develop: .venv/pip pyproject.toml constraints.txt
	$(call INSTALL,-e ".[dev]")
	@touch $@ .venv/runtime
