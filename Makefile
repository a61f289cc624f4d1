# make demo: install, then ask about the example. make test: what CI runs. Everything lands in .venv and out/.
.PHONY: demo test test-slow test-gpu lint bench clean
.DELETE_ON_ERROR:

UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
BIN := .venv/bin
# A Python that is not here would be fetched from outside the package index: say so instead.
export UV_PYTHON_DOWNLOADS := never

demo: .venv/.installed examples/plaza.mp4
	@echo '$$ tvad ask examples/plaza.mp4 "what is anomalous?" -o out/demo'
	@$(BIN)/tvad ask examples/plaza.mp4 "what is anomalous?" -o out/demo
	@echo
	@echo "The pictures are in out/demo: overlay.mp4 (heat, boxes, score), timeline.png, trajectory.png, events/."
	@echo 'Next: $(BIN)/tvad chat examples/plaza.mp4, or $(BIN)/tvad ask YOUR_VIDEO "what is anomalous?"'

test: lint
	$(BIN)/pytest -m "not slow and not gpu" $(PYTEST_FLAGS)

test-slow: .venv/.installed-dev
	$(BIN)/pytest -m "slow and not gpu"

test-gpu: .venv/.installed-dev
	$(BIN)/pytest -m gpu

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.installed
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script; done

clean:
	rm -rf out build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find heatmap tvad chat training tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

examples/plaza.mp4: | .venv/.installed
	$(BIN)/python examples/make_plaza.py

.venv/.installed: pyproject.toml | uv
	@$(UV) python find --system ">=3.11" >/dev/null 2>&1 || { \
	  echo "tvad needs Python 3.11 or newer on the PATH; found: $$(python3 --version 2>&1 || echo no python3)." >&2; \
	  echo "Install one (Debian, Ubuntu: apt-get install python3.11 python3.11-venv) and type make again." >&2; exit 1; }
	$(UV) sync --no-dev --inexact
	@touch $@

.venv/.installed-dev: pyproject.toml | .venv/.installed
	$(UV) sync --inexact
	@touch $@

# uv from the PATH, else a private one from the package index.
.PHONY: uv
uv:
	@command -v $(UV) >/dev/null || { \
	  echo "installing uv into .uv"; \
	  { python3 -m venv .uv && echo '*' >.uv/.gitignore && .uv/bin/python -m pip install -q uv; } || { \
	  rm -rf .uv; echo "no uv, and python3 -m venv fails: apt-get install python3-venv, or pip install uv" >&2; exit 1; }; }
