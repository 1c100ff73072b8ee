//! How an adapter maps the names of a vendor's format to the product's own.

use std::collections::BTreeMap;

use super::Secret;

/// The settings of a source in a vendor's format
/// ([`Format`](super::Format)). Everything is empty for native and CSV
/// sources, except [`Mapping::ce_source`].
///
/// The configuration rejects a setting that the format of the source does not
/// use.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    /// The meaning of events by the vendor's name; overrides the defaults of
    /// the format.
    pub events: BTreeMap<String, EventMeaning>,
    /// The meaning of conversions by their name in Google's files. Empty: all
    /// are transactions; otherwise those that are not listed are ignored.
    pub conversions: BTreeMap<String, EventMeaning>,
    /// The store of records whose place is neither in [`Mapping::stores`] nor a
    /// store by itself.
    pub store: Option<String>,
    /// The stores by the vendor's names of places.
    pub stores: BTreeMap<String, String>,
    /// What the vendor's user id is; [`UserId::Customer`] if absent.
    pub user_id: Option<UserId>,
    /// The checkboxes that a consent category of the vendor decides, by the
    /// names of [`tributary_consent::Boxes`]. Empty: categories are not read.
    pub consent_categories: BTreeMap<String, Vec<String>>,
    /// The CloudEvents attribute `source` that chooses this source for messages
    /// whose subject names none.
    pub ce_source: Option<String>,
    /// The secret that the vendor repeats in each message; empty if none is
    /// configured.
    pub secret: Secret,
    /// What the vendor expects as the answer to its first request over HTTP
    /// (Meraki's validator).
    pub validator: Option<String>,
    /// What is added to a signal strength above the noise floor, dBm; -95 if
    /// absent.
    pub noise_floor: Option<i64>,
    /// Whether Bluetooth devices are visitors; false if absent.
    pub bluetooth: Option<bool>,
    /// The cookies of Meta that identify; only `fbp`.
    pub cookies: Vec<String>,
    /// What the deletion of an account at Apple asks for;
    /// [`AccountDelete::Ignore`] if absent.
    pub account_delete: Option<AccountDelete>,
}

/// What the deletion of a customer's account at a vendor asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountDelete {
    /// Nothing: the account ends there, and not with the brand.
    #[default]
    Ignore,
    /// The erasure of the customer.
    Erase,
    /// The erasure of the customer, and that later records are refused.
    Object,
}

/// What an event of a vendor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventMeaning {
    /// A page view.
    View,
    /// A click on an advertisement or a message.
    Click,
    /// An advertisement or a message that was shown.
    Impression,
    /// Identifiers of one person, and nothing else.
    Identify,
    /// An online order.
    Order,
    /// A refund of an online order.
    Refund,
    /// A sale in a store.
    Transaction,
    /// Nothing.
    Ignore,
}

/// What the user id of a vendor is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UserId {
    /// A customer number.
    #[default]
    Customer,
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
    /// No identifier.
    None,
}
