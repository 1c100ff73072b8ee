//! Sales and refunds: how they are named, and their amounts.
//!
//! A refund refers to its sale by a name, and either may arrive first. Amounts are integers in minor units of a currency, for
//! instance cents.

use serde::{Deserialize, Serialize};

use crate::label::Label;

/// An ISO 4217 code, upper case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Currency(pub [u8; 3]);

impl Currency {
    /// No currency: that of visits, which have no value. `null` in the output.
    pub const NONE: Currency = Currency([0; 3]);

    /// The three letters; empty for [`Currency::NONE`].
    pub fn as_str(&self) -> &str {
        if *self == Currency::NONE {
            return "";
        }
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

/// The kind of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SaleKind {
    /// An online order.
    Order,
    /// An in-store transaction.
    Transaction,
    /// A visit to a store. It has no value, and no refund refers to it.
    Visit,
}

impl SaleKind {
    /// Every kind, in the order of their discriminants.
    pub const ALL: [SaleKind; 3] = [SaleKind::Order, SaleKind::Transaction, SaleKind::Visit];

    /// The name of the kind in messages, cells and metrics.
    pub fn name(self) -> &'static str {
        match self {
            SaleKind::Order => "order",
            SaleKind::Transaction => "transaction",
            SaleKind::Visit => "visit",
        }
    }
}

/// The name by which a refund refers to a sale: 127 bits of the XXH3 of an `order_id` or of the `id` of a record. The first bit
/// is set for the `id` of an order without an `order_id`. Such an order is identified by its source and id, and no other record
/// reports it.
///
/// XXH3 is enough here: who finds a text with the hash of an `order_id` can do no more with it than with the `order_id` itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SaleName(pub u128);

impl SaleName {
    /// The first bit.
    const OF_RECORD: u128 = 1 << 127;

    /// The name of a sale, from its `order_id` or, for a transaction, its `id`; also the name in a refund.
    pub fn of(text: &str) -> SaleName {
        SaleName(xxhash_rust::xxh3::xxh3_128(text.as_bytes())).named()
    }

    /// The name of an order that has no `order_id`, from its `id`.
    pub fn of_record(id: &str) -> SaleName {
        SaleName(SaleName::of(id).0 | SaleName::OF_RECORD)
    }

    /// Whether this is the `id` of an order that has no `order_id`.
    pub fn is_of_record(self) -> bool {
        self.0 & SaleName::OF_RECORD != 0
    }

    /// The name of an order without an `order_id` that distinguishes it from orders of other sources with the same `id`.
    pub fn within(self, source: Label) -> SaleName {
        SaleName((self.0 ^ u128::from(source.0)) | SaleName::OF_RECORD)
    }

    /// The name in a refund: the same for an `order_id` and an `id` of the same text.
    pub fn named(self) -> SaleName {
        SaleName(self.0 & !SaleName::OF_RECORD)
    }
}

/// The amount of a refund, or of a restatement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RefundAmount {
    /// All that is left.
    All,
    /// Minor units of a currency, not negative.
    Of(i64, Currency),
    /// An amount without a currency, read in the currency of the sale: `digits` times ten to the power of minus `decimals`,
    /// without trailing zeros. Not negative.
    InCurrencyOfSale {
        /// The decimal digits.
        digits: i64,
        /// The number of digits after the decimal point.
        decimals: u8,
    },
}

impl From<Option<(i64, Currency)>> for RefundAmount {
    /// An amount in minor units of a currency; `None` refunds all that is left.
    fn from(amount: Option<(i64, Currency)>) -> RefundAmount {
        amount.map_or(RefundAmount::All, |(minor, currency)| {
            RefundAmount::Of(minor, currency)
        })
    }
}
