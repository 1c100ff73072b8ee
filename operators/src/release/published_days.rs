//! Which days a month has published: those that were over when it last published anything.
//!
//! A day that was not over then is *new*: nobody knows anything of it, and it falls in by the rule. A day that was over is not,
//! even if it had no sales then. What comes to it later belongs to the published cells, as the rest of the month if to no
//! other. So the time of the last publication decides alone, and a restart reads it from the published cells. What they
//! counted is not in them.
//!
//! A day of stays is over when a daily pass has settled its sightings. Those that a late pass settles come to a day that was over.

use crate::record::Day;
use crate::release::table::RevenueKind;

/// The days that were over at the last publication of a month that changed anything outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedDays {
    /// The last finished day at that time.
    pub through: Day,
    /// The days after a day by which its sightings are settled, if no pass is late.
    pub settles_in: Day,
}

impl PublishedDays {
    /// Whether a day was not over yet.
    pub fn is_new(&self, day: Day, kind: RevenueKind) -> bool {
        counting_day(day, kind, self.settles_in) > self.through
    }
}

/// The day from the end of which on a month counts the sales or stays of a day.
pub fn counting_day(day: Day, kind: RevenueKind, settles_in: Day) -> Day {
    match kind {
        RevenueKind::Sale => day,
        RevenueKind::Stay => day.saturating_add(settles_in),
    }
}
