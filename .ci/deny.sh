#!/usr/bin/env bash
# Checks licences, bans, sources and, where the database of advisories can be fetched, known vulnerabilities of every
# dependency, with a pinned cargo-deny under target/tools.
set -euo pipefail

readonly VERSION=0.18.3

cd "$(dirname "${BASH_SOURCE[0]}")/.."
deny="target/tools/bin/cargo-deny"
if [ "$("$deny" --version 2>/dev/null)" != "cargo-deny $VERSION" ]; then
    echo "deny.sh: building cargo-deny $VERSION once, which takes some minutes" >&2
    cargo install --quiet --locked --root target/tools --version "$VERSION" cargo-deny ||
        { echo "deny.sh: cargo-deny $VERSION could not be built; is the registry reachable?" >&2; exit 1; }
fi
# Also the crates of other platforms, which no build here has brought.
cargo fetch --quiet --locked
"$deny" --offline check bans licenses sources
# The database is a repository: without a way to it, the rest counts all the same.
if "$deny" fetch db >/dev/null 2>&1; then
    "$deny" --offline check advisories
else
    echo "deny.sh: NOT CHECKED: advisories, because their database cannot be fetched from here" >&2
fi
