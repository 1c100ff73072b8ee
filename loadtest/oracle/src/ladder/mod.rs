//! The release of months: what is too small to be published goes up to a coarser cell.
//!
//! Every contribution is counted in one cell, the finest published one that it belongs to; a coarser cell is the rest of what
//! its name says. What of a family leaves together is a group: the conversions of a month by kind and currency with
//! everything that credits them, the contacts of a month, and its visits. A ladder counts finished days; of a day in
//! progress nothing but revenue is published, per store and day with `k` contributors.
//!
//! [`decide`] says which cells are safe in a state by itself. [`Releases`] is about time: a pattern of cells that has been
//! published can only be changed in such steps that two releases together show nothing small. The first release of a
//! group is the decision alone, which is what [`cells`] gives.
//!
//! ```text
//! records, pings ─ contribution ─► contributions ─ decide ─► pattern ─ cells ─► cells
//!                                       │                       ▲
//!                                       └── take_over ◄─ pattern of the batch before
//! ```

mod cells;
mod comparison;
mod contribution;
mod contributor;
mod decide;
mod markov;
mod name;
mod panel;
mod pattern;
mod releases;
mod rule;
mod sales;
mod take_over;
mod threshold;
mod traffic;

use tributary_operators::cell::Cell;
use tributary_operators::record::{BrandId, Day};
use tributary_operators::settings::Settings;

use crate::brand::by_brand;
use crate::release::{self, Totals};
use crate::stored::StoredState;
use crate::{consent, contacts, identity, notices};
pub use releases::{Group, Releases, Topic};
pub use rule::{NULL_VALUE, Rule};

/// Every cell of a first release, sorted, where `is_finished` says which days of a brand are over.
///
/// A brand with a `k` up to 1 has no ladder and is passed over. Identity, notices and spend are released as without one.
pub fn cells(
    settings: &Settings,
    held: &StoredState,
    rule: &Rule,
    is_finished: impl Fn(BrandId, Day) -> bool,
) -> Vec<Cell> {
    let mut cells = Releases::new(settings, rule).batch(held, &is_finished, |_| true);
    let mut others = settings.clone();
    others.brands.retain(|_, brand| brand.k > 1);
    by_brand(&others, held, |brand, records, _| {
        let notices = notices::notice_days(brand, &consent::allowed_statements(records));
        let records = consent::allowed_records(brand.settings, records, brand.link_time);
        let identity = identity::Identity::of(brand.settings, &records);
        let mut inside = contacts::spend_days(brand, &records);
        inside.extend(notices);
        inside.extend(identity.cell(brand));
        cells.extend(release::release(brand.settings, inside, &Totals::default()));
    });
    cells.sort();
    cells
}
