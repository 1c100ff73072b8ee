#!/usr/bin/env bash
# Measures what durability costs: CPU with and without the ledger, bytes on disk, how long a restart takes beside
# reading the ledger and doing nothing with it, and how long a standby takes to lead. BUILT=1 takes the release binaries as they are.
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
trap 'kill $broker 2>/dev/null; rm -rf "$store" "$store.log"' EXIT
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

# The leader restores the ledger, the standby copies and restores it, and takes over after a kill and after an orderly end.
sed '0,/^\[\[brand\]\]/s//[workers]\nstandby = true\n[[brand]]/' "$out/$held.toml" > "$out/standby.toml"
for signal in KILL TERM; do
    kill "$broker"
    wait "$broker" 2>/dev/null || true
    rm -rf "$store" "$out/leader" "$out/standby"
    # That of above belongs to the broker with which it was started.
    "$tributary" replay --quiet --workers "$workers" --ledger "$out/leader" --config "$out/$held.toml" --force --cells "$out/c" \
        "$out/$held.ndjson"
    target/tools/bin/nats-server --addr 127.0.0.1 --port 14222 --jetstream --store_dir "$store" --log "$store.log" &
    broker=$!
    sleep 0.5
    python3 - "$tributary" "$out" "$workers" "$signal" <<'PY'
import os, signal, subprocess, sys, time, urllib.error, urllib.request
program, out, workers, how = sys.argv[1:]

def start(name, port):
    env = dict(os.environ, TRIBUTARY_LEDGER_DIRECTORY=os.path.abspath(f"{out}/{name}"), TRIBUTARY_HTTP_LISTEN=f"127.0.0.1:{port}")
    return subprocess.Popen([program, "run", "--config", f"{out}/standby.toml", "--workers", workers], env=env)

def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1) as answer:
            return answer.read().decode()
    except OSError:
        return ""

def metric(port, name):
    values = [line.split(" ")[1] for line in get(port, "/metrics").splitlines() if line.startswith(name + " ")]
    return float(values[0]) if values else None

def until(condition):
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > 600:
            sys.exit("in vain")
        time.sleep(0.02)
    return time.monotonic() - begun

leader = start("leader", 19465)
until(lambda: get(19465, "/readyz").strip() == "ready")
standby = start("standby", 19466)
copied = until(lambda: get(19466, "/readyz"))
name = "tributary_standby_unrestored_bytes"
prepared = until(lambda: (metric(19466, name) or 0) > 0 or time.sleep(1)) + until(lambda: metric(19466, name) == 0)
leader.send_signal(getattr(signal, f"SIG{how}"))
ready = until(lambda: get(19466, "/readyz").strip() == "ready")
restored, memory = (metric(19466, f"tributary_{name}") for name in ("restored_entries", "process_resident_memory_bytes"))
print(f"standby: copied after {copied:.1f} s, restored {prepared:.1f} s later; ready to lead {ready:.1f} s after SIG{how} of the leader, "
      f"with {restored:,.0f} entries left; {memory / 1e6:,.0f} MB")
standby.send_signal(signal.SIGTERM)
leader.wait()
sys.exit(standby.wait())
PY
done
