//! The terms of a party: the legal basis that it declared for each purpose, and
//! its features.

use crate::numbers::Numbers;
use crate::party::{Basis, Party};
use crate::vendor_list::Vendor;

/// What a party declared. A purpose without a basis is never allowed.
///
/// ```
/// use tributary_consent::{Basis, Party, Terms};
///
/// let terms = Terms::new(Party::Vendor(755)).with(7, Basis::LegitimateInterest);
/// assert_eq!(terms.basis(7), Some(Basis::LegitimateInterest));
/// assert_eq!(terms.basis(8), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    party: Party,
    /// The basis of purpose `n` at index `n - 1`.
    bases: [Option<Basis>; PURPOSES],
    special_features: Numbers,
    feature_2: bool,
}

/// The number of purposes of the TCF Policies, from 1.
pub(crate) const PURPOSES: usize = 11;

impl Terms {
    /// A party that has declared nothing.
    pub fn new(party: Party) -> Self {
        Self {
            party,
            bases: [None; PURPOSES],
            special_features: Numbers::NONE,
            feature_2: false,
        }
    }

    /// The declarations of a vendor in the vendor list. A deleted vendor
    /// declares nothing.
    pub fn of(vendor: &Vendor) -> Self {
        let terms = Self::new(Party::Vendor(vendor.id));
        if vendor.deleted {
            return terms;
        }
        (1..=PURPOSES as u8)
            .fold(terms, |terms, purpose| match vendor.basis(purpose) {
                Some(basis) => terms.with(purpose, basis),
                None => terms,
            })
            .with_special_features(vendor.special_features)
            .with_feature_2(vendor.features.contains(2))
    }

    /// Declares a purpose, of 1 to 11; others change nothing.
    #[must_use]
    pub fn with(mut self, purpose: u8, basis: Basis) -> Self {
        let place = usize::from(purpose).checked_sub(1);
        if let Some(slot) = place.and_then(|place| self.bases.get_mut(place)) {
            *slot = Some(basis);
        }
        self
    }

    /// Declares the special features: 1 precise geolocation, 2 active scanning
    /// of the device.
    #[must_use]
    pub fn with_special_features(mut self, special_features: Numbers) -> Self {
        self.special_features = special_features;
        self
    }

    /// Declares whether different devices are linked (feature 2).
    #[must_use]
    pub fn with_feature_2(mut self, disclosed: bool) -> Self {
        self.feature_2 = disclosed;
        self
    }

    /// The party of the terms.
    pub fn party(&self) -> Party {
        self.party
    }

    /// The declared basis of a purpose; `None` if it is not declared.
    pub fn basis(&self, purpose: u8) -> Option<Basis> {
        let place = usize::from(purpose).checked_sub(1)?;
        self.bases.get(place).copied().flatten()
    }

    /// The special features that were declared.
    pub fn special_features(&self) -> Numbers {
        self.special_features
    }

    /// Whether linking different devices was declared.
    pub fn feature_2(&self) -> bool {
        self.feature_2
    }
}
