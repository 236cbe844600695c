# `make demo` and `make test` set up .venv by themselves from the locked requirements.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CAUSE ?= drawdown

.PHONY: demo test faults soak lint bench coverage lock clean

$(VENV)/runtime.stamp: requirements/runtime.txt pyproject.toml
	@echo "setting up $(VENV) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/runtime.stamp
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(VENV)/runtime.stamp  ## a failing model is caught and rolled back, live (CAUSE=drawdown|loss_streak|load_error|checksum|sharpe)
	@$(BIN)/model-watchdog demo --cause $(CAUSE)

test: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest -n 4 -q

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

coverage: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 4 -q --cov --cov-report=term-missing

faults: $(VENV)/dev.stamp  ## every fault at every step of a rollback, against real daemons (SEED=1, ONLY=word, WRITE=1 for the page)
	@$(BIN)/python -m tests.faults --seed $(or $(SEED),1) $(if $(ONLY),--only "$(ONLY)") $(if $(WRITE),--write docs/reliability.md)

soak: $(VENV)/dev.stamp  ## weeks of trading through the real service in minutes: memory, files and journal stay flat (WEEKS=3, SEED=1)
	@$(BIN)/python -m tests.soak --weeks $(or $(WEEKS),3) --seed $(or $(SEED),1)

bench: $(VENV)/dev.stamp
	@$(BIN)/python -m tests.bench

lock:  ## needs `uv`; rewrites the two locked files
	cd requirements && uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header runtime.in -o runtime.txt
	cd requirements && uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header dev.in -o dev.txt

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
