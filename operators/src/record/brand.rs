//! Brands and their days.
//!
//! A brand is a tenant: nothing is shared between two brands, and no number ever combines them. A brand has one time zone, in
//! which all of its days are.

use serde::{Deserialize, Serialize};

/// A brand: the 64-bit XXH3 of its name, so that every process gives it the same number, whichever brands its configuration
/// lists and in whichever order. Two configured names with one hash are an error of the configuration.
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
