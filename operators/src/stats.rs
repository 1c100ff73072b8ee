//! Counters that the stages of one worker keep for its operator's eyes: how much is held, how often a
//! record came again. They are not personal and pass freely.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::allowed_uses::Use;
use crate::policy::WithholdReason;
use crate::record::BrandId;

/// How many identifiers allow a step, and how many refuse it, by brand.
pub type PublishedConsents = BTreeMap<(BrandId, Use), [u64; 2]>;

/// The counters of one worker thread.
#[derive(Debug, Default)]
pub struct Stats {
    held: Cell<i64>,
    duplicates: Cell<u64>,
    corrections: Cell<u64>,
    superseded: Cell<u64>,
    repeated_statements: Cell<u64>,
    restricted: Cell<i64>,
    without_consent: Cell<i64>,
    refused: Cell<i64>,
    uncredited: Cell<i64>,
    collisions: Cell<u64>,
    labels: Cell<u64>,
    cells: Cell<u64>,
    hidden: Cell<u64>,
    waiting: Cell<u64>,
    steps: Cell<u64>,
    folded: Cell<u64>,
    pings_not_sampled: Cell<u64>,
    consents: RefCell<PublishedConsents>,
}

impl Stats {
    pub(crate) fn held(&self, by: i64) {
        self.held.set(self.held.get() + by);
    }

    pub(crate) fn duplicate(&self) {
        self.duplicates.set(self.duplicates.get() + 1);
    }

    pub(crate) fn correction(&self) {
        self.corrections.set(self.corrections.get() + 1);
    }

    pub(crate) fn superseded(&self) {
        self.superseded.set(self.superseded.get() + 1);
    }

    pub(crate) fn repeated_statements(&self) {
        self.repeated_statements
            .set(self.repeated_statements.get() + 1);
    }

    pub(crate) fn withheld(&self, why: WithholdReason, by: i64) {
        let count = match why {
            WithholdReason::Restricted => &self.restricted,
            WithholdReason::NoConsent => &self.without_consent,
            WithholdReason::Refused => &self.refused,
        };
        count.set(count.get() + by);
    }

    pub(crate) fn uncredited(&self, by: i64) {
        self.uncredited.set(self.uncredited.get() + by);
    }

    pub(crate) fn release(&self, cells: u64, hidden: u64, waiting: u64, collisions: u64) {
        self.cells.set(cells);
        self.hidden.set(hidden);
        self.waiting.set(waiting);
        self.collisions.set(collisions);
    }

    pub(crate) fn labels(&self, labels: u64) {
        self.labels.set(labels);
    }

    pub(crate) fn folded(&self, folded: u64) {
        self.folded.set(folded);
    }

    pub(crate) fn pings_not_sampled(&self, by: u64) {
        self.pings_not_sampled
            .set(self.pings_not_sampled.get() + by);
    }

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

    pub(crate) fn steps(&self, by: u64) {
        self.steps.set(self.steps.get() + by);
    }

    /// How many records, facts, touches, sets and places the stages have looked at: what the work of a worker grows
    /// with, whatever the machine.
    pub fn all_steps(&self) -> u64 {
        self.steps.get()
    }

    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            held: self.held.get(),
            duplicates: self.duplicates.get(),
            corrections: self.corrections.get(),
            superseded: self.superseded.get(),
            repeated_statements: self.repeated_statements.get(),
            restricted: self.restricted.get(),
            without_consent: self.without_consent.get(),
            refused: self.refused.get(),
            uncredited: self.uncredited.get(),
            collisions: self.collisions.get(),
            labels: self.labels.get(),
            cells: self.cells.get(),
            hidden: self.hidden.get(),
            waiting: self.waiting.get(),
            folded: self.folded.get(),
            pings_not_sampled: self.pings_not_sampled.get(),
        }
    }
}

/// [`Stats`] at one moment, or the sum over several workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Records held, pings and the statements that ride on records not counted.
    pub held: i64,
    /// Records that came again with the content and the version held.
    pub duplicates: u64,
    /// Records whose content or version replaced what was held.
    pub corrections: u64,
    /// Records of a lower version than the one held, or of the same version and an earlier arrival.
    pub superseded: u64,
    /// Statements that ride on records and were held already, in the same words or in others: they are none of the
    /// above, and take room in a ledger until it is rewritten.
    pub repeated_statements: u64,
    /// Records held that are in no number because a right restricts them.
    pub restricted: i64,
    /// Records held that are in no number because their source rests on consent and nobody has said anything.
    pub without_consent: i64,
    /// Records held that are in no number because what was said does not allow it.
    pub refused: i64,
    /// Contacts held that are counted and may be credited with nothing.
    pub uncredited: i64,
    /// Labels that two words claim.
    pub collisions: u64,
    /// Labels whose words are kept; every worker keeps all.
    pub labels: u64,
    /// Cells released.
    pub cells: u64,
    /// Cells held back by the release gate.
    pub hidden: u64,
    /// Released cells whose change waits for others.
    pub waiting: u64,
    /// Channels of months that went up into larger ones in Markov's chains.
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
            folded: self.folded + other.folded,
            pings_not_sampled: self.pings_not_sampled + other.pings_not_sampled,
        }
    }
}
