//! Counts of what worker threads did with their input.

use std::collections::BTreeMap;

use tributary_connectors::dead_letter::Ignored;
use tributary_operators::consent_counts::PublishedConsents;
use tributary_operators::record::BrandId;
use tributary_operators::stats::Snapshot;

/// The counts of a thread since it started.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Events accepted, by brand and kind.
    pub accepted: BTreeMap<(BrandId, &'static str), u64>,
    /// Lines left out on purpose.
    pub ignored: BTreeMap<Ignored, u64>,
    /// Pings that were replaced by the sums of their day.
    pub settled_pings: BTreeMap<BrandId, u64>,
    /// Salt days with pings that have settled. Counted by the first worker of the cluster.
    pub settled_days: BTreeMap<BrandId, u64>,
    /// Records and pings left out because they name somebody who objected.
    pub suppressed: BTreeMap<BrandId, u64>,
    /// Sections of GPP strings that were there and not read, by brand.
    pub unread_sections: BTreeMap<BrandId, u64>,
    /// Identifiers that allow each step, and that refuse it, as far as these counts may be published.
    pub consents: PublishedConsents,
    /// What the stages count.
    pub stages: Snapshot,
}

impl Counts {
    /// Adds another thread's counts.
    pub fn add(&mut self, other: &Counts) {
        for (key, count) in &other.accepted {
            *self.accepted.entry(*key).or_default() += count;
        }
        for (what, count) in &other.ignored {
            *self.ignored.entry(*what).or_default() += count;
        }
        for (sums, counts) in [
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
        for (key, [allow, refuse]) in &other.consents {
            let sum = self.consents.entry(*key).or_default();
            *sum = [sum[0] + allow, sum[1] + refuse];
        }
        self.stages = self.stages + other.stages;
    }
}
