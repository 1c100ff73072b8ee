//! Parties and legal bases: who processes, and the ground that they declare for
//! it.
//!
//! The two bases are those of the Transparency and Consent Framework, consent
//! and legitimate interest («The Global Vendor List», `purposes`,
//! `legIntPurposes`, `flexiblePurposes`), after article 6(1)(a) and (f) of the
//! GDPR.

/// Who processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// A vendor of the Global Vendor List, by its id.
    Vendor(u16),
    /// The publisher itself: a brand on its own site, for its own purposes
    /// (segment `PublisherTC`).
    Publisher,
}

/// The legal basis that a party declared for a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// Consent, not flexible.
    Consent,
    /// Legitimate interest, not flexible.
    LegitimateInterest,
    /// Consent, unless the publisher requires legitimate interest.
    FlexibleConsent,
    /// Legitimate interest, unless the publisher requires consent.
    FlexibleLegitimateInterest,
    /// Either, consent first, as far as the publisher permits: for a party that
    /// is bound to no vendor list.
    ConsentOrLegitimateInterest,
}
