//! Persons, as [`identity`](crate::identity) finds them.

use tributary_operators::record::Pseudonym;

/// A person, identified by the smallest of its pseudonyms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Person(pub(crate) Pseudonym);
