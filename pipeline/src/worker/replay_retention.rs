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
//! of the last pass.

use std::pin::Pin;

use futures::future::{FutureExt, try_join_all};
use tributary_config::model::Config;
use tributary_operators::record::{Arrival, BrandId};
use tributary_operators::retention_query::ExpiredSet;

use crate::epochs::queries::Queries;
use crate::epochs::queries::WorkerStopped;
use crate::privacy::retention::{Category, Retention};
use crate::privacy::retention_pass::{link_times, past, with_link_ttl};

/// Length of a day in milliseconds.
const DAY: i64 = 86_400_000;

/// A day (since 1970-01-01), and for each brand the records that are past their
/// retention on it.
pub type OfDay = (i64, Vec<(BrandId, ExpiredSet)>);

/// A pass that waits for its answers: the first of several days on which any
/// record is past its retention, or `None`.
pub type Answers = Pin<Box<dyn Future<Output = Result<Option<OfDay>, WorkerStopped>>>>;

/// The state of the passes of a replay.
pub struct ReplayRetention {
    /// Queries to the dataflow.
    queries: Queries,
    /// Retention of each brand.
    brands: Vec<(BrandId, Retention)>,
    /// Brands whose links expire.
    links: Vec<BrandId>,
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
    /// The state before the first message.
    pub fn new(config: &Config, queries: Queries) -> ReplayRetention {
        let brands = config.brands.iter();
        ReplayRetention {
            queries,
            links: with_link_ttl(config),
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
        let (queries, brands, links) = (
            self.queries.clone(),
            self.brands.clone(),
            self.links.clone(),
        );
        let mut answers: Answers = Box::pin(first_day(queries, brands, links, first, last));
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

    /// The records to retract according to the answers of a pass. Begins the pass
    /// for the days that are left.
    pub fn found(&mut self, pass: &UnderWay, found: Option<OfDay>) -> Vec<(BrandId, ExpiredSet)> {
        let Some((day, all)) = found else {
            return Vec::new();
        };
        for (category, expired) in Category::ALL.into_iter().zip(&mut self.expired) {
            *expired += all
                .iter()
                .map(|(_, past)| past.count(category))
                .sum::<u64>();
        }
        if day < pass.last {
            self.begin(day + 1, pass.last, pass.arrival);
        }
        all
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

/// The first of several days on which any record is past its retention, with
/// these records.
///
/// A binary search, because expiry is monotonic while no message is fed: what
/// is past its retention on a day is so on every later one. If nothing is on
/// the last day, nothing is on any.
///
/// # Errors
///
/// [`WorkerStopped`].
async fn first_day(
    queries: Queries,
    brands: Vec<(BrandId, Retention)>,
    links: Vec<BrandId>,
    mut first: i64,
    mut last: i64,
) -> Result<Option<OfDay>, WorkerStopped> {
    // Each day has its own links. A day later fewer link, and no less is past its time.
    let turn = async |day: i64| match links.is_empty() {
        true => Ok(()),
        false => {
            let times = link_times(links.iter().copied(), day * DAY);
            queries.apply(times).await.ok_or(WorkerStopped).map(drop)
        }
    };
    let on = async |day: i64| {
        turn(day).await?;
        let all = brands.iter().map(|(id, retention)| {
            let queries = &queries;
            async move {
                let (past, _) = past(queries, *id, retention, day * DAY).await?;
                Ok((*id, past))
            }
        });
        let mut all: Vec<(BrandId, ExpiredSet)> = try_join_all(all).await?;
        all.retain(|(_, past)| !past.records.is_empty());
        Ok::<_, WorkerStopped>(all)
    };
    let mut found = on(last).await?;
    if found.is_empty() {
        return Ok(None);
    }
    while first < last {
        let middle = first + (last - first) / 2;
        match on(middle).await? {
            nothing if nothing.is_empty() => first = middle + 1,
            earlier => (last, found) = (middle, earlier),
        }
    }
    turn(last).await?;
    Ok(Some((last, found)))
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
