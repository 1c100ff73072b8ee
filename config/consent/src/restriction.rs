//! What a publisher restricted: for a purpose and some vendors, forbidden outright or bound to one legal basis.

use crate::bits::Bits;
use crate::error::{Kind, Malformed};
use crate::vendor_ids::VendorIds;

/// How a publisher restricts a purpose (`RestrictionType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestrictionType {
    /// 0: not allowed, whatever the vendor declared.
    NotAllowed,
    /// 1: only on consent.
    RequireConsent,
    /// 2: only on legitimate interest.
    RequireLegitimateInterest,
    /// 3: the standard does not define it. Strings with it are in the field; somebody wanted something restricted,
    /// so that it is obeyed as if nothing were allowed.
    Undefined,
}

/// One entry of the publisher restrictions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Restriction {
    /// The purpose, from 1 to 24.
    pub purpose: u8,
    /// How it is restricted.
    pub restriction: RestrictionType,
    /// The vendors that it restricts.
    pub vendors: VendorIds,
}

impl Restriction {
    /// `NumPubRestrictions` and the entries. The same purpose and type may stand there more than once: encoders
    /// split long lists, and all of them apply. For the same reason the ranges of an entry may come in any order: a
    /// restriction only takes away.
    pub(crate) fn section(bits: &mut Bits<'_>) -> Result<Vec<Self>, Malformed> {
        let count = bits.word(12)?;
        // Nothing is reserved from a number that a stranger wrote.
        let mut restrictions = Vec::new();
        for _ in 0..count {
            let start = bits.clone();
            let purpose = bits.byte(6)?;
            if !(1..=24).contains(&purpose) {
                return Err(start.error(Kind::Purpose(purpose)));
            }
            let restriction = match bits.byte(2)? {
                0 => RestrictionType::NotAllowed,
                1 => RestrictionType::RequireConsent,
                2 => RestrictionType::RequireLegitimateInterest,
                _ => RestrictionType::Undefined,
            };
            restrictions.push(Self {
                purpose,
                restriction,
                vendors: VendorIds::restricted(bits)?,
            });
        }
        Ok(restrictions)
    }
}
