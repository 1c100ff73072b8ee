//! Privacy: rights of data subjects, objections, and retention (GDPR, Articles
//! 5(1)(e), 12 to 22).

// Requests and the messages of the broker come from outside: handling them must not panic.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod erased;
pub mod objections;
pub mod retention;
pub mod retention_pass;
pub mod rights;
pub mod settling;
pub mod tombstone_copies;
