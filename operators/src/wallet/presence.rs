//! Presences: the scans of a pass in a store that belong together.
//!
//! Scans of one day of the brand with no gap longer than `wallet.gap` are one presence. It stands at its first scan, by `(ts, id)`.
//! A transaction of the pass in the store belongs to every presence that it lies at most that gap away from. The scans know where
//! presences begin and are summed up by range, so that a change does not visit those of its presence.

use crate::engine::{Diff, text_bytes};
use crate::facts::{Conversion, Visit};
use crate::hash_key::HashKey;
use crate::label::Label;
use crate::range_sums::{RangeSums, Sum};
use crate::record::{Currency, Day, RecordId, SaleKind, SaleName, WalletType};
use crate::runs::Runs;
use crate::wallet::record::WalletRecord;

/// How much of a conversion a presence is, in millionths: a till has read the pass.
const WEIGHT: u32 = 1_000_000;

/// A scan or a redemption. The derived order is that of a presence.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scan {
    pub(super) ts: i64,
    id: RecordId,
    source: Label,
    day: Day,
    redeems: bool,
    pub(super) set: HashKey,
    joins: bool,
}

impl Scan {
    pub(super) fn of(record: &WalletRecord) -> Scan {
        Scan {
            ts: record.ts,
            id: record.id.clone(),
            source: record.source,
            day: record.day,
            redeems: record.kind == WalletType::Redeem,
            set: record.set.into(),
            joins: record.joins,
        }
    }

    /// The conversion of the presence that begins with the scan.
    pub(super) fn conversion(&self, store: Label, visit: Visit) -> Conversion {
        Conversion {
            ts: self.ts,
            name: SaleName::of_record(&self.id).within(self.source),
            source: self.source,
            day: self.day,
            kind: SaleKind::Visit,
            store,
            left: 0,
            currency: Currency::NONE,
            joins: self.joins,
            visit: Some(visit),
        }
    }

    /// Whether another scan, which does not precede it, continues its presence.
    fn continues(&self, next: &Scan, gap: i64) -> bool {
        next.day == self.day && next.ts.saturating_sub(self.ts) <= gap
    }
}

/// What some consecutive scans add up to.
#[derive(Clone, Copy, Default)]
struct ScanSum {
    scans: i64,
    redemptions: i64,
    /// The presences that begin with one of them.
    presences: u64,
}

impl Sum for ScanSum {
    fn then(&self, next: &Self) -> Self {
        ScanSum {
            scans: self.scans + next.scans,
            redemptions: self.redemptions + next.redemptions,
            presences: self.presences + next.presences,
        }
    }
}

/// The scans of a pass in a store, and the times of its transactions there.
#[derive(Default)]
pub(super) struct StoreScans {
    scans: RangeSums<Scan, ScanSum>,
    transactions: Runs<i64>,
}

impl StoreScans {
    pub(super) fn is_empty(&self) -> bool {
        self.scans.is_empty() && self.transactions.is_empty()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let scan = |of: &Scan| text_bytes(&of.id);
        self.scans.heap_bytes(scan) + self.transactions.heap_bytes(|_| 0)
    }

    /// Applies the changes of an epoch. Returns the number of scans that were visited.
    pub(super) fn amend(
        &mut self,
        scans: &[(Scan, Diff)],
        transactions: &[(i64, Diff)],
        gap: i64,
    ) -> u64 {
        let mut steps = 0;
        // Retractions first, so that no count passes below zero.
        for side in [false, true] {
            for (scan, diff) in scans.iter().filter(|of| (of.1 > 0) == side) {
                let count = |sum: &mut ScanSum| {
                    sum.scans += diff;
                    sum.redemptions += diff * i64::from(scan.redeems);
                    sum.scans != 0
                };
                self.scans.amend(scan.clone(), count, &mut steps);
                // Whether a presence begins here, and with the next scan, depends on the scan before.
                let own = self
                    .scans
                    .first_from(|held| held < scan, &mut steps)
                    .cloned();
                let next = self
                    .scans
                    .first_from(|held| held <= scan, &mut steps)
                    .cloned();
                for at in [own, next].into_iter().flatten() {
                    let before = self.scans.last_before(|held| *held < at, &mut steps);
                    let begins = !before.is_some_and(|before| before.continues(&at, gap));
                    let mark = |sum: &mut ScanSum| {
                        sum.presences = u64::from(begins);
                        true
                    };
                    self.scans.amend(at, mark, &mut steps);
                }
            }
            for (ts, diff) in transactions.iter().filter(|of| (of.1 > 0) == side) {
                self.transactions.amend(ts, *diff);
            }
        }
        steps
    }

    /// Passes each presence that something at one of some times, ascending, may belong to, once: its first scan,
    /// and what it consists of. Returns the number of scans that were visited.
    pub(super) fn presences(
        &self,
        times: &[i64],
        gap: i64,
        mut each: impl FnMut(&Scan, Visit),
    ) -> u64 {
        let (mut steps, mut done) = (0, 0);
        let steps = &mut steps;
        for ts in times {
            let (from, until) = (ts.saturating_sub(gap), ts.saturating_add(gap));
            let Some(near) = self.scans.first_from(|scan| scan.ts < from, steps) else {
                continue;
            };
            if near.ts > until {
                continue;
            }
            // Presences are numbered from 1, in order. The first one that is near may have been passed.
            let number = self.scans.before(|scan| scan <= near, steps).presences;
            for number in number.max(done + 1).. {
                let Some(first) = self.nth(number, steps).filter(|first| first.ts <= until) else {
                    break;
                };
                each(
                    first,
                    self.visit(first, self.nth(number + 1, steps), gap, steps),
                );
                done = number;
            }
        }
        *steps
    }

    /// The first scan of a presence.
    fn nth(&self, number: u64, steps: &mut u64) -> Option<&Scan> {
        let is_reached = |sum: &ScanSum| sum.presences >= number;
        self.scans.first_reaching(is_reached, steps)
    }

    /// The visit that the scans from one up to another, or to the end, are.
    fn visit(&self, first: &Scan, next: Option<&Scan>, gap: i64, steps: &mut u64) -> Visit {
        let is_within = |scan: &Scan| next.is_none_or(|next| scan < next);
        let before = self.scans.before(|scan| scan < first, steps);
        let with = self.scans.before(is_within, steps);
        let last = self.scans.last_before(is_within, steps).unwrap_or(first);
        let count = |of: i64| u32::try_from(of).unwrap_or(u32::MAX);
        let since = first.ts.saturating_sub(gap);
        let transaction = self.transactions.from(|at| *at < since).next();
        Visit {
            weight: WEIGHT,
            until: last.ts,
            scans: count(with.scans - before.scans),
            redemptions: count(with.redemptions - before.redemptions),
            with_transaction: transaction.is_some_and(|at| *at <= last.ts.saturating_add(gap)),
        }
    }
}
