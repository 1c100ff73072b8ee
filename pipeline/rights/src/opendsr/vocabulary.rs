//! Vocabulary of OpenDSR 2.0 that submissions and responses share.

use tributary_operators::record::IdKind;

use crate::request::Right;

/// The version of the specification.
pub const API_VERSION: &str = "2.0";

/// Types of requests (6.2), with the right that each exercises.
pub const TYPES: [(&str, Right); 3] = [
    ("access", Right::Access),
    ("portability", Right::Portability),
    ("erasure", Right::Erase),
];

/// Types of identities (5.1), the kind of each, and whether its SHA-256 digest
/// is accepted as well. The others have no canonical form before they are
/// hashed, so that a digest of them would match nothing.
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
