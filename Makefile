# make run | test | test-all | test-fresh | format
PYTHON ?= python3
BIN := .venv/bin
# Two at a time, whole files each. Those that drive a browser stay last: its event loop does not end before.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
PIP := $(BIN)/python -m pip --disable-pip-version-check
# pip hands these to the builds it starts, too
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt

.PHONY: run test test-all check browser test-fresh format

run: .venv/installed
	@$(BIN)/vlm-app serve

test: check browser
	VLM_APP_TEST_SIZE=small $(PYTEST)

test-all: check browser
	VLM_APP_TEST_SIZE=full $(PYTEST)

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The README's commands in a bare Debian root: needs root, mmdebstrap and some 20 GB of disk.
test-fresh:
	$(PYTHON) -m tests.fresh

format: .venv/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/installed: requirements.txt constraints.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed and $(PYTHON) was not found: install it (Debian and Ubuntu: apt-get install python3 python3-venv)." >&2; exit 1; }
	@test -e $@ || $(PYTHON) -m vlm_app.first_run
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(PIP) install --use-pep517 -r requirements.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	$(PIP) install --quiet --use-pep517 -r requirements-dev.txt
	@touch $@

# Chromium comes from the system, preferably without its windows, where a page opens a third faster; Playwright,
# whose driver wants libatomic, drives the one that is there. Poppler's pdftotext reads what is exported as PDF.
browser:
	@{ { command -v chromium-headless-shell || command -v chromium || command -v chromium-browser || command -v google-chrome; } && command -v pdftotext && $(BIN)/playwright --version; } >/dev/null 2>&1 \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update && apt-get install -y --no-install-recommends libatomic1 poppler-utils \
	     && { apt-get install -y --no-install-recommends chromium-headless-shell || apt-get install -y --no-install-recommends chromium; }; } \
	|| { echo "The browser tests need Chromium and those of exported PDFs pdftotext: install both (Debian: apt-get install chromium-headless-shell libatomic1 poppler-utils) and run this again." >&2; exit 1; }
