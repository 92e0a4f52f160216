# Two commands set up all they need and say what they do: `make demo` and `make test`.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

MINUTES ?= 10
# What `make bench` scores: JSON Lines of articles, the demo's unless a file is named.
ARTICLES ?= worker/newsieve/demo/articles.jsonl
STUDENT ?= worker/newsieve/filters/builtin/sustainability/v1/student

# Where Python is told to keep no bytecode, each process of the tests would rewrite all of them anew.
export PYTHONDONTWRITEBYTECODE =

.PHONY: venv demo test suite bench hostile soak sabotage lint pins schemas docs screenshots clean

venv: $(INSTALLED)

MEMBERS := schemas worker training

$(INSTALLED): pyproject.toml $(MEMBERS:%=%/pyproject.toml) constraints.txt
	@echo "setting up .venv (several GB with torch; a few minutes the first time) …"
	@# pip comes last: without it, an interrupted run left half of an environment
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@# every file is held against its hash: uv by pip, all others by uv; newsieve is built by what is then there
	@sed -n '/^uv==/,/[^\\]$$/p' constraints.txt | $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement /dev/stdin
	@# compiled now, or every start of a worker compiles torch where Python may not write its caches
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --requirement constraints.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(MEMBERS:%=--editable ./%)
	@touch $(INSTALLED)

demo: venv
	@$(BIN)/newsieve demo

test: venv
	@# side by side: the type checker has the moments in which tests wait for Kafka
	@$(MAKE) --no-print-directory --jobs 2 lint suite

suite: venv
	@# three on two cores, for the same reason; in their own order (tests/conftest.py), not by how many a file has
	@$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

bench: venv
	@# one after the other: each has the processors to itself, and writes its tables to benchmarks/results
	@$(BIN)/python -m benchmarks.engine --device cpu --student $(STUDENT) --articles $(ARTICLES) --save
	@$(BIN)/python -m benchmarks.end_to_end --articles $(ARTICLES) --seconds 30 --save end_to_end

hostile: venv
	@# two side by side: they mostly wait for programs to start, and what is metered is a program's own CPU time
	@$(BIN)/pytest tests/hostile --numprocesses 2 --dist loadfile --durations 15

soak: venv
	@$(BIN)/python -m tests.faults.soak --minutes $(MINUTES)

sabotage: venv
	@$(BIN)/python -m tests.faults.sabotage

lint: venv
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >/dev/null || $(BIN)/lint-imports

pins:
	@# keeps the versions that constraints.txt has; newer ones come where it has none
	@$(BIN)/uv pip compile --quiet --universal --all-extras --group setup --group dev --group benchmark --group docs --generate-hashes --no-annotate --custom-compile-command 'make pins' \
		--no-emit-package newsieve --no-emit-package newsieve-schemas --output-file constraints.txt $(MEMBERS:%=%/pyproject.toml)

schemas: venv
	@$(BIN)/python -m newsieve_schemas.export

docs: venv
	@$(BIN)/python -m docs.generate
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs docs/_build
	@echo "docs/_build/index.html"

screenshots: venv
	@# the pages of the demo, as docs/images has them; needs Chromium
	@$(BIN)/python -m docs.screenshots

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
