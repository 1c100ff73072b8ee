//! Whether a party may process for a purpose, with one stable word for the
//! reason.
//!
//! The rules are those of «The Core String» (`RestrictionType`,
//! `PurposeOneTreatment`, `IsServiceSpecific`, `PurposesLITransparency`) and of
//! the TCF Policies. A purpose needs its own bit *and* the vendor's bit on the
//! same basis; the bit for one basis never replaces that for the other.

use crate::party::{Basis, Party};
use crate::restriction::RestrictionType;
use crate::tcf::TcString;

/// The answer to whether a party may process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Yes, on consent.
    Consent,
    /// Yes, on a legitimate interest that was disclosed and not objected to.
    LegitimateInterest,
    /// No.
    Refused(Refusal),
}

/// Why a party may not process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The purpose is not one of 1 to 24.
    UnknownPurpose,
    /// No registered consent management platform created the string.
    NoCmp,
    /// The string has the global scope, which has ended.
    GlobalScope,
    /// The string does not list the disclosed vendors, as it must since TCF
    /// 2.3.
    NoDisclosedVendors,
    /// The string lists the disclosed vendors, and this one is not among them.
    NotDisclosed,
    /// The publisher forbids it, or restricts it in an undefined way.
    NotAllowed,
    /// The publisher requires consent; the vendor declared legitimate interest
    /// only.
    ConsentRequired,
    /// The publisher requires legitimate interest; the vendor declared consent
    /// only.
    InterestRequired,
    /// The publisher requires both bases at once.
    RestrictionsConflict,
    /// Purpose 1 was not disclosed.
    PurposeOneNotDisclosed,
    /// The string does not state the publisher's own permissions.
    NoPublisherSegment,
    /// The person did not consent to the purpose.
    NoPurposeConsent,
    /// The person did not consent to the vendor.
    NoVendorConsent,
    /// Legitimate interest is no basis for this purpose.
    InterestUnavailable,
    /// Legitimate interest for the purpose was not disclosed, or was objected
    /// to.
    NoPurposeInterest,
    /// Legitimate interest of the vendor was not disclosed, or was objected to.
    NoVendorInterest,
}

impl Outcome {
    /// Whether the answer is yes.
    pub fn permitted(self) -> bool {
        !matches!(self, Self::Refused(_))
    }

    /// The stable name of the reason, for evidence and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::LegitimateInterest => "legitimate_interest",
            Self::Refused(refusal) => refusal.word(),
        }
    }
}

impl Refusal {
    /// The stable name of the reason, for evidence and metrics.
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

/// What the restrictions of a publisher leave for one vendor and purpose.
#[derive(Clone, Copy, Default)]
struct Restricted {
    /// Processing is not allowed.
    forbidden: bool,
    /// Only consent is a basis.
    consent: bool,
    /// Only legitimate interest is a basis.
    interest: bool,
}

/// The policy version of TCF v2.2.
const V2_2: u8 = 4;

/// The policy version of TCF v2.3.
const V2_3: u8 = 5;

/// 2026-03-01T00:00Z in tenths of a second: strings created from then on must
/// list the disclosed vendors.
const DISCLOSURE_MANDATORY: u64 = 1_772_323_200 * 10;

impl TcString {
    /// Whether a vendor may process for a purpose on the basis that it
    /// declared.
    ///
    /// ```
    /// use tributary_consent::{Basis, Outcome, Refusal, TcString};
    ///
    /// let string = TcString::parse("COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA")?;
    /// assert_eq!(string.permits(6, 1, Basis::Consent), Outcome::Consent);
    /// assert_eq!(
    ///     string.permits(7, 1, Basis::Consent),
    ///     Outcome::Refused(Refusal::NoVendorConsent)
    /// );
    /// # Ok::<(), tributary_consent::Malformed>(())
    /// ```
    pub fn permits(&self, vendor: u16, purpose: u8, basis: Basis) -> Outcome {
        self.judge(Party::Vendor(vendor), purpose, basis)
            .unwrap_or_else(Outcome::Refused)
    }

    /// Whether the publisher itself may process for a purpose. Restrictions
    /// apply to vendors only.
    pub fn permits_publisher(&self, purpose: u8, basis: Basis) -> Outcome {
        self.judge(Party::Publisher, purpose, basis)
            .unwrap_or_else(Outcome::Refused)
    }

    /// The rules, in the order in which refusals take precedence.
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

    /// Whether the string is valid for the party at all.
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

    /// Whether the string must list the disclosed vendors.
    fn must_disclose(&self) -> bool {
        self.policy_version >= V2_3 && self.created >= DISCLOSURE_MANDATORY
    }

    /// The restrictions of the publisher on a vendor and a purpose, combined.
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

    /// Whether the person consented to the purpose and the party.
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

    /// Whether legitimate interest for the purpose and the party was disclosed
    /// and not objected to.
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
