//! The order of the statements about one identifier, which decides the policy in effect.
//!
//! *Consent.* The newest statement counts, by its [`Place`]: a UTC day and a time. For a statement
//! with a consent string, the time is when the same string was first received, among all stored
//! statements, and the day is that of the string's `LastUpdated` field, but never later than the
//! day of that time. Consequently, an old string that another tab sends again keeps its place and
//! cannot grant what was withdrawn since, and a consent platform whose clock is ahead cannot
//! outlast later statements. For any other statement, day and time are its own. If several
//! statements share the newest place, what all of them allow is allowed.
//!
//! *Rights.* Of each right the newest statement counts; at equal times, the one that exercises it.
//!
//! The result is a function of the multiset of stored statements (invariant I1), and removing a
//! statement restores the policy without it. A statement takes a few look-ups in sorted maps,
//! however many there are about the identifier; no operation scans them.

use crate::allowed_uses::AllowedUses;
use crate::policy::{Policy, Statement};
use crate::record::{ConsentString, Right};
use crate::small_map::{Bag, SmallMap};

/// The statements about one identifier, at least one. A single one, which most identifiers have, needs no order.
pub(crate) enum Statements {
    /// One statement, with its time in Unix milliseconds.
    One(i64, Statement),
    /// Several, or one of several.
    Many(Box<StatementOrder>),
}

impl Statements {
    /// Adds a statement made at `ts` (Unix milliseconds) `by` times to those of an identifier, or removes it if `by` is negative.
    pub fn add(
        held: Option<Box<Statements>>,
        ts: i64,
        statement: Statement,
        by: i64,
    ) -> Option<Box<Statements>> {
        let mut order = match held.map(|held| *held) {
            None if by == 1 => return Some(Box::new(Statements::One(ts, statement))),
            Some(Statements::One(at, one)) if by == -1 && (at, one) == (ts, statement) => {
                return None;
            }
            None => Box::default(),
            Some(Statements::One(at, one)) => {
                let mut order = Box::<StatementOrder>::default();
                order.add(at, one, 1);
                order
            }
            Some(Statements::Many(order)) => order,
        };
        order.add(ts, statement, by);
        (!order.is_empty()).then(|| Box::new(Statements::Many(order)))
    }

    /// The policy in effect for the identifier.
    pub fn policy(&self) -> Policy {
        match self {
            Statements::One(ts, statement) => {
                let mut order = StatementOrder::default();
                order.add(*ts, *statement, 1);
                order.policy()
            }
            Statements::Many(order) => order.policy(),
        }
    }

    /// The estimated bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Statements::One(..) => 0,
            Statements::Many(_) => size_of::<StatementOrder>(),
        }
    }
}

/// The statements about one identifier, in their order.
#[derive(Default)]
pub(crate) struct StatementOrder {
    /// The statements with each consent string.
    strings: SmallMap<ConsentString, StringGroup>,
    /// The uses that are allowed at each place: each outcome of a string once, any other statement
    /// as often as it is stored.
    places: Bag<(Place, AllowedUses)>,
    /// The statements about rights: right, time in Unix milliseconds, and whether it is exercised.
    rights: Bag<(Right, i64, bool)>,
    /// The number of entries that were visited one by one, for a test that they stay few.
    #[cfg(test)]
    walked: std::cell::Cell<u64>,
}

/// The place of a statement in the order: a UTC day (days since 1970-01-01), and Unix milliseconds.
type Place = (i64, i64);

/// The statements with one consent string.
#[derive(Default)]
struct StringGroup {
    /// When they were received, Unix milliseconds.
    times: Bag<i64>,
    /// The uses that they allow: one set, unless the brand changed how it interprets strings.
    outcomes: Bag<AllowedUses>,
}

/// One day in milliseconds.
const DAY: i64 = 86_400_000;

/// The UTC day of a time in Unix milliseconds.
fn utc_day(ts: i64) -> i64 {
    ts.div_euclid(DAY)
}

impl StringGroup {
    /// The common place of the statements, or `None` without statements.
    fn place(&self, string: &ConsentString) -> Option<Place> {
        let (first, _) = self.times.first()?;
        Some((i64::from(string.updated).min(utc_day(*first)), *first))
    }
}

impl StatementOrder {
    /// Whether there are no statements.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty() && self.rights.is_empty() && self.strings.is_empty()
    }

    /// Adds a statement made at `ts` (Unix milliseconds) `by` times, or removes it if `by` is
    /// negative.
    pub fn add(&mut self, ts: i64, statement: Statement, by: i64) {
        match statement {
            Statement::Consent(steps, None) => self.places.add(((utc_day(ts), ts), steps), by),
            Statement::Consent(steps, Some(string)) => self.add_string(string, ts, steps, by),
            Statement::Right(right, stands) => self.rights.add((right, ts, stands), by),
        }
    }

    /// Adds or removes a statement with a consent string, and moves the outcomes of the string if
    /// its place changes.
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

    /// The policy in effect for the identifier. [`Policy::default`] without statements.
    pub fn policy(&self) -> Policy {
        Policy {
            allowed: self.allowed(),
            restricted: self.stands(Right::Restriction),
            do_not_sell: self.stands(Right::DoNotSell),
        }
    }

    /// The uses that all statements at the newest place allow, or `None` without a statement of
    /// consent.
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

    /// Whether a right is in effect.
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

    /// A consent string that is sent again after a withdrawal grants nothing.
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

    /// A consent string with a `LastUpdated` in the future does not override later statements.
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

    /// Statements at the same place are intersected.
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

    /// Each right follows its newest statement.
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

    /// A single statement, in whatever way it is reached, has the policy of an order with it.
    #[test]
    fn one_is_what_is_left_of_several() {
        let grant = Statement::Consent(AllowedUses::ALL, string(1, 10));
        let refusal = Statement::Consent(AllowedUses::NONE, None);
        let right = Statement::Right(Right::Restriction, true);
        for one in [grant, refusal, right] {
            let mut order = StatementOrder::default();
            order.add(on(10, 1), one, 1);
            let held = Statements::add(None, on(10, 1), one, 1);
            assert_eq!(held.as_ref().unwrap().policy(), order.policy());
            // Its retraction may come before it.
            let held = Statements::add(held, on(11, 1), refusal, -1);
            let held = Statements::add(held, on(11, 1), refusal, 1);
            assert_eq!(held.as_ref().unwrap().policy(), order.policy());
            assert!(Statements::add(held, on(10, 1), one, -1).is_none());
            let twice = Statements::add(None, on(10, 1), one, 2);
            let once = Statements::add(twice, on(10, 1), one, -1);
            assert_eq!(once.as_ref().unwrap().policy(), order.policy());
            let several = Statements::add(once, on(12, 0), grant, 1);
            assert!(several.as_ref().unwrap().policy() != Policy::default());
        }
    }

    /// The number of visited entries is linear in the number of statements.
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
