# Tributary. `make demo` needs Rust and nothing else; `make test` brings what it needs under target/tools.

CARGO ?= cargo
TOOLS := target/tools
export TRIBUTARY_NATS_SERVER ?= $(abspath $(TOOLS)/bin/nats-server)

.DEFAULT_GOAL := help
.PHONY: help demo build image debian test lint fmt bench soak tools reference pictures clean

help: ## List the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

build: ## Build the release binaries: target/release/tributary and target/release/loadtest
	$(CARGO) build --release --locked
	bash config/deploy/split-debug.sh target/release/tributary target/release/loadtest

image: build ## Write the OCI image target/image/tributary.tar, and load the one of the compose file where Docker runs
	bash config/deploy/image.sh
	bash config/deploy/image.sh --name tributary:demo --out target/image/demo.tar target/release/tributary target/release/loadtest
	! docker info >/dev/null 2>&1 || docker load --input target/image/demo.tar

debian: build ## Write the Debian package into target/debian
	bash config/deploy/debian.sh

demo: ## Simulate a few weeks of a brand and show the results
	$(CARGO) build --release --locked -p tributary
	target/release/tributary demo

tools: ## Install test dependencies: a pinned nats-server, Prometheus with promtool, Chromium, axe-core, two SDKs, jose, age, DuckDB, Helm, Docker Compose
	bash .ci/tools.sh nats promtool chromium axe sdk jose age duckdb deploy

test: tools ## Run all tests
	bash .ci/test.sh

lint: ## Check format, circles of modules, lints, licenses and bans
	$(CARGO) fmt --all --check
	@mkdir -p target/lint
	rustc --test --edition 2024 --crate-name modules loadtest/tests/it/modules_have_no_circles/mod.rs -o target/lint/modules
	target/lint/modules --quiet
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	bash .ci/deny.sh

fmt: ## Format the code
	$(CARGO) fmt --all

bench: ## Run the benchmarks: the product beside its peers, ledger cost, restart time, memory under load
	bash .ci/tools.sh duckdb
	bash loadtest/bench.sh
	bash loadtest/durability.sh
	bash loadtest/flood.sh
	BUILT=1 bash loadtest/latency.sh

soak: tools ## Run the long tests: many more random histories, fuzz inputs and kills, and coverage-guided fuzzing
	TRIBUTARY_HISTORIES=$${TRIBUTARY_HISTORIES:-50000} TRIBUTARY_FUZZ=$${TRIBUTARY_FUZZ:-5000000} \
	TRIBUTARY_FAULT_EVENTS=$${TRIBUTARY_FAULT_EVENTS:-1000000} TRIBUTARY_FAULT_KILLS=$${TRIBUTARY_FAULT_KILLS:-100} \
	TRIBUTARY_FAULT_BROKER_KILLS=$${TRIBUTARY_FAULT_BROKER_KILLS:-20} \
	TRIBUTARY_DATA_ROWS=$${TRIBUTARY_DATA_ROWS:-1000000} TRIBUTARY_RETENTION_DAYS=$${TRIBUTARY_RETENTION_DAYS:-420} \
	TRIBUTARY_SCENARIOS=$${TRIBUTARY_SCENARIOS:-10} TRIBUTARY_ERASE_EVENTS=$${TRIBUTARY_ERASE_EVENTS:-1000000} TRIBUTARY_RIGHTS_AT_ONCE=$${TRIBUTARY_RIGHTS_AT_ONCE:-10000} \
		$(CARGO) test --workspace --locked --release
	TRIBUTARY_FUZZ_SECONDS=$${TRIBUTARY_FUZZ_SECONDS:-600} bash .ci/fuzz.sh

reference: ## Regenerate the references
	$(CARGO) run -q -p tributary -- reference > grafana/metrics.md
	$(CARGO) run -q -p tributary -- reference --cells > connectors/CELLS.md
	$(CARGO) run -q -p tributary -- config schema --markdown > config/REFERENCE.md

pictures: tools ## Regenerate the screenshots of the live page
	TRIBUTARY_SCREENSHOTS=pipeline/page-screenshots TRIBUTARY_DEMO_EVENTS=200000 \
		$(CARGO) test -q -p tributary --locked --test it_pipeline page_demo::

clean: ## Remove all build artifacts
	$(CARGO) clean
