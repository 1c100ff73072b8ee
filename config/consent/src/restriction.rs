//! Publisher restrictions: a purpose and a set of vendors, forbidden outright
//! or bound to one legal basis.

use crate::bits::Bits;
use crate::error::{Kind, Malformed};
use crate::vendor_ids::VendorIds;

/// How a publisher restricts a purpose («The Core String», `RestrictionType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestrictionType {
    /// 0: not allowed, whatever the vendor declared.
    NotAllowed,
    /// 1: only on consent.
    RequireConsent,
    /// 2: only on legitimate interest.
    RequireLegitimateInterest,
    /// 3: undefined by the standard. Deployed strings contain it; somebody
    /// wanted something restricted, so it is treated as *not allowed*.
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
    /// Reads `NumPubRestrictions` and the entries. A purpose and type may
    /// repeat: encoders split long lists, and all of them apply. For the same
    /// reason the ranges of an entry may come in any order: a restriction only
    /// removes permissions.
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
