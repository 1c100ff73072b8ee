//! Presences: the scans of a pass in a store that belong together.
//!
//! Scans of one day of the brand with no gap longer than `wallet.gap` are one presence. It stands at its first scan, by `(ts, id)`.
//! A transaction of the pass in the store belongs to every presence that it lies at most that gap away from.

use std::sync::Arc;

use crate::engine::{Diff, shared_text_bytes};
use crate::facts::{Conversion, Visit};
use crate::label::Label;
use crate::record::{Currency, Day, IdSet, SaleKind, SaleName, WalletType};
use crate::runs::Runs;
use crate::wallet::record::WalletRecord;

/// How much of a conversion a presence is, in millionths: a till has read the pass.
const WEIGHT: u32 = 1_000_000;

/// A scan or a redemption. The derived order is that of a presence.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scan {
    pub(super) ts: i64,
    id: Arc<str>,
    source: Label,
    day: Day,
    redeems: bool,
    pub(super) ids: IdSet,
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
            ids: record.ids.clone(),
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

/// The scans of a pass in a store, and the times of its transactions there.
#[derive(Default)]
pub(super) struct StoreScans {
    scans: Runs<Scan>,
    transactions: Runs<i64>,
}

impl StoreScans {
    pub(super) fn is_empty(&self) -> bool {
        self.scans.is_empty() && self.transactions.is_empty()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let scan = |of: &Scan| shared_text_bytes(&of.id) + of.ids.heap_bytes();
        self.scans.heap_bytes(scan) + self.transactions.heap_bytes(|_| 0)
    }

    pub(super) fn amend(&mut self, scans: &[(Scan, Diff)], transactions: &[(i64, Diff)]) {
        // Retractions first, so that no count passes below zero.
        for side in [false, true] {
            for (scan, diff) in scans.iter().filter(|of| (of.1 > 0) == side) {
                self.scans.amend(scan, *diff);
            }
            for (ts, diff) in transactions.iter().filter(|of| (of.1 > 0) == side) {
                self.transactions.amend(ts, *diff);
            }
        }
    }

    /// Passes each presence that something at one of some times, ascending, may belong to, once: its first scan,
    /// and what it consists of. Returns the number of scans that were visited.
    pub(super) fn presences(
        &self,
        times: &[i64],
        gap: i64,
        mut each: impl FnMut(&Scan, Visit),
    ) -> u64 {
        let mut visited = 0;
        // The last scan of the presences that were passed.
        let mut done: Option<&Scan> = None;
        for ts in times {
            let (from, until) = (ts.saturating_sub(gap), ts.saturating_add(gap));
            let near = self.scans.from(|scan| scan.ts < from).next();
            let Some(near) = near.filter(|scan| scan.ts <= until) else {
                continue;
            };
            // The presence of the first scan that is near may begin before, or may have been passed.
            let is_done = done.is_some_and(|done| near <= done);
            let mut first = near;
            for earlier in self.scans.before(|scan| scan < near) {
                visited += 1;
                if is_done || !earlier.continues(first, gap) {
                    break;
                }
                first = earlier;
            }
            let passed = done;
            let begin = |scan: &Scan| match passed {
                Some(done) if is_done => scan <= done,
                _ => scan < first,
            };
            let mut scans = self.scans.from(begin).peekable();
            while let Some(first) = scans.next_if(|scan| scan.ts <= until) {
                let mut visit = Visit {
                    weight: WEIGHT,
                    until: first.ts,
                    scans: 1,
                    redemptions: u32::from(first.redeems),
                    with_transaction: false,
                };
                let mut last = first;
                while let Some(scan) = scans.next_if(|scan| last.continues(scan, gap)) {
                    visit.scans = visit.scans.saturating_add(1);
                    visit.redemptions = visit.redemptions.saturating_add(scan.redeems.into());
                    last = scan;
                }
                visit.until = last.ts;
                visited += u64::from(visit.scans);
                let since = first.ts.saturating_sub(gap);
                let transaction = self.transactions.from(|at| *at < since).next();
                visit.with_transaction =
                    transaction.is_some_and(|at| *at <= last.ts.saturating_add(gap));
                each(first, visit);
                done = Some(last);
            }
        }
        visited
    }
}
