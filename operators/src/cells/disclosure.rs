//! Disclosure control between days and months: whether a published month would reveal what one of its days suppresses.
//!
//! The conversions with a touchpoint of a month are the sum over its stores and days. For a store and day a reader knows
//! them if the takings and the unattributed conversions are published. The takings are therefore divided in three parts:
//! with a touchpoint, without, and oversized. If a conversion has a touchpoint and at least `k` contributors are behind each
//! part that is not empty, all three are published ([`crate::cells::threshold`] ensures that). Any other such day suppresses
//! something: everything if the total has fewer than `k` contributors, else the parts that are too small. A reader of the
//! month can compute the sum of all suppressed parts, so they must lie on at least two days and have at least `k` contributors
//! together.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::aggregate::{Aggregate, Credited};
use crate::engine::Diff;
use crate::label::Label;
use crate::record::Day;
use crate::small_map::Bag;

/// The contributors of the revenue of each store and day, or of each day's orders, for one month.
#[derive(Default)]
pub(super) struct MonthDisclosure {
    /// By store and day; the store is absent for orders.
    takings: FxHashMap<(Label, Day), Takings>,
}

/// The contributors of one store and day, by [`Credited`]: with a touchpoint, without, oversized.
#[derive(Default)]
struct Takings([Contributors; 3]);

/// The contributors of one part.
#[derive(Default)]
struct Contributors {
    /// Persons, with their number of conversions.
    persons: Bag<u64>,
    /// Contributors without an identifier, each of which counts separately.
    anonymous: i64,
    /// Conversions of open sources, which have no contributors.
    open: i64,
}

impl Contributors {
    /// The number of contributors.
    fn count(&self) -> i64 {
        self.persons.len() as i64 + self.anonymous
    }

    /// Whether the part has no conversion.
    fn is_empty(&self) -> bool {
        self.persons.is_empty() && self.anonymous == 0 && self.open == 0
    }
}

/// The distinct contributors of several parts: a person in two of them counts once.
#[derive(Default)]
struct ContributorUnion {
    persons: FxHashSet<u64>,
    anonymous: i64,
}

impl ContributorUnion {
    /// Adds the contributors of a part.
    fn add(&mut self, of: &Contributors) {
        let persons = of.persons.iter().map(|(person, _)| *person);
        self.persons.extend(persons);
        self.anonymous += of.anonymous;
    }

    /// The number of distinct contributors.
    fn count(&self) -> i64 {
        self.persons.len() as i64 + self.anonymous
    }
}

impl Takings {
    /// The parts that the gate suppresses: none if no conversion has a touchpoint, everything if
    /// the total has fewer than `k` contributors, else the parts with fewer than `k`.
    fn hidden(&self, k: i64) -> Vec<&Contributors> {
        let [touched, ..] = &self.0;
        if touched.is_empty() {
            return Vec::new();
        }
        let is_small = |part: &&Contributors| !part.is_empty() && part.count() < k;
        if self.0.iter().all(|part| part.count() < k) {
            let mut all = ContributorUnion::default();
            self.0.iter().for_each(|part| all.add(part));
            if all.count() < k {
                return vec![touched];
            }
        }
        self.0.iter().filter(is_small).collect()
    }
}

impl MonthDisclosure {
    /// Adds the conversions of one contributor to a store and day, `diff` times. `who` is a person,
    /// or `None` for conversions without an identifier, which the contributors of the sums count, and of open sources,
    /// which their first value counts.
    pub(super) fn add(
        &mut self,
        day: (Label, Day),
        credited: Credited,
        who: Option<u64>,
        sums: &Aggregate,
        diff: Diff,
    ) {
        let takings = self.takings.entry(day).or_default();
        let [touched, untouched, oversized] = &mut takings.0;
        let part = match credited {
            Credited::Touches => touched,
            Credited::Nothing => untouched,
            Credited::Oversized => oversized,
        };
        match who {
            Some(who) => part.persons.add(who, sums.values[0] as i64 * diff),
            None => {
                part.anonymous += sums.contributors * diff;
                part.open += sums.values[0] as i64 * diff;
            }
        }
        if takings.0.iter().all(Contributors::is_empty) {
            self.takings.remove(&day);
        }
    }

    /// Whether there is no revenue.
    pub(super) fn is_empty(&self) -> bool {
        self.takings.is_empty()
    }

    /// Whether the month may be published for a threshold of `k`: nothing is suppressed on any day,
    /// or so much on at least two days that no suppressed part can be inferred. Stops at the first
    /// proof.
    pub(super) fn is_safe(&self, k: i64) -> bool {
        let mut days = 0;
        let mut union = ContributorUnion::default();
        for takings in self.takings.values() {
            let hidden = takings.hidden(k);
            days += u64::from(!hidden.is_empty());
            hidden.into_iter().for_each(|part| union.add(part));
            if days > 1 && union.count() >= k {
                return true;
            }
        }
        days == 0
    }
}
