//! The published consent counts: how many identifiers allow and refuse each use.
//!
//! A count is published if at least `k` identifiers allow and `k` refuse the use. Counts are
//! published again once the statements about identifiers of `k_delta` persons have changed. Each
//! person of the histories has one identifier.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::record::{BrandId, Pseudonym, Record};
use tributary_operators::settings::BrandSettings;

use crate::consent::consents;
use crate::stored::StoredState;

/// Identifiers that allow, and that refuse, each use.
type Counts = BTreeMap<Use, [u64; 2]>;

/// The consent counts of one brand.
#[derive(Default)]
pub struct ConsentCountsModel {
    /// The allowed uses of each identifier at the last call.
    statements: BTreeMap<Pseudonym, AllowedUses>,
    /// Who has changed since the last publication.
    changed: BTreeSet<Pseudonym>,
    /// The published counts.
    published: Counts,
}

impl ConsentCountsModel {
    /// The published counts at the end of an epoch.
    pub fn release(
        &mut self,
        brand: BrandId,
        settings: &BrandSettings,
        held: &StoredState,
    ) -> &Counts {
        let records = held.records.iter().filter(|record| record.brand == brand);
        let statements = consents(&records.collect::<Vec<&Record>>());
        let ids = self.statements.keys().chain(statements.keys());
        let others = ids.filter(|id| self.statements.get(*id) != statements.get(*id));
        self.changed.extend(others.copied());
        self.statements = statements;
        let counts = Use::ALL.into_iter().map(|step| {
            let allowed = self.statements.values().filter(|steps| steps.allows(step));
            let allowed = allowed.count() as u64;
            (step, [allowed, self.statements.len() as u64 - allowed])
        });
        let is_publishable =
            |(_, counts): &(Use, [u64; 2])| counts.iter().all(|count| *count >= settings.k.max(1));
        let now: Counts = counts.filter(is_publishable).collect();
        if self.changed.len() as u64 >= settings.k_delta().max(1) {
            self.changed.clear();
            self.published = now;
        }
        &self.published
    }
}
