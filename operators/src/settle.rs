//! Settlement: what refunds have left of each sale.
//!
//! Everything that one name refers to meets here: the sales under that name and the refunds that name
//! it, in whatever order they arrive. The outcome is the collection of sales that count, each with
//! what is left of its amount.

use std::sync::Arc;

use differential_dataflow::consolidation::consolidate;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::engine::{Diff, Epoch, Stage};
use crate::facts::Conversion;
use crate::label::Label;
use crate::record::{BrandId, Currency, Day, IdSet, SaleKind, SaleName};

/// The name of a sale within a brand and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SaleKey {
    brand: BrandId,
    kind: SaleKind,
    name: SaleName,
}

/// A sale as the till or the shop reported it. The order decides which of several orders of one name
/// counts: the earliest `(ts, id)`, then the source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sale {
    /// Unix milliseconds.
    pub ts: i64,
    /// The record's id.
    pub id: Arc<str>,
    /// The record's source.
    pub source: Label,
    /// The day in the brand's zone.
    pub day: Day,
    /// The store; absent for an order.
    pub store: Label,
    /// Minor units, not negative.
    pub amount: i64,
    /// The currency of the amount.
    pub currency: Currency,
    /// Whom the record names.
    pub ids: IdSet,
    /// Whether what led to it may be looked for in the web.
    pub joins: bool,
}

/// Money given back: where the record came from, and how much unless all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Refund {
    source: Label,
    amount: Option<(i64, Currency)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Entry {
    Sale(Sale),
    Refund(Refund),
}

/// A sale or refund under the name it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SaleUpdate {
    key: SaleKey,
    entry: Entry,
}

impl SaleUpdate {
    /// A sale.
    pub fn sale(brand: BrandId, kind: SaleKind, name: SaleName, sale: Sale) -> SaleUpdate {
        SaleUpdate {
            key: SaleKey { brand, kind, name },
            entry: Entry::Sale(sale),
        }
    }

    /// A refund of the named sale, of all that is left where there is no amount.
    pub fn refund(
        brand: BrandId,
        kind: SaleKind,
        name: SaleName,
        source: Label,
        amount: Option<(i64, Currency)>,
    ) -> SaleUpdate {
        let entry = Entry::Refund(Refund { source, amount });
        SaleUpdate {
            key: SaleKey { brand, kind, name },
            entry,
        }
    }
}

/// A sale that counts, and whom it names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Settled {
    /// The tenant.
    pub brand: BrandId,
    /// Whom the sale names.
    pub ids: IdSet,
    /// The sale.
    pub conversion: Conversion,
}

/// Everything under one name, each list sorted, as multisets.
#[derive(Default)]
struct Account {
    sales: Vec<Sale>,
    refunds: Vec<Refund>,
}

impl Account {
    /// The sales that count, with what is left of each.
    fn settle(&self, key: SaleKey, diff: Diff, out: &mut Vec<(Settled, Diff)>) {
        // Several orders of one name are one order, reported more than once.
        let counting = match key.kind {
            SaleKind::Order => self.sales.get(..1).unwrap_or_default(),
            SaleKind::Transaction => &self.sales[..],
        };
        for (index, sale) in counting.iter().enumerate() {
            if let Some(left) = left(sale, self.refunds_of(counting, index)) {
                let conversion = Conversion {
                    ts: sale.ts,
                    name: key.name,
                    source: sale.source,
                    day: sale.day,
                    kind: key.kind,
                    store: sale.store,
                    left,
                    currency: sale.currency,
                    joins: sale.joins,
                };
                out.push((
                    Settled {
                        brand: key.brand,
                        ids: sale.ids.clone(),
                        conversion,
                    },
                    diff,
                ));
            }
        }
    }

    /// The refunds that go to one of the counting sales: tills number on their own, so a refund belongs
    /// to the sale of its own source, and to the earliest of that name where its source has none.
    fn refunds_of<'a>(
        &'a self,
        counting: &'a [Sale],
        index: usize,
    ) -> impl Iterator<Item = &'a Refund> {
        self.refunds.iter().filter(move |refund| {
            let own = counting
                .iter()
                .position(|sale| sale.source == refund.source);
            own.unwrap_or(0) == index
        })
    }
}

/// What is left of a sale, or nothing where it no longer counts. Refunds in another currency never
/// apply. A sale of nothing counts until any refund applies.
fn left<'a>(sale: &Sale, refunds: impl Iterator<Item = &'a Refund>) -> Option<i64> {
    let mut left = sale.amount;
    let mut refunded = false;
    for refund in refunds {
        match refund.amount {
            None => left = 0,
            Some((amount, currency)) if currency == sale.currency => {
                left = left.saturating_sub(amount).max(0);
            }
            Some(_) => continue,
        }
        refunded = true;
    }
    (left > 0 || !refunded && sale.amount == 0).then_some(left)
}

/// The stage. One account for each name.
#[derive(Default)]
pub struct Settle {
    accounts: FxHashMap<SaleKey, Account>,
}

impl Stage for Settle {
    type In = SaleUpdate;
    type Out = Settled;
    const NAME: &'static str = "Settle";

    fn route(update: &SaleUpdate) -> u64 {
        update.key.name.0 as u64
    }

    fn step(
        &mut self,
        _: Epoch,
        mut updates: Vec<(SaleUpdate, Diff)>,
        out: &mut Vec<(Settled, Diff)>,
    ) {
        consolidate(&mut updates);
        for updates in updates.chunk_by(|a, b| a.0.key == b.0.key) {
            let key = updates[0].0.key;
            let account = self.accounts.entry(key).or_default();
            let from = out.len();
            account.settle(key, -1, out);
            for (update, diff) in updates {
                match &update.entry {
                    Entry::Sale(sale) => amend(&mut account.sales, sale, *diff),
                    Entry::Refund(refund) => amend(&mut account.refunds, refund, *diff),
                }
            }
            account.settle(key, 1, out);
            if account.sales.is_empty() && account.refunds.is_empty() {
                self.accounts.remove(&key);
            }
            let mut changed = out.split_off(from);
            consolidate(&mut changed);
            out.append(&mut changed);
        }
    }
}

/// Adds or takes away an element of a sorted multiset.
pub(crate) fn amend<T: Ord + Clone>(sorted: &mut Vec<T>, element: &T, diff: Diff) {
    let at = sorted.partition_point(|held| held < element);
    if diff > 0 {
        sorted.splice(at..at, std::iter::repeat_n(element.clone(), diff as usize));
    } else {
        let held = sorted[at..]
            .iter()
            .take_while(|held| *held == element)
            .count();
        let gone = held.min(diff.unsigned_abs() as usize);
        debug_assert_eq!(gone as i64, -diff, "only what is held is retracted");
        sorted.drain(at..at + gone);
    }
}
