//! The release rule: which cells of a month may be published, and how they change from one release to the next.
//!
//! The numbers of a month are a table: one row per store and day, one column per channel, and in each field the credits
//! of the conversions. A cell with fewer than `k` contributors must not be published, and no published cells together may
//! determine such a sum. A single grain would hide everything of a small brand, so cells come in a *ladder* of grains:
//! what is too small at one grain is published as part of a coarser cell, *the rest* of what its name covers. Published
//! cells never overlap, so that every contribution is published exactly once.
//!
//! Published are row sums (the revenue of stores and days) and column sums (the credits of channels over a month) of a
//! table whose inside is published nowhere. Each kind adds up to the same total, with nothing unsafe left over. A sum of
//! fields that a reader can determine is therefore a union of rows or a union of columns, each of which is safe.
//!
//! # Stays
//!
//! Visits to stores are of two kinds: those of wallet passes, which `scan_day` adds up by store and day, and the stays that
//! partners saw, which `visit_match` does. The channels are credited with both, so that both are rows of one table, in places
//! of their own ([`table::RevenueKind`]): every cell of either is safe by itself, up to the rest of the day and of the month.
//! Decided together, the rest of a day would be published in two parts, of which one may be a single person.
//!
//! A stay is counted once its day is settled. Until then its weight depends on the stays that share its visits: one
//! person who withdraws would change the rows of all of them, which would pass for as many acts, and two publications would
//! give the weight of that stay to a reader who knows the others. A settled visit is a record of its device, and changes
//! alone. Stays that matched nothing are in no cell: once they are settled, nobody knows how many devices they were.
//!
//! The comparison of exposed and unexposed persons (`visit_lift`) counts the same stays once more, from the first touchpoint of
//! the month on: those that a channel is credited with for a touchpoint of the month before would be the difference of two
//! published numbers, and may be one person's. So it has a rule of its own ([`exposure`]): a channel is compared if its numbers
//! are safe, and so is what they differ by from everything else that is published of the stays. A month is compared once all
//! its days are settled: before, those who were exposed last would have no visits yet, and look like people who stay away.
//!
//! | file | concept |
//! |---|---|
//! | [`sale_row`] | what the operators send of each conversion |
//! | [`table`] | the contributions of a month |
//! | [`weight`] | the contributors behind a set of contributions, and when the set is safe |
//! | [`pattern`] | the names of the published cells, and which cell a contribution belongs to |
//! | [`revenue_names`] | the same of the cells of revenue, of which some count their members alone |
//! | [`decide`] | the first pattern of a table |
//! | [`takeover`] | how a published pattern moves towards a newly decided one without revealing a difference |
//! | `moment` | a state of the month in a takeover, and what of it is unsafe |
//! | `pieces` | what old and new cells have in common |
//! | `joining` | what becomes of cells that have become too small |
//! | [`published_days`] | which days were published |
//! | [`values`] | the values of the cells of a pattern |
//! | [`grain`] | the same for contributions whose cells form one hierarchy, with or without a known total |
//! | [`by_channel`] | assists and the Markov model, by channel of the month |
//! | [`panel_row`] | what the operators send of each member of a panel |
//! | [`exposure`] | the comparison of exposed and unexposed persons |
//! | [`traffic_name`] | the names of the cells of contacts and visits |
//!
//! Everything here is a pure function of tables and patterns: no clock, no state, no randomness. When a decision is taken
//! is up to the release gate.

pub mod by_channel;
pub mod decide;
pub mod exposure;
pub mod grain;
mod joining;
mod moment;
pub mod panel_row;
pub mod pattern;
mod pieces;
pub mod published_days;
pub mod revenue_names;
pub mod sale_row;
pub mod table;
pub mod takeover;
pub mod traffic_name;
pub mod values;
mod view;
pub mod weight;

pub use panel_row::PanelRow;
pub use pattern::{CellName, Pattern, REST};
pub use published_days::PublishedDays;
pub use revenue_names::{Member, Members, RevenueName, RevenueNames};
pub use sale_row::{RowCredit, SaleRow};
pub use table::{ChannelName, Credit, Place, RevenueKind, Sale, Table};
pub use weight::Rule;
