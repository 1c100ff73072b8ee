#!/usr/bin/env bash
# Sends a visit with curl.
set -euo pipefail

address="${TRIBUTARY_INGEST:-http://127.0.0.1:9465}"
brand="${TRIBUTARY_BRAND:-acme}"
id="visit-$(date +%s)-$$"
headers=(-H 'Content-Type: application/json' -H "Idempotency-Key: $id")
if [ -n "${TRIBUTARY_TOKEN:-}" ]; then
    headers+=(-H "Authorization: Bearer $TRIBUTARY_TOKEN")
fi

# curl repeats after 408, 429, 5xx and lost connections, and waits as Retry-After says.
curl --silent --show-error --fail-with-body --retry 5 --retry-connrefused "${headers[@]}" \
    --data "{\"id\": \"$id\", \"ts\": $(date +%s)000, \"type\": \"view\", \"cookie\": \"c-sh\", \"source\": \"newsletter\", \"medium\": \"email\"}" \
    "$address/v1/in/$brand/web"
