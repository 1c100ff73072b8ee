// A visitor comes through a campaign, says who she is, and orders: as a shop's server reports it with each SDK, unchanged
// but for the address. Exits with 1 if an SDK reports an error.
const [address, segmentKey, rudderKey] = process.argv.slice(2);
const { Analytics: Segment } = require("@segment/analytics-node");
const RudderStack = require("@rudderstack/rudder-sdk-node");

function fail(error) {
  console.error(error);
  process.exit(1);
}

function visit(prefix, sdk) {
  const context = {
    campaign: { source: prefix, medium: "cpc", name: "spring" },
    page: { url: "https://shop.example/", referrer: "" },
  };
  const anonymousId = `${prefix}-cookie`;
  const userId = `${prefix}-customer`;
  sdk.page({ anonymousId, name: "Home", properties: { url: "https://shop.example/" }, context });
  sdk.identify({ anonymousId, userId, traits: { email: `${prefix}@example.org` } });
  sdk.track({
    anonymousId,
    userId,
    event: "Order Completed",
    properties: { order_id: `${prefix}-1`, total: 49.9, currency: "EUR" },
  });
  sdk.group({ anonymousId, userId, groupId: "g" });
}

async function main() {
  const segment = new Segment({ writeKey: segmentKey, host: address, maxRetries: 0 });
  segment.on("error", fail);
  visit("segment", segment);
  await segment.closeAndFlush();

  // It compresses its batches.
  const rudder = new RudderStack(rudderKey, { dataPlaneUrl: address, flushAt: 100, gzip: true });
  visit("rudder", rudder);
  await new Promise((resolve, reject) =>
    rudder.flush((error) => (error ? reject(error) : resolve()))
  );
}

main().then(() => process.exit(0), fail);
