//! Questions to the dataflow, and changes of what it holds, from outside the worker threads.
//!
//! A question waits for the next tick, goes in with its epoch, and is answered when that epoch is finished
//! on every worker; the parts of the answer that came until then are the answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tributary_operators::ask::{Answer, Question, Reply};
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::record::RecordKey;

use crate::worker::batch::InternalChange;

/// The questions that are under way.
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
    /// Who waits for changes to be through: none before they went in, then the first epoch that is later.
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

    /// Queries, and waits for all parts of the answer, in no particular order. None where the worker stops before.
    pub async fn submit(&self, question: Question) -> Option<Vec<Reply>> {
        self.submit_as_of(question).await.map(|(parts, _)| parts)
    }

    /// The same, with the epoch at whose end the answer was so.
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

    /// Changes what is held, and waits until every number has followed, on every worker. The epoch in which it
    /// went in; none where the worker stops before.
    pub async fn apply(&self, changes: Vec<Event>) -> Option<Epoch> {
        self.change(changes.into_iter().map(InternalChange::Event))
            .await
    }

    /// Retracts what was held under keys at the end of an epoch, unless it has changed since, and waits as [`Queries::apply`].
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

    /// The changes that go in with an epoch; none where nobody waits for it.
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

    /// The questions that go in with an epoch.
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

    /// Takes a part of an answer.
    pub fn answer(&self, answer: Answer) {
        if let Some(asked) = self.inner().asked.get_mut(&answer.number) {
            asked.parts.push(answer.reply);
        }
    }

    /// Every epoch before this one is finished on the thread that asks: its questions are answered.
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
                // Whoever asked may have gone.
                let epoch = asked.until.unwrap_or(before).saturating_sub(1);
                let _ = asked.back.send((asked.parts, epoch));
            }
        }
        let through = |until: &Option<Epoch>| until.is_some_and(|until| until <= before);
        for (until, back) in inner.changing.extract_if(.., |(until, _)| through(until)) {
            let _ = back.send(until.unwrap_or(before).saturating_sub(1));
        }
    }

    /// The worker stops: nobody is answered any more.
    pub fn close(&self) {
        let mut inner = self.inner();
        inner.waiting.clear();
        inner.asked.clear();
        inner.changes.clear();
        inner.changing.clear();
    }
}
