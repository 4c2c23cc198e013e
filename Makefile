# Needs make and Python 3.11 or later with venv; everything else goes into .venv.
# `make help` lists the targets. PYTHON=python3.12 chooses another interpreter.

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint clean mini mini-pilot mini-ship-pilot mini-sizes mini-score \
	mini-keep mini-ship mini-status

BIN := .venv/bin
# -P: the folder is the package dipbench itself, so its modules must not be importable bare.
RUN := $(BIN)/python -P -m
# Three on two cores: many tests wait for processes that they start.
WORKERS := 3
PYTEST := $(RUN) pytest -c tests/pytest.ini --rootdir tests -n $(WORKERS) tests
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name text; \
	do printf '%-22s %s\n' "$$name" "$$text"; done

demo: .venv/.train ## install, then train six models and ask the table about them (CPU, minutes)
	$(BIN)/dipbench demo

test: lint ## install, then run every check but the slow tests
	$(PYTEST) -m "not slow"

test-all: lint .venv/.test-all ## install, then run every check, the slow tests too
	$(PYTEST)

lint: .venv/.test ## install, then run ruff and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd .venv/src && ../bin/python -P -m mypy -p dipbench --config-file dipbench/pyproject.toml

# The shipped benchmark: tens of hours a sweep (an image, task and seed), in as many sittings as it takes. Its folder is not
# removed by `make clean`.
MINI := mini-store
BUILD := $(BIN)/python -P benchmark/mini/build.py

mini: .venv/.train ## go on with the trainings of the shipped benchmark; end it at any time
	$(BUILD) train --work $(MINI)

mini-pilot: .venv/.train ## go on with the shipped benchmark's first 32 models; end it at any time
	$(BUILD) pilot --work $(MINI)

mini-ship-pilot: .venv/.train ## put what is complete of that into the package
	$(BUILD) ship-pilot --work $(MINI)

mini-sizes: .venv/.train ## train 64 of the models on larger pictures; end it at any time
	$(BUILD) sizes --work $(MINI)

mini-score: .venv/.train ## score the models of what is shipped or complete; run it again to resume
	$(BUILD) score --work $(MINI)

mini-keep: .venv/.train ## keep what `make mini` has trained in files to commit
	$(BUILD) keep --work $(MINI)

mini-ship: .venv/.train ## put what is complete into the package, with its card
	$(BUILD) ship --work $(MINI)

mini-status: .venv/.train ## say how far the shipped benchmark is
	$(BUILD) status --work $(MINI)

clean: ## remove everything that these targets made
	rm -rf .venv build dist dipbench.egg-info demo-store .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis tests/.pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp says which extras are in .venv, for the setup.cfg and the versions of its time.
.venv/.train: setup.cfg constraints.txt | .venv/pyvenv.cfg
	$(RUN) pip install --quiet -c constraints.txt -e ".[train]"
	touch $@

.venv/.test: setup.cfg constraints.txt | .venv/pyvenv.cfg
	$(RUN) pip install --quiet -c constraints.txt -e ".[train,download,cluster,test]"
	mkdir -p .venv/src && ln -sfn ../.. .venv/src/dipbench
	touch .venv/.train $@

# Of the extra compare without deepinv, which needs a torchvision built for the same torch.
.venv/.test-all: .venv/.test
	$(RUN) pip install --quiet -c constraints.txt -e ".[syne-tune]" bm3d
	touch $@

.venv/pyvenv.cfg:
	@for python in $(PYTHON) python3 python3.11 python3.12 python3.13 python3.14; do \
		if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
			2>/dev/null; then echo "$$python -m venv .venv"; exec "$$python" -m venv .venv; fi; \
	done; \
	echo "no Python 3.11 or later with venv found: install one (Debian: python3-venv)," \
		"or name it, as in: make PYTHON=/path/to/python3.12 test" >&2; exit 1
