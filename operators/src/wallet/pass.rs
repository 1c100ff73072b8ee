//! Passes: on which days a pass became active or ceased to be, and what else happened to it on a day.
//!
//! A pass is active on a platform at a time if it is not void then, and the newest registration of at least one of its holders
//! up to then, by `(ts, id)`, is an installation. A void pass stays void, on every platform. Only times count, not the order of
//! records with the same time: a phone that is replaced by another at one time leaves the pass active.
//!
//! A day counts passes, not registrations. So that `installed - removed` of all days up to one is the number of active passes
//! there, each change of a pass within a day counts.
//!
//! The number of holders is a level that each registration may raise or lower by one. The changes of a level are summed up by
//! range ([`Level`]), so that one registration more does not visit the others: only the days on which the pass is without
//! a holder, and whose numbers may therefore change.

use std::collections::BTreeMap;

use crate::aggregate::Aggregate;
use crate::engine::{Diff, text_bytes};
use crate::label::Label;
use crate::range_sums::{RangeSums, Sum};
use crate::record::{Day, RecordId, WalletPlatform, WalletType};
use crate::runs::Runs;
use crate::small_map::{Bag, SmallMap};
use crate::wallet::record::WalletRecord;

/// A platform on a day.
pub(super) type PlatformDay = (WalletPlatform, Day);

/// An installation or a removal. The derived order is that in which those of a holder count.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Registration {
    platform: WalletPlatform,
    holder: u64,
    ts: i64,
    id: RecordId,
    source: Label,
    day: Day,
    is_install: bool,
}

impl Registration {
    /// The registration of a record; `None` for any other type.
    fn of(record: &WalletRecord) -> Option<Registration> {
        let is_install = match record.kind {
            WalletType::Install => true,
            WalletType::Remove => false,
            _ => return None,
        };
        Some(Registration {
            platform: record.platform,
            holder: record.holder,
            ts: record.ts,
            id: record.id.clone(),
            source: record.source,
            day: record.day,
            is_install,
        })
    }

    /// The order of holders and times, without that of registrations of one holder at one time.
    fn at(&self) -> (WalletPlatform, u64, i64) {
        (self.platform, self.holder, self.ts)
    }
}

/// The records of a pass on a platform and day.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct DayRecords {
    /// Of any type.
    all: i64,
    issues: i64,
    voids: i64,
    pushes: i64,
    opens: i64,
}

/// How a sequence of changes moves the number of holders, which starts at 0.
#[derive(Clone, Default)]
struct Level {
    /// Where it ends.
    end: i64,
    /// The lowest level, that of the start included.
    low: i64,
    /// How often it rises from the lowest level.
    rises: i64,
    /// How often it falls to the lowest level.
    falls: i64,
    /// The day of all changes; `None` for several days, and without a change.
    day: Option<Day>,
}

impl Level {
    /// A change on a day.
    fn of(by: i64, day: Day) -> Level {
        Level {
            end: by,
            low: by.min(0),
            rises: i64::from(by > 0),
            falls: i64::from(by < 0),
            day: Some(day),
        }
    }
}

impl Sum for Level {
    fn then(&self, next: &Self) -> Self {
        let next_low = self.end + next.low;
        let low = self.low.min(next_low);
        let [own, nexts] = [self.low, next_low].map(|of| i64::from(of == low));
        Level {
            end: self.end + next.end,
            low,
            rises: own * self.rises + nexts * next.rises,
            falls: own * self.falls + nexts * next.falls,
            day: self.day.filter(|day| next.day == Some(*day)),
        }
    }
}

/// A pass.
#[derive(Default)]
pub(super) struct Pass {
    days: SmallMap<PlatformDay, DayRecords>,
    registrations: Runs<Registration>,
    /// How the registrations of a time move the number of holders.
    levels: RangeSums<(WalletPlatform, i64), Level>,
    /// The times from which on the pass is void, each with its day.
    voids: Bag<(i64, Day)>,
}

/// What a pass adds to a platform and day: issued, installed, removed, voided, and whether there is any record; and its pushes
/// and opens.
type Parts = [Aggregate; 2];

/// The times of changes by platform: the first, and the last, if there is one.
type Spans = BTreeMap<WalletPlatform, (i64, Option<i64>)>;

/// How often the pass became active and ceased to be, by platform and day.
type Changes = BTreeMap<PlatformDay, [i64; 2]>;

impl Pass {
    pub(super) fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.days.heap_bytes(|_| 0)
            + self.registrations.heap_bytes(|of| text_bytes(&of.id))
            + self.levels.heap_bytes(|_| 0)
            + self.voids.heap_bytes(|_| 0)
    }

    /// Applies the changes of an epoch, and passes what they change of the days to `add`. Returns the number of registrations
    /// that were visited.
    pub(super) fn amend(
        &mut self,
        records: &[(&WalletRecord, Diff)],
        mut add: impl FnMut(PlatformDay, Parts, Diff),
    ) -> u64 {
        let mut steps = 0;
        let spans = self.spans(records);
        let was = self.changes(&spans, &mut steps);
        let mut before: BTreeMap<PlatformDay, DayRecords> = BTreeMap::new();
        // Retractions first, so that nothing is retracted before it is held.
        for side in [false, true] {
            for (record, diff) in records.iter().filter(|of| (of.1 > 0) == side) {
                let at = (record.platform, record.day);
                let mut of_day = self.days.get(&at).copied().unwrap_or_default();
                before.entry(at).or_insert(of_day);
                of_day.add(record.kind, *diff);
                match of_day.all {
                    0 => drop(self.days.remove(&at)),
                    _ => drop(self.days.insert(at, of_day)),
                }
                if let Some(registration) = Registration::of(record) {
                    self.register(&registration, *diff, &mut steps);
                }
                if record.kind == WalletType::Void {
                    self.voids.add((record.ts, record.day), *diff);
                }
            }
        }
        let is = self.changes(&spans, &mut steps);
        for at in was.keys().chain(is.keys()) {
            let of_day = self.days.get(at).copied().unwrap_or_default();
            before.entry(*at).or_insert(of_day);
        }
        for (at, of_day) in before {
            let now = self.days.get(&at).copied().unwrap_or_default();
            let changes = |of: &Changes| of.get(&at).copied().unwrap_or_default();
            add(at, of_day.parts(changes(&was)), -1);
            add(at, now.parts(changes(&is)), 1);
        }
        steps
    }

    /// The next registration of the holder at a later time.
    fn next_of(&self, of: &Registration) -> Option<&Registration> {
        let next = self.registrations.from(|held| held.at() <= of.at()).next();
        next.filter(|next| (next.platform, next.holder) == (of.platform, of.holder))
    }

    /// The times within which the changes of an epoch may move the number of holders on a platform, or end it: the first, and
    /// the last, if there is one.
    fn spans(&self, records: &[(&WalletRecord, Diff)]) -> Spans {
        let mut spans = Spans::new();
        let mut widen = |platform, from: i64, until: Option<i64>| {
            let span = spans.entry(platform).or_insert((from, until));
            span.0 = span.0.min(from);
            span.1 = span.1.zip(until).map(|(one, other)| one.max(other));
        };
        for (record, _) in records {
            if let Some(registration) = Registration::of(record) {
                let next = self.next_of(&registration).map(|next| next.ts);
                widen(record.platform, record.ts, next);
            }
            if record.kind == WalletType::Void {
                let void = self.voids.first().map_or(i64::MAX, |((ts, _), _)| *ts);
                for platform in WalletPlatform::ALL {
                    widen(platform, record.ts.min(void), None);
                }
            }
        }
        spans
    }

    /// Inserts or removes a registration, and moves the levels at its time and at that of the holder's next one.
    fn register(&mut self, of: &Registration, diff: Diff, steps: &mut u64) {
        let moves = |pass: &Pass| {
            let holds = |of: Option<&Registration>, at: &Registration| {
                of.is_some_and(|of| {
                    (of.platform, of.holder) == (at.platform, at.holder) && of.is_install
                })
            };
            let last = |is_before: &dyn Fn(&Registration) -> bool| {
                i64::from(holds(pass.registrations.before(is_before).next(), of))
            };
            let before = last(&|held| held.at() < of.at());
            let now = last(&|held| held.at() <= of.at());
            let next = pass.next_of(of).map(|next| {
                let then = last(&|held| held.at() <= next.at());
                (next.ts, next.day, then - now)
            });
            [Some((of.ts, of.day, now - before)), next]
        };
        let was = moves(self);
        *steps += 1 + self.registrations.amend(of, diff);
        let is = moves(self);
        let moved = was.map(|of| (of, -1)).into_iter();
        for (at, times) in moved.chain(is.map(|of| (of, 1))) {
            let Some((ts, day, by)) = at.filter(|(.., by)| *by != 0) else {
                continue;
            };
            let amend = |level: &mut Level| {
                *level = Level::of(level.end + by * times, day);
                level.end != 0
            };
            self.levels.amend((of.platform, ts), amend, steps);
        }
    }

    /// How often the pass becomes active and ceases to be within some times.
    fn changes(&self, spans: &Spans, steps: &mut u64) -> Changes {
        let mut changes = Changes::new();
        let void = self.voids.first().map(|(of, _)| *of);
        for (platform, (from, until)) in spans {
            let (from, until) = ((*platform, *from), until.unwrap_or(i64::MAX));
            let is_within = |(of, ts): &(WalletPlatform, i64)| {
                let is_valid = void.is_none_or(|(void, _)| *ts < void);
                of < platform || of == platform && is_valid && *ts <= until
            };
            let holding = |is_before: &dyn Fn(&(WalletPlatform, i64)) -> bool, steps: &mut u64| {
                let others = self.levels.before(|(of, _)| of < platform, steps).end;
                self.levels.before(is_before, steps).end - others
            };
            let mut level = holding(&|at| *at < from, steps);
            let each = |of: &Level| {
                if level + of.low > 0 {
                    level += of.end;
                    return true;
                }
                let Some(day) = of.day else { return false };
                let [installed, removed] = changes.entry((*platform, day)).or_default();
                *installed += of.rises;
                *removed += of.falls;
                level += of.end;
                true
            };
            self.levels.visit(|at| *at < from, is_within, each, steps);
            if let Some((ts, day)) = void
                && holding(&|at| *at < (*platform, ts), steps) > 0
            {
                let [_, removed] = changes.entry((*platform, day)).or_default();
                *removed += 1;
            }
        }
        changes
    }
}

impl DayRecords {
    fn add(&mut self, kind: WalletType, diff: Diff) {
        self.all += diff;
        match kind {
            WalletType::Issue => self.issues += diff,
            WalletType::Void => self.voids += diff,
            WalletType::Push => self.pushes += diff,
            WalletType::Open => self.opens += diff,
            WalletType::Install | WalletType::Remove | WalletType::Scan | WalletType::Redeem => {}
        }
    }

    fn parts(&self, [installed, removed]: [i64; 2]) -> Parts {
        let is_any = |count: i64| i128::from(count > 0);
        let passes = [
            is_any(self.issues),
            installed.into(),
            removed.into(),
            is_any(self.voids),
            is_any(self.all),
        ];
        let touches = [self.pushes.into(), self.opens.into()];
        [Aggregate::of(&passes), Aggregate::of(&touches)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(ts: i64, kind: WalletType, holder: u64) -> WalletRecord {
        WalletRecord {
            ts,
            id: format!("{ts}{kind:?}{holder}").into(),
            source: Label::ABSENT,
            day: (ts / 100) as Day,
            kind,
            platform: WalletPlatform::Apple,
            holder,
            store: Label::ABSENT,
            set: 0,
            joins: true,
        }
    }

    /// The changes of a pass with some records.
    fn changes(records: &[WalletRecord]) -> Vec<(Day, [i64; 2])> {
        let mut pass = Pass::default();
        let all: Vec<_> = records.iter().map(|record| (record, 1)).collect();
        pass.amend(&all, |_, _, _| {});
        let all_times = [(WalletPlatform::Apple, (i64::MIN, None))].into();
        let changes = pass.changes(&all_times, &mut 0).into_iter();
        let changes = changes.map(|((_, day), of)| (day, of)).collect();
        let all: Vec<_> = records.iter().map(|record| (record, -1)).collect();
        pass.amend(&all, |_, _, _| {});
        assert!(pass.is_empty() && pass.registrations.is_empty() && pass.voids.is_empty());
        assert!(pass.levels.is_empty());
        changes
    }

    #[test]
    fn a_pass_is_active_while_a_holder_has_it() {
        use WalletType::{Install, Remove, Void};
        let two = [
            record(110, Install, 1),
            record(111, Install, 2),
            record(210, Remove, 1),
            record(310, Remove, 2),
        ];
        assert_eq!(changes(&two), [(1, [1, 0]), (3, [0, 1])]);
        // A phone is replaced by another at one time.
        let replaced = [
            record(110, Install, 1),
            record(120, Remove, 1),
            record(120, Install, 2),
        ];
        assert_eq!(changes(&replaced), [(1, [1, 0])]);
        let again = [
            record(110, Install, 1),
            record(120, Remove, 1),
            record(130, Install, 1),
        ];
        assert_eq!(changes(&again), [(1, [2, 1])]);
        // What is void is not installed again.
        let void = [
            record(110, Install, 1),
            record(220, Void, 0),
            record(230, Install, 3),
            record(330, Remove, 1),
        ];
        assert_eq!(changes(&void), [(1, [1, 0]), (2, [0, 1])]);
        assert_eq!(
            changes(&[record(110, Void, 0), record(110, Install, 1)]),
            []
        );
    }
}
