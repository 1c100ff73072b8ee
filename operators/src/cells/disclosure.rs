//! The days of a month: whether what is told of the month would show what one of them hides.
//!
//! The conversions with a touch of a month are those of all its stores and days. Of a store and day they are known where
//! the takings are, and what is credited to nothing. For this the takings are parted in three, with a touch, without, and
//! oversized. Where a conversion has a touch and at least `k` contributors stand behind each part that is not empty, all
//! three are seen ([`crate::cells::threshold`] sees to that). Any other such day hides something: with fewer than `k` in total
//! everything, and else the parts that are too small. Whoever knows the month knows what the hidden comes to, and so it
//! must lie on at least two days, with at least `k` contributors behind it together.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::aggregate::{Aggregate, Credited};
use crate::engine::Diff;
use crate::label::Label;
use crate::record::Day;
use crate::small_map::Bag;

/// The contributors of the takings of each store and day, or of each day's orders.
#[derive(Default)]
pub(super) struct Days {
    takings: FxHashMap<(Label, Day), Takings>,
}

/// Contributors by [`Credited`].
#[derive(Default)]
struct Takings([Contributors; 3]);

/// Persons with the number of their conversions, and what names nobody.
#[derive(Default)]
struct Contributors {
    persons: Bag<u64>,
    nobodys: i64,
}

impl Contributors {
    fn count(&self) -> i64 {
        self.persons.len() as i64 + self.nobodys
    }

    fn is_empty(&self) -> bool {
        self.persons.is_empty() && self.nobodys == 0
    }
}

/// Who stands behind several parts.
#[derive(Default)]
struct Together {
    persons: FxHashSet<u64>,
    nobodys: i64,
}

impl Together {
    fn add(&mut self, of: &Contributors) {
        let persons = of.persons.iter().map(|(person, _)| *person);
        self.persons.extend(persons);
        self.nobodys += of.nobodys;
    }

    fn count(&self) -> i64 {
        self.persons.len() as i64 + self.nobodys
    }
}

impl Takings {
    /// What is hidden of them, where any conversion has a touch.
    fn hidden(&self, k: i64) -> Vec<&Contributors> {
        let [touched, ..] = &self.0;
        if touched.is_empty() {
            return Vec::new();
        }
        let is_small = |part: &&Contributors| (1..k).contains(&part.count());
        if self.0.iter().all(|part| part.count() < k) {
            let mut all = Together::default();
            self.0.iter().for_each(|part| all.add(part));
            if all.count() < k {
                return vec![touched];
            }
        }
        self.0.iter().filter(is_small).collect()
    }
}

impl Days {
    /// Adds to a day what one contributor has bought, or what names nobody.
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
            None => part.nobodys += sums.contributors * diff,
        }
        if takings.0.iter().all(Contributors::is_empty) {
            self.takings.remove(&day);
        }
    }

    /// Whether nothing is held of any day.
    pub(super) fn is_empty(&self) -> bool {
        self.takings.is_empty()
    }

    /// Whether nothing is hidden on any day, or so much that nobody can see through.
    pub(super) fn hide_each_other(&self, k: i64) -> bool {
        let mut days = 0;
        let mut together = Together::default();
        for takings in self.takings.values() {
            let hidden = takings.hidden(k);
            days += u64::from(!hidden.is_empty());
            hidden.into_iter().for_each(|part| together.add(part));
            if days > 1 && together.count() >= k {
                return true;
            }
        }
        days == 0
    }
}
