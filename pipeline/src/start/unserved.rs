//! Brands that no shard serves: the configuration file gives a brand to a shard, and
//! nobody runs it. Its processes cannot say so, and those of other shards can,
//! because the leases of all of them are in one bucket.
//!
//! A lease is live while it is renewed, as this process sees it on its own clock. A
//! brand is served if some process with a live lease has it; of a cluster, all of
//! the processes must have theirs, because they need each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use tributary_config::model::{Config, OtherBrand};
use tributary_connectors::nats::{self, Client, Holder, RENEWAL, TERM};

use crate::report::metrics::Metrics;

/// The leases, each with the sequence of its last renewal and when this process saw
/// it first.
#[derive(Default)]
struct Leases(BTreeMap<String, (Holder, u64, Instant)>);

impl Leases {
    /// Takes in what the broker holds at `now`.
    fn see(&mut self, holders: Vec<(Holder, u64)>, now: Instant) {
        let before = std::mem::take(&mut self.0);
        for (holder, sequence) in holders {
            let name = holder.name();
            let since = match before.get(&name) {
                Some((_, seen, since)) if *seen == sequence => *since,
                _ => now,
            };
            self.0.insert(name, (holder, sequence, since));
        }
    }

    /// Whether processes with live leases serve a brand at `now`.
    fn serves(&self, brand: &str, now: Instant) -> bool {
        let live = self.0.values().filter(|(holder, _, since)| {
            let is_renewed = now.saturating_duration_since(*since) < TERM + RENEWAL;
            !holder.released && is_renewed && holder.brands.iter().any(|own| own == brand)
        });
        // By shard: the processes that are there, and how many there should be.
        let mut shards: BTreeMap<Option<&str>, (usize, usize)> = BTreeMap::new();
        for (holder, ..) in live {
            let shard = shards.entry(holder.shard.as_deref()).or_default();
            *shard = (shard.0 + 1, shard.1.max(holder.processes));
        }
        shards.values().any(|(here, all)| here >= all)
    }
}

/// Counts the brands of other shards that nobody serves again and again, and logs which
/// they are.
pub(super) async fn watch(config: Config, client: Client, metrics: Arc<Metrics>) {
    metrics.unserved_brands(0);
    if config.others.is_empty() {
        return;
    }
    let mut leases = Leases::default();
    let mut reported = BTreeSet::new();
    let begun = Instant::now();
    loop {
        match nats::holders(&client, &config.nats.output_stream).await {
            Ok(holders) => {
                let now = Instant::now();
                leases.see(holders, now);
                let is_unserved = |brand: &&OtherBrand| !leases.serves(&brand.name, now);
                let unserved: Vec<&OtherBrand> = config.others.iter().filter(is_unserved).collect();
                metrics.unserved_brands(unserved.len());
                // Shards that start together do not find each other at once.
                let new = unserved.iter().filter(|_| begun.elapsed() > TERM);
                for brand in new.filter(|brand| !reported.contains(&brand.name)) {
                    let place = brand.place();
                    tracing::warn!(
                        brand = brand.name,
                        "nobody serves this brand, which belongs to {place}"
                    );
                }
                let names = unserved.iter().map(|brand| brand.name.clone());
                reported = match begun.elapsed() > TERM {
                    true => names.collect(),
                    false => BTreeSet::new(),
                };
            }
            // Nobody can renew what the broker does not give.
            Err(error) => tracing::debug!(%error, "cannot read the leases"),
        }
        tokio::time::sleep(TERM).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use std::time::Duration;

    use super::*;

    /// When a lease that was not renewed is no longer live.
    const LATE: Duration = Duration::from_secs(14);

    fn holder(shard: Option<&str>, process: usize, processes: usize, brand: &str) -> Holder {
        serde_json::from_value(serde_json::json!({
            "process": process, "processes": processes, "shard": shard, "brands": [brand], "ledger": "l", "host": "a",
            "version": "1", "since": "1", "released": false,
        }))
        .unwrap()
    }

    #[test]
    fn a_brand_is_served_while_all_leases_of_its_cluster_are_renewed() {
        let (now, mut leases) = (Instant::now(), Leases::default());
        let north = holder(Some("north"), 0, 1, "acme");
        let south = |process| holder(Some("south"), process, 2, "beta");
        leases.see(vec![(north.clone(), 1), (south(0), 2)], now);
        assert!(leases.serves("acme", now) && !leases.serves("beta", now));
        leases.see(
            vec![(north.clone(), 1), (south(0), 3), (south(1), 4)],
            now + LATE,
        );
        // The first lease was not renewed meanwhile.
        let later = now + LATE;
        assert!(!leases.serves("acme", later) && leases.serves("beta", later));
        let released = Holder {
            released: true,
            ..north
        };
        leases.see(vec![(released, 5), (south(0), 6)], later);
        assert!(!leases.serves("acme", later) && !leases.serves("beta", later));
        assert!(!leases.serves("gamma", later));
    }
}
