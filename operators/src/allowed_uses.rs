//! Uses: what may be done with a record, as far as the consent of the data subjects allows it.
//!
//! The purposes of a consent string belong to the connectors. The dataflow knows only the uses that depend on them, so
//! that an operator checks a single bit. The connectors map purposes to uses.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A use of a record that requires permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Use {
    /// Storing a web record with its cookie. Without it the record is excluded from all cells.
    Hold,
    /// Attributing conversions to a campaign. Without it a contact is not a touchpoint.
    Credit,
    /// Joining web contacts with in-store transactions.
    Join,
    /// Linking the identifiers of a record. Without it only one identifier of the record counts.
    Link,
    /// Use of a precise position.
    Position,
    /// Sharing data with partners.
    Share,
}

impl Use {
    /// All uses, in the order of their bits.
    pub const ALL: [Use; 6] = [
        Use::Hold,
        Use::Credit,
        Use::Join,
        Use::Link,
        Use::Position,
        Use::Share,
    ];

    /// The name of the use, as metrics and answers show it.
    pub fn name(self) -> &'static str {
        match self {
            Use::Hold => "hold",
            Use::Credit => "credit",
            Use::Join => "join",
            Use::Link => "link",
            Use::Position => "position",
            Use::Share => "share",
        }
    }
}

/// A set of allowed uses, one bit each. The default allows none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AllowedUses(u8);

impl AllowedUses {
    /// The empty set.
    pub const NONE: AllowedUses = AllowedUses(0);
    /// All uses.
    pub const ALL: AllowedUses = AllowedUses(0x3f);

    /// Whether the set contains a use.
    pub fn allows(self, step: Use) -> bool {
        self.0 & (1 << step as u8) != 0
    }

    /// The set with one use added.
    #[must_use]
    pub fn with(self, step: Use) -> AllowedUses {
        AllowedUses(self.0 | 1 << step as u8)
    }

    /// The set with one use removed.
    #[must_use]
    pub fn without(self, step: Use) -> AllowedUses {
        AllowedUses(self.0 & !(1 << step as u8))
    }

    /// The uses that both sets allow.
    #[must_use]
    pub fn intersect(self, other: AllowedUses) -> AllowedUses {
        AllowedUses(self.0 & other.0)
    }

    /// The set as six bits, in the order of [`Use::ALL`] from the lowest bit.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The set of [bits](AllowedUses::bits), or `None` if any other bit is set.
    pub fn from_bits(bits: u8) -> Option<AllowedUses> {
        (bits & !AllowedUses::ALL.0 == 0).then_some(AllowedUses(bits))
    }
}

impl fmt::Debug for AllowedUses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allowed = Use::ALL.into_iter().filter(|step| self.allows(*step));
        f.debug_set().entries(allowed).finish()
    }
}
