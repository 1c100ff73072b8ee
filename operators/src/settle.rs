//! Settlement: what refunds have left of each sale.
//!
//! Everything that one name refers to meets here: the sales under that name and the refunds that name
//! it, in whatever order they arrive. The outcome is the collection of sales that count, each with
//! what is left of its amount.

use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::consolidation::consolidate;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::engine::{Diff, Epoch, Stage};
use crate::facts::Conversion;
use crate::label::Label;
use crate::record::{BrandId, Currency, Day, IdSet, SaleKind, SaleName};
use crate::runs::Runs;
use crate::small_map::SmallMap;
use crate::stats::Stats;

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

/// Refunds of one source in one currency; those of all that is left have none.
type RefundKey = (Label, Option<Currency>);

/// Everything under one name. Refunds are added up, so that the next one does not look at all before it.
#[derive(Default)]
struct Account {
    /// A multiset.
    sales: Runs<Sale>,
    /// How many there are, and their sum.
    refunds: SmallMap<RefundKey, (i64, i128)>,
}

impl Account {
    /// The sales that count, with what is left of each. Returns how much was looked at.
    fn settle(&self, key: SaleKey, diff: Diff, out: &mut Vec<(Settled, Diff)>) -> u64 {
        // Several orders of one name are one order, reported more than once.
        let counting = match key.kind {
            SaleKind::Order => 1,
            SaleKind::Transaction => usize::MAX,
        };
        let counting: Vec<&Sale> = self.sales.iter().take(counting).collect();
        // Tills number on their own, so a refund belongs to the sale of its own source, and to the earliest of that name
        // where its source has none.
        let mut firsts: FxHashMap<Label, usize> = FxHashMap::default();
        for (at, sale) in counting.iter().enumerate() {
            firsts.entry(sale.source).or_insert(at);
        }
        let mut refunds: FxHashMap<usize, Vec<(Option<Currency>, i128)>> = FxHashMap::default();
        for ((source, currency), (_, sum)) in self.refunds.iter() {
            let of = firsts.get(source).copied().unwrap_or(0);
            refunds.entry(of).or_default().push((*currency, *sum));
        }
        for (at, sale) in counting.iter().enumerate() {
            let refunds = refunds.get(&at).map_or(&[][..], Vec::as_slice);
            if let Some(left) = left(sale, refunds) {
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
        (counting.len() + self.refunds.len()) as u64
    }

    /// Counts a refund so many times more.
    fn refund(&mut self, refund: &Refund, diff: Diff) {
        let (currency, amount) = match refund.amount {
            Some((amount, currency)) => (Some(currency), amount),
            None => (None, 0),
        };
        let key = (refund.source, currency);
        let (count, sum) = self.refunds.get(&key).copied().unwrap_or_default();
        let sum = sum + i128::from(amount) * i128::from(diff);
        match count + diff {
            0 => drop(self.refunds.remove(&key)),
            count => drop(self.refunds.insert(key, (count, sum))),
        }
    }
}

/// What is left of a sale after refunds by currency, or nothing where it no longer counts. Refunds in another currency
/// never apply. A sale of nothing counts until any refund applies.
fn left(sale: &Sale, refunds: &[(Option<Currency>, i128)]) -> Option<i64> {
    let applies = |currency: &Option<Currency>| currency.is_none_or(|of| of == sale.currency);
    let refunds = refunds.iter().filter(|(currency, _)| applies(currency));
    let mut left = i128::from(sale.amount);
    let mut refunded = false;
    for (currency, sum) in refunds {
        left = match currency {
            None => 0,
            Some(_) => (left - sum).max(0),
        };
        refunded = true;
    }
    let left = i64::try_from(left).ok()?;
    (left > 0 || !refunded && sale.amount == 0).then_some(left)
}

/// The stage. One account for each name.
pub struct Settle {
    stats: Rc<Stats>,
    accounts: FxHashMap<SaleKey, Account>,
}

impl Settle {
    /// Nothing is sold yet.
    pub fn new(stats: Rc<Stats>) -> Settle {
        Settle {
            stats,
            accounts: FxHashMap::default(),
        }
    }
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
            let mut steps = account.settle(key, -1, out);
            for (update, diff) in updates {
                match &update.entry {
                    Entry::Sale(sale) => steps += account.sales.amend(sale, *diff),
                    Entry::Refund(refund) => account.refund(refund, *diff),
                }
                steps += 1;
            }
            steps += account.settle(key, 1, out);
            self.stats.steps(steps);
            if account.sales.is_empty() && account.refunds.is_empty() {
                self.accounts.remove(&key);
            }
            let mut changed = out.split_off(from);
            consolidate(&mut changed);
            out.append(&mut changed);
        }
    }
}
