//! Policies: the statements of a data subject, and what follows for the records that name one of their identifiers.
//!
//! A [`Statement`] is one consent or one exercised right. A [`Policy`] is the combined effect of all statements about one
//! identifier ([`crate::statement_order`]). The policies of all identifiers of a record decide in [`crate::policy_filter`]
//! whether the record counts: the outcome is an [`Admission`] or a [`WithholdReason`].

use serde::{Deserialize, Serialize};

use crate::allowed_uses::AllowedUses;
use crate::record::{ConsentString, IdSet, Right};

/// A statement about one identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Statement {
    /// A consent: the allowed uses, and the consent string behind them if it carries its own date.
    Consent(AllowedUses, Option<ConsentString>),
    /// A right was exercised (`true`) or withdrawn (`false`).
    Right(Right, bool),
}

/// The combined effect of all statements about one identifier. The default is the policy without any statement.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Policy {
    /// The allowed uses, or `None` without a consent statement.
    pub allowed: Option<AllowedUses>,
    /// Whether processing is restricted: its records are excluded from all cells.
    pub restricted: bool,
    /// Whether sharing with partners is refused.
    pub do_not_sell: bool,
}

/// The uses for which a record counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The reduced identifier set of a record that may not link all of its identifiers.
    pub reduced: Option<IdSet>,
    /// Whether the record may receive attribution credit.
    pub credit: bool,
    /// Whether the record may join web contacts with in-store transactions.
    pub joins: bool,
}

/// The reason why a record is excluded from all cells. The first applicable variant wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithholdReason {
    /// A right restricts its processing.
    Restricted,
    /// Its source requires consent, and there is no consent statement.
    NoConsent,
    /// The consent statements refuse it.
    Refused,
}
