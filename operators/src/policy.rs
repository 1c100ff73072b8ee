//! Policy: what the owner of an identifier has stated, and what follows for the records that name it.
//!
//! [`Statement`] is one statement, a consent or a right. [`Policy`] is what all statements about one identifier come to
//! ([`crate::statement_order`]). What the stances of all identifiers of a record come to is decided in [`crate::policy_filter`]:
//! it is [`Admission`] for something, or [`WithholdReason`] for a reason.

use serde::{Deserialize, Serialize};

use crate::allowed_uses::AllowedUses;
use crate::record::{ConsentString, IdSet, Right};

/// Something said about an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Statement {
    /// These steps are allowed, by a consent string where it was one that bears its date.
    Consent(AllowedUses, Option<ConsentString>),
    /// A right stands, or no longer.
    Right(Right, bool),
}

/// How an identifier stands. The default is that nothing was said about it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Policy {
    /// The steps that are allowed; none where nobody has said.
    pub allowed: Option<AllowedUses>,
    /// Whether its records are held out of every number.
    pub restricted: bool,
    /// Whether nothing of it is shared with partners.
    pub do_not_sell: bool,
}

/// For what a record counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The identifiers that it stands for, where it may not link all of its own.
    pub reduced: Option<IdSet>,
    /// Whether it may be credited.
    pub credit: bool,
    /// Whether web and till may meet in it.
    pub joins: bool,
}

/// Why a record is in no number. Of several causes the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithholdReason {
    /// A right restricts it.
    Restricted,
    /// Its source rests on consent, and nobody has said anything.
    NoConsent,
    /// What was said does not allow it.
    Refused,
}
