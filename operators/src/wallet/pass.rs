//! Passes: on which days a pass became active or ceased to be, and what else happened to it on a day.
//!
//! A pass is active on a platform at a time if it is not void then, and the newest registration of at least one of its holders
//! up to then, by `(ts, id)`, is an installation. A void pass stays void, on every platform. Only times count, not the order of
//! records with the same time: a phone that is replaced by another at one time leaves the pass active.
//!
//! A day counts passes, not registrations. So that `installed - removed` of all days up to one is the number of active passes
//! there, each change of a pass within a day counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::aggregate::Aggregate;
use crate::engine::{Diff, shared_text_bytes};
use crate::label::Label;
use crate::record::{Day, WalletPlatform, WalletType};
use crate::runs::Runs;
use crate::small_map::{Bag, SmallMap};
use crate::wallet::record::WalletRecord;

/// A platform on a day.
pub(super) type PlatformDay = (WalletPlatform, Day);

/// An installation or a removal. The derived order is that in which they count.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Registration {
    pub(super) ts: i64,
    pub(super) id: Arc<str>,
    pub(super) source: Label,
    pub(super) day: Day,
    pub(super) platform: WalletPlatform,
    pub(super) holder: u64,
    pub(super) is_install: bool,
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

/// A pass.
#[derive(Default)]
pub(super) struct Pass {
    days: SmallMap<PlatformDay, DayRecords>,
    registrations: Runs<Registration>,
    /// The times from which on the pass is void, each with its day.
    voids: Bag<(i64, Day)>,
}

/// What a pass adds to a platform and day: issued, installed, removed, voided, and whether there is any record; and its pushes
/// and opens.
type Parts = [Aggregate; 2];

/// How often the pass became active and ceased to be, by platform and day.
type Changes = BTreeMap<PlatformDay, [i64; 2]>;

impl Pass {
    pub(super) fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.days.heap_bytes(|_| 0)
            + self
                .registrations
                .heap_bytes(|of| shared_text_bytes(&of.id))
            + self.voids.heap_bytes(|_| 0)
    }

    /// Applies the changes of an epoch, and passes what they change of the days to `add`. Returns the number of records that
    /// were visited.
    pub(super) fn amend(
        &mut self,
        records: &[(&WalletRecord, Diff)],
        mut add: impl FnMut(PlatformDay, Parts, Diff),
    ) -> u64 {
        let is_registration = |kind: WalletType| {
            matches!(
                kind,
                WalletType::Install | WalletType::Remove | WalletType::Void
            )
        };
        let registers = records.iter().any(|(of, _)| is_registration(of.kind));
        let mut steps = 0;
        let mut changes = |pass: &Pass| match registers {
            true => {
                steps += pass.registrations.len() as u64;
                pass.changes()
            }
            false => Changes::new(),
        };
        let was = changes(self);
        let mut before: BTreeMap<PlatformDay, DayRecords> = BTreeMap::new();
        for (record, diff) in records {
            let at = (record.platform, record.day);
            let mut of_day = self.days.get(&at).copied().unwrap_or_default();
            before.entry(at).or_insert(of_day);
            of_day.add(record.kind, *diff);
            match of_day.all {
                0 => drop(self.days.remove(&at)),
                _ => drop(self.days.insert(at, of_day)),
            }
            if let Some(registration) = Registration::of(record) {
                self.registrations.amend(&registration, *diff);
            }
            if record.kind == WalletType::Void {
                self.voids.add((record.ts, record.day), *diff);
            }
        }
        let is = changes(self);
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

    /// How often the pass becomes active and ceases to be.
    fn changes(&self) -> Changes {
        let mut changes = Changes::new();
        let void = self.voids.first().map(|(of, _)| *of);
        for platform in WalletPlatform::ALL {
            let mut holders: FxHashMap<u64, bool> = FxHashMap::default();
            let (mut holding, mut was_active) = (0, false);
            let mut registrations = self.registrations.iter();
            let mut next = registrations.find(|of| of.platform == platform);
            while let Some(first) = next {
                let (ts, day) = (first.ts, first.day);
                if void.is_some_and(|(void, _)| void <= ts) {
                    break;
                }
                while let Some(of) = next.filter(|of| of.ts == ts) {
                    let holds = holders.entry(of.holder).or_default();
                    holding += i64::from(of.is_install) - i64::from(*holds);
                    *holds = of.is_install;
                    next = registrations.find(|of| of.platform == platform);
                }
                let is_active = holding > 0;
                if is_active != was_active {
                    let of = changes.entry((platform, day)).or_default();
                    let [installed, removed] = of;
                    *(if is_active { installed } else { removed }) += 1;
                }
                was_active = is_active;
            }
            if let Some((_, day)) = void.filter(|_| was_active) {
                let [_, removed] = changes.entry((platform, day)).or_default();
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
    use crate::record::IdSet;

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
            ids: IdSet::empty(),
            joins: true,
        }
    }

    /// The changes of a pass with some records.
    fn changes(records: &[WalletRecord]) -> Vec<(Day, [i64; 2])> {
        let mut pass = Pass::default();
        let all: Vec<_> = records.iter().map(|record| (record, 1)).collect();
        pass.amend(&all, |_, _, _| {});
        let changes = pass.changes().into_iter();
        let changes = changes.map(|((_, day), of)| (day, of)).collect();
        let all: Vec<_> = records.iter().map(|record| (record, -1)).collect();
        pass.amend(&all, |_, _, _| {});
        assert!(pass.is_empty() && pass.registrations.is_empty() && pass.voids.is_empty());
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
