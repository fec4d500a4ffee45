# `make serve` goes from a fresh clone to a working page, `make test` runs everything. Both install what is missing.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

PORT ?= 8080
export QUANTSCOPE_TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/quantscope/tools
export PATH := $(QUANTSCOPE_TOOLS)/bin:$(HOME)/.cargo/bin:$(PATH)
# Flags from outside would replace those of .cargo/config.toml, and SIMD with them.
unexport RUSTFLAGS CARGO_ENCODED_RUSTFLAGS

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
WASM := --target wasm32-unknown-unknown

.PHONY: help
help: ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

.PHONY: serve
serve: build ## Build the page and serve it at http://localhost:8080 (another port: PORT=9000)
	@node scripts/serve.mjs --port $(PORT) dist

.PHONY: test
test: test-tools ## Run every check and test: format, lints, native, WebAssembly, browser
	@node scripts/test.mjs

.PHONY: test-peers
test-peers: peers-tools ## Run exported code by PyTorch, recording code by Keras and TensorFlow Lite (gigabytes, the first time)
	@node scripts/test.mjs peers

.PHONY: build
build: build-tools ## Build dist/: static files with relative addresses, for any sub-path of any static server
	@echo "build: compiling the page and the worker (some minutes the first time)"
	@cargo build --locked --profile page $(WASM) --bin app --no-default-features
	@cargo build --locked --release $(WASM) --bin worker
	@trunk --quiet build --release
	@node scripts/sizes.mjs dist

.PHONY: dev
dev: build-tools ## Serve a development build that is rebuilt at every change
	@trunk serve --port $(PORT)

.PHONY: build-engine-check
build-engine-check: build-tools ## Build the engine as a module that the browser tests call directly
	@if [ ! -f examples/engine_check.rs ]; then echo "build: no examples/engine_check.rs, skipped"; exit 0; fi; \
	cargo build --locked --release $(WASM) --example engine_check; \
	wasm-bindgen --target web --no-typescript --out-dir target/engine-check \
	  $(TARGET_DIR)/wasm32-unknown-unknown/release/examples/engine_check.wasm

.PHONY: build-tools test-tools peers-tools
build-tools test-tools peers-tools: %-tools:
	@scripts/install-tools.sh $*

.PHONY: bench
bench: test-tools build-engine-check ## Measure the engine beside tract and onnxruntime-web (10 min the first time)
	@npm --prefix tools/bench ci --silent --no-audit --no-fund --ignore-scripts
	@node scripts/bench.mjs

.PHONY: screenshots
screenshots: build ## Take the README's pictures anew (docs/)
	@node scripts/screenshots.mjs

.PHONY: fmt
fmt: build-tools ## Format the code
	@cargo fmt --all

.PHONY: clean
clean: ## Remove everything that was built here (tools in the cache stay)
	@rm -rf dist target node_modules test-results
