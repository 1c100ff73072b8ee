//! Persons, as [`identity`](crate::identity) finds them.

use tributary_operators::record::Pseudonym;

/// A person: one of its pseudonyms, the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Person(pub(crate) Pseudonym);
