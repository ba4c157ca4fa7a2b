# The few targets a person types. `make` alone lists them.

LIB_DIR := .libduckdb

.PHONY: help demo test walk lint bench bench-peers soak fuzz page libduckdb clients chromium tools

help:
	@echo "make demo       build, and run a sample clinic with a simulated crowd on http://127.0.0.1:8080"
	@echo "make test       every test"
	@echo "make lint       rustfmt and clippy, warnings are errors"
	@echo "make bench      figures of this machine, those of docs/performance.md; half an hour (FIXES=10000000: a third of it)"
	@echo "make bench-peers  beside PostgreSQL with PostGIS, MEOS and MovingPandas; installs them; minutes (PEERS_ARGS='--fixes 200000': less)"
	@echo "make soak       faults without end: ROUNDS kills, disks that fail, damaged logs, bursts, simulated histories; minutes"
	@echo "make fuzz       every fuzz target for FUZZ_SECONDS; needs cargo-fuzz and a nightly toolchain"
	@echo "make page       only build the page; plain cargo puts it into the binary afterwards"
	@echo "make libduckdb  only fetch DuckDB's prebuilt library; plain cargo works afterwards"

demo: libduckdb page
	cargo run --release --locked -- demo $(DEMO_ARGS)

test: libduckdb clients page chromium
	cargo test --locked
	cd dashboard && npm test --silent
	$(MAKE) --no-print-directory walk

# Every view in a real browser, against the demo. `make walk VIEWS="live sql"` walks only these.
walk: libduckdb page chromium
	cargo build --locked
	@scripts/walk.sh $(VIEWS)

lint: libduckdb page
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	scripts/cargo-deny.sh

FIXES := 100000000
HISTORY := $(or $(TMPDIR),/var/tmp)/footfall-bench-$(FIXES).duckdb

# The parts, the whole, how it grows, and questions to a long history and ingest beside it, which is made first and goes after.
bench: libduckdb
	cargo bench --locked --no-run
	cargo bench --locked --bench parts
	cargo bench --locked --bench ingest
	cargo bench --locked --bench ingest -- --scale --events 2000000
	@trap 'rm -f "$(HISTORY)" "$(HISTORY).wal"' EXIT; trap 'exit 1' INT TERM; set -ex; \
	cargo bench --locked --bench queries -- --fixes $(FIXES) --file "$(HISTORY)"; \
	cargo bench --locked --bench ingest -- --history "$(HISTORY)"
	cargo bench --locked --bench rebuild
	cargo bench --locked --bench alerts

# Figures beside those of what a user would pick instead, once the answers are found to be the same.
bench-peers: libduckdb
	cargo build --release --locked
	@scripts/bench-peers.sh $(PEERS_ARGS)

ROUNDS := 200

# What a test run plays a few times, many times, in the program as it is released. FOOTFALL_SEED repeats what failed.
soak: libduckdb
	FOOTFALL_SOAK_ROUNDS=$(ROUNDS) cargo test --release --locked --test it -- soak:: simulation:: --nocapture --test-threads 1

FUZZ_SECONDS := 600
FUZZ_TARGETS := delivery floorplan sql postgres config

# What is found stands in fuzz/artifacts; new inputs that reach new code are kept in fuzz/found, and not committed. Leaks are
# not looked for: libduckdb is not built to have them told apart, and keeps some bytes of a described statement.
fuzz: libduckdb page
	cd fuzz && for target in $(FUZZ_TARGETS); do \
		mkdir -p found/$$target artifacts/$$target && \
		LD_LIBRARY_PATH=$(CURDIR)/$(LIB_DIR) cargo +nightly fuzz run --fuzz-dir . $$target found/$$target corpus/$$target -- \
			-detect_leaks=0 -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=4096 -timeout=25 -print_final_stats=1 || exit 1; \
	done

# Types are generated from the API's own document, checked, and all of it bundled, when anything has changed.
page: tools
	@scripts/build-page.sh

chromium:
	@scripts/fetch-chromium.sh

libduckdb: tools
	@scripts/fetch-libduckdb.sh $(LIB_DIR)

# PostgreSQL clients that the tests run against the server.
clients: tools
	@scripts/fetch-clients.sh

# Says what is missing, all of it, and how to get it.
tools:
	@missing=; \
	command -v cargo > /dev/null || { missing=1; echo "cargo is missing: install Rust from https://rustup.rs"; }; \
	command -v cc > /dev/null || { missing=1; echo "a C compiler is missing: apt-get install build-essential, or xcode-select --install"; }; \
	command -v npm > /dev/null || { missing=1; echo "npm is missing: install Node.js 20.19, 22.12 or newer from https://nodejs.org or as your system's packages nodejs and npm"; }; \
	[ -z "$$missing" ]
