#!/usr/bin/env bash
# Measures latency from the intended time of a record to its cell on NATS, cadence 0: idle, at half of the highest rate, and
# that rate; and the throughput through NATS with the ledger beside that of a replay within one process. Broker, worker and
# load test share the machine. Everything is measured in one run, each part beginning with an empty broker and worker.
#
#   PROBE=30s PERSONS=1000000 PROFILE=release bash loadtest/latency.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=${PROFILE:-release}
probe=${PROBE:-30s}
persons=${PERSONS:-1000000}
slo=${SLO:-p99<250ms}
bin=target/$profile
out=target/bench/latency
rm -rf "$out"
mkdir -p "$out"
[ -n "${BUILT:-}" ] || cargo build --release --locked --quiet
bash .ci/tools.sh nats >/dev/null
nats=${TRIBUTARY_NATS_SERVER:-target/tools/bin/nats-server}
export TRIBUTARY_LOG=error TRIBUTARY_NATS_URL=nats://127.0.0.1:14223 TRIBUTARY_LEDGER_DIRECTORY=$PWD/$out/data
metrics=127.0.0.1:19467

"$bin/loadtest" generate --persons "$persons" --start 2026-01-05 --days 1 --out "$out/t.ndjson" --config-out "$out/t.toml" 2>/dev/null
sed -i 's/^k = 1$/k = 1\ncadence = "0s"/' "$out/t.toml"
printf '\n[workers]\nthreads = 1\ntick = "%s"\n' "${TICK:-3ms}" >>"$out/t.toml"

store=$(mktemp -d)
broker=
worker=
stop() {
    # The broker goes last: it has to take the worker's last acknowledgement.
    [ -z "$worker" ] || { kill "$worker" && wait "$worker"; } 2>/dev/null || true
    [ -z "$broker" ] || { kill "$broker" && wait "$broker"; } 2>/dev/null || true
    worker= broker=
}
trap 'stop; rm -rf "$store"' EXIT

# Starts a broker and a worker that hold nothing: what one measurement has sent makes no other slower.
start() {
    stop
    rm -rf "${store:?}"/* "$out/data"
    "$nats" --addr 127.0.0.1 --port 14223 --jetstream --store_dir "$store" --log "$store/log" &
    broker=$!
    sleep 0.5
    "$bin/tributary" run --config "$out/t.toml" --listen "$metrics" 2>"$out/worker.log" &
    worker=$!
    for _ in $(seq 300); do
        curl -sf "http://$metrics/readyz" >/dev/null && break
        sleep 0.1
    done
}

# A run at a rate, with markers and a report.
run() {
    "$bin/loadtest" replay --config "$out/t.toml" --shift-to now --at stream --rate "$2" --duration "$probe" --markers 20 \
        --metrics "$metrics" --report "$out/$1.json" --title "$1, $2 events/s" "$out/t.ndjson" 2>/dev/null || echo "not valid"
    "$bin/loadtest" report "$out/$1.json" --html "$out/$1.html" || true
}

start
echo "== idle"
run idle 1
start
echo "== highest rate with $slo"
"$bin/loadtest" find-max --config "$out/t.toml" --metrics "$metrics" --slo "$slo" --probe "$probe" --first "${FIRST:-2000}" \
    "$out/t.ndjson" 2>/dev/null | tee "$out/find-max"
highest=$(sed -n 's/^highest rate that holds: \([0-9]*\) .*/\1/p' "$out/find-max")
start
echo "== half of it"
[ -z "$highest" ] || run half $((highest / 2))

start
echo "== throughput: what waited while the worker was suspended, 20 events a message, until all of it is read"
value() { curl -sf "http://$metrics/metrics" | awk -v name="$1" '$1 ~ "^"name"($|{)" { sum += $NF } END { printf "%.0f", sum }'; }
position=$(value tributary_input_stream_sequence)
kill -STOP "$worker"
"$bin/loadtest" replay --config "$out/t.toml" --shift-to now --duration 3s --at stream --pack 20 "$out/t.ndjson" 2>/dev/null >"$out/sent"
read -r events messages < <(sed -n 's/^\([0-9]*\) events in \([0-9]*\) messages.*/\1 \2/p' "$out/sent")
kill -CONT "$worker"
begun=$(date +%s.%N)
while [ "$(value tributary_input_stream_sequence)" -lt $((position + messages)) ] || [ "$(value tributary_lag_seconds)" != 0 ]; do sleep 0.1; done
ended=$(date +%s.%N)
head -n "$events" "$out/t.ndjson" >"$out/part.ndjson"
"$bin/tributary" replay --quiet --json --workers 1 --config "$out/t.toml" --cells "$out/cells" "$out/part.ndjson" 2>/dev/null |
    tail -1 >"$out/replay"
python3 - "$events" "$begun" "$ended" "$out/replay" "$(wc -l <"$out/part.ndjson")" <<'PY'
import json, sys
events, begun, ended = map(float, sys.argv[1:4])
through = events / (ended - begun)
within = int(sys.argv[5]) / json.load(open(sys.argv[4]))["seconds"]
print(f"through NATS with the ledger {through:,.0f} events/s, within one process {within:,.0f}: {through / within:.0%}")
PY
