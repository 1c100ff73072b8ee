//! The fields of each kind of record, and which of them a record cannot do without.
//!
//! These are the native field names of the specification's section 3; a CSV column map gives them
//! their columns.

use crate::model::Kind;

/// The fields of a kind, in the order of the specification.
pub fn of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Ping => &["ts", "store", "sensor", "mac", "device", "rssi"],
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
            "order_id",
            "refund_of",
            "amount",
            "currency",
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
            "refund_of",
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
            "tc_string",
            "gpp",
            "gpp_sid",
            "purposes",
            "evidence",
        ],
    }
}

/// What a record of a kind needs: of each group at least one field.
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
            &["email", "phone", "cookie", "customer", "wallet", "device"],
            &["tc_string", "gpp", "purposes"],
        ],
    }
}
