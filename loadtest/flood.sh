#!/usr/bin/env bash
# Shows that a worker's memory does not follow the input: a broker gets three times what the worker can take, for two
# minutes. The records are the same again and again, so that what is held does not grow either (pings would: a day's salt is
# deleted with the day, and the same ping has another token then).
#
# The worker is slowed down (stopped for a part of every tenth of a second), so that one machine can play both sides.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${SECONDS_OF_FLOOD:-120}
events=${EVENTS:-300000}
share=${SHARE_OF_TIME:-0.3}
out=target/bench/flood
mkdir -p "$out"
[ -n "${BUILT:-}" ] || cargo build --release --locked --quiet
bash .ci/tools.sh nats >/dev/null
export TRIBUTARY_LOG=error TRIBUTARY_NATS_URL=nats://127.0.0.1:14222 TRIBUTARY_LEDGER_DIRECTORY=$PWD/$out/data
rm -rf "$out/data"
target/release/loadtest generate --events "$events" --mix 0/80/20 --pack 50 --out "$out/trace.ndjson" --config-out "$out/tributary.toml" 2>/dev/null
store=$(mktemp -d)
target/tools/bin/nats-server --addr 127.0.0.1 --port 14222 --jetstream --store_dir "$store" --log "$store/log" &
broker=$!
trap 'kill $broker 2>/dev/null; rm -rf "$store" "$out/data"' EXIT
sleep 0.5
python3 - "$out" "$seconds" "$events" "$share" <<'PY'
import os, signal, subprocess, sys, threading, time, urllib.request
out, seconds, events, share = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
config, trace = f"{out}/tributary.toml", f"{out}/trace.ndjson"
worker = subprocess.Popen(["target/release/tributary", "run", "--config", config, "--workers", "1", "--listen", "127.0.0.1:19464"])
slow = threading.Event()
over = threading.Event()

def brake():
    while not over.is_set():
        slow.wait()
        os.kill(worker.pid, signal.SIGSTOP)
        time.sleep(0.1 * (1 - share))
        os.kill(worker.pid, signal.SIGCONT)
        time.sleep(0.1 * share)

def metrics():
    for _ in range(100):
        try:
            text = urllib.request.urlopen("http://127.0.0.1:19464/metrics", timeout=5).read().decode()
            break
        except OSError:
            time.sleep(0.1)
    found = {}
    for line in text.splitlines():
        if line and line[0] != "#":
            name, value = line.rsplit(" ", 1)
            name = name.split("{")[0]
            found[name] = found.get(name, 0) + float(value)
    return found

def rss():
    for line in open(f"/proc/{worker.pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024

def play(*more):
    return subprocess.Popen(["target/release/loadtest", "replay", "--config", config, *more, trace], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

def accepted():
    return metrics().get("tributary_records_accepted_total", 0)

def wait_until(done):
    while not done():
        time.sleep(0.2)

threading.Thread(target=brake, daemon=True).start()
play().wait()
wait_until(lambda: accepted() >= 0.99 * events and metrics()["tributary_input_pending_messages"] == 0)
time.sleep(5)
print(f"after the records went in once: {rss():.0f} MB")
# What it can take, slowed down: as much as it takes from a backlog.
slow.set()
first = [play() for _ in range(3)]
time.sleep(5)
begun, before = time.monotonic(), accepted()
time.sleep(10)
takes = (accepted() - before) / (time.monotonic() - begun)
for player in first:
    player.wait()
print(f"the worker takes {takes:,.0f} events/s")
sent, begun, before, next_sample = 0, time.monotonic(), accepted(), 0
samples, player = [], None
while time.monotonic() - begun < seconds:
    if player is None or player.poll() is not None:
        sent += events if player else 0
        player = play("--rate", str(int(3 * takes)))
    if time.monotonic() - begun >= next_sample:
        samples.append(rss())
        next_sample += seconds / 12
    time.sleep(0.05)
took = time.monotonic() - begun
taken = (accepted() - before) / took
player.kill()
pending = metrics()["tributary_input_pending_messages"]
print(f"input {sent / took:,.0f} events/s, taken {taken:,.0f} events/s; {pending:,.0f} messages wait with the broker")
print("memory, MB: " + " ".join(f"{sample:.0f}" for sample in samples))
slow.clear()
time.sleep(0.3)
over.set()
slow.set()
os.kill(worker.pid, signal.SIGCONT)
worker.send_signal(signal.SIGTERM)
sys.exit(worker.wait())
PY
