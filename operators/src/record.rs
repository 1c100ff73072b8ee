//! Records: what the outside has said, in the few plain types that the dataflow knows.
//!
//! A connector has already checked and canonicalised everything here: amounts are integer minor
//! units, days are days of the brand's time zone, identifiers are pseudonyms. Nothing in this file
//! can be wrong any more, only held, corrected or retracted.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::label::{Channel, Label};
use crate::steps::Steps;

/// A brand (tenant): its position in [`crate::settings::Settings::brands`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct BrandId(pub u16);

/// A calendar day: days since 1970-01-01 in the brand's time zone.
pub type Day = i32;

/// The keyed hash of an identifier, 128 bits.
pub type Pseudonym = u128;

/// What kind of thing identifies somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IdKind {
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A browser cookie.
    Cookie,
    /// A customer number.
    Customer,
    /// A payment wallet or loyalty card.
    Wallet,
    /// A device identifier.
    Device,
    /// First name, last name and postcode together.
    NamePostcode,
}

impl IdKind {
    /// Every kind, in the order of their discriminants.
    pub const ALL: [IdKind; 7] = [
        IdKind::Email,
        IdKind::Phone,
        IdKind::Cookie,
        IdKind::Customer,
        IdKind::Wallet,
        IdKind::Device,
        IdKind::NamePostcode,
    ];

    /// The specification's word for the kind.
    pub fn name(self) -> &'static str {
        match self {
            IdKind::Email => "email",
            IdKind::Phone => "phone",
            IdKind::Cookie => "cookie",
            IdKind::Customer => "customer",
            IdKind::Wallet => "wallet",
            IdKind::Device => "device",
            IdKind::NamePostcode => "name_postcode",
        }
    }
}

/// One identifier of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identifier {
    /// The keyed hash that stands for it.
    pub pseudonym: Pseudonym,
    /// The pseudonym that stands for its clear value: the hashes of one clear value under several
    /// rules carry the same one here, and count as one other identifier for the hub guard. An
    /// identifier that came hashed stands for itself.
    pub value: Pseudonym,
    /// Its kind.
    pub kind: IdKind,
}

/// The identifiers of one record, sorted and without repetition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IdSet {
    key: u128,
    ids: Arc<[Identifier]>,
}

impl IdSet {
    /// Sorts and deduplicates the identifiers of one record.
    pub fn new(mut ids: Vec<Identifier>) -> IdSet {
        ids.sort_unstable();
        ids.dedup_by_key(|id| id.pseudonym);
        let key = match ids.is_empty() {
            true => 0,
            false => {
                let mut hash = xxhash_rust::xxh3::Xxh3::new();
                for id in &ids {
                    hash.update(&id.pseudonym.to_le_bytes());
                    hash.update(&id.value.to_le_bytes());
                }
                hash.digest128().max(1)
            }
        };
        IdSet {
            key,
            ids: ids.into(),
        }
    }

    /// No identifier at all.
    pub fn empty() -> IdSet {
        IdSet::new(Vec::new())
    }

    /// A hash of the whole set, zero only for the empty one.
    pub fn key(&self) -> u128 {
        self.key
    }

    /// The identifiers, ascending.
    pub fn ids(&self) -> &[Identifier] {
        &self.ids
    }

    /// Whether the record names nobody.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// An ISO 4217 code, upper case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Currency(pub [u8; 3]);

impl Currency {
    /// The three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

/// The kind of a marketing contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TouchKind {
    /// An advertisement was shown.
    Impression,
    /// An advertisement was clicked.
    Click,
    /// A page was viewed.
    View,
}

/// The kind of a sale, and later of any conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SaleKind {
    /// An online order.
    Order,
    /// An in-store transaction.
    Transaction,
}

impl SaleKind {
    /// The specification's word for the kind.
    pub fn name(self) -> &'static str {
        match self {
            SaleKind::Order => "order",
            SaleKind::Transaction => "transaction",
        }
    }
}

/// The 128-bit XXH3 of an `order_id` or a transaction's `id`: what a refund names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SaleName(pub u128);

impl SaleName {
    /// The name of a sale, from its `order_id` or `id`.
    pub fn of(text: &str) -> SaleName {
        SaleName(xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
    }
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Body {
    /// A web record of type `impression`, `click` or `view`.
    Contact {
        /// Which of the three.
        kind: TouchKind,
        /// Its channel, [`Channel::direct`] where nothing explains it.
        channel: Channel,
        /// Whether it is a touch: every impression and click, and a view that carries a channel or
        /// is a landing. The others are only counted.
        touch: bool,
    },
    /// A web record of type `identify`: it links, and says nothing else.
    Identify,
    /// A sale: an order or a transaction whose amount is not negative.
    Sale {
        /// Order or transaction.
        kind: SaleKind,
        /// What refunds call it, and what makes two orders the same one.
        name: SaleName,
        /// The store; absent for an order.
        store: Label,
        /// Minor units, not negative.
        amount: i64,
        /// The currency of the amount.
        currency: Currency,
    },
    /// Money given back for a named sale.
    Refund {
        /// Whether it names an order or a transaction.
        kind: SaleKind,
        /// The name of that sale.
        name: SaleName,
        /// Minor units, not negative, with their currency; none refunds all that is left.
        amount: Option<(i64, Currency)>,
    },
    /// A negative amount that names no sale.
    Adjustment {
        /// Order (web) or transaction (till).
        kind: SaleKind,
        /// The store; absent for an order.
        store: Label,
        /// Minor units, negative.
        amount: i64,
        /// The currency of the amount.
        currency: Currency,
    },
    /// What a platform charged for a campaign on a day.
    Spend {
        /// The advertising platform.
        platform: Label,
        /// The campaign; absent labels stay absent.
        channel: Channel,
        /// Minor units; may be negative.
        cost: i64,
        /// The currency of the cost.
        currency: Currency,
        /// Impressions that the platform reports.
        impressions: u64,
        /// Clicks that the platform reports.
        clicks: u64,
    },
    /// What is allowed with whatever names one of its identifiers. Of what is said about an identifier the newest by
    /// time counts, and of several of one time what all of them allow.
    Consent {
        /// The steps that are allowed.
        steps: Steps,
    },
    /// A right that was exercised, or withdrawn, for whatever names one of its identifiers. The newest by time
    /// counts for each right, and of several of one time the one that stands.
    Right {
        /// The right.
        right: Right,
        /// Whether it stands from here on.
        stands: bool,
    },
}

/// A right whose exercise is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Right {
    /// Restriction of processing: held, but out of every number.
    Restriction,
    /// Nothing that is shared with partners.
    DoNotSell,
    /// To be erased when notice of death is given. Changes no number.
    ErasureAtDeath,
}

impl Right {
    /// Every right, in the order of their discriminants.
    pub const ALL: [Right; 3] = [Right::Restriction, Right::DoNotSell, Right::ErasureAtDeath];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Right::Restriction => "restriction",
            Right::DoNotSell => "do_not_sell",
            Right::ErasureAtDeath => "erasure_at_death",
        }
    }
}

/// One accepted input, as it is held.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Record {
    /// The tenant it belongs to.
    pub brand: BrandId,
    /// The label of the configured source it came from.
    pub source: Label,
    /// Its identifier within brand and source; empty for spend, which has none.
    pub id: Arc<str>,
    /// Unix milliseconds; for spend the start of its day, which nothing reads.
    pub ts: i64,
    /// The day of `ts` in the brand's time zone; for spend its `date`.
    pub day: Day,
    /// Whom it names.
    pub ids: IdSet,
    /// What it says.
    pub body: Body,
}

/// What makes a record one and the same: the 128-bit XXH3 of `(brand, source, id)`, or for spend of
/// `(brand, platform, source, medium, campaign, date)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordKey(pub u128);

impl RecordKey {
    /// The key over the brand's name and the parts, each length-prefixed so that they cannot run into each
    /// other. The name and not the position counts, because keys outlive a configuration.
    pub fn of(brand: &str, parts: &[&[u8]]) -> RecordKey {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        for part in std::iter::once(&brand.as_bytes()).chain(parts) {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        RecordKey(hash.digest128())
    }
}

/// The place of a record in the order of arrival: the message, then the line within it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Arrival {
    /// The message's number: a stream sequence, or a line of a trace.
    pub message: u64,
    /// The line within the message.
    pub line: u32,
}

/// One sensor ping, as a connector reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ping {
    /// The tenant it belongs to.
    pub brand: BrandId,
    /// The store whose sensor heard it.
    pub store: Label,
    /// The brand's keyed hash of the MAC or of the `device` field. It never goes further: see [`Heard`].
    pub device: Pseudonym,
    /// Whether the MAC is locally administered (random).
    pub random: bool,
    /// The store's salt day: days since 1970-01-01, from `day_start` to `day_start`.
    pub salt_day: Day,
    /// Unix seconds.
    pub second: i64,
    /// The brand's offset from UTC at that second, in seconds east.
    pub utc_offset: i32,
    /// Received signal strength, dBm.
    pub rssi: i8,
}

/// What stands for a device in one store on one salt day, and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token(pub u128);

/// One sensor ping under its token: all that is ever kept of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Heard {
    /// The tenant it belongs to.
    pub brand: BrandId,
    /// The store whose sensor heard it.
    pub store: Label,
    /// Who was heard.
    pub token: Token,
    /// Whether the MAC is locally administered (random).
    pub random: bool,
    /// The store's salt day.
    pub salt_day: Day,
    /// Unix seconds.
    pub second: i64,
    /// The brand's offset from UTC at that second, in seconds east.
    pub utc_offset: i32,
    /// Received signal strength, dBm.
    pub rssi: i8,
}
