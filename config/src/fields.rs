//! The fields of each kind of record, and which of them a record requires.
//!
//! These are the keys of native JSON and of CSV column maps. `of` and
//! `required` feed the reference, the JSON Schema and the checks of column
//! maps; the decoder has the same list in a form of its own, and a test
//! compares the two.

use crate::model::Kind;

/// The fields of a kind, in the order of the reference.
///
/// ```
/// use tributary_config::{fields, model::Kind};
///
/// assert_eq!(fields::of(Kind::Ping), ["ts", "store", "sensor", "mac", "device", "rssi", "associated", "offline_cookie"]);
/// ```
pub fn of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Ping => &[
            "ts",
            "store",
            "sensor",
            "mac",
            "device",
            "rssi",
            "associated",
            "offline_cookie",
        ],
        Kind::Web => &[
            "id",
            "ts",
            "type",
            "version",
            "cookie",
            "source",
            "medium",
            "campaign",
            "url",
            "referrer",
            "landing",
            "email",
            "phone",
            "customer",
            "device",
            "click_id",
            "order_id",
            "refund_of",
            "restates",
            "amount",
            "currency",
            "gpc",
            "tc_string",
            "gpp",
            "gpp_sid",
            "lat",
            "lon",
            "ip",
            "user_agent",
        ],
        Kind::Transaction => &[
            "id",
            "ts",
            "version",
            "store",
            "amount",
            "currency",
            "email",
            "phone",
            "customer",
            "wallet",
            "first_name",
            "last_name",
            "postcode",
            "device",
            "click_id",
            "refund_of",
            "restates",
            "order_id",
        ],
        Kind::Spend => &[
            "date",
            "platform",
            "source",
            "medium",
            "campaign",
            "cost",
            "currency",
            "impressions",
            "clicks",
        ],
        Kind::Consent => &[
            "id",
            "ts",
            "version",
            "email",
            "phone",
            "cookie",
            "customer",
            "wallet",
            "device",
            "click_id",
            "tc_string",
            "gpp",
            "gpp_sid",
            "purposes",
            "evidence",
        ],
        Kind::Wallet => &[
            "id", "ts", "version", "type", "wallet", "platform", "store", "source", "medium",
            "campaign", "holder", "email", "phone", "customer",
        ],
        Kind::Partner => &[
            "id",
            "ts",
            "version",
            "type",
            "device",
            "email",
            "phone",
            "customer",
            "wallet",
            "cookie",
            "store",
            "until",
            "offline_cookie",
            "mac",
            "touch",
            "source",
            "medium",
            "campaign",
            "tc_string",
            "gpp",
            "gpp_sid",
            "purposes",
        ],
    }
}

/// The fields of a kind that a CSV column map can supply: those that a text can
/// hold.
///
/// ```
/// use tributary_config::{fields, model::Kind};
///
/// assert!(!fields::of_columns(Kind::Partner).contains(&"purposes"));
/// ```
pub fn of_columns(kind: Kind) -> Vec<&'static str> {
    let fields = of(kind).iter().copied();
    fields
        .filter(|field| !matches!(*field, "purposes" | "evidence"))
        .collect()
}

/// The fields that a record of a kind requires: of each group at least one.
///
/// ```
/// use tributary_config::{fields, model::Kind};
///
/// assert!(fields::required(Kind::Ping).contains(&&["mac", "device"][..]));
/// ```
/// A CSV column map must supply them; a record that lacks one becomes a dead
/// letter (`missing_field`).
pub fn required(kind: Kind) -> &'static [&'static [&'static str]] {
    match kind {
        Kind::Ping => &[
            &["ts"],
            &["store"],
            &["sensor"],
            &["rssi"],
            &["mac", "device"],
        ],
        Kind::Web => &[&["id"], &["ts"], &["type"]],
        Kind::Transaction => &[&["id"], &["ts"], &["store"], &["amount", "refund_of"]],
        Kind::Spend => &[&["date"], &["platform"], &["cost"]],
        Kind::Consent => &[
            &["id"],
            &["ts"],
            &[
                "email", "phone", "cookie", "customer", "wallet", "device", "click_id",
            ],
            &["tc_string", "gpp", "purposes"],
        ],
        Kind::Wallet => &[&["id"], &["ts"], &["type"], &["wallet"]],
        Kind::Partner => &[
            &["id"],
            &["ts"],
            &["type"],
            &["device", "email", "phone", "customer", "wallet", "cookie"],
        ],
    }
}
