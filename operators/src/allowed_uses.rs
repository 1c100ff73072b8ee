//! AllowedUses: what may be done with a record, as far as the persons behind it allow it (consent).
//!
//! The purposes of a consent string are the outside's words. In here there are only the steps that need them, so that
//! a gate of the dataflow asks one bit. Which purpose carries which step is the connectors' to know.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that is done with a record and needs to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Use {
    /// Holding a web record with its cookie. Without it the record is out of every number.
    Hold,
    /// Crediting a campaign. Without it a contact is no touch.
    Credit,
    /// Counts that join what happened in the web with what happened at the till.
    Join,
    /// Linking the identifiers of a record. Without it the record stands for one identifier alone.
    Link,
    /// A precise position.
    Position,
    /// Sharing with partners.
    Share,
}

impl Use {
    /// Every step, in the order of their bits.
    pub const ALL: [Use; 6] = [
        Use::Hold,
        Use::Credit,
        Use::Join,
        Use::Link,
        Use::Position,
        Use::Share,
    ];

    /// The word for the step.
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

/// The steps that are allowed. The default allows none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AllowedUses(u8);

impl AllowedUses {
    /// No step.
    pub const NONE: AllowedUses = AllowedUses(0);
    /// Every step.
    pub const ALL: AllowedUses = AllowedUses(0x3f);

    /// Whether a step is allowed.
    pub fn allows(self, step: Use) -> bool {
        self.0 & (1 << step as u8) != 0
    }

    /// The same with a step that is allowed.
    #[must_use]
    pub fn with(self, step: Use) -> AllowedUses {
        AllowedUses(self.0 | 1 << step as u8)
    }

    /// The same with a step that is not allowed.
    #[must_use]
    pub fn without(self, step: Use) -> AllowedUses {
        AllowedUses(self.0 & !(1 << step as u8))
    }

    /// What both allow.
    #[must_use]
    pub fn intersect(self, other: AllowedUses) -> AllowedUses {
        AllowedUses(self.0 & other.0)
    }

    /// The six bits, in the order of [`Use::ALL`] from the lowest.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// From [bits](AllowedUses::bits); none where there are more than six.
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
