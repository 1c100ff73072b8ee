#!/usr/bin/env bash
# Coverage-guided fuzzing with libFuzzer of what reads bytes from outside, each target for TRIBUTARY_FUZZ_SECONDS (60).
# It takes a nightly compiler; without one it says so and does nothing. What is found is kept in target/fuzz/found, and the
# inputs that reach new code in target/fuzz/corpus, so that the next run goes on from there.
#
#   bash .ci/fuzz.sh [TARGET…]    consent, decode, ledger, rights
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! rustup run nightly rustc --version >/dev/null 2>&1; then
    echo "SKIPPED: coverage-guided fuzzing takes a nightly compiler: rustup toolchain install nightly" >&2
    exit 0
fi
host=$(rustup run nightly rustc -vV | sed -n 's/^host: //p')
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks \
--cfg fuzzing"
# With a target named, build scripts and procedural macros are built without coverage.
RUSTFLAGS="${RUSTFLAGS:-} $coverage" rustup run nightly cargo build --release --locked --target "$host" \
    --manifest-path loadtest/fuzz/Cargo.toml --target-dir target/fuzz/build
for target in ${*:-consent decode ledger rights}; do
    mkdir -p "target/fuzz/corpus/$target" target/fuzz/found
    echo "fuzz.sh: $target for ${TRIBUTARY_FUZZ_SECONDS:-60} s"
    seeds="loadtest/fuzz/seeds/$target"
    [ -d "$seeds" ] || seeds=
    # shellcheck disable=SC2086  # No seeds are no argument.
    "target/fuzz/build/$host/release/$target" "target/fuzz/corpus/$target" $seeds \
        -max_total_time="${TRIBUTARY_FUZZ_SECONDS:-60}" -artifact_prefix="target/fuzz/found/$target-" -timeout=10 \
        -print_final_stats=1 -verbosity=0
done
