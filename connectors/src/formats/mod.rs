//! Formats of vendors: one adapter each, from an item to native records.
//!
//! An *item* is what a vendor sends at once: a JSON object, or a line of TSV or
//! CSV. An adapter turns it into no, one or several native records
//! ([`NativeRecord`]), which are then read like any others. It keeps no state,
//! looks nothing up, and reads no clock but the arrival of the message, so that
//! any decoder, and the batch computation that checks the dataflow, gives the
//! same.
//!
//! | module | items |
//! |---|---|
//! | [`segment`] | messages of Segment and RudderStack, alone or in a `batch` |
//! | [`snowplow`] | enriched events, TSV or JSON |
//! | [`meraki`] | posts of the Scanning API |
//! | [`google_offline`] | rows of offline conversions, Data Manager events |
//! | [`meta`] | events of the Conversions API, alone or in `data` |
//! | [`ga4_bigquery`] | rows of the export of Google Analytics 4 |
//! | [`apple_wallet`] | log lines of the web service that Apple Wallet calls |
//! | [`google_wallet`] | callbacks of Google Wallet |
//! | [`apple_signin`] | notifications of Sign in with Apple |
//!
//! What an adapter has no use for is *not mapped*: it is counted, and no dead
//! letter. A value of the wrong type refuses its record alone, and the dead
//! letter holds the item and names the vendor's path. Addresses of the network,
//! user agents, positions, fingerprints and the names of products are not read
//! at all.

pub mod adapter;
pub mod apple_signin;
pub mod apple_wallet;
mod consent;
pub mod ga4_bigquery;
pub mod google_offline;
pub mod google_wallet;
mod items;
pub mod json;
pub mod meraki;
pub mod meta;
pub mod money;
mod page;
mod record;
pub mod segment;
pub mod snowplow;

use tributary_config::model::Format;

pub use adapter::{Adapter, Emit, Item, SuppliedId};
pub use items::{Items, fault, is_document, items};
pub use record::{NativeRecord, Outcome};

/// The keys that lead to the list of an item that consists of several, by which a large one can be divided.
pub fn list_path(format: &Format) -> Option<&'static [&'static str]> {
    match format {
        Format::Segment => Some(&[segment::LIST]),
        Format::Meta => Some(&[meta::LIST]),
        Format::GoogleOffline => Some(&[google_offline::LIST]),
        Format::Meraki => Some(&["data", "observations"]),
        _ => None,
    }
}

/// The number of elements of an item that is a list of what its format sends at once; 1 for any other item.
pub fn elements(format: &Format, text: &str) -> usize {
    let Some([key]) = list_path(format) else {
        return 1;
    };
    let whole = json::Json::of(text).object();
    let list = whole.and_then(|whole| whole.get(key).list());
    list.map_or(1, |list| list.len())
}

/// Reads one item. `emit` is called at least once.
pub fn read<'a>(adapter: &Adapter, item: Item<'a>, emit: &mut Emit<'_, 'a>) {
    match adapter.format {
        Format::Native | Format::Csv(_) => emit(item.text, Outcome::NotMapped),
        Format::Segment => segment::read(adapter, item, emit),
        Format::Snowplow => snowplow::read(adapter, item, emit),
        Format::Meraki => meraki::read(adapter, item, emit),
        Format::GoogleOffline => google_offline::read(adapter, item, emit),
        Format::Meta => meta::read(adapter, item, emit),
        Format::Ga4Bigquery => ga4_bigquery::read(adapter, item, emit),
        Format::AppleWallet => apple_wallet::read(item, emit),
        Format::GoogleWallet => google_wallet::read(item, emit),
        Format::AppleSignin => apple_signin::read(adapter, item, emit),
    }
}
