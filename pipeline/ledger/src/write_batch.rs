//! A write batch: the events that one worker thread accepted in one epoch, on
//! their way to the ledger's thread.
//!
//! The worker thread encodes events as it pushes them, so that the ledger's
//! thread only compresses, seals and writes. Label names travel separately,
//! because only the ledger knows which of them it already stores.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{BrandId, Day};
use tributary_operators::salt::Salt;

use crate::counts::EntryCounts;
use crate::event::Encoder;

/// Size in bytes at which a run is closed. Closed runs are sealed in one piece.
const RUN: usize = 256 << 10;

/// Events, label names and salts that one worker thread accepted in one epoch.
#[derive(Default)]
pub struct WriteBatch {
    /// Encoded events by brand.
    pub(crate) brands: BTreeMap<BrandId, Runs>,
    /// Names of the labels that the thread has begun to use.
    pub(crate) words: Vec<(BrandId, Label, Arc<str>)>,
    /// Labels that the thread withdrew before the first event of this batch.
    pub(crate) withdrawn: Vec<(BrandId, Label)>,
    /// Index of the thread within the process.
    pub(crate) thread: usize,
    /// Salts under which pings of this batch are tokenized.
    pub(crate) salts: Vec<(BrandId, Day, Salt)>,
    /// Number of events pushed.
    entries: u64,
}

/// Encoded entries of one brand.
#[derive(Default)]
pub(crate) struct Runs {
    /// Complete runs, each with its counts.
    closed: Vec<(Vec<u8>, EntryCounts)>,
    /// The run that is being encoded.
    open: Encoder,
}

impl std::fmt::Debug for WriteBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut batch = f.debug_struct("Page");
        batch
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

impl WriteBatch {
    /// An empty batch of a thread.
    pub fn of_thread(thread: usize) -> WriteBatch {
        WriteBatch {
            thread,
            ..WriteBatch::default()
        }
    }

    /// Withdraws a label: nothing that the thread fed references it any more. Names
    /// of labels that no thread has announced leave the ledger with the next
    /// rewrite.
    ///
    /// The thread must have announced the label in an earlier batch, or found it in
    /// the ledger.
    pub fn withdraw(&mut self, brand: BrandId, label: Label) {
        self.withdrawn.push((brand, label));
    }

    /// Appends an event of a brand. [`Event::Ping`], which has no token yet, and
    /// [`Event::DropDevice`] are ignored: neither is ever stored.
    pub fn push(&mut self, brand: BrandId, event: &Event) {
        match event {
            Event::Ping { .. } | Event::DropDevice { .. } => return,
            Event::LabelName { label, word, .. } => self.words.push((brand, *label, word.clone())),
            _ => self.brands.entry(brand).or_default().push(event),
        }
        self.entries += 1;
    }

    /// Stores the salt of a brand's day together with this batch. It is durable
    /// before any ping tokenized under it. A salt that the ledger already has is
    /// ignored.
    pub fn salt(&mut self, brand: BrandId, day: Day, salt: Salt) {
        self.salts.push((brand, day, salt));
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.entries == 0 && self.salts.is_empty() && self.withdrawn.is_empty()
    }

    /// Number of events pushed, including label names that the ledger already
    /// stores.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Closes the open runs, so that they can be read any number of times.
    pub(crate) fn close(&mut self) {
        self.brands.values_mut().for_each(Runs::close);
    }
}

impl Runs {
    /// Encodes an event.
    pub fn push(&mut self, event: &Event) {
        self.open.push(event);
        if self.open.len() >= RUN {
            self.close();
        }
    }

    /// Closes the open run.
    pub fn close(&mut self) {
        if self.open.len() > 0 {
            self.closed.push(self.open.take());
        }
    }

    /// The closed runs.
    pub fn closed(&self) -> &[(Vec<u8>, EntryCounts)] {
        &self.closed
    }
}
