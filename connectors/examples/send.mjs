// Sends a visit with fetch, as Node.js 20 and browsers have it.
const address = process.env.TRIBUTARY_INGEST ?? "http://127.0.0.1:9465";
const brand = process.env.TRIBUTARY_BRAND ?? "acme";
const token = process.env.TRIBUTARY_TOKEN;

/** Sends records of one kind; returns what the worker has stored. */
async function send(records, tries = 5) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() };
  if (token) headers.Authorization = `Bearer ${token}`;
  const request = { method: "POST", headers, body: JSON.stringify(records) };
  for (let rest = tries - 1; ; rest--) {
    const response = await fetch(`${address}/v1/in/${brand}/web`, request);
    if (response.ok) return response.json();
    if (![429, 503].includes(response.status) || rest === 0) {
      throw new Error(`${response.status}: ${await response.text()}`);
    }
    const seconds = Number(response.headers.get("Retry-After") ?? 1);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
}

const visit = {
  id: crypto.randomUUID(),
  ts: Date.now(),
  type: "view",
  cookie: "c-js",
  source: "newsletter",
  medium: "email",
};
console.log(JSON.stringify(await send([visit])));
