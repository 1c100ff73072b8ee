#!/usr/bin/env python3
"""Measures a replay beside its peers, all in one run, and prints the ratios: `make bench` runs it.

    python3 loadtest/peers/compare.py TRACE --config CONFIG --textbook BINARY [--rounds N] [--batches N,…] [--json FILE]

Every program runs once per round, one after the other, so that all of them meet the same machine. The table shows the
median CPU time (user and system), the peak memory above that of an empty trace, and both as ratios to a replay with one
worker and batches of 10,000. The cells of all programs must be equal in the families that they share. DuckDB is left out,
and says so, where Python has no module of that name.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

BASE = "replay, 1 worker, batches of 10,000"
TEXTBOOK_FAMILIES = {"attribution", "store_day", "orders_day", "campaign_day", "visits"}


def measure(command):
    """Wall seconds, CPU seconds and peak bytes of a command."""
    begun = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {child.returncode}")
    return time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def families(path):
    """The lines of a file of cells by family."""
    lines = {}
    with open(path) as cells:
        for line in cells:
            lines.setdefault(json.loads(line)["family"], []).append(line)
    return {family: sorted(of) for family, of in lines.items()}


def programs(options, directory):
    """The command of each program for a trace, and the families of its cells."""
    release = options.release
    replay = lambda workers, batch: lambda trace, cells: [
        f"{release}/tributary", "replay", "--quiet", "--force", "--workers", str(workers), "--batch", str(batch),
        "--config", options.config, "--cells", cells, trace]
    textbook = lambda workers, batch, *more: lambda trace, cells: [
        options.textbook, "--workers", str(workers), "--batch", str(batch), "--config", options.config, "--cells", cells,
        trace, *more]
    duckdb = lambda threads: lambda trace, cells: [
        sys.executable, os.path.join(os.path.dirname(__file__), "duckdb_recompute.py"), trace, "--cells", cells,
        "--threads", str(threads), "--temp", f"{directory}/duckdb"]
    parse = lambda *more: lambda trace, _: [f"{release}/examples/parse_alone", trace, *more]
    runs = {"serde_json alone": (parse(), set()),
            "serde_json alone, into maps": (parse("--map"), set()),
            "decoder alone": (textbook(1, 10_000, "--decode-only"), set())}
    for name, program, shared in [("replay", replay, None), ("textbook", textbook, TEXTBOOK_FAMILIES)]:
        for batch in [10_000] + [batch for batch in options.batches if batch != 10_000]:
            runs[f"{name}, 1 worker, batches of {batch:,}"] = (program(1, batch), shared)
        runs[f"{name}, 2 workers, batches of 10,000"] = (program(2, 10_000), shared)
    try:
        import duckdb as _
    except ImportError:
        print("DuckDB is left out: bash .ci/tools.sh duckdb", file=sys.stderr)
        return runs
    every = TEXTBOOK_FAMILIES | {"spend_day", "identity"}
    for threads in (1, 2):
        runs[f"DuckDB recomputing, {threads} thread(s)"] = (duckdb(threads), every)
    return runs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trace")
    parser.add_argument("--config", required=True)
    parser.add_argument("--textbook", required=True)
    parser.add_argument("--release", default="target/release")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=lambda text: [int(part) for part in text.split(",")],
                        default=[200, 1_000, 10_000, 100_000])
    parser.add_argument("--json", help="also write all measurements to this file")
    options = parser.parse_args()
    with open(options.trace, "rb") as trace:
        events = sum(1 for _ in trace)
    with tempfile.TemporaryDirectory() as directory:
        runs = programs(options, directory)
        # One message, because not every program takes a trace without any.
        least = f"{directory}/least.ndjson"
        with open(options.trace) as trace, open(least, "w") as first:
            first.write(trace.readline())
        fixed = {name: measure(run(least, f"{directory}/least.cells"))[2] for name, (run, _) in runs.items()}
        measured, expected = {name: [] for name in runs}, None
        for _ in range(options.rounds):
            for name, (run, shared) in runs.items():
                cells = f"{directory}/cells"
                measured[name].append(measure(run(options.trace, cells)))
                if shared == set():
                    continue
                found = families(cells)
                if name == BASE:
                    expected = found
                for family in shared or expected:
                    if found.get(family) != expected.get(family):
                        sys.exit(f"{name}: other cells of {family} than {BASE}")
    report(measured, fixed, events)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"events": events, "fixed": fixed, "measured": measured}, file, indent=1)


def report(measured, fixed, events):
    """Prints the table."""
    median = {}
    for name, rounds in measured.items():
        wall, cpu, peak = (statistics.median(column) for column in zip(*rounds))
        median[name] = (wall, cpu, max(peak - fixed[name], 0) / events)
    _, base_cpu, base_bytes = median[BASE]
    heads = ("", "events/s", "CPU s per 1 M", "of the replay", "bytes/event", "of the replay")
    print("{:<42} {:>10} {:>14} {:>14} {:>12} {:>14}".format(*heads))
    for name, (wall, cpu, size) in median.items():
        rate, per_million = events / wall, cpu * 1e6 / events
        print(f"{name:<42} {rate:>10,.0f} {per_million:>14.2f} {cpu / base_cpu:>14.2f} {size:>12.0f} {size / base_bytes:>14.2f}")


if __name__ == "__main__":
    main()
