//! Counts of what a worker thread did with its input. They only increase,
//! except those that describe a current state.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_connectors::dead_letter::Ignored;
use tributary_connectors::keys::EmailCounts;
use tributary_operators::consent_counts::PublishedConsents;
use tributary_operators::record::BrandId;
use tributary_operators::stats::Snapshot;

/// Counts of a thread since it started.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Events accepted, by brand, kind and configured source.
    pub accepted: BTreeMap<(BrandId, &'static str, Arc<str>), u64>,
    /// Sightings of partners accepted.
    pub sightings: BTreeMap<BrandId, u64>,
    /// Records and pings discarded on purpose, by reason.
    pub ignored: BTreeMap<Ignored, u64>,
    /// Pings that were replaced by the totals of their day.
    pub settled_pings: BTreeMap<BrandId, u64>,
    /// Salt days with pings that were settled. Only the first worker of the cluster
    /// counts them.
    pub settled_days: BTreeMap<BrandId, u64>,
    /// Records and pings discarded because they name a person who has objected.
    pub suppressed: BTreeMap<BrandId, u64>,
    /// Sections of GPP strings that are not supported, by brand.
    pub unread_sections: BTreeMap<BrandId, u64>,
    /// E-mail addresses in clear, and those at relay domains, by brand.
    pub emails: BTreeMap<BrandId, EmailCounts>,
    /// Records whose time an adapter corrected.
    pub corrected_times: u64,
    /// Identifiers that allow each use, and that refuse it, as far as these counts
    /// may be published.
    pub consents: PublishedConsents,
    /// Counts of the operators of the dataflow.
    pub stages: Snapshot,
}

impl Counts {
    /// Adds the counts of another thread.
    pub fn add(&mut self, other: &Counts) {
        for (key, count) in &other.accepted {
            *self.accepted.entry(key.clone()).or_default() += count;
        }
        for (what, count) in &other.ignored {
            *self.ignored.entry(*what).or_default() += count;
        }
        for (sums, counts) in [
            (&mut self.sightings, &other.sightings),
            (&mut self.suppressed, &other.suppressed),
            (&mut self.settled_pings, &other.settled_pings),
            (&mut self.settled_days, &other.settled_days),
        ] {
            for (brand, count) in counts {
                *sums.entry(*brand).or_default() += count;
            }
        }
        for (brand, count) in &other.unread_sections {
            *self.unread_sections.entry(*brand).or_default() += count;
        }
        for (brand, counts) in &other.emails {
            let sum = self.emails.entry(*brand).or_default();
            sum.all += counts.all;
            sum.relayed += counts.relayed;
        }
        self.corrected_times += other.corrected_times;
        for (key, [allow, refuse]) in &other.consents {
            let sum = self.consents.entry(*key).or_default();
            *sum = [sum[0] + allow, sum[1] + refuse];
        }
        self.stages = self.stages + other.stages;
    }
}
