//! Policy: what the owner of an identifier has stated, and what follows for the records that name it.
//!
//! [`Said`] is one statement, a consent or a right. [`Stance`] is what all statements about one identifier come to
//! ([`crate::statement_order`]). What the stances of all identifiers of a record come to is decided in [`crate::admit`].

use serde::{Deserialize, Serialize};

use crate::record::{ConsentString, Right};
use crate::steps::Steps;

/// Something said about an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Said {
    /// These steps are allowed, by a consent string where it was one that bears its date.
    Consent(Steps, Option<ConsentString>),
    /// A right stands, or no longer.
    Right(Right, bool),
}

/// How an identifier stands. The default is that nothing was said about it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Stance {
    /// The steps that are allowed; none where nobody has said.
    pub allowed: Option<Steps>,
    /// Whether its records are held out of every number.
    pub restricted: bool,
    /// Whether nothing of it is shared with partners.
    pub do_not_sell: bool,
}
