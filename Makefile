# The two commands of the README are `make demo` and `make test`; both set themselves up.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
WORKERS ?= 2
# Tests share the cores already: threads within them would only wait for one another.
ONE_THREAD := OMP_NUM_THREADS=1

.PHONY: demo test test-slow check format bench fields setup clean

setup: $(READY)

# torch and torchvision come from the package index as one matching pair, at the versions of
# constraints.txt; the import at the end fails the set-up when they do not fit each other.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -c "import torchvision.ops, timm"
	touch $(READY)

demo: $(READY)
	$(BIN)/segscape demo --out runs/demo

test: $(READY)
	$(BIN)/python -c "import torchvision.ops, timm"
	$(ONE_THREAD) $(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --dist worksteal

test-slow: $(READY)
	$(ONE_THREAD) $(BIN)/python -m pytest -m slow -n $(WORKERS) --dist worksteal --timeout 1800

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --level error
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks

# What `segscape models` says each network sees; a test fails where it is no longer true.
fields: $(READY)
	$(BIN)/python -m segscape.models.receptive_field > receptive_fields.json
	mv receptive_fields.json src/segscape/models/receptive_fields.json

clean:
	rm -rf .venv runs
