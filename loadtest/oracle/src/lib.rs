//! The batch oracle: every cell computed from scratch, as simply as possible.
//!
//! The product maintains its numbers incrementally. This crate computes the same numbers in the
//! other, obvious way: fold all events into the stored state ([`fold_events`]), then go over it
//! once and write every cell ([`cells`]). Where the two differ, one of them misreads the
//! specification. For this to be evidence the oracle shares nothing with the incremental code
//! except the plain types of records, labels, settings and cells, and it prefers being plainly
//! correct to being fast: most functions take at least O(n log n) steps for each call.
//!
//! The path of a record through this crate:
//!
//! ```text
//! events ─ stored ─► stored state ─ consent ─► records, as they may be used
//!
//!                  records ─ identity ─► persons     ┐
//!                  records ─ net_sales ─► net sales  ┼─ journeys ─► conversions with their paths
//!                  records ─ wallet ─► presences     ┤        │
//!                  records ─ contacts ─► touchpoints ┤        │
//!          pings ─ device_limit ─ visits ─ matching ─► stays ┘├─ rules ─► attribution
//!                                                             ├─ markov ─► markov_month
//!                                                             └─ statistics ─► paths …
//! all cells ─ release ─► released cells
//! ```
//!
//! Four modules serve tests of the dataflow over time:
//!
//! - [`history`] generates small random worlds in which rare cases are common.
//! - [`retention`] drops the records that are past their retention, day by day. It is the only part
//!   that depends on a clock.
//! - [`cadence`] decides which released cells must be published at a time, and which must wait.
//! - [`counts`] computes the counters of a worker.
//!
//! Deliberately absent: any other notion of time (a cell depends on the stored state, never on when
//! it is computed), any cache, floating point in a result, and any code of `tributary-operators`
//! beyond its types.

#![cfg_attr(not(test), warn(clippy::float_arithmetic))]

mod attribution;
mod brand;
pub mod cadence;
mod calendar;
mod consent;
mod contacts;
pub mod counts;
mod days;
pub mod decay;
pub mod device_limit;
mod family_sums;
mod folding;
pub mod history;
mod identity;
mod journeys;
pub mod ladder;
mod lift;
pub mod markov;
mod matching;
mod months;
mod net_sales;
mod notices;
mod person;
mod release;
pub mod retention;
mod revenue;
pub mod rules;
pub mod share;
mod statistics;
mod stored;
mod touch;
mod visits;
mod wallet;
mod wide;

use tributary_operators::cell::Cell;
use tributary_operators::record::{Ping, Record};
use tributary_operators::settings::Settings;

use brand::by_brand;
pub use consent::{Withheld, withheld};
use family_sums::CountedCell;
use release::Totals;
pub use stored::{StoredState, fold_events};

/// Every released cell of every family, sorted.
///
/// Records and pings of a brand that `settings` does not contain are ignored. A cell whose values
/// are all zero does not exist. A cell is released if it has at least `k` contributors (`k_traffic`
/// for visits, none for spend), and if it does not help to compute a suppressed one; see `release`.
///
/// ```
/// use tributary_oracle::history::random;
/// use tributary_oracle::{cells, existing_cells, fold_events};
///
/// let history = random(2, 200);
/// let state = fold_events(history.batches.iter().flatten());
/// let released = cells(&history.settings, &state);
/// assert!(released.is_sorted());
/// assert!(!existing_cells(&history.settings, &state).is_empty());
/// ```
pub fn cells(settings: &Settings, held: &StoredState) -> Vec<Cell> {
    let mut cells = Vec::new();
    by_brand(settings, held, |brand, records, pings| {
        let (inside, totals) = brand_cells(brand, records, pings);
        cells.extend(release::release(brand.settings, inside, &totals));
    });
    cells.sort();
    cells
}

/// Every existing cell with its number of contributors, sorted, before the release gate.
pub fn existing_cells(settings: &Settings, held: &StoredState) -> Vec<(Cell, u64)> {
    let mut cells = Vec::new();
    by_brand(settings, held, |brand, records, pings| {
        let (inside, _) = brand_cells(brand, records, pings);
        let inside = inside.into_iter();
        cells.extend(inside.map(|counted| (counted.cell, counted.contributors)));
    });
    cells.sort();
    cells
}

/// The cells of one brand before the gate, and the totals that the gate needs. Brands never mix.
fn brand_cells(
    brand: &brand::Brand,
    records: &[&Record],
    pings: &[&Ping],
) -> (Vec<CountedCell>, Totals) {
    let notice_days = notices::notice_days(brand, &consent::allowed_statements(records));
    let records = &consent::allowed_records(brand.settings, records, brand.link_time);
    let identity = identity::Identity::of(brand.settings, records);
    let net_sales = net_sales::NetSales::of(brand.settings, records);
    let stays = &matching::stays(brand.settings, records, pings);
    let mut journeys =
        journeys::Journeys::of(brand.settings, &identity, &net_sales, records, stays);
    if brand.settings.noise.is_some() {
        journeys.conversions.retain(|of| of.visit.is_none());
    }

    let mut cells = Vec::new();
    let days = days::Days::of(brand, &journeys, &net_sales);
    let traced = statistics::Traced::all(brand, &journeys);
    let mut months = statistics::totals(brand, &traced);
    for month in days.unsafe_months(brand) {
        months.remove(&month);
    }
    let touched = days.touched(brand);
    cells.extend(attribution::cells(brand, &journeys, &net_sales));
    cells.extend(revenue::cells(brand, &journeys, &net_sales));
    cells.extend(contacts::campaign_days(brand, &identity, records));
    cells.extend(contacts::spend_days(brand, records));
    cells.extend(months::cells(brand, &identity, &journeys));
    cells.extend(statistics::cells(brand, &traced));
    // Beside other numbers of the same acts they are shown by a gate that hides nothing alone.
    if brand.settings.k <= 1 && brand.settings.k_delta() <= 1 && brand.settings.noise.is_none() {
        cells.extend(wallet::wallet_days(brand, records));
        cells.extend(wallet::redemption_days(brand, &identity, records));
    }
    cells.extend(notice_days);
    let at_till = journeys::known_at_till(brand.settings, &identity, records, stays);
    cells.extend(matching::cells(brand, stays, &at_till));
    cells.extend(lift::cells(brand, &identity, &journeys, records));
    cells.extend(visits::cells(brand, pings));
    cells.extend(identity.cell(brand));
    (cells, Totals { months, touched })
}
