//! TC strings of vendor 755, policy version 4, service-specific, made by a registered platform.

/// All purposes from 1 to 11.
pub const ALL: &str = "CP1R2oAP1R2oAEsABBFRBkEgAP_gAAAAAAqIF5wAQF5gAAAA";
/// The same with special feature 1.
pub const PRECISE: &str = "CP1R2oAP1R2oAEsABBFRBkEoAP_gAAAAAAqIF5wAQF5gAAAA";
/// No purpose.
pub const NOTHING: &str = "CP1R2oAP1R2oAEsABBFRBkEgAAAAAAAAAAqIF5wAQF5gAAAA";
/// Purpose 1.
pub const STORAGE: &str = "CP1R2oAP1R2oAEsABBFRBkEgAIAAAAAAAAqIF5wAQF5gAAAA";
/// Purposes 1 and 7.
pub const MEASURED: &str = "CP1R2oAP1R2oAEsABBFRBkEgAIIAAAAAAAqIF5wAQF5gAAAA";
/// Purposes 1 and 9.
pub const JOINED: &str = "CP1R2oAP1R2oAEsABBFRBkEgAICAAAAAAAqIF5wAQF5gAAAA";
/// All purposes, of vendor 10.
pub const OTHER_VENDOR: &str = "CP1R2oAP1R2oAEsABBFRBkEgAP_gAAAAAAqIAFQAQAFAAAAA";

/// Strings that cannot be read, each with its reason.
pub const MALFORMED: [(&str, &str); 9] = [
    (
        "a version that has ended",
        "BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA",
    ),
    (
        "a version that is not known",
        "DP1R2oAP1R2oAEsABBFRBkEgAP_gAAAAAAqIF5wAQF5gAAAA",
    ),
    ("cut off", "CP1R2oAP1R2oAEsABBFRBkEgAP_gAAAAAAqIF5wAQ"),
    (
        "padding",
        "CP1R2oAP1R2oAEsABBFRBkEgAP_gAAAAAAqIF5wAQF5gAAAA=",
    ),
    (
        "another alphabet",
        "CP1R2oAP1R2oAEsABBFRBkEgAP/gAAAAAAqIF5wAQF5gAAAA",
    ),
    (
        "bits behind the end",
        "CP1R2oAP1R2oAEsABBFRBkEgAP_gAAAAAAqIF5wAQF5gAAAAB",
    ),
    (
        "a segment that is not known",
        "CP1R2oAP1R2oAEsABBFRBkEgAP_gAAAAAAqIF5wAQF5gAAAA.gAAA",
    ),
    (
        "an empty segment",
        "CP1R2oAP1R2oAEsABBFRBkEgAP_gAAAAAAqIF5wAQF5gAAAA.",
    ),
    ("no string at all", "yes"),
];

/// US National: opted out of sale and sharing, and nothing else.
pub const US_OUT: &str = "DBABLA~BVVVVVVVVWA.YA";
/// US National: nothing applies.
pub const US_IN: &str = "DBABLA~BAAAAAAAAABA.QA";
/// A TC string alone, of another vendor.
pub const GPP_TC: &str = "DBABM~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA";
/// No section.
pub const GPP_EMPTY: &str = "DBAA";
