//! Questions to the dataflow from outside the worker threads.
//!
//! A question waits for the next tick, goes in with its epoch, and is answered when that epoch is finished
//! on every worker; the parts of the answer that came until then are the answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tributary_operators::ask::{Answer, Question, Reply};
use tributary_operators::engine::Epoch;

/// The questions that are under way.
#[derive(Clone, Default)]
pub struct Asks {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    waiting: Vec<(u64, Question)>,
    asked: BTreeMap<u64, Asked>,
}

struct Asked {
    /// The first epoch that is later than the question's; none before it went in.
    until: Option<Epoch>,
    parts: Vec<Reply>,
    back: oneshot::Sender<Vec<Reply>>,
}

impl Asks {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, and waits for all parts of the answer, in no particular order. None where the worker stops before.
    pub async fn ask(&self, question: Question) -> Option<Vec<Reply>> {
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

    /// The questions that go in with an epoch.
    pub fn take(&self, epoch: Epoch) -> Vec<(u64, Question)> {
        let mut inner = self.inner();
        let waiting = std::mem::take(&mut inner.waiting);
        for (number, _) in &waiting {
            if let Some(asked) = inner.asked.get_mut(number) {
                asked.until = Some(epoch + 1);
            }
        }
        waiting
    }

    /// Whether a question waits for the next epoch.
    pub fn are_waiting(&self) -> bool {
        !self.inner().waiting.is_empty()
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
                let _ = asked.back.send(asked.parts);
            }
        }
    }

    /// The worker stops: nobody is answered any more.
    pub fn close(&self) {
        let mut inner = self.inner();
        inner.waiting.clear();
        inner.asked.clear();
    }
}
