//! Consents: how many identifiers allow each step, for whoever looks after the banner.
//!
//! A count like this moves when one person decides, so that it is careful as the release gate is (invariant I6): a step
//! is told of only where at least `k` identifiers allow it and `k` refuse it, and what was told stays as it is until
//! `k_delta` others have changed their minds. Each worker holds to that with the identifiers it has, so that sums over
//! workers do as well.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::record::{BrandId, Pseudonym};
use crate::settings::Settings;
pub use crate::stats::ConsentCounts as Told;
use crate::stats::Stats;
use crate::steps::{Step, Steps};

/// What is known of one brand.
#[derive(Default)]
struct Tally {
    /// Identifiers about which a consent was said.
    stated: u64,
    /// Those that allow each step.
    allowed: [u64; Step::ALL.len()],
    /// Who changed since it was told, a bit for each of 128 shares of all identifiers.
    changed: u128,
}

/// Counts on one worker.
pub struct Consents {
    settings: Arc<Settings>,
    stats: Rc<Stats>,
    brands: BTreeMap<BrandId, Tally>,
}

impl Consents {
    /// Nobody has said anything. What may be told goes to the worker's counters.
    pub fn new(settings: Arc<Settings>, stats: Rc<Stats>) -> Consents {
        Consents {
            settings,
            stats,
            brands: BTreeMap::new(),
        }
    }

    /// What is allowed for an identifier has changed.
    pub fn change(&mut self, brand: BrandId, id: Pseudonym, was: Option<Steps>, is: Option<Steps>) {
        if was == is {
            return;
        }
        let tally = self.brands.entry(brand).or_default();
        tally.changed |= 1 << ((id >> 64) % 128);
        let count = |steps: Option<Steps>| (u64::from(steps.is_some()), steps.unwrap_or_default());
        let ((was_stated, was), (is_stated, is)) = (count(was), count(is));
        tally.stated = tally.stated + is_stated - was_stated;
        for (step, allowed) in Step::ALL.into_iter().zip(&mut tally.allowed) {
            *allowed = *allowed + u64::from(is.allow(step)) - u64::from(was.allow(step));
        }
    }

    /// The brands of which anybody has spoken.
    pub fn entries(&self) -> usize {
        let brands = self.brands.values();
        brands.filter(|tally| tally.stated > 0).count()
    }

    /// Tells what may be told.
    pub fn tell(&mut self) {
        for (brand, tally) in &mut self.brands {
            let Some(settings) = self.settings.brands.get(brand) else {
                continue;
            };
            if u64::from(tally.changed.count_ones()) < settings.k_delta().max(1) {
                continue;
            }
            tally.changed = 0;
            let told = Step::ALL.into_iter().zip(tally.allowed);
            let told = told.map(|(step, allowed)| (step, [allowed, tally.stated - allowed]));
            let told = told.filter(|(_, counts)| counts.iter().all(|n| *n >= settings.k.max(1)));
            self.stats.consents(*brand, told);
        }
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
        let mut consents = Consents::new(settings.into(), stats.clone());
        let some = Some(Steps::NONE.with(Step::Hold));
        let both = some.map(|steps| steps.with(Step::Credit));
        for number in 0..20 {
            // All allow to hold, five do not allow to credit.
            consents.change(
                BRAND,
                id(number),
                None,
                if number < 5 { some } else { both },
            );
            if number < 2 {
                consents.tell();
                assert!(stats.told_consents().is_empty(), "too few have spoken");
            }
        }
        consents.tell();
        let told = || stats.told_consents();
        let credit = (BRAND, Step::Credit);
        assert_eq!(told(), Told::from([(credit, [15, 5])]));

        // One who changes her mind again and again is one.
        for _ in 0..9 {
            consents.change(BRAND, id(7), both, some);
            consents.tell();
            consents.change(BRAND, id(7), some, both);
            consents.tell();
        }
        consents.change(BRAND, id(7), both, some);
        consents.change(BRAND, id(8), both, None);
        consents.tell();
        assert_eq!(told()[&credit], [15, 5]);
        consents.change(BRAND, id(0), some, both);
        consents.tell();
        assert_eq!(told()[&credit], [14, 5]);
        for number in 1..4 {
            consents.change(BRAND, id(number), some, both);
        }
        consents.tell();
        assert!(told().is_empty(), "two who refuse are too few");
    }
}
