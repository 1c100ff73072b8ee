//! Queries to the dataflow, and changes of the stored records, from outside the
//! worker threads.
//!
//! A query waits for the next tick, enters the dataflow with its epoch, and is
//! answered when every worker has finished that epoch: the parts that have
//! arrived by then are the answer, exact as of the end of the epoch. Any
//! process may submit a query; it is answered for the whole cluster.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tributary_operators::ask::{Answer, Question, Reply};
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, Day, Pseudonym, RecordKey};

use crate::epochs::batch::InternalChange;

/// The worker stopped before it answered.
#[derive(Debug, thiserror::Error)]
#[error("the worker stops")]
pub struct WorkerStopped;

/// Queries and changes in progress; clones share them.
#[derive(Clone, Default)]
pub struct Queries {
    /// The shared state. The lock is held only to move values in and out.
    inner: Arc<Mutex<Inner>>,
}

/// State of all queries and changes.
#[derive(Default)]
struct Inner {
    /// Number of the next query.
    next: u64,
    /// Queries that wait for an epoch.
    waiting: Vec<(u64, Question)>,
    /// Queries whose answer is not complete, by number.
    asked: BTreeMap<u64, Asked>,
    /// Changes that wait for an epoch.
    changes: Vec<InternalChange>,
    /// Callers that wait for their changes: `None` before these enter the dataflow,
    /// then the first later epoch.
    changing: Vec<(Option<Epoch>, oneshot::Sender<Epoch>)>,
}

/// A query whose answer is not complete.
struct Asked {
    /// The first epoch after that of the query; `None` before the query enters the
    /// dataflow.
    until: Option<Epoch>,
    /// Parts that have arrived.
    parts: Vec<Reply>,
    /// Receives the complete answer, with the epoch as of which it is exact.
    back: oneshot::Sender<(Vec<Reply>, Epoch)>,
}

impl Queries {
    /// Locks the state. A poisoned lock is used as it is.
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Submits a query and waits for all parts of its answer, in no particular
    /// order. `None` if the worker stops first.
    pub async fn submit(&self, question: Question) -> Option<Vec<Reply>> {
        self.submit_as_of(question).await.map(|(parts, _)| parts)
    }

    /// Like [`Queries::submit`], with the epoch as of whose end the answer is
    /// exact.
    pub async fn submit_as_of(&self, question: Question) -> Option<(Vec<Reply>, Epoch)> {
        let (back, answer) = oneshot::channel();
        {
            let mut inner = self.inner();
            let number = inner.next;
            inner.next += 1;
            inner.waiting.push((number, question));
            inner.asked.insert(
                number,
                Asked {
                    until: None,
                    parts: Vec::new(),
                    back,
                },
            );
        }
        answer.await.ok()
    }

    /// Applies events to the stored records, and waits until every worker has
    /// finished their epoch. Returns that epoch; `None` if the worker stops first.
    pub async fn apply(&self, changes: Vec<Event>) -> Option<Epoch> {
        self.change(changes.into_iter().map(InternalChange::Event))
            .await
    }

    /// Like [`Queries::apply`], for the changes of rights requests. What an epoch
    /// changes of the identifiers of one request counts as the act of one person.
    pub async fn apply_requests(
        &self,
        changes: impl IntoIterator<Item = InternalChange>,
        requests: Vec<(BrandId, Arc<[Pseudonym]>)>,
    ) -> Option<Epoch> {
        let acts = requests.into_iter();
        let acts = acts.map(|(brand, ids)| InternalChange::Act(brand, ids));
        self.change(changes.into_iter().chain(acts)).await
    }

    /// Retracts the records that were stored under `keys` at the end of epoch
    /// `as_of`, except those that have changed since, and waits like
    /// [`Queries::apply`].
    pub async fn expire(
        &self,
        keys: impl Iterator<Item = RecordKey>,
        as_of: Epoch,
    ) -> Option<Epoch> {
        self.change(keys.map(|key| InternalChange::Expire(key, as_of)))
            .await
    }

    /// Has every process of the cluster erase the sightings of a brand's salt days
    /// before `before` from its ledger, and waits like [`Queries::apply`].
    pub async fn erase_sightings(&self, brand: BrandId, before: Day) -> Option<Epoch> {
        let change = InternalChange::EraseSightings(brand, before);
        self.change(std::iter::once(change)).await
    }

    /// Submits changes, and waits until every worker has finished their epoch.
    async fn change(&self, changes: impl Iterator<Item = InternalChange>) -> Option<Epoch> {
        let (back, through) = oneshot::channel();
        {
            let mut inner = self.inner();
            inner.changes.extend(changes);
            inner.changing.push((None, back));
        }
        through.await.ok()
    }

    /// Takes the changes for an epoch; `None` if no caller waits for one.
    pub fn drain_changes(&self, epoch: Epoch) -> Option<Vec<InternalChange>> {
        let mut inner = self.inner();
        if inner.changing.iter().all(|(until, _)| until.is_some()) {
            return None;
        }
        for (until, _) in &mut inner.changing {
            until.get_or_insert(epoch + 1);
        }
        Some(std::mem::take(&mut inner.changes))
    }

    /// Takes the queries for an epoch, each with its number.
    pub fn drain(&self, epoch: Epoch) -> Vec<(u64, Question)> {
        let mut inner = self.inner();
        let waiting = std::mem::take(&mut inner.waiting);
        for (number, _) in &waiting {
            if let Some(asked) = inner.asked.get_mut(number) {
                asked.until = Some(epoch + 1);
            }
        }
        waiting
    }

    /// Whether a query or a change waits for the next epoch.
    pub fn has_waiting(&self) -> bool {
        let inner = self.inner();
        !inner.waiting.is_empty() || inner.changing.iter().any(|(until, _)| until.is_none())
    }

    /// Adds a part to the answer of a query.
    pub fn answer(&self, answer: Answer) {
        if let Some(asked) = self.inner().asked.get_mut(&answer.number) {
            asked.parts.push(answer.reply);
        }
    }

    /// Completes the queries and changes of all epochs below `before`, which the
    /// first thread has finished.
    pub fn finished(&self, before: Epoch) {
        let mut inner = self.inner();
        let done: Vec<u64> = inner
            .asked
            .iter()
            .filter(|(_, asked)| asked.until.is_some_and(|until| until <= before))
            .map(|(number, _)| *number)
            .collect();
        for number in done {
            if let Some(asked) = inner.asked.remove(&number) {
                // The caller may have dropped its query.
                let epoch = asked.until.unwrap_or(before).saturating_sub(1);
                let _ = asked.back.send((asked.parts, epoch));
            }
        }
        let through = |until: &Option<Epoch>| until.is_some_and(|until| until <= before);
        for (until, back) in inner.changing.extract_if(.., |(until, _)| through(until)) {
            let _ = back.send(until.unwrap_or(before).saturating_sub(1));
        }
    }

    /// Drops all queries and changes because the worker stops: their callers
    /// receive `None`.
    pub fn close(&self) {
        let mut inner = self.inner();
        inner.waiting.clear();
        inner.asked.clear();
        inner.changes.clear();
        inner.changing.clear();
    }
}
