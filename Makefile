# Two commands for a fresh clone: make demo, make test. Each installs what it needs into .venv, once.

PYTHON ?= python3
BIN := .venv/bin
ROOM ?= .
# Three at a time, because many wait for other processes; a file's tests in one process. Plain
# `pytest` runs them one after another.
TEST := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
MUTANTS ?=
UPGRADE ?=
NEWEST ?= >=3.12
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-fast test-peers test-sweeps test-extras test-newest chips mutation lint types docs links review \
	lock .venv-newest

demo: .venv/requirements.done
	$(BIN)/python -m alexnet_jax.prepare --dataset=fractals --data_dir=data
	$(BIN)/python -m alexnet_jax.main --config=configs/demo.py --workdir=runs/demo
	$(BIN)/python -m alexnet_jax.report --workdir=runs/demo

test: .venv/requirements-dev.done
	$(TEST)

# Some minutes. `make test-fast ROOM=training` runs the tests of one folder, while you change it.
test-fast: .venv/requirements-dev.done
	$(TEST) -m "not slow" tests/$(ROOM)

# The tests that need PyTorch or Ray, or do more where these are installed.
PEERS := tests/peers tests/weights/test_*_peer.py \
	tests/benchmarks/test_step_benchmark.py::test_pytorch_is_measured_in_turn
SWEEPS := tests/sweeps/test_trials.py tests/launch/test_ray_sweep.py tests/launch/test_slurm_sweep.py \
	tests/launch/test_reproduce.py::test_ray_runs_what_is_missing_of_several_experiments

test-peers: .venv/requirements-peers.done
	XLA_FLAGS="" $(TEST) $(PEERS)

test-sweeps: .venv/requirements-sweep.done
	$(TEST) $(SWEEPS)

# Both at once: while one waits, the other uses the cores.
test-extras: .venv/requirements-peers.done .venv/requirements-sweep.done
	XLA_FLAGS="" $(TEST) $(PEERS) $(SWEEPS)

# The training step compiled for a TPU, which need not exist, against the costs in benchmarks/ceilings.json.
# The compiler is not in .venv, where JAX would look for a TPU.
chips: .chips/requirements-chips.done
	PYTHONPATH=.chips $(BIN)/python -m benchmarks.compiled --check --network=owt

# The fast tier with the newest versions that pyproject.toml allows, and whole runs. The newest JAX
# needs Python 3.12.
WHOLE_RUNS := tests/golden/test_golden_run.py tests/test_main.py::test_a_run_says_its_result_and_nothing_on_stderr
test-newest: .venv-newest
	.venv-newest/bin/python -m pytest -n 3 --dist loadfile -m "not slow"
	.venv-newest/bin/python -m pytest $(WHOLE_RUNS)

# Made again each time: what is newest changes.
.venv-newest: .venv/requirements-dev.done
	$(INSTALL) uv
	$(BIN)/uv venv --quiet --clear --python="$(NEWEST)" .venv-newest
	$(BIN)/uv pip install --quiet --python=.venv-newest/bin/python --group=dev '.[serve]'

# Does the suite notice changes to the code? Continues where it stopped; a part that is named, as in
# `make mutation MUTANTS='alexnet_jax.data.*'`, is run again. As a worker of pytest-xdist, each
# mutant's run shares data sets and compiled programs with the others.
mutation: .venv/requirements-mutation.done
	mkdir -p mutants/tmp
	PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH="$(CURDIR)/tests" OPENBLAS_NUM_THREADS=1 PYTEST_XDIST_WORKER=mutant \
	PYTEST_DEBUG_TEMPROOT="$(CURDIR)/mutants/tmp" JAX_COMPILATION_CACHE_DIR="$(CURDIR)/mutants/xla" \
	JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 $(BIN)/mutmut run $(if $(MUTANTS),'$(MUTANTS)')
	$(BIN)/python tests/mutation_scores.py

# Spelling is American. These are a state of Slurm, a text in files and a key of the doctor's JSON.
NAMES := cancelled,centre,utilisation

lint: .venv/requirements-dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell *.md docs configs launch
	$(BIN)/codespell --ignore-words-list=$(NAMES) alexnet_jax benchmarks tests

types: .venv/requirements-dev.done
	$(BIN)/mypy

# The documentation site, in site/. A broken link, a broken anchor or an API name that does not exist
# fails the build. So does what is written to stderr, where warnings about docstrings go.
docs: .venv-docs/requirements-docs.done
	.venv-docs/bin/zensical build --clean --strict 2> .venv-docs/stderr || (cat .venv-docs/stderr; exit 1)
	! grep --invert-match "No issues found" .venv-docs/stderr

# Check the docs' links to other sites. This needs the internet, so no test does it; CI does it once
# a week. Links within the repository are tested by tests/test_docs.py.
links: .venv-docs/requirements-docs.done
	.venv-docs/bin/lychee --no-progress --scheme=https --scheme=http .

# The Scientific Python project's checks of packaging, CI and tool settings.
review: .venv-docs/requirements-docs.done
	.venv-docs/bin/repo-review .

# Pin the versions that pyproject.toml allows; with UPGRADE=--upgrade, the newest of them.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version=3.11 --generate-hashes \
	--custom-compile-command="make lock" $(UPGRADE)
lock: .venv/requirements-dev.done
	$(INSTALL) uv
	$(LOCK) pyproject.toml --extra=report --output-file=requirements.txt
	$(LOCK) pyproject.toml --extra=serve --group=dev --constraints=requirements.txt --output-file=requirements-dev.txt
	$(LOCK) --group=docs --output-file=requirements-docs.txt

.venv/requirements-peers.done: .venv/requirements-dev.done requirements-peers.txt
	$(INSTALL) -r requirements-peers.txt
	touch $@

.venv/requirements-sweep.done: .venv/requirements-dev.done requirements-sweep.txt
	$(INSTALL) -r requirements-sweep.txt
	touch $@

.venv/requirements-mutation.done: .venv/requirements-dev.done requirements-mutation.txt
	$(INSTALL) -r requirements-mutation.txt
	touch $@

.chips/requirements-chips.done: .venv/requirements-dev.done requirements-chips.txt
	$(INSTALL) --target=.chips -r requirements-chips.txt
	touch $@

.venv-docs/requirements-docs.done: requirements-docs.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	touch $@

.venv/requirements-dev.done: .venv/requirements.done requirements-dev.txt
	$(INSTALL) -r requirements-dev.txt
	touch $@

.venv/requirements.done: requirements.txt
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv .venv
	$(INSTALL) -r requirements.txt
	touch $@
