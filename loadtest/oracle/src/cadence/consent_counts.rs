//! The published consent counts: how many identifiers allow and refuse each use.
//!
//! A count is published if at least `k` identifiers allow and `k` refuse the use. Counts are
//! published again once the statements about identifiers of `k_delta` of 128 shares have changed,
//! where the share of an identifier is given by its upper half.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::record::{BrandId, Pseudonym, Record};
use tributary_operators::settings::BrandSettings;

use crate::consent::consents;
use crate::stored::StoredState;

/// The consent counts of one brand.
#[derive(Default)]
pub struct ConsentCountsModel {
    /// The allowed uses of each identifier at the last call.
    statements: BTreeMap<Pseudonym, AllowedUses>,
    /// The shares with changes since the last publication.
    changed: BTreeSet<u128>,
    /// The published counts.
    published: BTreeMap<Use, [u64; 2]>,
}

impl ConsentCountsModel {
    /// The published counts at the end of an epoch: identifiers that allow, and that refuse, each
    /// use.
    pub fn release(
        &mut self,
        brand: BrandId,
        settings: &BrandSettings,
        held: &StoredState,
    ) -> &BTreeMap<Use, [u64; 2]> {
        let records = held.records.iter().filter(|record| record.brand == brand);
        let statements = consents(&records.collect::<Vec<&Record>>());
        let ids = self.statements.keys().chain(statements.keys());
        let others = ids.filter(|id| self.statements.get(*id) != statements.get(*id));
        self.changed.extend(others.map(|id| (id >> 64) % 128));
        self.statements = statements;
        if self.changed.len() as u64 >= settings.k_delta().max(1) {
            self.changed.clear();
            let published = Use::ALL.into_iter().map(|step| {
                let allowed = self.statements.values().filter(|steps| steps.allows(step));
                let allowed = allowed.count() as u64;
                (step, [allowed, self.statements.len() as u64 - allowed])
            });
            let is_publishable = |(_, counts): &(Use, [u64; 2])| {
                counts.iter().all(|count| *count >= settings.k.max(1))
            };
            self.published = published.filter(is_publishable).collect();
        }
        &self.published
    }
}
