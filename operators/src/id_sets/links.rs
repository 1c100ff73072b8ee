//! Links: which records of a brand may lose links as time passes (`link_ttl`).
//!
//! An identifier links the others of its record only for a limited time after the record, by its kind. The reference time is
//! not a clock: it enters as an event, so that a replay reaches the same state. The records are ordered by time, so that a
//! step of the reference time visits only those between the old and the new horizon of a kind.

use std::collections::BTreeSet;

use crate::record::{Identifier, Record, RecordKey};
use crate::settings::BrandSettings;

/// The records of a brand whose links may expire.
pub(crate) struct Links {
    /// The reference time, Unix milliseconds; `i64::MIN` before the first, when everything links.
    at: i64,
    /// The records, ordered by time, each with its identifier set.
    records: BTreeSet<(i64, u128, RecordKey)>,
}

impl Default for Links {
    fn default() -> Self {
        Links {
            at: i64::MIN,
            records: BTreeSet::new(),
        }
    }
}

impl Links {
    /// The reference time, Unix milliseconds.
    pub(crate) fn at(&self) -> i64 {
        self.at
    }

    /// The number of records whose links may expire.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Replaces the record of a key.
    pub(crate) fn replace(
        &mut self,
        key: RecordKey,
        old: Option<&Record>,
        new: Option<&Record>,
        settings: &BrandSettings,
    ) {
        let expires = |id: &Identifier| settings.link_ttl[id.kind as usize].is_some();
        let entry = |record: &&Record| {
            let ids = record.ids.ids();
            let may_expire = ids.len() > 1 && ids.iter().any(expires);
            may_expire.then(|| (record.ts, record.ids.key(), key))
        };
        if let Some(entry) = old.as_ref().and_then(entry) {
            self.records.remove(&entry);
        }
        self.records.extend(new.as_ref().and_then(entry));
    }

    /// Moves the reference time, forward or back. Returns the previous time and the records whose links may change, each
    /// with its identifier set.
    pub(crate) fn set_time(
        &mut self,
        at: i64,
        settings: &BrandSettings,
    ) -> (i64, BTreeSet<(u128, RecordKey)>) {
        let before = std::mem::replace(&mut self.at, at);
        let (from, to) = (before.min(at), before.max(at));
        let mut moved = BTreeSet::new();
        for ttl in settings.link_ttl.into_iter().flatten() {
            let edge = |at: i64| (at.saturating_sub(ttl), 0, RecordKey(0));
            let records = self.records.range(edge(from)..edge(to));
            moved.extend(records.map(|(_, set, key)| (*set, *key)));
        }
        (before, moved)
    }
}
