#!/usr/bin/env bash
# Measures what durability costs: CPU with and without the ledger, bytes on disk, and how long a restart takes beside
# reading the ledger and doing nothing with it. BUILT=1 takes the release binaries as they are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

events=${EVENTS:-1000000}
held=${HELD:-5000000}
rounds=${ROUNDS:-3}
workers=${WORKERS:-2}
out=target/bench/durability
mkdir -p "$out"
[ -n "${BUILT:-}" ] || cargo build --release --locked --quiet
export TRIBUTARY_LOG=error
tributary=target/release/tributary

generate() {
    if [ ! -f "$out/$1.ndjson" ]; then
        target/release/loadtest generate --events "$1" --out "$out/$1.ndjson" --config-out "$out/$1.toml" 2>/dev/null
    fi
}

# User and system seconds of a command.
cpu() {
    python3 - "$@" <<'PY'
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{used.ru_utime + used.ru_stime:.2f}")
PY
}

generate "$events"
for _ in $(seq "$rounds"); do
    without=$(cpu "$tributary" replay --quiet --workers 1 --config "$out/$events.toml" --cells "$out/a" "$out/$events.ndjson")
    rm -rf "$out/ledger"
    with=$(cpu "$tributary" replay --quiet --workers 1 --ledger "$out/ledger" --config "$out/$events.toml" --cells "$out/b" \
        "$out/$events.ndjson")
    python3 -c "print(f'CPU s per 1 M events: {$without*1e6/$events:.2f} without the ledger, {$with*1e6/$events:.2f} with it')"
done
cmp "$out/a" "$out/b"
"$tributary" ledger inspect --config "$out/$events.toml" "$out/ledger/process-0" | grep 'bytes per entry'

generate "$held"
if [ ! -d "$out/data" ]; then
    "$tributary" replay --quiet --workers "$workers" --ledger "$out/data" --config "$out/$held.toml" --cells "$out/c" \
        "$out/$held.ndjson"
fi
"$tributary" ledger inspect --config "$out/$held.toml" "$out/data/process-0" | grep 'bytes per entry'
segments=("$out"/data/process-0/segments/*)
python3 - "${segments[@]}" <<'PY'
import sys, time
begun, size = time.monotonic(), 0
for name in sys.argv[1:]:
    with open(name, "rb") as file:
        while block := file.read(1 << 20):
            size += len(block)
print(f"reading the files and nothing else: {time.monotonic() - begun:.2f} s for {size / 1e6:.0f} MB")
PY
"$tributary" ledger verify --config "$out/$held.toml" "$out/data/process-0" | tail -1

bash .ci/tools.sh nats >/dev/null
store=$(mktemp -d)
target/tools/bin/nats-server --addr 127.0.0.1 --port 14222 --jetstream --store_dir "$store" --log "$store/log" &
broker=$!
trap 'kill $broker 2>/dev/null; rm -rf "$store"' EXIT
export TRIBUTARY_NATS_URL=nats://127.0.0.1:14222 TRIBUTARY_LEDGER_DIRECTORY=$PWD/$out/data
sleep 0.5
for _ in $(seq "$rounds"); do
    python3 - "$tributary" "$out/$held.toml" "$workers" <<'PY'
import signal, subprocess, sys, time, urllib.request
begun = time.monotonic()
worker = subprocess.Popen([sys.argv[1], "run", "--config", sys.argv[2], "--workers", sys.argv[3], "--listen", "127.0.0.1:19464"])
while True:
    try:
        if urllib.request.urlopen("http://127.0.0.1:19464/readyz", timeout=1).status == 200:
            break
    except OSError:
        pass
    if worker.poll() is not None:
        sys.exit("the worker has ended")
    time.sleep(0.02)
ready = time.monotonic() - begun
text = urllib.request.urlopen("http://127.0.0.1:19464/metrics").read().decode()
value = {line.split(" ")[0]: float(line.split(" ")[1]) for line in text.splitlines() if line and line[0] != "#" and "{" not in line}
entries, restore = value["tributary_restored_entries"], value["tributary_restore_duration_seconds"]
print(f"restart to ready: {ready:.2f} s, of which {restore:.2f} s restoring {entries:,.0f} entries: {entries / restore:,.0f}/s; "
      f"{value['tributary_process_cpu_seconds_total']:.1f} CPU s, {value['tributary_process_resident_memory_bytes'] / 1e6:,.0f} MB")
worker.send_signal(signal.SIGTERM)
sys.exit(worker.wait())
PY
done
