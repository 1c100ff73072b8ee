//! Months that are released by the ladder: their rows, the pattern in use, and what is published.
//!
//! A month of one kind and currency is a group of its own, with its revenue and all that its conversions are credited to.
//! It counts finished days only and leaves whole, in a batch; the rule itself is [`crate::release`]. The day in progress
//! publishes its revenue alone ([`progress`]).
//!
//! | file | concept |
//! |---|---|
//! | [`group`] | a month: its rows, the pattern in use, what is published |
//! | [`packed_row`] | a row in few bytes |
//! | [`rows`] | the rows of a month, now and as last published |
//! | [`progress`] | the revenue of the days in progress |
//! | [`look`] | whether a month leaves with a batch, and what changes outside |
//! | [`plan`] | the next publication of a month |
//! | [`held_back`] | how many cells a month holds back |
//! | [`naming`] | the cells of a publication, and patterns read back from them |
//! | [`path_cells`] | assists and the Markov model of a month |
//! | [`panel_rows`] | the panel of a month |
//! | [`comparison`] | the cells of exposed and unexposed persons |
//! | [`place`] | where a restored cell belongs |
//! | [`published`] | published cells by name |
//! | [`was_published`] | what a restart under a stricter gate withdrew |
//! | [`turn`] | the part of the ladder in an epoch of the operator |

mod comparison;
mod group;
mod held_back;
mod look;
mod naming;
mod packed_row;
mod panel_rows;
mod path_cells;
mod place;
mod plan;
mod progress;
mod published;
mod rows;
mod turn;
mod was_published;

pub(super) use group::LadderGroup;
pub(super) use held_back::HeldBack;
pub(super) use look::{Look, LookResult};
pub(super) use place::{Candidate, Place, place};
pub(super) use plan::Permit;
pub(super) use published::published_bytes;
pub(super) use turn::updates_of;
