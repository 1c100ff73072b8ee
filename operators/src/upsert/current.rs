//! The current record of a key: where it is and when it arrived, not what it contains.
//!
//! A few machine words are enough to decide whether another record supersedes it, whether it is a duplicate, and where its
//! content can be retracted. Only statements of data subjects are kept whole, because they are small, and
//! [`crate::consent_state`] must be able to retract them.

use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use crate::consent_state::ConsentStateIn;
use crate::engine::{Diff, Epoch};
use crate::policy::Statement;
use crate::record::{Arrival, Body, BrandId, Record};

/// The current record of a key: its version, arrival and location.
pub(super) struct Current {
    /// The version. The highest version of a key is current.
    pub(super) version: i64,
    /// The arrival of the record, its two parts unnested to save memory.
    message: u64,
    line: u32,
    /// The brand.
    pub(super) brand: BrandId,
    /// The epoch in which the record became current.
    pub(super) since: Epoch,
    /// The newest message with a record of the key, superseded or not.
    pub(super) newest: u64,
    /// The key of its identifier set.
    pub(super) set: u128,
    /// A hash of the content.
    pub(super) content: u64,
    /// The record if it is a statement, so that the statement can be retracted.
    statement: Option<Box<Record>>,
}

impl Current {
    /// The state of a record that becomes current.
    pub(super) fn new(version: i64, arrival: Arrival, since: Epoch, record: &Record) -> Current {
        Current {
            version,
            message: arrival.message,
            line: arrival.line,
            since,
            newest: arrival.message,
            brand: record.brand,
            set: record.ids.key(),
            content: content_hash(record),
            statement: statement_of(&record.body).map(|_| Box::new(record.clone())),
        }
    }

    /// The number of records that it counts for: 0 for a statement that is attached to another record, else 1.
    pub(super) fn count(&self) -> i64 {
        let statement = self.statement.as_ref();
        i64::from(!statement.is_some_and(|record| record.is_attached()))
    }

    /// Whether the record is a statement of a data subject.
    pub(super) fn is_statement(&self) -> bool {
        self.statement.is_some()
    }

    /// Whether the record is a statement of something else than an earlier record of its key.
    pub(super) fn states_other_than(&self, earlier: &Current) -> bool {
        let of = |current: &Current| {
            let record = current.statement.as_ref();
            record.and_then(|record| statement_of(&record.body))
        };
        of(self) != of(earlier)
    }

    /// The position of the record in the order of arrival.
    pub(super) fn arrival(&self) -> Arrival {
        Arrival {
            message: self.message,
            line: self.line,
        }
    }

    /// The first position in the order of arrival after all records of the key.
    pub(super) fn behind(&self) -> Arrival {
        Arrival {
            message: self.newest.saturating_add(1),
            line: 0,
        }
    }

    /// Emits the statement of the record, one row for each identifier, if it is one.
    pub(super) fn emit_statement<D>(
        &self,
        diff: Diff,
        row: impl Fn(ConsentStateIn) -> D,
        out: &mut Vec<(D, Diff)>,
    ) {
        let Some(record) = &self.statement else {
            return;
        };
        let Some(statement) = statement_of(&record.body) else {
            return;
        };
        out.extend(record.ids.ids().iter().map(|id| {
            let (brand, id, ts) = (record.brand, id.pseudonym, record.ts);
            (
                row(ConsentStateIn::Statement(brand, id, ts, statement)),
                diff,
            )
        }));
    }
}

/// A hash of the content of a record. Source and id are part of its key.
fn content_hash(record: &Record) -> u64 {
    let mut hash = FxHasher::default();
    record.ids.key().hash(&mut hash);
    (record.ts, record.day).hash(&mut hash);
    record.body.hash(&mut hash);
    hash.finish()
}

/// The statement of a record, if it is one.
fn statement_of(body: &Body) -> Option<Statement> {
    match body {
        Body::Consent { steps, string } => Some(Statement::Consent(*steps, *string)),
        Body::Right { right, stands } => Some(Statement::Right(*right, *stands)),
        _ => None,
    }
}
