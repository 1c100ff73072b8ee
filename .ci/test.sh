#!/usr/bin/env bash
# Runs every test, and counts those that were left out for want of a tool or of data. With CI=true each of those has
# failed.
#
# The stories of it_pipeline wait for brokers and processes, so that twice as many of them run as there are processors.
# All other tests compute, and run beside them, a program after the other.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p target
log=target/test.log
processors=$(getconf _NPROCESSORS_ONLN)
stories=${RUST_TEST_THREADS:-$((2 * processors))}
others=${RUST_TEST_THREADS:-$processors}
status=0
run() { cargo test --workspace --locked --no-fail-fast "$@" 2>&1; }

cargo test --workspace --locked --no-run
# With job control they are a group of processes, which ends with this script.
set -m
run --test it_pipeline -- --test-threads "$stories" >target/stories.log &
beside=$!
set +m
trap 'kill -- "-$beside" 2>/dev/null || true' EXIT
# What still runs when cargo has ended holds the pipe, so that everything has been said when `tee` ends.
run --lib --bins --test 'it_[!p]*' -- --test-threads "$others" | tee "$log" || status=$?
run --doc | tee -a "$log" || status=$?
wait "$beside" || status=$?
tee -a "$log" <target/stories.log
grep -o 'SKIPPED: .*' "$log" | sort | uniq -c || true
echo "left out: $(grep -c 'SKIPPED: ' "$log" || true)"
exit "$status"
