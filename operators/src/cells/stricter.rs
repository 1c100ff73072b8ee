//! A release gate that is made stricter while the dataflow runs.
//!
//! What is published under a lower threshold must not stay. Nobody keeps how many contributors a published value had, so that a
//! value is *withdrawn*, which closes its cell, unless it is what the stricter gate would publish now. Months are withdrawn as a
//! whole, because their cells add up in ways that the pattern of the stricter gate decides anew.
//!
//! A reader remembers what was withdrawn. To publish it again is therefore a change of a published value like any other: it
//! takes `k_delta` contributors who have changed it since it was last published, or none, so that nothing but the coarser
//! pattern is new.

use crate::cells::group::Published;
use crate::cells::group_key::GroupKey;
use crate::cells::ladder::updates_of;
use crate::cells::state::{CellUpdates, Cells};
use crate::record::BrandId;
use crate::settings::{BrandSettings, Settings};

/// Whether a gate may hide what another one publishes.
pub fn is_stricter(now: &BrandSettings, before: &BrandSettings) -> bool {
    let gate = |of: &BrandSettings| (of.k, of.k_traffic, of.dominance);
    gate(now) != gate(before)
}

impl Cells {
    /// Withdraws what the stricter gates of the current settings might not publish.
    pub(super) fn withdraw(&mut self, before: &Settings, updates: &mut CellUpdates) {
        let all_settings = self.settings.now();
        let of_brand = |brand: BrandId| {
            let now = all_settings.brands.get(&brand)?;
            let before = before.brands.get(&brand)?;
            Some(now).filter(|now| is_stricter(now, before))
        };
        // The votes of the last release were about what is withdrawn.
        self.ladder_candidates
            .retain(|candidate| of_brand(candidate.group.brand).is_none());
        self.traffic_candidates
            .retain(|candidate| of_brand(candidate.of.brand).is_none());
        self.batch_candidates
            .retain(|(key, _)| of_brand(key.brand()).is_none());
        for (of, group) in &mut self.ladders {
            if let Some(settings) = of_brand(of.brand) {
                let words = self.labels.of(of.brand);
                updates.extend(updates_of(group.withdraw(*of, settings, words)));
            }
        }
        for (of, group) in &mut self.traffic {
            if of_brand(of.brand).is_some() {
                updates.extend(updates_of(group.withdraw()));
            }
        }
        let keys = self.groups.keys().cloned();
        let is_withdrawn = |key: &GroupKey| !key.is_nobodys() && of_brand(key.brand()).is_some();
        let keys: Vec<GroupKey> = keys.filter(is_withdrawn).collect();
        for key in keys {
            let Some(mut group) = self.groups.remove(&key) else {
                continue;
            };
            self.evaluate(&key, &mut group);
            self.emit(&key, &mut group, updates, |entry| {
                if entry.published.values().is_some() && entry.differs() {
                    entry.published = Published::Hidden;
                }
            });
            self.dirty.insert(key.clone());
            self.store_group(key, group);
        }
    }
}
