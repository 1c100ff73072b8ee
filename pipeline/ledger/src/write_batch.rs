//! A write batch: the events that one worker thread accepted in one epoch, on their way to the ledger's thread.
//!
//! The worker thread encodes events as it pushes them, so the ledger's thread only compresses, seals and writes. Label
//! names travel separately, because only the ledger knows which of them it already stores.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{BrandId, Day};
use tributary_operators::salt::Salt;

use crate::counts::EntryCounts;
use crate::event::Encoder;

/// A run is closed when it has grown to this many bytes.
const RUN: usize = 256 << 10;

/// What one worker thread accepted in one epoch.
#[derive(Default)]
pub struct WriteBatch {
    pub(crate) brands: BTreeMap<BrandId, Runs>,
    pub(crate) words: Vec<(BrandId, Label, Arc<str>)>,
    /// The labels that the thread has withdrawn before it pushed anything.
    pub(crate) withdrawn: Vec<(BrandId, Label)>,
    /// The number of the thread.
    pub(crate) thread: usize,
    pub(crate) salts: Vec<(BrandId, Day, Salt)>,
    entries: u64,
}

/// The encoded entries of one brand.
#[derive(Default)]
pub(crate) struct Runs {
    closed: Vec<(Vec<u8>, EntryCounts)>,
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
    /// The empty batch of a thread.
    pub fn of_thread(thread: usize) -> WriteBatch {
        WriteBatch {
            thread,
            ..WriteBatch::default()
        }
    }

    /// The thread has announced the word of a label with a batch before this one, or found it in the ledger, and nothing
    /// names it any more. Words that no thread has announced leave the ledger with the next rewrite.
    pub fn withdraw(&mut self, brand: BrandId, label: Label) {
        self.withdrawn.push((brand, label));
    }

    /// Appends an event of a brand. A ping that has no token yet ([`Event::Ping`]) and that a device was dropped
    /// ([`Event::DropDevice`]) are passed over: they are never kept.
    pub fn push(&mut self, brand: BrandId, event: &Event) {
        match event {
            Event::Ping { .. } | Event::DropDevice { .. } => return,
            Event::LabelName { label, word, .. } => self.words.push((brand, *label, word.clone())),
            _ => self.brands.entry(brand).or_default().push(event),
        }
        self.entries += 1;
    }

    /// Ensures that the salt of a brand's day is stored before any ping tokenized under it. A salt that
    /// the ledger has changes nothing.
    pub fn salt(&mut self, brand: BrandId, day: Day, salt: Salt) {
        self.salts.push((brand, day, salt));
    }

    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.entries == 0 && self.salts.is_empty() && self.withdrawn.is_empty()
    }

    /// How many events were pushed; words that the ledger knows already count, too.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Closes the runs, so that they can be read any number of times.
    pub(crate) fn close(&mut self) {
        self.brands.values_mut().for_each(Runs::close);
    }
}

impl Runs {
    pub fn push(&mut self, event: &Event) {
        self.open.push(event);
        if self.open.len() >= RUN {
            self.close();
        }
    }

    pub fn close(&mut self) {
        if self.open.len() > 0 {
            self.closed.push(self.open.take());
        }
    }

    pub fn closed(&self) -> &[(Vec<u8>, EntryCounts)] {
        &self.closed
    }
}
