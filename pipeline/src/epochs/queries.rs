//! Queries to the dataflow, and changes of the held records, from outside the worker threads.
//!
//! A query waits for the next tick, enters the dataflow with its epoch, and is answered when every worker has finished that
//! epoch: the parts that have arrived by then are the answer, exact for the end of the epoch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tributary_operators::ask::{Answer, Question, Reply};
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::record::RecordKey;

use crate::epochs::batch::InternalChange;

/// The worker stopped before it answered.
#[derive(Debug, thiserror::Error)]
#[error("the worker stops")]
pub struct WorkerStopped;

/// The queries and changes that are under way; clones share them.
#[derive(Clone, Default)]
pub struct Queries {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    waiting: Vec<(u64, Question)>,
    asked: BTreeMap<u64, Asked>,
    changes: Vec<InternalChange>,
    /// The callers that wait for their changes: none before they went in, then the first epoch that is later.
    changing: Vec<(Option<Epoch>, oneshot::Sender<Epoch>)>,
}

struct Asked {
    /// The first epoch that is later than the question's; none before it went in.
    until: Option<Epoch>,
    parts: Vec<Reply>,
    back: oneshot::Sender<(Vec<Reply>, Epoch)>,
}

impl Queries {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Submits a query and waits for all parts of its answer, in no particular order. None where the worker stops first.
    pub async fn submit(&self, question: Question) -> Option<Vec<Reply>> {
        self.submit_as_of(question).await.map(|(parts, _)| parts)
    }

    /// As [`Queries::submit`], with the epoch at whose end the answer was true.
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

    /// Applies events to the held records, and waits until every worker has finished the epoch in which they went in.
    /// Returns that epoch; none where the worker stops first.
    pub async fn apply(&self, changes: Vec<Event>) -> Option<Epoch> {
        self.change(changes.into_iter().map(InternalChange::Event))
            .await
    }

    /// Retracts the records that were held under `keys` at the end of epoch `as_of`, unless they have changed since, and
    /// waits as [`Queries::apply`] does.
    pub async fn expire(
        &self,
        keys: impl Iterator<Item = RecordKey>,
        as_of: Epoch,
    ) -> Option<Epoch> {
        self.change(keys.map(|key| InternalChange::Expire(key, as_of)))
            .await
    }

    async fn change(&self, changes: impl Iterator<Item = InternalChange>) -> Option<Epoch> {
        let (back, through) = oneshot::channel();
        {
            let mut inner = self.inner();
            inner.changes.extend(changes);
            inner.changing.push((None, back));
        }
        through.await.ok()
    }

    /// Takes the changes for an epoch; none where nobody waits for a change.
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

    /// Whether a question or a change waits for the next epoch.
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

    /// Completes the queries and changes of all epochs before `before`, which the first thread has finished.
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

    /// Drops all queries and changes, because the worker stops: their callers receive none.
    pub fn close(&self) {
        let mut inner = self.inner();
        inner.waiting.clear();
        inner.asked.clear();
        inner.changes.clear();
        inner.changing.clear();
    }
}
