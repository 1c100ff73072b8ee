//! Changes of identifier sets: what the policy filter leaves for the operators behind it.
//!
//! A use or fact of a record mostly concerns the identifier set that the record has. It is not sent then: the operator that needs it is
//! on the same worker, and finds it here.

use crate::engine::Diff;
use crate::facts::{Fact, IdSetUse};
use crate::hash_key::HashKey;
use crate::record::BrandId;

/// The brand and the key of an identifier set.
pub(crate) type IdSetKey = (BrandId, HashKey);

/// What the policy filter changed in an epoch of the sets that its records themselves have.
#[derive(Default)]
pub(crate) struct OwnChanges {
    /// The uses of sets.
    pub(crate) uses: Vec<(IdSetUse, Diff)>,
    /// The facts of the persons of sets.
    pub(crate) facts: Vec<(IdSetKey, Fact, Diff)>,
}
