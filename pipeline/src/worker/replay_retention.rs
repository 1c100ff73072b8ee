//! Retention in a replay: passes according to the clock of the trace.
//!
//! The clock is the newest arrival. Whenever a UTC day begins by it, a pass
//! covers the records so far, as in a worker that was always running, also for
//! each day on which nothing arrived. The first day has nothing to cover. What
//! is retracted therefore depends on the trace alone, and neither on the size
//! of batches nor on the number of workers (invariant I1).
//!
//! An epoch ends where a day does and carries the queries; the next one carries
//! the retractions. The queries are answered while the messages of that epoch
//! are collected. If links of a brand expire, they are evaluated as of the day
//! of the last pass. The same passes settle sightings
//! ([`crate::privacy::settling`]).

use std::pin::Pin;

use futures::future::{FutureExt, try_join, try_join_all};
use tributary_config::model::{Brand, Config};
use tributary_operators::record::{Arrival, BrandId};
use tributary_operators::retention_query::ExpiredSet;

use crate::epochs::clock::first_unsettled;
use crate::epochs::queries::Queries;
use crate::epochs::queries::WorkerStopped;
use crate::privacy::retention::{Category, Retention};
use crate::privacy::retention_pass::{link_times, past, with_link_ttl};
use crate::privacy::settling::Settlement;

/// Length of a day in milliseconds.
const DAY: i64 = 86_400_000;

/// What is to be done on a day.
pub struct OfDay {
    /// The day, since 1970-01-01.
    day: i64,
    /// For each brand, the records that are past their retention.
    pub expired: Vec<(BrandId, ExpiredSet)>,
    /// For each brand, what is left of sightings that are to be settled.
    pub settlements: Vec<Settlement>,
}

/// A pass that waits for its answers: the first of several days on which any
/// record is past its retention or any sighting is to be settled, or `None`.
pub type Answers = Pin<Box<dyn Future<Output = Result<Option<OfDay>, WorkerStopped>>>>;

/// The state of the passes of a replay.
pub struct ReplayRetention {
    /// Queries to the dataflow.
    queries: Queries,
    /// Retention of each brand.
    brands: Vec<(BrandId, Retention)>,
    /// Brands whose links expire.
    links: Vec<BrandId>,
    /// Brands whose sightings are settled.
    settles: Vec<Brand>,
    /// The UTC day of the newest arrival, days since 1970; none before the first.
    day: Option<i64>,
    /// The pass that waits for its answers.
    under_way: Option<UnderWay>,
    /// Number of retracted records, by [`Category`].
    expired: [u64; Category::ALL.len()],
}

/// A pass that waits for its answers.
pub struct UnderWay {
    /// What it waits for.
    pub answers: Answers,
    /// The last day that the pass covers.
    last: i64,
    /// Place in the order of arrival of its retractions: after everything the pass
    /// covers.
    pub arrival: Arrival,
}

impl ReplayRetention {
    /// The state before the first message. Sightings are settled only with
    /// `settles`.
    pub fn new(config: &Config, queries: Queries, settles: bool) -> ReplayRetention {
        let brands = config.brands.iter();
        ReplayRetention {
            queries,
            links: with_link_ttl(config),
            settles: match settles {
                true => brands
                    .clone()
                    .filter(|of| of.has_partners())
                    .cloned()
                    .collect(),
                false => Vec::new(),
            },
            brands: brands
                .map(|brand| (BrandId::of(&brand.name), Retention::of(brand)))
                .collect(),
            day: None,
            under_way: None,
            expired: Default::default(),
        }
    }

    /// Advances the clock to an arrival, Unix milliseconds. Returns the first and
    /// last of the days that begin by it.
    pub fn turn(&mut self, at: i64) -> Option<(i64, i64)> {
        let day = at.div_euclid(DAY);
        let before = self.day.replace(self.day.map_or(day, |now| now.max(day)));
        before
            .filter(|before| *before < day)
            .map(|before| (before + 1, day))
    }

    /// Begins the passes of several days, as of a place in the order of arrival.
    /// Their queries wait for the next epoch.
    pub fn begin(&mut self, first: i64, last: i64, arrival: Arrival) {
        let work = Work {
            queries: self.queries.clone(),
            brands: self.brands.clone(),
            links: self.links.clone(),
            settles: self.settles.clone(),
        };
        let mut answers: Answers = Box::pin(first_day(work, first, last));
        // Without a brand there is nothing to wait for.
        if (&mut answers).now_or_never().is_none() {
            self.under_way = Some(UnderWay {
                answers,
                last,
                arrival,
            });
        }
    }

    /// Takes the pass that waits for its answers.
    pub fn take(&mut self) -> Option<UnderWay> {
        self.under_way.take()
    }

    /// Takes note of what the answers of a pass found. Begins the pass for the days
    /// that are left.
    pub fn found(&mut self, pass: &UnderWay, found: &OfDay) {
        let OfDay {
            day, expired: all, ..
        } = found;
        for (category, expired) in Category::ALL.into_iter().zip(&mut self.expired) {
            *expired += all
                .iter()
                .map(|(_, past)| past.count(category))
                .sum::<u64>();
        }
        if *day < pass.last {
            self.begin(day + 1, pass.last, pass.arrival);
        }
    }

    /// Number of retracted records, by [`Category`].
    pub fn expired(&self) -> [u64; Category::ALL.len()] {
        self.expired
    }

    /// For each brand, the time in Unix milliseconds before which evidence of
    /// consent is past its retention; empty before the first pass.
    pub fn evidence_before(&self) -> Vec<(BrandId, i64)> {
        let day = self.day.into_iter();
        day.flat_map(|day| self.brands.iter().map(move |brand| (day, brand)))
            .map(|(day, (id, retention))| (*id, retention.cutoffs(day * DAY).consent))
            .collect()
    }
}

/// What passes ask, and of which brands.
struct Work {
    queries: Queries,
    brands: Vec<(BrandId, Retention)>,
    links: Vec<BrandId>,
    settles: Vec<Brand>,
}

impl Work {
    /// Evaluates the links as of a day.
    async fn turn(&self, day: i64) -> Result<(), WorkerStopped> {
        if self.links.is_empty() {
            return Ok(());
        }
        let times = link_times(self.links.iter().copied(), day * DAY);
        self.queries.apply(times).await.ok_or(WorkerStopped)?;
        Ok(())
    }

    /// What is to be done on a day. Each day has its own links: a day later there are
    /// fewer, and no less is past its time.
    async fn on(&self, day: i64) -> Result<OfDay, WorkerStopped> {
        self.turn(day).await?;
        let queries = &self.queries;
        let expired = self.brands.iter().map(|(id, retention)| async move {
            let (past, _) = past(queries, *id, retention, day * DAY).await?;
            Ok((*id, past))
        });
        let settlements = self.settles.iter().filter_map(|brand| {
            let (before, _) = first_unsettled(brand, day * DAY)?;
            Some(Settlement::find(queries, BrandId::of(&brand.name), before))
        });
        let (mut expired, mut settlements): (Vec<(BrandId, ExpiredSet)>, Vec<Settlement>) =
            try_join(try_join_all(expired), try_join_all(settlements)).await?;
        expired.retain(|(_, past)| !past.records.is_empty());
        settlements.retain(Settlement::is_needed);
        Ok(OfDay {
            day,
            expired,
            settlements,
        })
    }
}

impl OfDay {
    /// Whether there is nothing to do.
    fn is_empty(&self) -> bool {
        self.expired.is_empty() && self.settlements.is_empty()
    }
}

/// The first of several days on which any record is past its retention or any
/// sighting is to be settled.
///
/// A binary search, because both are monotonic while no message is fed: what is to
/// be done on a day is so on every later one. If nothing is on the last day,
/// nothing is on any.
///
/// # Errors
///
/// [`WorkerStopped`].
async fn first_day(
    work: Work,
    mut first: i64,
    mut last: i64,
) -> Result<Option<OfDay>, WorkerStopped> {
    let mut found = work.on(last).await?;
    if found.is_empty() {
        return Ok(None);
    }
    while first < last {
        let middle = first + (last - first) / 2;
        match work.on(middle).await? {
            nothing if nothing.is_empty() => first = middle + 1,
            earlier => (last, found) = (middle, earlier),
        }
    }
    work.turn(last).await?;
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_once_and_none_is_left_out() {
        let mut passes = ReplayRetention {
            queries: Queries::default(),
            brands: Vec::new(),
            links: Vec::new(),
            settles: Vec::new(),
            day: None,
            under_way: None,
            expired: Default::default(),
        };
        let mut turn = |day: i64, ms: i64| passes.turn(day * DAY + ms);
        // At the start nothing is held.
        assert_eq!(turn(20_000, 5), None);
        assert_eq!(turn(20_000, DAY - 1), None);
        assert_eq!(turn(20_001, 0), Some((20_001, 20_001)));
        // A late arrival reverts nothing.
        assert_eq!(turn(19_000, 0), None);
        assert_eq!(turn(20_001, 7), None);
        assert_eq!(turn(20_005, 0), Some((20_002, 20_005)));
    }
}
