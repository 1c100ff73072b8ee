//! Parties and legal bases: who wants to process, and on what ground it says that it may.
//!
//! The two bases are those of the Transparency and Consent Framework, consent and legitimate interest («The Global Vendor
//! List», `purposes`, `legIntPurposes`, `flexiblePurposes`).

/// Who wants to process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// A vendor of the Global Vendor List, by its id.
    Vendor(u16),
    /// The publisher itself: a brand on its own site, for its own purposes (segment `PublisherTC`).
    Publisher,
}

/// On which legal basis a party declared a purpose.
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
    /// Either of them, consent first, as far as the publisher allows: for one who is bound to no vendor list.
    ConsentOrLegitimateInterest,
}
