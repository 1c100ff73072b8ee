//! Whether a party may process for a purpose, and the one word that says why, or why not.
//!
//! The rules are those of «The Core String» (`RestrictionType`, `PurposeOneTreatment`, `IsServiceSpecific`,
//! `PurposesLITransparency`) and of the policies. A purpose needs its own bit *and* the vendor's bit on the same
//! basis; the bit for one never stands in for the other.

use crate::party::{Basis, Party};
use crate::restriction::RestrictionType;
use crate::tcf::TcString;

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Yes, because of a consent.
    Consent,
    /// Yes, because of a legitimate interest that was shown and not objected to.
    LegitimateInterest,
    /// No.
    Refused(Refusal),
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The purpose is not one of 1 to 24.
    UnknownPurpose,
    /// No registered consent management platform made the string.
    NoCmp,
    /// The string is of the global scope, which has ended.
    GlobalScope,
    /// The string does not list who was shown, which it must since TCF 2.3.
    NoDisclosedVendors,
    /// The string lists who was shown, and not this vendor.
    NotDisclosed,
    /// The publisher does not allow it, or restricts it in a way that is not defined.
    NotAllowed,
    /// The publisher requires consent, the vendor works on legitimate interest only.
    ConsentRequired,
    /// The publisher requires legitimate interest, the vendor works on consent only.
    InterestRequired,
    /// The publisher requires both bases at once.
    RestrictionsConflict,
    /// Purpose 1 was not disclosed.
    PurposeOneNotDisclosed,
    /// The string says nothing of the publisher's own purposes.
    NoPublisherSegment,
    /// The purpose is not consented to.
    NoPurposeConsent,
    /// The vendor is not consented to.
    NoVendorConsent,
    /// Legitimate interest is no basis for this purpose.
    InterestUnavailable,
    /// Legitimate interest for the purpose was not shown, or objected to.
    NoPurposeInterest,
    /// Legitimate interest of the vendor was not shown, or objected to.
    NoVendorInterest,
}

impl Outcome {
    /// Whether it is a yes.
    pub fn permitted(self) -> bool {
        !matches!(self, Self::Refused(_))
    }

    /// The reason, as a stable word for evidence and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::LegitimateInterest => "legitimate_interest",
            Self::Refused(refusal) => refusal.word(),
        }
    }
}

impl Refusal {
    /// The reason, as a stable word for evidence and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::UnknownPurpose => "unknown_purpose",
            Self::NoCmp => "no_cmp",
            Self::GlobalScope => "global_scope",
            Self::NoDisclosedVendors => "no_disclosed_vendors",
            Self::NotDisclosed => "not_disclosed",
            Self::NotAllowed => "not_allowed_by_publisher",
            Self::ConsentRequired => "consent_required_by_publisher",
            Self::InterestRequired => "interest_required_by_publisher",
            Self::RestrictionsConflict => "restrictions_conflict",
            Self::PurposeOneNotDisclosed => "purpose_one_not_disclosed",
            Self::NoPublisherSegment => "no_publisher_segment",
            Self::NoPurposeConsent => "no_purpose_consent",
            Self::NoVendorConsent => "no_vendor_consent",
            Self::InterestUnavailable => "interest_unavailable",
            Self::NoPurposeInterest => "no_purpose_interest",
            Self::NoVendorInterest => "no_vendor_interest",
        }
    }
}

/// What a publisher's restrictions leave.
#[derive(Clone, Copy, Default)]
struct Restricted {
    forbidden: bool,
    consent: bool,
    interest: bool,
}

/// The first policy version of TCF v2.2.
const V2_2: u8 = 4;

/// The first policy version of TCF v2.3.
const V2_3: u8 = 5;

/// 2026-03-01T00:00Z in tenths of a second: strings created from then on must list who was shown.
const DISCLOSURE_MANDATORY: u64 = 1_772_323_200 * 10;

impl TcString {
    /// Whether the vendor may process for the purpose on the basis that it declared.
    pub fn permits(&self, vendor: u16, purpose: u8, basis: Basis) -> Outcome {
        self.judge(Party::Vendor(vendor), purpose, basis)
            .unwrap_or_else(Outcome::Refused)
    }

    /// Whether the publisher itself may process for the purpose. Restrictions are for vendors and do not bind it.
    pub fn permits_publisher(&self, purpose: u8, basis: Basis) -> Outcome {
        self.judge(Party::Publisher, purpose, basis)
            .unwrap_or_else(Outcome::Refused)
    }

    fn judge(&self, party: Party, purpose: u8, basis: Basis) -> Result<Outcome, Refusal> {
        if !(1..=24).contains(&purpose) {
            return Err(Refusal::UnknownPurpose);
        }
        self.standing(party)?;
        let restricted = match party {
            Party::Vendor(vendor) => self.restricted(vendor, purpose),
            Party::Publisher => Restricted::default(),
        };
        let consent = || self.consent(party, purpose).map(|()| Outcome::Consent);
        let interest = || {
            self.interest(party, purpose)
                .map(|()| Outcome::LegitimateInterest)
        };
        if restricted.forbidden {
            return Err(Refusal::NotAllowed);
        }
        match (restricted.consent, restricted.interest, basis) {
            (true, true, _) => Err(Refusal::RestrictionsConflict),
            (true, false, Basis::LegitimateInterest) => Err(Refusal::ConsentRequired),
            (true, false, _) => consent(),
            (false, true, Basis::Consent) => Err(Refusal::InterestRequired),
            (false, true, _) => interest(),
            (false, false, Basis::Consent | Basis::FlexibleConsent) => consent(),
            (false, false, Basis::LegitimateInterest | Basis::FlexibleLegitimateInterest) => {
                interest()
            }
            // The reported refusal is that of consent, which the person can give.
            (false, false, Basis::ConsentOrLegitimateInterest) => {
                consent().or_else(|refusal| interest().map_err(|_| refusal))
            }
        }
    }

    /// Whether the string may speak for the party at all.
    fn standing(&self, party: Party) -> Result<(), Refusal> {
        if self.cmp_id < 2 {
            return Err(Refusal::NoCmp);
        }
        if !self.is_service_specific && self.policy_version >= V2_2 {
            return Err(Refusal::GlobalScope);
        }
        if self.must_disclose() && self.disclosed_vendors.is_none() {
            return Err(Refusal::NoDisclosedVendors);
        }
        match (party, &self.disclosed_vendors) {
            (Party::Vendor(vendor), Some(disclosed)) if !disclosed.contains(vendor) => {
                Err(Refusal::NotDisclosed)
            }
            (Party::Publisher, _) if self.publisher.is_none() => Err(Refusal::NoPublisherSegment),
            _ => Ok(()),
        }
    }

    /// Whether the string must list the vendors that were shown.
    fn must_disclose(&self) -> bool {
        self.policy_version >= V2_3 && self.created >= DISCLOSURE_MANDATORY
    }

    fn restricted(&self, vendor: u16, purpose: u8) -> Restricted {
        let mut restricted = Restricted::default();
        for entry in &self.restrictions {
            if entry.purpose == purpose && entry.vendors.contains(vendor) {
                match entry.restriction {
                    RestrictionType::NotAllowed | RestrictionType::Undefined => {
                        restricted.forbidden = true;
                    }
                    RestrictionType::RequireConsent => restricted.consent = true,
                    RestrictionType::RequireLegitimateInterest => restricted.interest = true,
                }
            }
        }
        restricted
    }

    fn consent(&self, party: Party, purpose: u8) -> Result<(), Refusal> {
        if purpose == 1 && self.purpose_one_treatment {
            return Err(Refusal::PurposeOneNotDisclosed);
        }
        let (purposes, party_too) = match party {
            Party::Vendor(vendor) => (self.purpose_consents, self.vendor_consents.contains(vendor)),
            Party::Publisher => (
                self.publisher.map(|own| own.consents).unwrap_or_default(),
                true,
            ),
        };
        match (purposes.contains(purpose), party_too) {
            (false, _) => Err(Refusal::NoPurposeConsent),
            (_, false) => Err(Refusal::NoVendorConsent),
            _ => Ok(()),
        }
    }

    fn interest(&self, party: Party, purpose: u8) -> Result<(), Refusal> {
        if purpose == 1 || ((3..=6).contains(&purpose) && self.policy_version >= V2_2) {
            return Err(Refusal::InterestUnavailable);
        }
        let (purposes, party_too) = match party {
            Party::Vendor(vendor) => (
                self.purpose_legitimate_interests,
                self.vendor_legitimate_interests.contains(vendor),
            ),
            Party::Publisher => (
                self.publisher
                    .map(|own| own.legitimate_interests)
                    .unwrap_or_default(),
                true,
            ),
        };
        match (purposes.contains(purpose), party_too) {
            (false, _) => Err(Refusal::NoPurposeInterest),
            (_, false) => Err(Refusal::NoVendorInterest),
            _ => Ok(()),
        }
    }
}
