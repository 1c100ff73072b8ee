//! Contacts and visits of a month, for brands whose months are released by the ladder.
//!
//! All contacts of a month are one group, and so are all visits: each counts finished days only and leaves whole, in a batch.
//! Nobody knows a total of theirs, so that what is too small at the end is held back. The rule is
//! [`crate::release::grain`]; contacts need `k` contributors, each with at most the dominance share of the
//! contacts, visits `k_traffic` devices, without random addresses, of which one device has many. Whoever sends contacts or passes a store is counted: no conversion hides among them.
//!
//! | file | concept |
//! |---|---|
//! | [`contacts`] | the contacts of a month, now and as last published |
//! | [`visits`] | the visits of a month, now and as last published |
//! | [`group`] | a month: the pattern in use, what it publishes next |
//! | [`naming`] | the cells of a pattern, and patterns read back from them |
//! | [`turn`] | its part in an epoch of the operator |

mod contacts;
mod group;
mod naming;
mod turn;
mod visits;

pub(super) use group::{TrafficCandidate, TrafficGroup};
