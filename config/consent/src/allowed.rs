//! What a person allows one party: the one result of every kind of signal.
//!
//! Four bytes, comparable, with nothing behind them: a dataflow holds one for each person and sees a withdrawal as
//! a change of value. [`Allowed::default`] allows nothing, and is what stands where no signal is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::numbers::Numbers;
use crate::party::Party;
use crate::permit::Outcome;
use crate::tcf::TcString;
use crate::terms::{PURPOSES, Terms};

/// Purposes, special features and feature 2 that are allowed, and what the person opted out of.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Allowed {
    purposes: u16,
    special_features: u8,
    flags: u8,
}

/// What one can opt out of where the law lets everything run until one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptOut {
    /// The sale of personal data.
    Sale,
    /// Its sharing with third parties.
    Sharing,
    /// Its use for targeted advertising.
    TargetedAdvertising,
    /// The use of a precise position.
    PrecisePosition,
}

const FEATURE_2: u8 = 1;

impl OptOut {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Sale,
        Self::Sharing,
        Self::TargetedAdvertising,
        Self::PrecisePosition,
    ];

    fn flag(self) -> u8 {
        match self {
            Self::Sale => 2,
            Self::Sharing => 4,
            Self::TargetedAdvertising => 8,
            Self::PrecisePosition => 16,
        }
    }
}

impl Allowed {
    /// Whether the purpose is allowed.
    pub fn purpose(self, purpose: u8) -> bool {
        self.purposes().contains(purpose)
    }

    /// The purposes that are allowed, of 1 to 11.
    pub fn purposes(self) -> Numbers {
        Numbers::from_field(u64::from(self.purposes.reverse_bits()), 16)
    }

    /// Whether the special feature is allowed: 1 precise position, 2 scanning of the device.
    pub fn special_feature(self, feature: u8) -> bool {
        self.special_features().contains(feature)
    }

    /// The special features that are allowed.
    pub fn special_features(self) -> Numbers {
        Numbers::from_field(u64::from(self.special_features.reverse_bits()), 8)
    }

    /// Whether linking different devices was disclosed for a purpose that is allowed.
    pub fn feature_2(self) -> bool {
        self.flags & FEATURE_2 != 0
    }

    /// Whether the person opted out, or was denied the choice.
    pub fn opted_out(self, of: OptOut) -> bool {
        self.flags & of.flag() != 0
    }

    pub(crate) fn grant(purposes: Numbers, special_features: Numbers, feature_2: bool) -> Self {
        // A feature is a way of pursuing a purpose: where no purpose is allowed, neither is a feature.
        let purposes = (purposes.bits() & ((1 << PURPOSES) - 1)) as u16;
        let any = purposes != 0;
        Self {
            purposes,
            special_features: if any {
                (special_features.bits() & 0b11) as u8
            } else {
                0
            },
            flags: if any && feature_2 { FEATURE_2 } else { 0 },
        }
    }

    #[must_use]
    pub(crate) fn without(mut self, out: OptOut) -> Self {
        self.flags |= out.flag();
        if out == OptOut::PrecisePosition {
            self.special_features &= !1;
        }
        self
    }
}

impl TcString {
    /// What the string allows a party.
    pub fn allowed(&self, terms: &Terms) -> Allowed {
        let permitted = |purpose: &u8| {
            terms.basis(*purpose).is_some_and(|basis| {
                let outcome: Outcome = match terms.party() {
                    Party::Vendor(vendor) => self.permits(vendor, *purpose, basis),
                    Party::Publisher => self.permits_publisher(*purpose, basis),
                };
                outcome.permitted()
            })
        };
        let purposes = (1..=PURPOSES as u8).filter(permitted).collect();
        let opted_in = self.special_feature_opt_ins.iter();
        let special_features = opted_in
            .filter(|feature| terms.special_features().contains(*feature))
            .collect();
        Allowed::grant(purposes, special_features, terms.feature_2())
    }
}

impl fmt::Debug for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outs: Vec<_> = OptOut::ALL
            .into_iter()
            .filter(|out| self.opted_out(*out))
            .collect();
        f.debug_struct("Allowed")
            .field("purposes", &self.purposes())
            .field("special_features", &self.special_features())
            .field("feature_2", &self.feature_2())
            .field("opted_out", &outs)
            .finish()
    }
}
