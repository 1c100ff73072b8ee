//! Net sales: each sale net of its refunds.
//!
//! All records with one name meet here: the sales with that name and the refunds that refer to it, in any order of arrival.
//! The output is the collection of counted sales, each with its net amount. Refunds are kept as sums, so that a record costs
//! the same however many refunds or reports a sale has.
//!
//! Several orders with one `order_id` are one order that several systems reported; the earliest counts, one of a verified
//! source before any of an open one, which anybody could have invented. A refund applies to the
//! order with that `order_id`. If there is none, it applies to the sale of its own source, because stores and shops number
//! their sales independently, and else to the earliest sale.
//!
//! A restatement finds its sale in the same way and replaces its amount, before refunds. Of several in the currency of the sale
//! the greatest `(ts, id)` counts.

mod packed_sales;
mod sale;

use std::rc::Rc;

use differential_dataflow::consolidation::consolidate;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::currency;
use crate::engine::{
    Diff, Epoch, GroupedState, KeyedOperator, State, emit_consolidated, text_bytes,
};
use crate::facts::Conversion;
use crate::hash_key::HashKey;
use crate::label::Label;
use crate::label_numbers::LabelNumbers;
use crate::record::{BrandId, Currency, RecordId, RefundAmount, SaleKind, SaleName};
use crate::small_map::{Bag, SmallMap};
use crate::stats::Stats;
use packed_sales::{HeldSale, PackedSales};
pub use sale::Sale;

/// The name by which a refund refers to a sale, within a brand and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SaleKey {
    brand: BrandId,
    kind: SaleKind,
    name: SaleName,
}

/// A record under the name of a sale.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Entry {
    /// A sale, and whether only its source and id identify it.
    Sale(Sale, bool),
    /// A refund by a record of a source.
    Refund(Label, RefundAmount),
    /// A restatement.
    Restatement(Restatement),
}

/// A new amount of a sale. The derived order decides which of several counts: the greatest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Restatement {
    /// Unix milliseconds.
    pub ts: i64,
    /// The id of the record.
    pub id: RecordId,
    /// The source of the record.
    pub source: Label,
    /// The amount; never [`RefundAmount::All`].
    pub amount: RefundAmount,
}

/// A sale or refund, with the name of the sale.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SaleUpdate {
    key: SaleKey,
    entry: Entry,
}

impl SaleUpdate {
    /// A sale.
    pub fn sale(brand: BrandId, kind: SaleKind, name: SaleName, sale: Sale) -> SaleUpdate {
        let own = kind == SaleKind::Transaction || name.is_of_record();
        SaleUpdate::under(brand, kind, name, Entry::Sale(sale, own))
    }

    /// A refund of the named sale.
    pub fn refund(
        brand: BrandId,
        kind: SaleKind,
        name: SaleName,
        source: Label,
        amount: RefundAmount,
    ) -> SaleUpdate {
        SaleUpdate::under(brand, kind, name, Entry::Refund(source, amount))
    }

    /// A restatement of the named sale.
    pub fn restatement(
        brand: BrandId,
        kind: SaleKind,
        name: SaleName,
        restatement: Restatement,
    ) -> SaleUpdate {
        SaleUpdate::under(brand, kind, name, Entry::Restatement(restatement))
    }

    /// An update of a name.
    fn under(brand: BrandId, kind: SaleKind, name: SaleName, entry: Entry) -> SaleUpdate {
        let name = name.named();
        SaleUpdate {
            key: SaleKey { brand, kind, name },
            entry,
        }
    }
}

/// A counted sale and its identifiers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NetSale {
    /// The brand.
    pub brand: BrandId,
    /// The key of the sale's identifiers; 0 for none.
    pub set: u128,
    /// The sale.
    pub conversion: Conversion,
}

/// The unit of a sum of refunds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    /// Refunds of all that is left; their sum is zero.
    All,
    /// Minor units of a currency.
    Minor(Currency),
    /// Units of ten to the power of minus this number, in the currency of the sale.
    Decimals(u8),
}

/// The refunds of one source in one unit.
#[derive(Clone, Copy, Default)]
struct Refunds {
    /// The number of refunds.
    count: i64,
    /// The sum of their amounts in the unit.
    sum: i128,
}

/// The sales and refunds of one name: everything that determines the net amounts.
///
/// Mostly that is one sale, which needs no allocation. Refunds and restatements, which few sales have, are in one of their
/// own.
#[derive(Default)]
struct SaleBalance {
    /// The sales: first the reports of the one order that has this name as its `order_id`, then, marked as their own, those that are
    /// identified by their source and id, at most one per source.
    sales: PackedSales,
    /// What changes their amounts; `None` if nothing does.
    changes: Option<Box<AmountChanges>>,
}

/// The refunds and restatements of one name.
#[derive(Default)]
struct AmountChanges {
    /// The sums of refunds by source and unit.
    refunds: SmallMap<(Label, Unit), Refunds>,
    /// The restatements, ascending.
    restatements: Bag<Restatement>,
}

impl AmountChanges {
    /// Adds or removes a refund.
    fn refund(&mut self, source: Label, amount: RefundAmount, diff: Diff) {
        let (unit, units) = match amount {
            RefundAmount::All => (Unit::All, 0),
            RefundAmount::Of(minor, currency) => (Unit::Minor(currency), minor),
            RefundAmount::InCurrencyOfSale { digits, decimals } => {
                (Unit::Decimals(decimals), digits)
            }
        };
        let key = (source, unit);
        let mut refunds = self.refunds.get(&key).copied().unwrap_or_default();
        refunds.count += diff;
        refunds.sum += i128::from(units) * i128::from(diff);
        match refunds.count {
            0 => drop(self.refunds.remove(&key)),
            _ => drop(self.refunds.insert(key, refunds)),
        }
    }
}

impl State for SaleBalance {
    fn is_empty(&self) -> bool {
        self.sales.is_empty() && self.changes.is_none()
    }
}

impl SaleBalance {
    /// Inserts or retracts a record.
    fn change(&mut self, entry: &Entry, diff: Diff, numbers: &mut LabelNumbers) {
        if let Entry::Sale(sale, is_own) = entry {
            self.sales.add(*is_own, sale, diff, numbers);
            return;
        }
        let mut changes = self.changes.take().unwrap_or_default();
        match entry {
            Entry::Sale(..) => {}
            Entry::Restatement(restatement) => {
                changes.restatements.add(restatement.clone(), diff);
            }
            Entry::Refund(source, amount) => changes.refund(*source, *amount, diff),
        }
        let is_empty = changes.refunds.is_empty() && changes.restatements.is_empty();
        self.changes = (!is_empty).then_some(changes);
    }

    /// Emits the sales that count with their net amounts, `diff` times. Returns the number of sales and sums of refunds that
    /// were visited.
    fn net_sales(
        &self,
        key: SaleKey,
        diff: Diff,
        numbers: &LabelNumbers,
        out: &mut Vec<(NetSale, Diff)>,
    ) -> u64 {
        // However many reports an order has, only the first is visited.
        let order = self.sales.order(numbers);
        let has_order = order.is_some();
        let own = self.sales.own_descending(numbers);
        let mut counting: Vec<HeldSale> = own.chain(order).collect();
        counting.reverse();
        let nothing = AmountChanges::default();
        let changes = self.changes.as_deref().unwrap_or(&nothing);
        let mut firsts: FxHashMap<Label, usize> = FxHashMap::default();
        if !has_order {
            for (at, sale) in counting.iter().enumerate() {
                firsts.entry(sale.source).or_insert(at);
            }
        }
        let mut refunds: FxHashMap<usize, Vec<(Unit, i128)>> = FxHashMap::default();
        for ((source, unit), of_source) in changes.refunds.iter() {
            let of = firsts.get(source).copied().unwrap_or(0);
            refunds.entry(of).or_default().push((*unit, of_source.sum));
        }
        let mut amounts: FxHashMap<usize, i64> = FxHashMap::default();
        for (restatement, _) in changes.restatements.iter() {
            let of = firsts.get(&restatement.source).copied().unwrap_or(0);
            let amount = counting
                .get(of)
                .and_then(|sale| restated(sale, &restatement.amount));
            // The greatest of those that apply comes last.
            amounts.extend(amount.map(|amount| (of, amount)));
        }
        for (at, sale) in counting.iter().enumerate() {
            let refunds = refunds.get(&at).map_or(&[][..], Vec::as_slice);
            let amount = amounts.get(&at).copied().unwrap_or(sale.amount);
            let Some(left) = left(sale, amount, refunds) else {
                continue;
            };
            let is_of_record = key.kind == SaleKind::Order && (!has_order || at > 0);
            let conversion = Conversion {
                ts: sale.ts,
                // Distinguish orders of several sources with the same id.
                name: match is_of_record {
                    true => key.name.within(sale.source),
                    false => key.name,
                },
                source: sale.source,
                day: sale.day,
                kind: key.kind,
                store: sale.store,
                left,
                currency: sale.currency,
                joins: sale.joins,
                visit: None,
            };
            let net_sale = NetSale {
                brand: key.brand,
                set: sale.set,
                conversion,
            };
            out.push((net_sale, diff));
        }
        (counting.len() + changes.refunds.len() + changes.restatements.len()) as u64
    }
}

/// The amount of a sale by a restatement, minor units; `None` if it does not apply, as it is in another currency or has more
/// decimals than that of the sale.
fn restated(sale: &HeldSale, amount: &RefundAmount) -> Option<i64> {
    match *amount {
        RefundAmount::All => None,
        RefundAmount::Of(minor, currency) => (currency == sale.currency).then_some(minor),
        RefundAmount::InCurrencyOfSale { digits, decimals } => {
            let zeros = currency::decimals(sale.currency)
                .unwrap_or(0)
                .checked_sub(decimals)?;
            Some(digits.saturating_mul(10_i64.pow(u32::from(zeros))))
        }
    }
}

/// What refunds leave of the amount of a sale in minor units, or `None` if it no longer counts. Refunds in another currency do
/// not apply, and neither do those with more decimals than the currency of the sale has. A sale of amount zero counts until a
/// refund applies.
fn left(sale: &HeldSale, amount: i64, refunds: &[(Unit, i128)]) -> Option<i64> {
    let decimals = currency::decimals(sale.currency).unwrap_or(0);
    let mut left = i128::from(amount);
    let mut refunded = false;
    for (unit, sum) in refunds.iter().copied() {
        left -= match unit {
            Unit::All => left,
            Unit::Minor(currency) if currency == sale.currency => sum,
            Unit::Decimals(of) if of <= decimals => sum * 10_i128.pow(u32::from(decimals - of)),
            Unit::Minor(_) | Unit::Decimals(_) => continue,
        };
        left = left.max(0);
        refunded = true;
    }
    let left = i64::try_from(left).unwrap_or(i64::MAX);
    (left > 0 || !refunded && amount == 0).then_some(left)
}

/// The operator. State: one balance for each sale name.
pub struct NetSales {
    stats: Rc<Stats>,
    /// The balance of each name, by brand and kind.
    balances: GroupedState<(BrandId, SaleKind), HashKey, SaleBalance>,
    /// The stores of the sales.
    numbers: LabelNumbers,
}

impl NetSales {
    /// An operator without sales.
    pub fn new(stats: Rc<Stats>) -> NetSales {
        NetSales {
            stats,
            balances: GroupedState::default(),
            numbers: LabelNumbers::default(),
        }
    }
}

impl KeyedOperator for NetSales {
    type In = SaleUpdate;
    type Out = NetSale;
    const NAME: &'static str = "NetSales";

    /// By the name of the sale, which refunds share with it.
    fn route(update: &SaleUpdate) -> u64 {
        update.key.name.0 as u64
    }

    fn entries(&self) -> usize {
        self.balances.len() + self.numbers.len()
    }

    fn bytes(&self) -> usize {
        let restated = |of: &Restatement| text_bytes(&of.id);
        let balances = self.balances.bytes(|of| {
            let changes = of.changes.as_ref().map_or(0, |changes| {
                size_of::<AmountChanges>()
                    + changes.refunds.heap_bytes(|_| 0)
                    + changes.restatements.heap_bytes(|(one, _)| restated(one))
            });
            of.sales.heap_bytes() + changes
        });
        balances + self.numbers.bytes()
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        mut updates: Vec<(SaleUpdate, Diff)>,
        out: &mut Vec<(NetSale, Diff)>,
    ) {
        consolidate(&mut updates);
        for updates in updates.chunk_by(|a, b| a.0.key == b.0.key) {
            let Some((SaleUpdate { key, .. }, _)) = updates.first() else {
                continue;
            };
            let group = (key.brand, key.kind);
            let numbers = &mut self.numbers;
            let steps = self.balances.amend(group, key.name.0.into(), |balance| {
                emit_consolidated(out, |out| {
                    let mut steps = balance.net_sales(*key, -1, numbers, out);
                    for (update, diff) in updates {
                        balance.change(&update.entry, *diff, numbers);
                        steps += 1;
                    }
                    steps + balance.net_sales(*key, 1, numbers, out)
                })
            });
            self.stats.steps(steps);
        }
    }
}
