# The one command surface; CI and pre-commit call the same targets. `make help` lists them.
#
# Needs python3 (3.11), make and git; everything else is installed into .venv from requirements.lock.

PYTHON ?= python3
PYTEST_WORKERS ?= 2

BIN := .venv/bin
UV := .venv/uv/bin/uv
INSTALLED := .venv/.installed

# Options, passed on only when set. The shell quotes them: paths may hold spaces.
export DATASET AS_OF RAW RULES SOURCE SIZE UNTIL CUSTOMER YES FROM QUERY
MESSAGES = $${DATASET:+--dataset "$$DATASET"} $${RAW:+--raw "$$RAW"} $${SOURCE:+--source "$$SOURCE"} \
	$${SIZE:+--size "$$SIZE"}

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup refresh rebuild check forget propose-layers diff-rules explain rollback sql open docs test lint lint-python lint-sql lint-dbt lint-spark \
	dev bench bench-ltv bench-segments clean lock plotly

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  Options of refresh and check: DATASET=demo RAW=path SOURCE=path SIZE=customers"
	@echo "  Of refresh also: AS_OF=YYYY-MM-DD UNTIL=YYYY-MM-DD RULES=folder"

setup: $(INSTALLED) ## install what requirements.lock says into .venv (the other commands do it when it is needed)

$(INSTALLED): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and f"Python 3.11 is needed, this is {sys.version.split()[0]}: make PYTHON=/path/to/python3.11 ...")'
	@echo "Installing into .venv ..."
	@$(PYTHON) -m venv --without-pip .venv
	@test -x $(UV) || $(PYTHON) -m venv .venv/uv
	@.venv/uv/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.9,<1"
	@$(UV) pip sync --quiet --compile-bytecode --require-hashes --python $(BIN)/python requirements.lock
	@touch $@

refresh: $(INSTALLED) ## raw events -> tested, published marts (DATASET=demo unless set)
	@$(BIN)/python -m orchestration refresh $(MESSAGES) $${AS_OF:+--as-of "$$AS_OF"} $${UNTIL:+--until "$$UNTIL"} \
		$${RULES:+--rules "$$RULES"}

rebuild: $(INSTALLED) ## compute everything anew from a received date on (FROM=YYYY-MM-DD, or from the beginning) and publish it
	@$(BIN)/python -m orchestration rebuild $${DATASET:+--dataset "$$DATASET"} $${FROM:+--from "$$FROM"} \
		$${RAW:+--raw "$$RAW"} $${RULES:+--rules "$$RULES"}

check: $(INSTALLED) ## dry run: how columns are mapped, what would be rejected and why (DATASET, SOURCE or RAW)
	@$(BIN)/python -m orchestration check $(MESSAGES)

forget: $(INSTALLED) ## take a person out of raw files, warehouse and publications, and prove it (CUSTOMER=id or e-mail, DATASET, YES=1)
	@$(BIN)/python -m orchestration forget $${CUSTOMER:+--customer "$$CUSTOMER"} $${DATASET:+--dataset "$$DATASET"} \
		$${RAW:+--raw "$$RAW"} $${RULES:+--rules "$$RULES"} $${YES:+--yes}

propose-layers: $(INSTALLED) ## layers that explain later spend best, as a seed file to accept (DATASET)
	@$(BIN)/python -m orchestration propose-layers $${DATASET:+--dataset "$$DATASET"}

diff-rules: $(INSTALLED) ## whom the rules as they lie there would move, before they are published (DATASET, RULES)
	@$(BIN)/python -m orchestration diff-rules $${DATASET:+--dataset "$$DATASET"} $${RAW:+--raw "$$RAW"} \
		$${RULES:+--rules "$$RULES"}

explain: $(INSTALLED) ## why a customer is in a segment, and what would move the customer (CUSTOMER, DATASET, AS_OF)
	@$(BIN)/python -m orchestration explain $${CUSTOMER:+--customer "$$CUSTOMER"} $${DATASET:+--dataset "$$DATASET"} \
		$${AS_OF:+--as-of "$$AS_OF"}

rollback: $(INSTALLED) ## publish the publication before the current one again (DATASET)
	@$(BIN)/python -m orchestration rollback $${DATASET:+--dataset "$$DATASET"}

sql: $(INSTALLED) ## DuckDB's shell on the published marts, read-only (DATASET; QUERY="..." prints one answer)
	@$(BIN)/python -m orchestration sql $${DATASET:+--dataset "$$DATASET"} $${QUERY:+--query "$$QUERY"}

open: $(INSTALLED) ## the atlas in the browser (DATASET)
	@$(BIN)/python -m orchestration open $${DATASET:+--dataset "$$DATASET"}

docs: $(INSTALLED) ## the models, columns and metrics of a data set as one page, by dbt (DATASET)
	@$(BIN)/python -m orchestration docs $${DATASET:+--dataset "$$DATASET"}

test: $(INSTALLED) ## all tests (SLOW=1: also those that take minutes)
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile $(if $(SLOW),,-m "not slow")

lint: lint-python lint-sql lint-dbt lint-spark ## style, layers and both SQL dialects

lint-python: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

lint-sql: $(INSTALLED)
	@PYTHONWARNINGS="ignore:resource_tracker" $(BIN)/sqlfluff lint --processes 2 --disable-progress-bar models tests

lint-dbt: $(INSTALLED)
	@$(BIN)/dbt --quiet --warn-error-options '{"error": ["Deprecations"]}' parse --no-partial-parse --target-path target/lint
	@$(BIN)/dbt-bouncer run

lint-spark: $(INSTALLED)
	@$(BIN)/python tests/python/spark_dialect.py

dev: $(INSTALLED) ## Dagster at http://127.0.0.1:3000: the refresh as an asset, with its daily schedule
	@mkdir -p -m 700 .dagster && cp orchestration/dagster.yaml .dagster/
	@DAGSTER_HOME="$(CURDIR)/.dagster" PYTHONPATH="$(CURDIR)" $(BIN)/dagster dev --module-name orchestration.definitions --host 127.0.0.1 --port 3000

bench: $(INSTALLED) ## a full refresh against the scan of its columns, one more day against it (SIZE=events)
	@$(BIN)/python -m benchmarks $${SIZE:+--events "$$SIZE"}

bench-ltv: $(INSTALLED) ## fit and score 100k, 1M and 10M customers, against lifetimes and a per-row UDF (SIZE=customers)
	@$(BIN)/python -m benchmarks.ltv $${SIZE:+--size "$$SIZE"}

bench-segments: $(INSTALLED) ## segments against k-means and a regression tree (DATASET, or Complete Journey and the demo)
	@$(BIN)/python -m benchmarks.segments $${DATASET:+--dataset "$$DATASET"}

clean: ## remove build files and caches; with DATASET=..., all that was made for that data set (your own raw files stay)
	@$(if $(filter command,$(origin DATASET)),$(BIN)/python -m orchestration clean --dataset "$$DATASET")
	@rm -rf target logs .duckdb_tmp .pytest_cache .ruff_cache .hypothesis warehouse/*.tmp
	@find orchestration tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

lock: $(INSTALLED) ## resolve pyproject.toml anew and write requirements.lock
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --group dev --group datasets --group metrics pyproject.toml -o requirements.lock

plotly: ## build the atlas's Plotly from orchestration/atlas/plotly/traces.js anew (needs npm)
	@cd orchestration/atlas/plotly && npm ci --ignore-scripts --no-audit --no-fund --silent && npm run --silent build
	@rm -rf orchestration/atlas/plotly/node_modules
