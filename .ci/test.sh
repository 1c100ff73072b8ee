#!/usr/bin/env bash
# Runs every test, two binaries at a time, and counts those that were left out for want of a tool or of data. With
# CI=true each of those has failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p target
log=target/test.log
status=0
cargo test --workspace --locked --no-run
BESIDE=$(mktemp -d)
export BESIDE
trap 'rm -rf "$BESIDE"' EXIT
: >"$BESIDE/failed"
host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
if command -v flock >/dev/null; then
    export "CARGO_TARGET_${host}_RUNNER=$PWD/.ci/beside.sh"
fi
# What still runs when cargo has ended holds the pipe, so that everything has been said when `tee` ends.
cargo test --workspace --locked --no-fail-fast --tests 2>&1 | tee "$log" || status=$?
unset "CARGO_TARGET_${host}_RUNNER"
cargo test --workspace --locked --no-fail-fast --doc 2>&1 | tee -a "$log" || status=$?
grep -o 'SKIPPED: .*' "$log" | sort | uniq -c || true
echo "left out: $(grep -c 'SKIPPED: ' "$log" || true)"
if [ -s "$BESIDE/failed" ]; then
    echo "failed:"
    sed 's/^/  /' "$BESIDE/failed"
    status=1
fi
exit "$status"
