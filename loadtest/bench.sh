#!/usr/bin/env bash
# Measures how fast a replay is, beside what decoding the same bytes costs with serde_json alone.
#
# Everything is measured in one run on one machine, in turn, so that the ratios hold where the times do not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

events=${EVENTS:-1000000}
rounds=${ROUNDS:-3}
out=target/bench
mkdir -p "$out"
cargo build --release --locked --quiet
cargo build --release --locked --quiet -p tributary-loadtest --example parse_alone
export TRIBUTARY_LOG=error

trace="$out/trace.$events.ndjson"
if [ ! -f "$trace" ]; then
    target/release/loadtest generate --events "$events" --out "$trace" --config-out "$out/tributary.toml" 2>/dev/null
fi

# Wall and CPU seconds and peak memory of a command.
measure() {
    python3 - "$@" <<'PY'
import os, resource, subprocess, sys, time
begun = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
wall = time.monotonic() - begun
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{wall:.2f} {used.ru_utime + used.ru_stime:.2f} {used.ru_maxrss * 1024}")
PY
}

printf '%-28s %10s %12s %14s %12s\n' what seconds events/s "CPU s / 1 M" bytes/event
row() {
    local name=$1
    shift
    read -r wall cpu rss <<<"$(measure "$@")"
    python3 -c "print(f'{\"$name\":<28} {$wall:>10.2f} {$events/$wall:>12,.0f} {$cpu*1e6/$events:>14.2f} {$rss/$events:>12.0f}')"
}
for _ in $(seq "$rounds"); do
    row "serde_json alone" target/release/examples/parse_alone "$trace"
    for workers in 1 2; do
        row "replay, $workers worker(s)" target/release/tributary replay --quiet --workers "$workers" \
            --config "$out/tributary.toml" --cells "$out/cells.$workers" "$trace"
    done
done
for batch in 1000 10000 100000; do
    row "replay, batches of $batch" target/release/tributary replay --quiet --workers 2 --batch "$batch" \
        --config "$out/tributary.toml" --cells "$out/cells.b" "$trace"
done
cmp "$out/cells.1" "$out/cells.2"
row "verify (batch oracle)" target/release/loadtest verify --config "$out/tributary.toml" --cells "$out/cells.1" "$trace"
