//! The words of OpenDSR 2.0 that both directions share: its version, its types of requests and of identities.

use tributary_operators::record::IdKind;

use crate::request::Right;

/// The version that is spoken.
pub const API_VERSION: &str = "2.0";

/// The types of requests that 2.0 has (6.2), and the right that each is.
pub const TYPES: [(&str, Right); 3] = [
    ("access", Right::Access),
    ("portability", Right::Portability),
    ("erasure", Right::Erase),
];

/// The identity types of 2.0 (5.1), the kind that each is, and whether it may come as a SHA-256 too. The others have no
/// canonical form before they are hashed, so a digest of them would meet nothing.
pub const IDENTITIES: [(&str, IdKind, bool); 11] = [
    ("controller_customer_id", IdKind::Customer, true),
    ("android_advertising_id", IdKind::Device, false),
    ("android_id", IdKind::Device, false),
    ("email", IdKind::Email, true),
    ("fire_advertising_id", IdKind::Device, false),
    ("ios_advertising_id", IdKind::Device, false),
    ("ios_vendor_id", IdKind::Device, false),
    ("microsoft_advertising_id", IdKind::Device, false),
    ("microsoft_publisher_id", IdKind::Device, false),
    ("roku_publisher_id", IdKind::Device, false),
    ("roku_advertising_id", IdKind::Device, false),
];
