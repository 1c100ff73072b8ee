#!/usr/bin/env bash
# Measures a replay beside its peers on one trace: serde_json alone, the decoder alone, a textbook differential dataflow and
# DuckDB, which compute the same cells, and the batch oracle.
#
# Everything is measured in one run on one machine, in turn, so that the ratios hold where the times do not.
#
#   EVENTS=1000000 ROUNDS=3 BATCHES=200,1000,10000,100000 bash loadtest/bench.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

events=${EVENTS:-1000000}
rounds=${ROUNDS:-3}
batches=${BATCHES:-200,1000,10000,100000}
out=target/bench
mkdir -p "$out"
cargo build --release --locked --quiet
cargo build --release --locked --quiet --workspace --example parse_alone --example decode_alone
textbook=$(cargo build --release --locked --quiet --workspace --bench textbook --message-format=json |
    python3 -c 'import json, sys
for line in map(json.loads, sys.stdin):
    if line.get("executable") and line["target"]["name"] == "textbook":
        print(line["executable"])')
export TRIBUTARY_LOG=error PYTHONPATH=$PWD/target/tools/python

trace="$out/trace.$events.ndjson"
if [ ! -f "$trace" ]; then
    # Fixed days, so that the same options give the same bytes.
    target/release/loadtest generate --events "$events" --start 2026-01-05 --out "$trace" \
        --config-out "$out/tributary.toml" --force 2>/dev/null
fi

python3 loadtest/peers/compare.py "$trace" --config "$out/tributary.toml" --textbook "$textbook" --rounds "$rounds" \
    --batches "$batches" --json "$out/compare.json"

# What of the decoder's time the keyed hashes of identifiers take: the difference of these two.
for part in --identifiers --pseudonyms; do
    /usr/bin/time -f "$part: %U s user, %S s system" \
        target/release/examples/decode_alone "$trace" "$out/tributary.toml" "$part"
done

# The batch oracle, which must agree byte for byte.
target/release/tributary replay --quiet --force --config "$out/tributary.toml" --cells "$out/cells" "$trace"
begun=$SECONDS
target/release/loadtest verify --config "$out/tributary.toml" --cells "$out/cells" "$trace"
echo "the batch oracle took $((SECONDS - begun)) s"
