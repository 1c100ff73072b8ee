"""Sends a visit with the standard library of Python 3."""

import json
import os
import time
import urllib.error
import urllib.request
import uuid

ADDRESS = os.environ.get("TRIBUTARY_INGEST", "http://127.0.0.1:9465")
BRAND = os.environ.get("TRIBUTARY_BRAND", "acme")
TOKEN = os.environ.get("TRIBUTARY_TOKEN")


def send(records, tries=5):
    """Sends records of one kind; returns what the worker has stored."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
    if TOKEN:
        headers["Authorization"] = f"Bearer {TOKEN}"
    request = urllib.request.Request(
        f"{ADDRESS}/v1/in/{BRAND}/web", json.dumps(records).encode(), headers
    )
    for rest in reversed(range(tries)):
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503) or rest == 0:
                raise SystemExit(f"{error.code}: {error.read().decode()}")
            time.sleep(int(error.headers.get("Retry-After", "1")))


if __name__ == "__main__":
    visit = {
        "id": str(uuid.uuid4()),
        "ts": int(time.time() * 1000),
        "type": "view",
        "cookie": "c-py",
        "source": "newsletter",
        "medium": "email",
    }
    print(json.dumps(send([visit])))
