//! Records: accepted input, in the few plain types of the dataflow.
//!
//! Connectors have already validated and canonicalized all fields: amounts are integer minor units, days are days of the
//! brand's time zone, identifiers are pseudonyms. A record in these types is valid; it can only be stored, corrected or
//! retracted.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::allowed_uses::AllowedUses;
use crate::label::{Channel, Label};

/// A brand: the 64-bit XXH3 of its name, so that every process knows it by the same number, whatever its
/// configuration lists and in what order. Two configured names of one hash are an error of the configuration.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct BrandId(pub u64);

impl BrandId {
    /// The brand of a name.
    pub fn of(name: &str) -> BrandId {
        BrandId(xxhash_rust::xxh3::xxh3_64(name.as_bytes()))
    }
}

/// A calendar day: days since 1970-01-01 in the brand's time zone.
pub type Day = i32;

/// The keyed hash of an identifier, 128 bits.
pub type Pseudonym = u128;

/// The kind of an identifier.
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

    /// Whether the set is empty.
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

/// What a refund calls a sale: 127 bits of the XXH3 of an `order_id` or a record's `id`. The first bit
/// says whether it is the `id` of an order that has no `order_id`. Such an order is known by its source and id, and
/// no other record reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SaleName(pub u128);

impl SaleName {
    const OF_RECORD: u128 = 1 << 127;

    /// The name of a sale, from its `order_id` or, for a transaction, its `id`; and what a refund names.
    pub fn of(text: &str) -> SaleName {
        SaleName(xxhash_rust::xxh3::xxh3_128(text.as_bytes())).named()
    }

    /// The name of an order that has no `order_id`, from its `id`.
    pub fn of_record(id: &str) -> SaleName {
        SaleName(SaleName::of(id).0 | SaleName::OF_RECORD)
    }

    /// Whether it is the `id` of an order that has no `order_id`.
    pub fn is_of_record(self) -> bool {
        self.0 & SaleName::OF_RECORD != 0
    }

    /// The name of an order without an `order_id`, apart from those of other sources with its `id`.
    pub fn within(self, source: Label) -> SaleName {
        SaleName((self.0 ^ u128::from(source.0)) | SaleName::OF_RECORD)
    }

    /// What a refund calls it: the same for an `order_id` and an `id` of the same text.
    pub fn named(self) -> SaleName {
        SaleName(self.0 & !SaleName::OF_RECORD)
    }
}

/// How much a refund gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RefundAmount {
    /// All that is left.
    All,
    /// Minor units of a currency, not negative.
    Of(i64, Currency),
    /// An amount that names no currency and is read in its sale's: `digits` times ten to the power of
    /// minus `decimals`, with no more decimals than it needs. Not negative.
    InCurrencyOfSale {
        /// The decimal digits.
        digits: i64,
        /// How many of them stand behind the point.
        decimals: u8,
    },
}

impl From<Option<(i64, Currency)>> for RefundAmount {
    /// An amount in minor units of a currency; none for all that is left.
    fn from(amount: Option<(i64, Currency)>) -> RefundAmount {
        amount.map_or(RefundAmount::All, |(minor, currency)| {
            RefundAmount::Of(minor, currency)
        })
    }
}

/// The content of a record.
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
        /// The store whose till gave it back; absent where it comes from the web. Numbers are those of the sale's store.
        store: Label,
        /// How much.
        amount: RefundAmount,
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
    /// What is allowed with whatever names one of its identifiers. Of what is said about an identifier the newest
    /// counts, in the order that `statement_order` describes, and of several of one place what all of them allow.
    Consent {
        /// The allowed uses.
        steps: AllowedUses,
        /// The consent string that says so, where it was one that bears its date.
        string: Option<ConsentString>,
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

impl Body {
    /// Whether it comes from the web, and not from a till: a contact, who identifies, and what an online shop says of
    /// money. A refund comes from where it was given back, whatever it names.
    pub fn is_web(&self) -> bool {
        match self {
            Body::Contact { .. } | Body::Identify => true,
            Body::Sale { kind, .. } | Body::Adjustment { kind, .. } => *kind == SaleKind::Order,
            Body::Refund { store, .. } => *store == Label::ABSENT,
            Body::Spend { .. } | Body::Consent { .. } | Body::Right { .. } => false,
        }
    }
}

/// A consent string that bears the date of its last update, as far as the order of statements asks for it: which one
/// it is and its date, never what stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConsentString {
    /// A hash of the very string, 128 bits.
    pub hash: u128,
    /// The UTC day of its LastUpdated: days since 1970-01-01.
    pub updated: i32,
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

/// One accepted input record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Record {
    /// The brand it belongs to.
    pub brand: BrandId,
    /// The label of the configured source it came from.
    pub source: Label,
    /// Its identifier within brand and source; empty for spend, which has none.
    pub id: Arc<str>,
    /// Unix milliseconds; for spend the start of its day, which nothing reads.
    pub ts: i64,
    /// The day of `ts` in the brand's time zone; for spend its `date`.
    pub day: Day,
    /// Its identifiers.
    pub ids: IdSet,
    /// Its content.
    pub body: Body,
}

impl Record {
    /// Whether it is a statement without an id of its own: one that rides on a web record, or that a rights request
    /// made. It is no record of the input, so that it is not counted as one, and corrects none.
    pub fn is_attached(&self) -> bool {
        self.id.is_empty() && matches!(self.body, Body::Consent { .. } | Body::Right { .. })
    }
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
    /// The brand it belongs to.
    pub brand: BrandId,
    /// The store of the sensor.
    pub store: Label,
    /// The brand's keyed hash of the MAC or of the `device` field. It never goes further: see [`TokenizedPing`].
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

/// The pseudonym of a device in one store on one salt day, and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token(pub u128);

/// One sensor ping with its token instead of the device: the only form in which pings are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenizedPing {
    /// The brand it belongs to.
    pub brand: BrandId,
    /// The store of the sensor.
    pub store: Label,
    /// The token of the device.
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

/// One device in one store on one salt day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceDay {
    /// The brand.
    pub brand: BrandId,
    /// The store.
    pub store: Label,
    /// The salt day.
    pub salt_day: Day,
    /// The device's token of that store and day.
    pub token: Token,
}

/// What the pings of one closed salt day amount to in one hour of one store. Nothing in it can be traced to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SettledHour {
    /// The brand.
    pub brand: BrandId,
    /// The store.
    pub store: Label,
    /// The start of the hour, Unix seconds.
    pub hour: i64,
    /// The brand's offset from UTC at that hour, in seconds east.
    pub utc_offset: i32,
    /// Visits, passers-by, seconds of dwell, devices and random devices, in the order of the family `visits`.
    pub values: [i64; 5],
}
