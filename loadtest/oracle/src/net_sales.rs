//! Net sales: what refunds leave of each sale, and adjustments.
//!
//! An order is identified by its `order_id` within the brand. Of several orders with the same one,
//! the earliest by `(ts, id, source)` counts, one of an open source only if no verified one reports
//! it, and the others are not sales. An order without an
//! `order_id`, and every transaction, counts separately. A refund finds its sale by kind and name.
//! All refunds of a sale together take at most its amount. A restatement finds its sale in the same
//! way and replaces its amount before refunds: of several in the currency of the sale, the one with the
//! greatest `(ts, id)`.

use std::collections::BTreeMap;

use tributary_operators::currency;
use tributary_operators::label::Label;
use tributary_operators::record::{Body, Currency, Day, Record, RefundAmount, SaleKind, SaleName};
use tributary_operators::settings::BrandSettings;

use crate::consent::AllowedRecord;

/// A sale that counts.
#[derive(Clone, Copy)]
pub(crate) struct Sale<'a> {
    /// The record of the sale.
    pub(crate) record: &'a AllowedRecord<'a>,
    /// Whether it is an order or a transaction.
    pub(crate) kind: SaleKind,
    /// The store; absent for an order.
    pub(crate) store: Label,
    /// The currency of the amount.
    pub(crate) currency: Currency,
    /// The amount that remains after refunds, in minor units.
    pub(crate) left: i64,
}

/// A negative amount that belongs to no sale.
#[derive(Clone, Copy)]
pub(crate) struct Adjustment {
    /// Whether it counts with orders or transactions.
    pub(crate) kind: SaleKind,
    /// The store; absent for an order.
    pub(crate) store: Label,
    /// The day of the record.
    pub(crate) day: Day,
    /// The source of the record.
    pub(crate) source: Label,
    /// The currency of the amount.
    pub(crate) currency: Currency,
    /// Minor units, negative.
    pub(crate) amount: i64,
}

/// The sales and adjustments of one brand.
pub(crate) struct NetSales<'a> {
    /// The sales with a remaining amount, and the sales of zero without a refund.
    pub(crate) sales: Vec<Sale<'a>>,
    /// The adjustments.
    pub(crate) adjustments: Vec<Adjustment>,
}

/// What refunds take from one sale.
#[derive(Clone, Copy, Default)]
struct Taken {
    /// Whether any refund applies.
    any: bool,
    /// Whether a refund takes the whole amount.
    all: bool,
    /// The sum of the amounts, in minor units.
    sum: i128,
}

impl<'a> NetSales<'a> {
    /// The net sales of the records of one brand.
    ///
    /// A sale of which nothing remains does not count at all, so neither its number nor its path
    /// does. A sale of zero counts until any refund applies to it.
    pub(crate) fn of(settings: &BrandSettings, records: &'a [AllowedRecord<'a>]) -> NetSales<'a> {
        let mut sales = sales(settings, records);
        restate(settings, records, &mut sales);
        let taken = taken(settings, records, &sales);
        for (sale, taken) in sales.iter_mut().zip(&taken) {
            sale.left = match taken.all {
                true => 0,
                // What was taken beyond the amount is not given back: the cap of section 5.
                false => (i128::from(sale.left) - taken.sum).max(0) as i64,
            };
        }
        let counting = sales
            .into_iter()
            .zip(taken)
            .filter(|(sale, taken)| sale.left > 0 || !taken.any)
            .map(|(sale, _)| sale)
            .collect();
        NetSales {
            sales: counting,
            adjustments: records.iter().filter_map(|r| adjustment(r)).collect(),
        }
    }
}

/// Every sale with its full amount: all transactions, all orders without an `order_id`, and the
/// earliest order of each `order_id`.
fn sales<'a>(settings: &BrandSettings, records: &'a [AllowedRecord<'a>]) -> Vec<Sale<'a>> {
    let mut alone = Vec::new();
    let mut orders: BTreeMap<SaleName, Sale> = BTreeMap::new();
    for record in records {
        let Body::Sale {
            kind,
            name,
            store,
            amount,
            currency,
        } = record.body
        else {
            continue;
        };
        let sale = Sale {
            record,
            kind,
            store: store_of(kind, store),
            currency,
            left: amount,
        };
        match kind {
            SaleKind::Transaction | SaleKind::Visit => alone.push(sale),
            SaleKind::Order if name.is_of_record() => alone.push(sale),
            SaleKind::Order => {
                let earliest = orders.entry(name).or_insert(sale);
                let order = |sale: &Sale<'a>| order(settings, sale.record);
                if order(&sale) < order(earliest) {
                    *earliest = sale;
                }
            }
        }
    }
    alone.extend(orders.into_values());
    alone
}

/// What the refunds of each sale take from it, in the order of the sales.
///
/// Several sales can have the name of a refund. The refund applies to the order with that
/// `order_id`; otherwise to a sale of its own source, and otherwise to the earliest one. A refund
/// in another currency, or with more decimals than the currency of its sale, does not apply.
fn taken(settings: &BrandSettings, records: &[AllowedRecord], sales: &[Sale]) -> Vec<Taken> {
    let named = by_name(sales);
    let mut taken = vec![Taken::default(); sales.len()];
    for record in records {
        let Body::Refund {
            kind, name, amount, ..
        } = record.body
        else {
            continue;
        };
        let Some(position) = named_sale(settings, &named, sales, record, kind, name) else {
            continue;
        };
        if amount == RefundAmount::All {
            taken[position].all = true;
        }
        if let Some(minor) = in_minor(amount, sales[position].currency) {
            taken[position].any = true;
            taken[position].sum += minor;
        }
    }
    taken
}

/// Replaces the amounts of the sales that are restated.
fn restate(settings: &BrandSettings, records: &[AllowedRecord], sales: &mut [Sale]) {
    let named = by_name(sales);
    // Of each sale the greatest restatement in its currency: time, ID, source and amount.
    let mut latest: BTreeMap<usize, (i64, &str, Label, i128)> = BTreeMap::new();
    for record in records {
        let Body::Restatement {
            kind, name, amount, ..
        } = record.body
        else {
            continue;
        };
        let Some(position) = named_sale(settings, &named, sales, record, kind, name) else {
            continue;
        };
        let Some(minor) = in_minor(amount, sales[position].currency) else {
            continue;
        };
        let one = (record.ts, &*record.id, record.source, minor);
        let found = latest.entry(position).or_insert(one);
        *found = one.max(*found);
    }
    for (position, (.., minor)) in latest {
        sales[position].left = i64::try_from(minor).unwrap_or(i64::MAX);
    }
}

/// The sales by kind and name, as positions.
type ByName = BTreeMap<(SaleKind, SaleName), Vec<usize>>;

/// All sales of a name, by position.
fn by_name(sales: &[Sale]) -> ByName {
    let mut named = ByName::new();
    for (position, sale) in sales.iter().enumerate() {
        if let Body::Sale { kind, name, .. } = sale.record.body {
            named
                .entry((kind, name.named()))
                .or_default()
                .push(position);
        }
    }
    named
}

/// The sale that a record refers to by name.
fn named_sale(
    settings: &BrandSettings,
    named: &ByName,
    sales: &[Sale],
    record: &Record,
    kind: SaleKind,
    name: SaleName,
) -> Option<usize> {
    let candidates = named.get(&(kind, name.named()));
    let candidates = candidates.into_iter().flatten().copied();
    // The order with that `order_id` comes first. Otherwise the record's own source knows its sales
    // best, and else it is the earliest of that name.
    candidates.min_by_key(|position| {
        let sale = sales[*position].record;
        let by_id = match sale.body {
            Body::Sale { kind, name, .. } => kind == SaleKind::Order && name.is_of_record(),
            _ => false,
        };
        let other = sale.source != record.source;
        let is_open = !settings.is_verified(sale.source);
        (by_id, other, is_open, sale.ts, sale.source, &sale.id)
    })
}

/// An amount in the minor units of a currency, or `None` if it does not apply to it.
fn in_minor(amount: RefundAmount, currency: Currency) -> Option<i128> {
    match amount {
        RefundAmount::All => Some(0),
        RefundAmount::Of(minor, of) => (of == currency).then_some(i128::from(minor)),
        RefundAmount::InCurrencyOfSale { digits, decimals } => {
            let has = currency::decimals(currency).unwrap_or(0);
            let missing = has.checked_sub(decimals);
            missing.map(|zeros| (0..zeros).fold(i128::from(digits), |units, _| units * 10))
        }
    }
}

/// The adjustment of a record, if it is one.
fn adjustment(record: &Record) -> Option<Adjustment> {
    let Body::Adjustment {
        kind,
        store,
        amount,
        currency,
    } = record.body
    else {
        return None;
    };
    Some(Adjustment {
        kind,
        store: store_of(kind, store),
        day: record.day,
        source: record.source,
        currency,
        amount,
    })
}

/// The order in which reports of one order count.
fn order<'a>(settings: &BrandSettings, of: &'a Record) -> (bool, i64, &'a str, Label) {
    (!settings.is_verified(of.source), of.ts, &of.id, of.source)
}

/// The store of a sale; absent for an order.
fn store_of(kind: SaleKind, store: Label) -> Label {
    match kind {
        SaleKind::Order => Label::ABSENT,
        SaleKind::Transaction | SaleKind::Visit => store,
    }
}
