//! The batch oracle: every number from scratch, as simply as it can be said.
//!
//! The product keeps its numbers incrementally; this crate computes the same numbers in the other,
//! obvious way: fold all events into what is held ([`hold()`]), then go over it once and write every
//! cell ([`cells`]). Where the two differ, one of them misreads the specification. For that to mean
//! anything the oracle shares nothing with the incremental code but the plain types of records,
//! labels, settings and cells, and it prefers being plainly right to being fast.
//!
//! The way of a record through this crate:
//!
//! ```text
//! events ─ hold ─► held ─ consent ─► records, as they may be counted
//!
//!                  records ─ identity ─► persons ┐
//!                  records ─ sales ─► what is left ┼─ journeys ─► conversions with their paths
//!                  records ─ contacts ─► touches  ┘        │
//!          pings ─ crowd ─ visits                          ├─ rules ─► attribution
//!                                                          ├─ markov ─► markov_month
//!                                                          └─ statistics ─► paths …
//! all cells ─ release ─► what may be seen
//! ```
//!
//! [`waiting`] judges which of what may be seen a reader knows already, and what waits for others.
//!
//! [`history`] invents small random worlds in which everything collides, for comparing the two.
//!
//! What is held depends on the clock in one way: [`retention`] drops what is past its time, day by day.
//!
//! What is absent here on purpose: time otherwise (a cell depends on what is held, never on when), any cache,
//! and any reading of `tributary-operators` beyond its types.

#![cfg_attr(not(test), warn(clippy::float_arithmetic))]

mod attribution;
mod brand;
mod calendar;
mod consent;
mod contacts;
pub mod counts;
pub mod crowd;
mod days;
pub mod decay;
mod folding;
pub mod history;
mod hold;
mod identity;
mod journeys;
pub mod ladder;
pub mod markov;
mod months;
mod person;
mod release;
pub mod retention;
pub mod rules;
mod sales;
pub mod share;
mod statistics;
mod takings;
mod tally;
mod visits;
pub mod waiting;
mod wide;

use tributary_operators::cell::Cell;
use tributary_operators::record::{Ping, Record};
use tributary_operators::settings::Settings;

use brand::by_brand;
pub use consent::{Withheld, withheld};
pub use hold::{Held, hold};
use release::Totals;
use tally::Weighed;

/// Every released cell of every family, sorted.
///
/// Records and pings of a brand that `settings` does not know are passed over. A cell whose values
/// are all zero does not exist; a cell is released when at least `k` contributors (`k_traffic` for
/// visits) stand behind it, spend always, and when it does not help to compute a hidden one.
pub fn cells(settings: &Settings, held: &Held) -> Vec<Cell> {
    let mut cells = Vec::new();
    by_brand(settings, held, |brand, records, pings| {
        let (inside, totals) = brand_cells(brand, records, pings);
        cells.extend(release::release(brand.settings, inside, &totals));
    });
    cells.sort();
    cells
}

/// Every cell that exists, and the contributors behind it, sorted: what nobody outside may see.
pub fn inside(settings: &Settings, held: &Held) -> Vec<(Cell, u64)> {
    let mut cells = Vec::new();
    by_brand(settings, held, |brand, records, pings| {
        let (inside, _) = brand_cells(brand, records, pings);
        let inside = inside.into_iter();
        cells.extend(inside.map(|weighed| (weighed.cell, weighed.contributors)));
    });
    cells.sort();
    cells
}

/// The cells of one brand before the gate: brands never mix.
fn brand_cells(
    brand: &brand::Brand,
    records: &[&Record],
    pings: &[&Ping],
) -> (Vec<Weighed>, Totals) {
    let records = &consent::lawful(brand.settings, records, brand.link_time);
    let identity = identity::Identity::of(brand.settings, records);
    let books = sales::Books::of(records);
    let journeys = journeys::Journeys::of(brand.settings, &identity, &books, records);

    let mut cells = Vec::new();
    let days = days::Days::of(&journeys, &books);
    let mut months = statistics::totals(brand, &journeys);
    for month in days.unsafe_months(brand) {
        months.remove(&month);
    }
    let touched = days.touched(brand);
    cells.extend(attribution::cells(brand, &journeys, &books));
    cells.extend(takings::cells(brand, &journeys, &books));
    cells.extend(contacts::campaign_days(brand, &identity, records));
    cells.extend(contacts::spend_days(brand, records));
    cells.extend(months::cells(brand, &identity, &journeys));
    cells.extend(statistics::cells(brand, &journeys));
    cells.extend(visits::cells(brand, pings));
    cells.extend(identity.cell(brand));
    (cells, Totals { months, touched })
}
