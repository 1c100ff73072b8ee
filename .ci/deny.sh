#!/usr/bin/env bash
# Checks licences, bans and sources of every dependency, with a pinned cargo-deny under target/tools.
set -euo pipefail

readonly VERSION=0.18.3

cd "$(dirname "${BASH_SOURCE[0]}")/.."
deny="target/tools/bin/cargo-deny"
if [ "$("$deny" --version 2>/dev/null)" != "cargo-deny $VERSION" ]; then
    echo "deny.sh: building cargo-deny $VERSION once, which takes some minutes" >&2
    cargo install --quiet --locked --root target/tools --version "$VERSION" cargo-deny ||
        { echo "deny.sh: cargo-deny $VERSION could not be built; is the registry reachable?" >&2; exit 1; }
fi
"$deny" --offline check bans licenses sources
