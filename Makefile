# Plain POSIX make. Needs python3.11 and make on the PATH; everything else is fetched into .tools/ and .venv/.
.POSIX:
.PHONY: help run test test-peers lint format soak bench data-check nlu-report clean uv sync-run sync-dev

BIN = .venv/bin
PYTEST_ARGS =
# Whoever talks to real processes mostly waits: one test process more than there are cores.
TALKERS = $$(($$(getconf _NPROCESSORS_ONLN) + 1))

# uv sees this project and nothing else: no user or system configuration, no other index, no other environment, and only a
# Python that is already here. Without bytecode for its libraries Rasa takes four times as long to start.
PURE_UV = unset PYTHONDONTWRITEBYTECODE VIRTUAL_ENV UV_CONFIG_FILE UV_INDEX UV_DEFAULT_INDEX UV_INDEX_URL \
	UV_EXTRA_INDEX_URL UV_FIND_LINKS UV_LOCKED UV_NO_SYNC UV_PROJECT UV_WORKING_DIRECTORY; \
	export UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=.venv; \
	UV_PYTHON=$$(python3.11 -c 'import sys; print(sys.executable)'); export UV_PYTHON

# Prints a uv that works: the one on the PATH, the one in .tools, else nothing.
FIND_UV = for uv in uv .tools/bin/uv .tools/lib/bin/uv; do \
	if "$$uv" --version >/dev/null 2>&1; then echo "$$uv"; break; fi; done

# What an environment is made from; it is synced again when this changes.
LOCKED = cat uv.lock pyproject.toml .python-version | cksum

help: ## show this list
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-13s %s\n", $$1, $$2 }'

run: sync-run ## set everything up and start (Ctrl-C stops)
	@exec $(BIN)/guanjia run

test: lint data-check ## everything that must pass: set-up, lint, types, data, tests; real processes and browsers last
	@echo "== tests"
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "not e2e and not browser" $(PYTEST_ARGS)
	@echo "== tests with real processes and browsers"
	@$(BIN)/python -m pytest -n $(TALKERS) --dist loadfile --no-loadscope-reorder -m "e2e or browser" $(PYTEST_ARGS) || [ $$? -eq 5 ]

test-peers: sync-dev ## foreign WeChat, WeCom and Telegram libraries of node as peers (needs node and npm)
	@command -v npm >/dev/null || { echo "npm is missing. Install Node.js 18 or newer and try again." >&2; exit 1; }
	@cd tests/channels/peers && npm ci --no-audit --no-fund --ignore-scripts --silent
	@GUANJIA_PEERS_REQUIRED=1 $(BIN)/python -m pytest tests/channels/test_peers.py $(PYTEST_ARGS)

lint: sync-dev ## ruff (rules and format) and mypy
	@echo "== lint"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: sync-dev ## put the code into its format, mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

soak: sync-dev ## long run: 200,000 steps of the desk, 10,000 damaged pushes a webhook, then load with processes being killed
	@exec $(BIN)/python benchmarks/soak.py

bench: sync-dev ## measure with the scripts of benchmarks/ (without the long ones: soak, crash, scale, nlu, danger_weights)
	@for script in benchmarks/*.py; do case $$script in *soak.py | *crash.py | *scale.py | *nlu.py | *nlu_report.py | *danger_weights.py | *\*.py) continue ;; esac; \
	echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

data-check: sync-dev ## check the language data (data/)
	@echo "== data"
	@exec $(BIN)/python -m nlu.data_check

nlu-report: sync-dev ## how well messages are understood: cross-validation and held-out sets
	@exec $(BIN)/python benchmarks/nlu_report.py

clean: ## remove what make has made; your data in var/ stays
	rm -rf .venv .tools .rasa .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

uv:
	@python3.11 -c 'pass' 2>/dev/null || { echo "python3.11 is missing. Install Python 3.11 and try again." >&2; exit 1; }
	@[ -n "$$($(FIND_UV))" ] || { echo "Fetching uv into .tools …"; rm -rf .tools; \
	{ python3.11 -m venv .tools && .tools/bin/python -m pip install -q uv; } >.uv.log 2>&1 || \
	{ rm -rf .tools; python3.11 -m pip install -q --target .tools/lib uv >>.uv.log 2>&1; } || { cat .uv.log >&2; }; rm -f .uv.log; }
	@[ -n "$$($(FIND_UV))" ] || { echo "uv could not be installed: python3.11 has neither a working venv nor pip, or there is no" \
	"network. Install the package python3.11-venv, or put uv on the PATH, and try again." >&2; exit 1; }

# To start it, the development tools are not needed; those that are there stay.
sync-run: uv
	@key=$$($(LOCKED)); \
	[ "$$key" = "$$(cat .venv/.synced-run 2>/dev/null)" ] || [ "$$key" = "$$(cat .venv/.synced-dev 2>/dev/null)" ] || { \
	echo "Setting up (about 2 GB the first time) …"; $(PURE_UV); \
	"$$($(FIND_UV))" sync --frozen --extra rasa --compile-bytecode --no-dev --inexact && echo "$$key" >.venv/.synced-run; }

sync-dev: uv
	@key=$$($(LOCKED)); \
	[ "$$key" = "$$(cat .venv/.synced-dev 2>/dev/null)" ] || { \
	echo "Setting up for development …"; $(PURE_UV); \
	"$$($(FIND_UV))" sync --frozen --extra rasa --compile-bytecode && echo "$$key" >.venv/.synced-dev; }
