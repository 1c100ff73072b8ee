#!/usr/bin/env bash
# Publishes a visit to the input stream with NATS's own command line (https://github.com/nats-io/natscli).
set -euo pipefail

server="${TRIBUTARY_NATS:-nats://127.0.0.1:4222}"
brand="${TRIBUTARY_BRAND:-acme}"
id="visit-$(date +%s)-$$"

nats pub --server "$server" "tributary.in.$brand.web" \
    "{\"id\": \"$id\", \"ts\": $(date +%s)000, \"type\": \"view\", \"cookie\": \"c-nats\", \"source\": \"newsletter\", \"medium\": \"email\"}"
