//! Counters of one worker: how many records are stored, how many arrived twice, what the release gate hides.
//!
//! The operators of a worker share one [`Stats`] and update it as they go; metrics read a [`Snapshot`]. The counters concern no
//! person and need no gate. A count that grows for good starts at zero with the process; the others are functions of the
//! current state.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::allowed_uses::Use;
use crate::policy::WithholdReason;
use crate::record::BrandId;

/// The numbers of identifiers that allow and that refuse each use, by brand.
pub type PublishedConsents = BTreeMap<(BrandId, Use), [u64; 2]>;

/// The counters of one worker thread.
#[derive(Debug, Default)]
pub struct Stats {
    /// All counters that metrics show, except consents.
    counters: RefCell<Snapshot>,
    /// See [`Stats::all_steps`].
    steps: Cell<u64>,
    /// See [`Stats::published_consents`].
    consents: RefCell<PublishedConsents>,
}

impl Stats {
    /// Adds to the number of stored records.
    pub(crate) fn held(&self, by: i64) {
        self.counters.borrow_mut().held += by;
    }

    /// Counts a record that arrived again with the same version and content.
    pub(crate) fn duplicate(&self) {
        self.counters.borrow_mut().duplicates += 1;
    }

    /// Counts a record that replaced another one.
    pub(crate) fn correction(&self) {
        self.counters.borrow_mut().corrections += 1;
    }

    /// Counts a record that arrived after a newer one.
    pub(crate) fn superseded(&self) {
        self.counters.borrow_mut().superseded += 1;
    }

    /// Counts an attached statement that was stored already.
    pub(crate) fn repeated_statements(&self) {
        self.counters.borrow_mut().repeated_statements += 1;
    }

    /// Adds to the number of records that are excluded from all cells for a reason.
    pub(crate) fn withheld(&self, reason: WithholdReason, by: i64) {
        let mut counters = self.counters.borrow_mut();
        *match reason {
            WithholdReason::Restricted => &mut counters.restricted,
            WithholdReason::NoConsent => &mut counters.without_consent,
            WithholdReason::Refused => &mut counters.refused,
        } += by;
    }

    /// Adds to the number of contacts that may not be credited.
    pub(crate) fn uncredited(&self, by: i64) {
        self.counters.borrow_mut().uncredited += by;
    }

    /// Sets the counts of cells after a release.
    pub(crate) fn release(&self, cells: u64, hidden: u64, waiting: u64, collisions: u64) {
        let mut counters = self.counters.borrow_mut();
        (counters.cells, counters.hidden) = (cells, hidden);
        (counters.waiting, counters.collisions) = (waiting, collisions);
    }

    /// Sets the number of months that wait.
    pub(crate) fn months_waiting(&self, months: u64) {
        self.counters.borrow_mut().months_waiting = months;
    }

    /// Sets the number of label names.
    pub(crate) fn labels(&self, labels: u64) {
        self.counters.borrow_mut().labels = labels;
    }

    /// Sets the number of channels that were merged into others.
    pub(crate) fn folded(&self, folded: u64) {
        self.counters.borrow_mut().folded = folded;
    }

    /// Adds to the number of pings beyond the device limit.
    pub(crate) fn pings_not_sampled(&self, by: u64) {
        self.counters.borrow_mut().pings_not_sampled += by;
    }

    /// Replaces the published consent counts of a brand.
    pub(crate) fn consents(
        &self,
        brand: BrandId,
        published: impl Iterator<Item = (Use, [u64; 2])>,
    ) {
        let mut consents = self.consents.borrow_mut();
        consents.retain(|(of, _), _| *of != brand);
        consents.extend(published.map(|(step, counts)| ((brand, step), counts)));
    }

    /// The published counts of identifiers that allow and that refuse each use.
    pub fn published_consents(&self) -> PublishedConsents {
        self.consents.borrow().clone()
    }

    /// Adds to [`Stats::all_steps`].
    pub(crate) fn steps(&self, by: u64) {
        self.steps.set(self.steps.get() + by);
    }

    /// The number of records, facts, touches, sets and parts of the forest that the operators have visited: a measure of
    /// work that is independent of the machine.
    pub fn all_steps(&self) -> u64 {
        self.steps.get()
    }

    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        *self.counters.borrow()
    }
}

/// [`Stats`] at one moment, or the sum over several workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Stored records, without pings and attached statements.
    pub held: i64,
    /// Records that arrived again with the version and content of the current one.
    pub duplicates: u64,
    /// Records that replaced the current one with another version or content.
    pub corrections: u64,
    /// Records with a lower version than the current one, or the same version and an earlier arrival.
    pub superseded: u64,
    /// Attached statements whose key had a statement already, with the same content or another. They are none of the above,
    /// and take space in a ledger until it is rewritten.
    pub repeated_statements: u64,
    /// Stored records that are excluded from all cells because a right restricts them.
    pub restricted: i64,
    /// Stored records that are excluded from all cells because their source requires consent and there is no statement.
    pub without_consent: i64,
    /// Stored records that are excluded from all cells because the consent statements refuse it.
    pub refused: i64,
    /// Stored contacts that are counted but may not be credited.
    pub uncredited: i64,
    /// Labels with two names. Every worker reports all of them.
    pub collisions: u64,
    /// Labels with a name. Every worker keeps all of them.
    pub labels: u64,
    /// Released cells.
    pub cells: u64,
    /// Cells that the release gate hides.
    pub hidden: u64,
    /// Released cells whose change waits for a batch.
    pub waiting: u64,
    /// Months that wait although a batch could publish them.
    pub months_waiting: u64,
    /// Channels that were merged into others in the Markov chains of all months.
    pub folded: u64,
    /// Pings of devices that did not count at the end of their epoch, because their store and day exceeded the device
    /// limit.
    pub pings_not_sampled: u64,
}

impl std::ops::Add for Snapshot {
    type Output = Snapshot;

    fn add(self, other: Snapshot) -> Snapshot {
        Snapshot {
            held: self.held + other.held,
            duplicates: self.duplicates + other.duplicates,
            corrections: self.corrections + other.corrections,
            superseded: self.superseded + other.superseded,
            repeated_statements: self.repeated_statements + other.repeated_statements,
            restricted: self.restricted + other.restricted,
            without_consent: self.without_consent + other.without_consent,
            refused: self.refused + other.refused,
            uncredited: self.uncredited + other.uncredited,
            collisions: self.collisions.max(other.collisions),
            labels: self.labels.max(other.labels),
            cells: self.cells + other.cells,
            hidden: self.hidden + other.hidden,
            waiting: self.waiting + other.waiting,
            months_waiting: self.months_waiting + other.months_waiting,
            folded: self.folded + other.folded,
            pings_not_sampled: self.pings_not_sampled + other.pings_not_sampled,
        }
    }
}
