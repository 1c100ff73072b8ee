//! Consent counts: how many identifiers allow each use, for the team that maintains the consent dialog.
//!
//! Such a count changes with the decision of a single person, so it is published with the care of the release gate
//! (invariant I6): a use is published only if at least `k` identifiers allow it and `k` refuse it, and the published counts
//! stay until at least `k_delta` persons have changed their minds. One person with many identifiers is one, and so are all
//! identifiers of one statement: the identity graph says whose they are ([`crate::identity`]). All identifiers of a brand are
//! counted on one worker. An identifier that has not changed by the end of an epoch does not count as changed. So the result
//! depends neither on the number of workers nor on the order within an epoch.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::allowed_uses::{AllowedUses, Use};
use crate::current_settings::CurrentSettings;
use crate::engine::{Diff, Epoch, KeyedOperator};
use crate::record::{BrandId, Pseudonym};
pub use crate::stats::PublishedConsents;
use crate::stats::Stats;

/// What the statements about an identifier allowed before an epoch and allow now; `None` without a consent statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConsentChange {
    /// The identifier.
    pub id: Pseudonym,
    /// The number of the act that changed it.
    pub act: u64,
    /// Before the epoch.
    pub was: Option<AllowedUses>,
    /// Now.
    pub is: Option<AllowedUses>,
}

/// Counts of a brand's identifiers by allowed use.
#[derive(Default)]
struct Counts {
    /// The number of identifiers with a consent statement.
    stated: i64,
    /// The number of identifiers that allow each use, in the order of [`Use::ALL`]. The others with a statement refuse it.
    allowed: [i64; Use::ALL.len()],
    /// The identifiers that changed since the counts were last published, each with the number of its first act. A person
    /// whose records leave and return is another one, and still one who changes her mind.
    acts: FxHashMap<Pseudonym, u64>,
}

impl Counts {
    /// Adds a change.
    fn add(&mut self, change: &ConsentChange) {
        self.acts.entry(change.id).or_insert(change.act);
        for (steps, by) in [(change.was, -1), (change.is, 1)] {
            let Some(steps) = steps else { continue };
            self.stated += by;
            for (step, allowed) in Use::ALL.into_iter().zip(&mut self.allowed) {
                *allowed += by * i64::from(steps.allows(step));
            }
        }
    }

    /// The number of acts since the counts were last published.
    fn acts(&self) -> u64 {
        let acts: FxHashSet<u64> = self.acts.values().copied().collect();
        acts.len() as u64
    }
}

/// The operator. State: the counts of the brands that this worker owns.
pub struct ConsentCounts {
    settings: CurrentSettings,
    stats: Rc<Stats>,
    /// The counts of each brand, and who changed since they were last published.
    brands: BTreeMap<BrandId, Counts>,
}

impl ConsentCounts {
    /// An operator without statements. It publishes to the counters of the worker.
    pub fn new(settings: CurrentSettings, stats: Rc<Stats>) -> ConsentCounts {
        ConsentCounts {
            settings,
            stats,
            brands: BTreeMap::new(),
        }
    }

    /// Publishes the counts of each brand that at least `k_delta` acts have changed, as far as `k` identifiers allow a use
    /// and `k` refuse it.
    fn publish(&mut self) {
        for (brand, counts) in &mut self.brands {
            let Some(settings) = self.settings.brands.get(brand) else {
                continue;
            };
            if counts.acts.is_empty() || counts.acts() < settings.k_delta().max(1) {
                continue;
            }
            counts.acts.clear();
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
    type In = (BrandId, ConsentChange);
    /// It has no output: it publishes to the counters of the worker.
    type Out = Infallible;
    const NAME: &'static str = "ConsentCounts";

    /// By the brand, because the thresholds apply to its totals.
    fn route((brand, _): &(BrandId, ConsentChange)) -> u64 {
        brand.0
    }

    fn entries(&self) -> usize {
        let brands = self.brands.values();
        brands.filter(|counts| counts.stated > 0).count()
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        updates: Vec<((BrandId, ConsentChange), Diff)>,
        _: &mut Vec<(Infallible, Diff)>,
    ) {
        self.settings.take_change();
        for ((brand, change), _) in updates {
            self.brands.entry(brand).or_default().add(&change);
        }
        self.publish();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;
    use crate::settings::{BrandSettings, Settings};

    const BRAND: BrandId = BrandId(0);

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
        let mut epoch = |changes: &[(u64, Option<AllowedUses>, Option<AllowedUses>)]| {
            let changed = changes.iter().filter(|(_, was, is)| was != is);
            let changed = changed.map(|(number, was, is)| {
                let (id, act) = (u128::from(*number % 100), *number);
                let (was, is) = (*was, *is);
                ((BRAND, ConsentChange { id, act, was, is }), 1)
            });
            consents.apply_epoch(0, changed.collect(), &mut Vec::new());
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

        // One who changes her mind again and again is one, even if her records leave and return.
        for times in 0..9 {
            epoch(&[(100 * times + 7, both, some)]);
            epoch(&[(100 * times + 7, some, both)]);
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
