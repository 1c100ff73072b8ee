//! The retention pass: records past their retention are retracted and leave the
//! ledger.
//!
//! At every start and on every day the dataflow is queried for them, and they
//! are retracted like any other record: all cells follow, and the ledger is
//! rewritten without them. Input continues meanwhile, so that only the records
//! that the query returned are retracted: a correction that arrived later
//! stays, and the next pass considers it. Process 0 queries for the whole
//! cluster, and the dataflow reports the retracted records to every process.
//! The input messages have left the stream by then, because their retention
//! there is short. A replay does the same by the clock of its trace
//! ([`crate::worker::replay_retention`]), and a preview only counts
//! ([`crate::serve::services::retention_preview`]).
//!
//! A pass also advances the time as of which links are evaluated: from then on
//! a record older than the `link_ttl` of a kind no longer links identifiers of
//! that kind. The ledger stores that time, so that a restart restores the same
//! persons.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tributary_config::model::{Brand, Config};
use tributary_ledger::ErasureFilter;
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::record::BrandId;
use tributary_operators::retention_query::{ExpiredSet, RetentionQuery};

use crate::durability::command::{Erasure, LedgerCommand};
use crate::durability::standbys::Standbys;
use crate::epochs::clock::{Clocks, first_unsettled};
use crate::epochs::queries::{Queries, WorkerStopped};
use crate::otlp::spans::{Traces, Work};
use crate::privacy::erased::Erased;
use crate::privacy::retention::Retention;
use crate::privacy::settling::Settlement;
use crate::report::metrics::Metrics;

/// Interval between two checks whether a day has begun.
const LOOK: Duration = Duration::from_secs(5);

/// Length of a day in milliseconds.
const DAY: i64 = 86_400_000;

/// Events that advance the time as of which the links of `brands` are evaluated
/// to the UTC day of `now`, Unix milliseconds.
pub fn link_times(brands: impl IntoIterator<Item = BrandId>, now: i64) -> Vec<Event> {
    let at = now.div_euclid(DAY) * DAY;
    let brands = brands.into_iter();
    brands.map(|brand| Event::LinkTime { brand, at }).collect()
}

/// Brands of a configuration whose links expire.
pub fn with_link_ttl(config: &Config) -> Vec<BrandId> {
    let ends = |brand: &&Brand| brand.identity.link_ttl.values().any(Option::is_some);
    let brands = config.brands.iter().filter(ends);
    brands.map(|brand| BrandId::of(&brand.name)).collect()
}

/// Queries which records of a brand are past their retention at `now`, Unix
/// milliseconds. Returns them with the epoch as of whose end they were stored;
/// later changes are not considered.
///
/// # Errors
///
/// [`WorkerStopped`] if the dataflow ends before it has answered.
pub async fn past(
    queries: &Queries,
    brand: BrandId,
    retention: &Retention,
    now: i64,
) -> Result<(ExpiredSet, Epoch), WorkerStopped> {
    let (mut inquiry, first) = RetentionQuery::new(brand, retention.cutoffs(now));
    let (replies, as_of) = queries.submit_as_of(first).await.ok_or(WorkerStopped)?;
    let mut next = inquiry.advance(replies);
    while let Some(question) = next {
        let replies = queries.submit(question).await.ok_or(WorkerStopped)?;
        next = inquiry.advance(replies);
    }
    Ok((inquiry.into_expired(), as_of))
}

/// The daily retention pass of a running worker.
pub struct RetentionPass {
    /// The configuration.
    pub config: Config,
    /// Queries to the dataflow.
    pub queries: Queries,
    /// The task that owns the ledger.
    pub ledger_tx: mpsc::UnboundedSender<LedgerCommand>,
    /// The metrics, for the time of the last pass and its number of records.
    pub metrics: Arc<Metrics>,
    /// The traces, for each pass.
    pub traces: Traces,
    /// The clocks: nothing is retracted while they disagree.
    pub clocks: Arc<Clocks>,
    /// The tombstones of erased people, which expire as well.
    pub erased: Arc<Erased>,
    /// See [`RightsContext::settling`](crate::privacy::rights::RightsContext::settling).
    pub settling: Arc<tokio::sync::Mutex<()>>,
    /// The standbys of this process.
    pub standbys: Standbys,
}

impl RetentionPass {
    /// Executes a pass at the start and whenever a UTC day begins, until `stop`.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`].
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), WorkerStopped> {
        let mut last = None;
        let mut settled: Vec<Option<i64>> = vec![None; self.config.brands.len()];
        loop {
            let reading = self.clocks.read();
            let brands = self.config.brands.iter().zip(&mut settled).enumerate();
            // Process 0 settles for the whole cluster.
            let brands = brands.filter(|_| self.config.workers.process == 0 && reading.agrees());
            for (index, (brand, settled)) in brands {
                // By what was read: whoever reads old messages has not yet read all sightings of a day.
                let accepted = self.clocks.read_until(index).min(reading.wall);
                let day = accepted.div_euclid(DAY);
                if accepted == 0 {
                    continue;
                }
                self.report_due(brand, reading.wall);
                // While a request is worked on, it is tried again.
                if *settled != Some(day) && self.settle(brand, accepted).await? {
                    *settled = Some(day);
                }
            }
            let today = reading.wall.div_euclid(DAY);
            if last != Some(today) && reading.agrees() {
                self.pass(reading.wall, last.is_none()).await?;
                if let Err(error) = self.erased.remove_expired(reading.wall) {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "cannot remove expired tombstones"
                    );
                }
                last = Some(today);
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Reports up to when sightings of a brand are due to be settled at `now`, Unix
    /// milliseconds. Without input they are not settled, because sightings of before
    /// may not have been read yet; the alert `TributarySettlingBehind` says so. A brand
    /// whose arrivals are those of an old trace is due by no clock.
    fn report_due(&self, brand: &Brand, now: i64) {
        let is_by_header = brand.sources.iter().any(|source| source.arrival_header);
        if let Some((_, begins)) = first_unsettled(brand, now)
            && !is_by_header
        {
            self.metrics.settling_due(&brand.name, begins);
        }
    }

    /// Settles the sightings of a brand on the salt days that are old enough at `now`,
    /// Unix milliseconds, by the clock by which sightings are refused as late. Returns
    /// whether all of them are settled: none is while requests of data subjects are
    /// worked on, nor is any of a day of which another process of the cluster, which
    /// has read less, still accepts sightings.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`].
    async fn settle(&self, brand: &Brand, now: i64) -> Result<bool, WorkerStopped> {
        let Some((due, begins)) = first_unsettled(brand, now) else {
            return Ok(true);
        };
        let id = BrandId::of(&brand.name);
        let Ok(no_request) = self.settling.try_lock() else {
            return Ok(false);
        };
        let Some(accepted) = Settlement::accepted(&self.queries, id).await? else {
            return Ok(false);
        };
        let before = due.min(accepted);
        let settlement = Settlement::find(&self.queries, id, before).await?;
        if settlement.is_needed() {
            let events = settlement.events();
            self.queries.apply(events).await.ok_or(WorkerStopped)?;
        }
        drop(no_request);
        if settlement.is_needed() {
            // The command follows the commit that settles the days.
            let (done, erased) = oneshot::channel();
            let forget = ErasureFilter {
                sightings_before: [(id, before)].into_iter().collect(),
                ..ErasureFilter::default()
            };
            self.ledger_tx
                .send(LedgerCommand::Erase(Erasure { forget, done }))
                .map_err(|_| WorkerStopped)?;
            let entries = erased.await.map_err(|_| WorkerStopped)?.entries;
            // With what another process has dropped, an older copy would settle the days otherwise.
            if self.config.workers.hosts.len() > 1 {
                self.standbys.secure().await;
            }
            let erases = self.queries.erase_sightings(id, before).await;
            erases.ok_or(WorkerStopped)?;
            let records = settlement.records();
            tracing::info!(brand = brand.name, records, entries, "settled sightings");
        }
        if before < due {
            return Ok(false);
        }
        self.metrics.settled_through(&brand.name, begins);
        Ok(true)
    }

    /// Retracts what is past its retention at `now`. Process 0 queries for the
    /// whole cluster; each process erases old evidence from its own ledger. The
    /// search for evidence reads the ledger and is therefore omitted in the first
    /// pass if no record is affected.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`].
    async fn pass(&self, now: i64, first: bool) -> Result<(), WorkerStopped> {
        let begun = Instant::now();
        let (mut retracted, mut erased_entries) = (0, 0);
        let links = link_times(with_link_ttl(&self.config), now);
        if self.config.workers.process == 0 && !links.is_empty() {
            self.queries.apply(links).await.ok_or(WorkerStopped)?;
        }
        for brand in &self.config.brands {
            let id = BrandId::of(&brand.name);
            let retention = Retention::of(brand);
            let (past, as_of) = match self.config.workers.process {
                0 => past(&self.queries, id, &retention, now).await?,
                _ => Default::default(),
            };
            let records = past.records.len() as u64;
            // Old evidence is searched for once a day, because the search reads the ledger.
            if records == 0 && first {
                self.metrics.retention_pass(&brand.name, now, 0);
                continue;
            }
            if records > 0 {
                let keys = past.records.keys().copied();
                self.queries
                    .expire(keys, as_of)
                    .await
                    .ok_or(WorkerStopped)?;
            }
            // The command follows those that retract the records, so that their entries are erased with it.
            let (done, erased) = oneshot::channel();
            let forget = ErasureFilter {
                evidence_before: [(id, retention.cutoffs(now).consent)].into_iter().collect(),
                ..ErasureFilter::default()
            };
            let erasure = Erasure { forget, done };
            self.ledger_tx
                .send(LedgerCommand::Erase(erasure))
                .map_err(|_| WorkerStopped)?;
            let entries = erased.await.map_err(|_| WorkerStopped)?.entries;
            self.metrics.retention_pass(&brand.name, now, records);
            retracted += records;
            erased_entries += entries;
            tracing::info!(
                brand = brand.name,
                records,
                cookies = past.cookies,
                persons = past.persons,
                entries,
                "retracted expired records"
            );
        }
        let counts = [("records", retracted), ("entries", erased_entries)];
        self.traces.work(Work::Retention, begun, false, &counts);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tributary_operators::ask::{Answer, Question, Reply};
    use tributary_operators::label::Label;
    use tributary_operators::record::UnmatchedStays;

    use super::*;
    use crate::epochs::batch::InternalChange;
    use crate::report::telemetry::Telemetry;

    /// The pass of a worker whose only brand has partners, and the commands that its
    /// ledger receives.
    fn pass(directory: &Path) -> (RetentionPass, mpsc::UnboundedReceiver<LedgerCommand>) {
        let secret = directory.join("secret");
        tributary_testkit::write_secret(&secret, tributary_testkit::SECRET);
        let text = format!(
            "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = {secret:?}\n\
             [[brand.source]]\nname = \"locations\"\nkind = \"partner\"\n"
        );
        let config = tributary_config::parse(&text, &directory.join("tributary.toml"));
        let config = config.unwrap().config;
        let (ledger_tx, ledger) = mpsc::unbounded_channel();
        let pass = RetentionPass {
            queries: Queries::default(),
            ledger_tx,
            metrics: Telemetry::new(&config).metrics,
            traces: Traces::default(),
            clocks: Arc::new(Clocks::new(&config)),
            erased: Arc::new(Erased::open(&config, &directory.join("erased")).unwrap()),
            settling: Arc::default(),
            standbys: Standbys::none(),
            config,
        };
        (pass, ledger)
    }

    /// Waits until the dataflow is asked something.
    async fn asked(queries: &Queries) {
        let waiting = async {
            while !queries.has_waiting() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting)
            .await
            .expect("a question or a change");
    }

    /// What settling has asked for before an erasure must not be entered after it.
    #[tokio::test]
    async fn nothing_settles_while_requests_are_worked_on_and_the_other_way_round() {
        let directory = tempfile::tempdir().unwrap();
        let (pass, mut ledger) = pass(directory.path());
        let (queries, settling) = (pass.queries.clone(), pass.settling.clone());
        let (brand, now) = (pass.config.brands[0].clone(), 1_760_000_000_000);
        let of_brand = brand.clone();

        // While requests are worked on, not even a question is asked.
        let requests = settling.try_lock().unwrap();
        assert!(matches!(pass.settle(&brand, now).await, Ok(false)));
        assert!(!queries.has_waiting());
        drop(requests);

        // From the question until what is left has been entered, no request is worked on.
        let settled = tokio::spawn(async move { pass.settle(&brand, now).await });
        asked(&queries).await;
        assert!(settling.try_lock().is_err());
        let questions = queries.drain(1);
        let [(number, Question::AcceptedSightings { .. })] = questions[..] else {
            panic!("{questions:?}");
        };
        // Another process has read less, so that one day less is settled.
        let due = first_unsettled(&of_brand, now).unwrap().0;
        queries.answer(Answer {
            asker: 0,
            number,
            reply: Reply::AcceptedSightings(due - 1),
        });
        queries.finished(2);
        asked(&queries).await;
        let questions = queries.drain(2);
        let [(number, Question::Settle { brand, before })] = questions[..] else {
            panic!("{questions:?}");
        };
        assert_eq!(before, due - 1);
        let reply = Reply::Unmatched(UnmatchedStays {
            brand,
            store: Label::of("lyon"),
            day: 20_000,
            stays: 3,
        });
        queries.answer(Answer {
            asker: 0,
            number,
            reply,
        });
        queries.finished(3);
        asked(&queries).await;
        assert!(settling.try_lock().is_err());
        let changes = queries.drain_changes(3).unwrap();
        assert!(changes.iter().any(|change| matches!(
            change,
            InternalChange::Event(Event::SightingsSettled { .. })
        )));
        queries.finished(4);

        // What remains to be done needs no question any more: requests are worked on again.
        let command = ledger.recv().await;
        assert!(matches!(command, Some(LedgerCommand::Erase(_))));
        assert!(settling.try_lock().is_ok());
        drop((command, ledger));
        assert!(settled.await.unwrap().is_err());
    }
}
