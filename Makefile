# Needs make, a C++ compiler and Python 3.11 to 3.13; everything else is installed into .venv.
# PYTHON=... picks the interpreter, PYTEST_ARGS=... goes to pytest.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	if $$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	2>/dev/null; then echo $$python; break; fi; done)

BIN := .venv/bin
CORE := .venv/.core-installed
DOCS := .venv/.docs-installed
PLOT := .venv/.plot-installed
MUTATION := .venv/.mutation-installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# The workers of pytest-xdist share the cores, so none of them may use them all.
export OMP_NUM_THREADS ?= 1

# What is checked is the project's own; a kernel of yours that lies in the root is left alone.
SOURCES := reference proofs_check oracle tests

.PHONY: demo test test-deep lint proofs coq coq-tools docs bench bench-specification fine-tuning selftest vectors \
	mutation clean

demo: $(CORE)
	$(BIN)/loracle demo

# Derandomised unless another profile is named: the same tree gives the same result.
test: export LORACLE_HYPOTHESIS_PROFILE ?= ci
test: lint
	$(BIN)/python -m pytest -q -n 2 --require-third-party $(PYTEST_ARGS)

test-deep: $(CORE)
	LORACLE_HYPOTHESIS_PROFILE=deep $(BIN)/python -m pytest -q -n 2 -m "deep or not deep" \
		--require-third-party $(PYTEST_ARGS)

lint: $(CORE)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

# Runs every record of the ledger in full and writes what came out, for `loracle ledger` and docs.
proofs: $(CORE) $(PLOT)
	$(BIN)/python -m loracle_proofs docs/ledger
	$(BIN)/python -m loracle_proofs.phase_transition docs/images

# The algebra of the paper for all dimensions, checked by Coq; writes what the ledger shows of it.
coq: $(CORE) coq-tools
	$(BIN)/python -m loracle_proofs.coq

# Debian and Ubuntu, as root: installs Coq and its library (1.1 GB). Elsewhere they must be there.
COQ_PACKAGES := coq libcoq-mathcomp-algebra
coq-tools:
	@if command -v coqc >/dev/null && test -d "$$(coqc -where)/user-contrib/mathcomp/algebra"; then :; \
	elif test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $(COQ_PACKAGES); \
	else echo "the proofs need Coq 8.16 and Mathematical Components 1.15: apt-get install $(COQ_PACKAGES), as root" >&2; exit 1; fi

docs: $(DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The short form of `loracle bench`; docs/bench.md includes the tables and plots that it writes.
bench: $(CORE) $(PLOT)
	env -u OMP_NUM_THREADS $(BIN)/loracle bench --lengths 4096,8192,16384 --heads 1,2 --limit 5 \
		--markdown docs/measured/bench-cpu.md --plot docs/images/bench-cpu
	$(BIN)/loracle bench --transition --markdown docs/measured/bench-transition.md \
		--plot docs/images/bench-transition

# The oracle on its corpora, in full, beside other rules; docs/selftest.md includes the tables. `make
# test` runs the short form, as tests/oracle/test_corpus.py.
selftest: $(CORE)
	$(BIN)/loracle selftest --full --compare --markdown docs/measured/selftest.md

# The certified vectors that come with the package; `make test` verifies them.
vectors: $(CORE)
	$(BIN)/loracle vectors build oracle/loracle/vectors/data
	$(BIN)/loracle vectors verify

# Trains with the almost-linear gradient; docs/fine-tuning.md includes what this writes.
fine-tuning: $(CORE) $(PLOT)
	$(BIN)/python tests/benchmarks/fine_tuning.py docs/images --markdown docs/measured/fine-tuning.md

bench-specification: $(CORE)
	env -u OMP_NUM_THREADS $(BIN)/python tests/benchmarks/timings.py

# Changes the modules named in tests/mutation/setup.cfg in every small way and runs the tests that
# concern them. Fails where a change survives that tests/mutation/survivors.toml does not explain;
# `mutmut show NAME` in build/mutation shows a change.
mutation: export PYTHONPATH =
mutation: export LORACLE_HYPOTHESIS_PROFILE = ci
mutation: $(MUTATION)
	$(BIN)/python tests/mutation/stage.py build/mutation
	cd build/mutation && $(CURDIR)/$(BIN)/python -m mutmut run
	$(BIN)/python tests/mutation/report.py build/mutation --markdown docs/measured/mutation.md

clean:
	rm -rf .venv build site .mypy_cache .pytest_cache .ruff_cache
	$(MAKE) --no-print-directory -C proofs_check/coq clean

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 to 3.13 with venv found; name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv

$(CORE): .venv/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[adapters,test]'
	@touch $@

$(PLOT): $(CORE)
	$(PIP) -e '.[plot]'
	@touch $@

$(MUTATION): $(CORE)
	$(PIP) -e '.[mutation]'
	@touch $@

$(DOCS): $(CORE)
	$(PIP) -e '.[docs]'
	@touch $@
