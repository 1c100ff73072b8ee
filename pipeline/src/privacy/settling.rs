//! Settling: nothing of the sightings of partners is kept after reconciliation.
//!
//! `partners.settle_after` after a salt day has ended, no sighting of it is
//! accepted any more, and the stays of that day become what is left of them:
//! matched stays become settled visits, records of their devices with the weight
//! that they have at that moment; the others become numbers per store and day; and
//! each device leaves a record that it belonged to the panel of the month. No cell
//! changes by that.
//!
//! The dataflow is asked what is left, exact as of one epoch. The answer enters a
//! later epoch as a whole, together with the mark up to which days are settled, and
//! one write batch carries all of it, so that a single commit settles the days. The
//! mark retracts the sightings on every worker, whichever ledger holds them and in
//! whatever order ledgers are read: a crash before that commit leaves everything as
//! it was, and a crash after it leaves sightings that no longer count. Only when
//! the commit is durable does a ledger drop them, and the visits of these days.

use std::collections::BTreeMap;

use tributary_operators::ask::{Question, Reply};
use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, BrandId, Day, Record, RecordKey, UnmatchedStays};

use crate::epochs::queries::{Queries, WorkerStopped};

/// What is left of the sightings of a brand.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The brand.
    pub brand: BrandId,
    /// The first salt day that is not settled.
    pub before: Day,
    /// Settled visits and members of the panel.
    records: BTreeMap<RecordKey, Record>,
    /// Stays that were not matched.
    unmatched: Vec<UnmatchedStays>,
}

impl Settlement {
    /// The first salt day of which any worker of the cluster still accepts sightings;
    /// `None` before all workers have said theirs.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`] if the dataflow ends before it has answered.
    pub async fn accepted(queries: &Queries, brand: BrandId) -> Result<Option<Day>, WorkerStopped> {
        let question = Question::AcceptedSightings { brand };
        let replies = queries.submit(question).await.ok_or(WorkerStopped)?;
        Ok(replies.into_iter().find_map(|reply| match reply {
            Reply::AcceptedSightings(since) => Some(since),
            _ => None,
        }))
    }

    /// What is left of the sightings of a brand on the salt days before `before`.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`] if the dataflow ends before it has answered.
    pub async fn find(
        queries: &Queries,
        brand: BrandId,
        before: Day,
    ) -> Result<Settlement, WorkerStopped> {
        let question = Question::Settle { brand, before };
        let mut settlement = Settlement {
            brand,
            before,
            records: BTreeMap::new(),
            unmatched: Vec::new(),
        };
        for reply in queries.submit(question).await.ok_or(WorkerStopped)? {
            settlement.add(reply);
        }
        settlement.unmatched.sort_unstable();
        Ok(settlement)
    }

    /// Adds a part of the answer.
    fn add(&mut self, reply: Reply) {
        match reply {
            // Stores tell of one device and day apart; of equal members of the panel the newest stays.
            Reply::Settled(key, record) => {
                let held = self.records.entry(key).or_insert_with(|| (*record).clone());
                if record.ts > held.ts {
                    *held = *record;
                }
            }
            Reply::Unmatched(unmatched) => self.unmatched.push(unmatched),
            _ => {}
        }
    }

    /// Whether there is anything to settle.
    pub fn is_needed(&self) -> bool {
        !self.records.is_empty() || !self.unmatched.is_empty()
    }

    /// The number of records that it leaves.
    pub fn records(&self) -> usize {
        self.records.len()
    }

    /// The events that settle the days, for one epoch and one commit.
    pub fn events(&self) -> Vec<Event> {
        let records = self.records.iter().map(|(key, record)| Event::Put {
            key: *key,
            version: 0,
            // No message brought it.
            arrival: Arrival::default(),
            record: record.clone(),
        });
        let stays = self.unmatched.iter().filter(|of| of.stays > 0);
        let stays = stays.map(|of| Event::UnmatchedStays { unmatched: *of });
        let mark = Event::SightingsSettled {
            brand: self.brand,
            before: self.before,
        };
        records.chain(stays).chain([mark]).collect()
    }
}
