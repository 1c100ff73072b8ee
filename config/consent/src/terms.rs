//! The party for which a signal is read, and the legal basis that it declared for each purpose.

use crate::numbers::Numbers;
use crate::party::{Basis, Party};
use crate::vendor_list::Vendor;

/// What a party declared. A purpose without a basis is never allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    party: Party,
    bases: [Option<Basis>; PURPOSES],
    special_features: Numbers,
    feature_2: bool,
}

/// The policies know purposes 1 to 11.
pub(crate) const PURPOSES: usize = 11;

impl Terms {
    /// A party that declared nothing yet.
    pub fn new(party: Party) -> Self {
        Self {
            party,
            bases: [None; PURPOSES],
            special_features: Numbers::NONE,
            feature_2: false,
        }
    }

    /// What a vendor declared in the vendor list. A deleted vendor declares nothing any more.
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

    /// Declares a purpose, from 1 to 11; others change nothing.
    #[must_use]
    pub fn with(mut self, purpose: u8, basis: Basis) -> Self {
        let place = usize::from(purpose).checked_sub(1);
        if let Some(slot) = place.and_then(|place| self.bases.get_mut(place)) {
            *slot = Some(basis);
        }
        self
    }

    /// Declares the special features: 1 precise position, 2 scanning of the device.
    #[must_use]
    pub fn with_special_features(mut self, special_features: Numbers) -> Self {
        self.special_features = special_features;
        self
    }

    /// Declares, or not, that different devices are linked (feature 2).
    #[must_use]
    pub fn with_feature_2(mut self, disclosed: bool) -> Self {
        self.feature_2 = disclosed;
        self
    }

    /// The party.
    pub fn party(&self) -> Party {
        self.party
    }

    /// The basis of a purpose, if it was declared.
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
