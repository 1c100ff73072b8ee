//! What a person allows one party: the one result of every kind of signal.
//!
//! A value of four bytes, comparable and self-contained: a dataflow stores one
//! for each person and sees a withdrawal as a change of value.
//! [`Allowed::default`] allows nothing and represents the absence of a signal.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::numbers::Numbers;
use crate::party::Party;
use crate::permit::Outcome;
use crate::tcf::TcString;
use crate::terms::{PURPOSES, Terms};

/// The purposes, special features and feature 2 that a person allows, and the
/// opt-outs.
///
/// Without an allowed purpose no feature is allowed either, because a feature
/// is a means to a purpose.
///
/// ```
/// use tributary_consent::{Basis, Boxes, Party, Terms};
///
/// let terms = Terms::new(Party::Publisher).with(1, Basis::Consent).with(7, Basis::Consent);
/// let allowed = Boxes::read([("1", true), ("7", false)])?.allowed(&terms);
/// assert_eq!(allowed.purposes().iter().collect::<Vec<_>>(), [1]);
/// # Ok::<(), tributary_consent::Malformed>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Allowed {
    /// Bit `n - 1` is purpose `n`, from 1 to 11.
    purposes: u16,
    /// Bit `n - 1` is special feature `n`, 1 or 2.
    special_features: u8,
    /// [`FEATURE_2`] and the flags of [`OptOut`].
    flags: u8,
}

/// What a person can opt out of where processing is lawful until they do (US
/// state privacy laws).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptOut {
    /// The sale of personal data.
    Sale,
    /// The sharing of personal data with third parties.
    Sharing,
    /// The use of personal data for targeted advertising.
    TargetedAdvertising,
    /// The use of a precise geolocation.
    PrecisePosition,
}

/// The flag of feature 2, linking different devices.
const FEATURE_2: u8 = 1;

impl OptOut {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Sale,
        Self::Sharing,
        Self::TargetedAdvertising,
        Self::PrecisePosition,
    ];

    /// The flag in [`Allowed`]. Flags are stored and never change.
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
    /// Whether a purpose is allowed; false for purposes beyond 11.
    pub fn purpose(self, purpose: u8) -> bool {
        self.purposes().contains(purpose)
    }

    /// The allowed purposes, of 1 to 11.
    pub fn purposes(self) -> Numbers {
        Numbers::from_field(u64::from(self.purposes.reverse_bits()), 16)
    }

    /// Whether a special feature is allowed: 1 precise geolocation, 2 active
    /// scanning of the device.
    pub fn special_feature(self, feature: u8) -> bool {
        self.special_features().contains(feature)
    }

    /// The allowed special features, of 1 and 2.
    pub fn special_features(self) -> Numbers {
        Numbers::from_field(u64::from(self.special_features.reverse_bits()), 8)
    }

    /// Whether linking different devices (feature 2) was disclosed and any
    /// purpose is allowed.
    pub fn feature_2(self) -> bool {
        self.flags & FEATURE_2 != 0
    }

    /// Whether the person opted out, or received no notice of the choice.
    pub fn opted_out(self, of: OptOut) -> bool {
        self.flags & of.flag() != 0
    }

    /// Allows purposes and features, without opt-outs; purposes beyond 11 are
    /// dropped.
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

    /// Adds an opt-out; one from a precise geolocation also withdraws special
    /// feature 1.
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
    /// What the string allows a party: each declared purpose that
    /// [`TcString::permits`], and each declared special feature that the person
    /// opted in to.
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
