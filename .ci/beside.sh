#!/usr/bin/env bash
# Runs a test binary beside another, for `cargo test`, which runs one after the other: many of them wait for brokers and
# processes more than they compute. It comes back as soon as the binary has begun; what that says is printed in one piece
# when it ends, and a failure is noted in $BESIDE/failed.
set -euo pipefail
while :; do
    for slot in 1 2; do
        exec 9>"$BESIDE/slot.$slot"
        flock --nonblock 9 && break 2
    done
    sleep 0.05
done
{
    said=$(mktemp "$BESIDE/said.XXXXXX")
    "$@" >"$said" 2>&1 9>&- || echo "$(basename "$1")" >>"$BESIDE/failed"
    flock "$BESIDE/print" sed "1s|^|\n     Ran $1\n|" "$said"
    rm "$said"
} &
