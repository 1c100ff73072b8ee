//! Consent counts: how many identifiers allow each use, for the team that maintains the consent dialog.
//!
//! Such a count changes with the decision of a single person, so it is published with the care of the release gate
//! (invariant I6): a use is published only if at least `k` identifiers allow it and `k` refuse it, and the published counts
//! stay until at least `k_delta` others have changed their minds. All identifiers of a brand are counted on one worker. An
//! identifier that has not changed by the end of an epoch does not count as changed. So the result depends neither on the
//! number of workers nor on the order within an epoch.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::allowed_uses::{AllowedUses, Use};
use crate::engine::{Diff, Epoch, KeyedOperator};
use crate::record::{BrandId, Pseudonym};
use crate::settings::Settings;
pub use crate::stats::PublishedConsents;
use crate::stats::Stats;

/// Counts of a brand's identifiers by allowed use, or a change of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConsentDelta {
    /// The number of identifiers with a consent statement.
    stated: i64,
    /// The number of identifiers that allow each use, in the order of [`Use::ALL`]. The others with a statement refuse it.
    allowed: [i64; Use::ALL.len()],
    /// The identifiers that changed, as a set of 128 bits by hash. Two identifiers may share a bit, so the number of bits is at most
    /// the number of identifiers.
    changed: u128,
}

impl ConsentDelta {
    /// Adds the change of the allowed uses of an identifier in an epoch; `None` without a consent statement.
    pub fn change(&mut self, id: Pseudonym, was: Option<AllowedUses>, is: Option<AllowedUses>) {
        if was == is {
            return;
        }
        self.changed |= 1 << ((id >> 64) % 128);
        for (steps, by) in [(was, -1), (is, 1)] {
            let Some(steps) = steps else { continue };
            self.stated += by;
            for (step, allowed) in Use::ALL.into_iter().zip(&mut self.allowed) {
                *allowed += by * i64::from(steps.allows(step));
            }
        }
    }

    /// Adds `times` a change of the counts. Whoever changed stays among the changed.
    fn add(&mut self, other: &ConsentDelta, times: i64) {
        self.stated += other.stated * times;
        for (allowed, other) in self.allowed.iter_mut().zip(&other.allowed) {
            *allowed += other * times;
        }
        self.changed |= other.changed;
    }
}

/// The operator. State: the counts of the brands that this worker owns.
pub struct ConsentCounts {
    settings: Arc<Settings>,
    stats: Rc<Stats>,
    /// The counts of each brand, and who changed since they were last published.
    brands: BTreeMap<BrandId, ConsentDelta>,
}

impl ConsentCounts {
    /// An operator without statements. It publishes to the counters of the worker.
    pub fn new(settings: Arc<Settings>, stats: Rc<Stats>) -> ConsentCounts {
        ConsentCounts {
            settings,
            stats,
            brands: BTreeMap::new(),
        }
    }

    /// Publishes the counts of each brand with at least `k_delta` changed identifiers, as far as `k` identifiers allow a use
    /// and `k` refuse it.
    fn publish(&mut self) {
        for (brand, counts) in &mut self.brands {
            let Some(settings) = self.settings.brands.get(brand) else {
                continue;
            };
            if u64::from(counts.changed.count_ones()) < settings.k_delta().max(1) {
                continue;
            }
            counts.changed = 0;
            let count = |count: i64| u64::try_from(count).unwrap_or_default();
            let published = Use::ALL.into_iter().zip(counts.allowed);
            let published = published.map(|(step, allowed)| {
                let refused = count(counts.stated - allowed);
                (step, [count(allowed), refused])
            });
            let published =
                published.filter(|(_, counts)| counts.iter().all(|n| *n >= settings.k.max(1)));
            self.stats.consents(*brand, published);
        }
    }
}

impl KeyedOperator for ConsentCounts {
    type In = (BrandId, ConsentDelta);
    /// It has no output: it publishes to the counters of the worker.
    type Out = Infallible;
    const NAME: &'static str = "ConsentCounts";

    /// By the brand, because the thresholds apply to its totals.
    fn route((brand, _): &(BrandId, ConsentDelta)) -> u64 {
        brand.0
    }

    fn entries(&self) -> usize {
        let brands = self.brands.values();
        brands.filter(|counts| counts.stated > 0).count()
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        updates: Vec<((BrandId, ConsentDelta), Diff)>,
        _: &mut Vec<(Infallible, Diff)>,
    ) {
        for ((brand, counts), diff) in updates {
            self.brands.entry(brand).or_default().add(&counts, diff);
        }
        self.publish();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;
    use crate::settings::BrandSettings;

    const BRAND: BrandId = BrandId(0);

    fn id(number: u128) -> Pseudonym {
        number << 64 | number
    }

    #[test]
    fn one_change_does_not_show_and_small_groups_do_not() {
        let brand = BrandSettings {
            k: 5,
            k_delta: Some(3),
            ..BrandSettings::default()
        };
        let settings = Settings {
            brands: [(BRAND, brand)].into(),
        };
        let stats = Rc::new(Stats::default());
        let mut consents = ConsentCounts::new(settings.into(), stats.clone());
        // Each call is an epoch.
        let mut epoch = |changes: &[(u128, Option<AllowedUses>, Option<AllowedUses>)]| {
            let mut counts = ConsentDelta::default();
            for (number, was, is) in changes {
                counts.change(id(*number), *was, *is);
            }
            consents.apply_epoch(0, vec![((BRAND, counts), 1)], &mut Vec::new());
        };
        let some = Some(AllowedUses::NONE.with(Use::Hold));
        let both = some.map(|steps| steps.with(Use::Credit));
        // All allow to hold, five do not allow to credit.
        let first = |number| (number, None, if number < 5 { some } else { both });
        for number in 0..2 {
            epoch(&[first(number)]);
            assert!(stats.published_consents().is_empty(), "too few have spoken");
        }
        epoch(&(2..20).map(first).collect::<Vec<_>>());
        let published = || stats.published_consents();
        let credit = (BRAND, Use::Credit);
        assert_eq!(published(), PublishedConsents::from([(credit, [15, 5])]));

        // One who changes her mind again and again is one.
        for _ in 0..9 {
            epoch(&[(7, both, some)]);
            epoch(&[(7, some, both)]);
        }
        epoch(&[(7, both, some), (8, both, None)]);
        assert_eq!(published()[&credit], [15, 5]);
        // Who has not changed hides nobody.
        epoch(&[(9, both, both)]);
        assert_eq!(published()[&credit], [15, 5]);
        epoch(&[(0, some, both)]);
        assert_eq!(published()[&credit], [14, 5]);
        epoch(&[(1, some, both), (2, some, both), (3, some, both)]);
        assert!(published().is_empty(), "two who refuse are too few");
    }
}
