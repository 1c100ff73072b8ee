//! The order of the statements about one identifier: which of them counts.
//!
//! The newest counts, by (day, time). Of what a person answered with a consent string the day is the UTC day of the
//! string's LastUpdated, and the time is when the very same string was first said, of all statements that are held. So a
//! string that an old tab sends again stays where it was, and grants nothing that was withdrawn since. The day is never
//! later than that of the time: a platform whose clock runs ahead does not outlast what is said after it. Of anything
//! else day and time are those of the statement itself. Where several are of one place, what all of them allow counts.
//!
//! The outcome is a function of the multiset of statements held (invariant I1), and whatever is taken out restores what
//! was before. A statement costs a few look-ups in sorted maps, however many there are about the identifier: nothing
//! walks over them.

use crate::allowed_uses::AllowedUses;
use crate::policy::{Policy, Statement};
use crate::record::{ConsentString, Right};
use crate::small_map::{Bag, SmallMap};

/// The statements about one identifier.
#[derive(Default)]
pub(crate) struct StatementOrder {
    /// What was answered with each string.
    strings: SmallMap<ConsentString, StringGroup>,
    /// What counts at which place; of a string each outcome once, of anything else each statement.
    places: Bag<(Place, AllowedUses)>,
    /// What was said of each right when.
    rights: Bag<(Right, i64, bool)>,
    /// Entries that were looked at one after the other, for a test that they stay few.
    #[cfg(test)]
    walked: std::cell::Cell<u64>,
}

/// Where a statement stands: a UTC day (days since 1970-01-01), and Unix milliseconds.
type Place = (i64, i64);

/// The statements with one string.
#[derive(Default)]
struct StringGroup {
    /// When they were said.
    times: Bag<i64>,
    /// What they allow: one thing, unless the brand changed how it reads strings.
    outcomes: Bag<AllowedUses>,
}

const DAY: i64 = 86_400_000;

fn utc_day(ts: i64) -> i64 {
    ts.div_euclid(DAY)
}

impl StringGroup {
    fn place(&self, string: &ConsentString) -> Option<Place> {
        let (first, _) = self.times.first()?;
        Some((i64::from(string.updated).min(utc_day(*first)), *first))
    }
}

impl StatementOrder {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty() && self.rights.is_empty() && self.strings.is_empty()
    }

    /// Adds a statement of a time in Unix milliseconds so many times, or takes it out.
    pub fn add(&mut self, ts: i64, statement: Statement, by: i64) {
        match statement {
            Statement::Consent(steps, None) => self.places.add(((utc_day(ts), ts), steps), by),
            Statement::Consent(steps, Some(string)) => self.add_string(string, ts, steps, by),
            Statement::Right(right, stands) => self.rights.add((right, ts, stands), by),
        }
    }

    fn add_string(&mut self, string: ConsentString, ts: i64, steps: AllowedUses, by: i64) {
        if self.strings.get(&string).is_none() {
            self.strings.insert(string, StringGroup::default());
        }
        let Some(group) = self.strings.get_mut(&string) else {
            return;
        };
        let was = group.place(&string);
        let had = group.outcomes.get(&steps).is_some();
        group.times.add(ts, by);
        group.outcomes.add(steps, by);
        let is = group.place(&string);
        let has = group.outcomes.get(&steps).is_some();
        if was == is && had == has {
            return;
        }
        // Outcomes are combinations of a few steps, and mostly one: this is no walk over statements.
        let others = group.outcomes.iter().map(|(steps, _)| *steps);
        let others: Vec<AllowedUses> = others.filter(|other| *other != steps).collect();
        #[cfg(test)]
        self.walked
            .update(|walked| walked + others.len() as u64 + 1);
        let before = others.iter().copied().chain(had.then_some(steps));
        for (place, steps) in was
            .iter()
            .flat_map(|was| before.clone().map(move |s| (*was, s)))
        {
            self.places.add((place, steps), -1);
        }
        let now = others.iter().copied().chain(has.then_some(steps));
        for (place, steps) in is.iter().flat_map(|is| now.clone().map(move |s| (*is, s))) {
            self.places.add((place, steps), 1);
        }
        if group.times.is_empty() && group.outcomes.is_empty() {
            self.strings.remove(&string);
        }
    }

    /// How the identifier stands.
    pub fn policy(&self) -> Policy {
        Policy {
            allowed: self.allowed(),
            restricted: self.stands(Right::Restriction),
            do_not_sell: self.stands(Right::DoNotSell),
        }
    }

    /// What everything at the newest place allows.
    fn allowed(&self) -> Option<AllowedUses> {
        let newest = self.places.last().map(|((place, _), _)| *place)?;
        let mut allowed = AllowedUses::ALL;
        for ((_, steps), _) in self.places.from(&(newest, AllowedUses::NONE)) {
            allowed = allowed.intersect(*steps);
            #[cfg(test)]
            self.walked.update(|walked| walked + 1);
        }
        Some(allowed)
    }

    /// Whether a right stands by the newest that was said of it; where two things were said at one time, it does.
    fn stands(&self, right: Right) -> bool {
        let newest = self.rights.last_to(&(right, i64::MAX, true));
        newest.is_some_and(|((of, _, stands), _)| *of == right && *stands)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;
    use crate::allowed_uses::Use;

    fn string(hash: u128, updated: i32) -> Option<ConsentString> {
        Some(ConsentString { hash, updated })
    }

    fn on(day: i64, ms: i64) -> i64 {
        day * DAY + ms
    }

    fn allowed(order: &StatementOrder) -> Option<AllowedUses> {
        order.policy().allowed
    }

    #[test]
    fn a_string_that_is_said_again_stays_where_it_was_first_said() {
        let mut order = StatementOrder::default();
        let grant = Statement::Consent(AllowedUses::ALL, string(1, 10));
        let withdrawal = Statement::Consent(AllowedUses::NONE, string(2, 10));
        order.add(on(10, 1), grant, 1);
        order.add(on(10, 5), withdrawal, 1);
        order.add(on(10, 9), grant, 1);
        order.add(on(12, 0), grant, 1);
        assert_eq!(allowed(&order), Some(AllowedUses::NONE));
        // A box is of its own time, and a string of a later day is given again.
        order.add(on(10, 7), Statement::Consent(AllowedUses::ALL, None), 1);
        assert_eq!(allowed(&order), Some(AllowedUses::ALL));
        order.add(on(10, 7), Statement::Consent(AllowedUses::ALL, None), -1);
        order.add(
            on(11, 0),
            Statement::Consent(AllowedUses::ALL, string(3, 11)),
            1,
        );
        assert_eq!(allowed(&order), Some(AllowedUses::ALL));
        order.add(
            on(11, 0),
            Statement::Consent(AllowedUses::ALL, string(3, 11)),
            -1,
        );
        // Without its first saying the string is one that was said after the withdrawal.
        order.add(on(10, 1), grant, -1);
        assert_eq!(allowed(&order), Some(AllowedUses::ALL));
        order.add(on(10, 1), grant, 1);
        assert_eq!(allowed(&order), Some(AllowedUses::NONE));
        for (ts, statement) in [(on(10, 1), grant), (on(10, 9), grant), (on(12, 0), grant)] {
            order.add(ts, statement, -1);
        }
        order.add(on(10, 5), withdrawal, -1);
        assert!(order.is_empty());
        assert_eq!(order.policy(), Policy::default());
    }

    #[test]
    fn a_clock_that_runs_ahead_does_not_outlast_what_is_said_after_it() {
        let mut order = StatementOrder::default();
        order.add(
            on(10, 1),
            Statement::Consent(AllowedUses::ALL, string(1, 99)),
            1,
        );
        order.add(
            on(11, 1),
            Statement::Consent(AllowedUses::ALL, string(1, 99)),
            1,
        );
        order.add(
            on(10, 2),
            Statement::Consent(AllowedUses::NONE, string(2, 10)),
            1,
        );
        assert_eq!(allowed(&order), Some(AllowedUses::NONE));
    }

    #[test]
    fn several_of_one_place_allow_what_all_of_them_do() {
        let mut order = StatementOrder::default();
        let (hold, credit) = (
            AllowedUses::NONE.with(Use::Hold),
            AllowedUses::NONE.with(Use::Credit),
        );
        order.add(
            on(10, 1),
            Statement::Consent(hold.with(Use::Join), string(1, 10)),
            1,
        );
        order.add(on(10, 1), Statement::Consent(hold.with(Use::Link), None), 1);
        assert_eq!(allowed(&order), Some(hold));
        // One string that was read in two ways allows what both readings do, from its first saying on.
        order.add(on(10, 8), Statement::Consent(credit, string(1, 10)), 1);
        assert_eq!(allowed(&order), Some(AllowedUses::NONE));
        order.add(on(10, 8), Statement::Consent(credit, string(1, 10)), -1);
        assert_eq!(allowed(&order), Some(hold));
    }

    #[test]
    fn rights_go_by_the_newest_of_their_kind() {
        let mut order = StatementOrder::default();
        let restriction = |stands| Statement::Right(Right::Restriction, stands);
        let sale = |stands| Statement::Right(Right::DoNotSell, stands);
        order.add(5, restriction(true), 1);
        order.add(9, sale(false), 1);
        order.add(9, sale(true), 1);
        order.add(20, Statement::Right(Right::ErasureAtDeath, true), 1);
        let policy = order.policy();
        assert!(policy.restricted && policy.do_not_sell && policy.allowed.is_none());
        order.add(6, restriction(false), 1);
        order.add(9, sale(true), -1);
        assert_eq!(order.policy(), Policy::default());
    }

    #[test]
    fn a_statement_costs_the_same_however_many_there_are() {
        // The same strings again and again, forwards and backwards in time, and boxes among them.
        let walked = |count: i64| {
            let mut order = StatementOrder::default();
            let statement = |n: i64| match n % 5 {
                0 => (on(10, n), Statement::Consent(AllowedUses::ALL, None)),
                1 => (
                    on(10, count - n),
                    Statement::Consent(AllowedUses::NONE, string(1, 10)),
                ),
                kind => (
                    on(10, n),
                    Statement::Consent(AllowedUses::ALL, string(kind as u128, 10)),
                ),
            };
            for (by, n) in [1, -1]
                .into_iter()
                .flat_map(|by| (0..count).map(move |n| (by, n)))
            {
                let (ts, statement) = statement(n);
                order.add(ts, statement, by);
                order.policy();
            }
            assert!(order.is_empty());
            order.walked.get()
        };
        let (few, many) = (walked(1_000), walked(200_000));
        assert!(
            many <= few * 205,
            "{few} entries for 1,000 statements, {many} for 200,000"
        );
        assert!(many <= 200_000 * 2 * 4, "{many}");
    }
}
