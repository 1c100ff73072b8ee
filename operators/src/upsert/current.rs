//! The current record of a key: where it is and when it arrived, not what it contains.
//!
//! A few machine words are enough to decide whether another record supersedes it, whether it is a duplicate, and where its
//! content can be retracted. They are packed into 40 bytes a key. What few records have, such as a version, is kept beside
//! them; so are the statements of data subjects, in 40 bytes more, because they are small, and [`crate::consent_state`] must be able
//! to retract them.

use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use crate::allowed_uses::AllowedUses;
use crate::consent_state::ConsentStateIn;
use crate::engine::{Diff, Entry, Epoch, Slab, Table};
use crate::hash_key::HashKey;
use crate::policy::Statement;
use crate::record::{Arrival, Body, BrandId, ConsentString, IdSet, Record, RecordKey, Right};

/// The current record of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Current {
    /// The version. The highest version of a key is current.
    pub(super) version: i64,
    /// The position of the record in the order of arrival.
    pub(super) arrival: Arrival,
    /// The epoch in which the record became current.
    pub(super) since: Epoch,
    /// The newest message with a record of the key, superseded or not.
    pub(super) newest: u64,
    /// The number of its brand and identifier set.
    pub(super) set: u32,
    /// A hash of the content, by which duplicates are counted. A correction in four billion counts as a duplicate.
    pub(super) content: u32,
    /// The statement, if the record is one.
    statement: Option<Stated>,
}

/// A statement of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stated {
    /// Unix milliseconds.
    ts: i64,
    statement: Statement,
    /// See [`Record::is_attached`].
    is_attached: bool,
}

impl Current {
    /// A record that becomes current.
    pub(super) fn new(
        version: i64,
        arrival: Arrival,
        since: Epoch,
        record: &Record,
        set: u32,
    ) -> Current {
        Current {
            version,
            arrival,
            since,
            newest: arrival.message,
            set,
            content: content_hash(record),
            statement: statement_of(&record.body).map(|statement| Stated {
                ts: record.ts,
                statement,
                is_attached: record.is_attached(),
            }),
        }
    }

    /// The number of records that it counts for: 0 for a statement that is attached to another record, else 1.
    pub(super) fn count(&self) -> i64 {
        i64::from(!self.statement.is_some_and(|of| of.is_attached))
    }

    /// Whether the record is a statement of a data subject.
    pub(super) fn is_statement(&self) -> bool {
        self.statement.is_some()
    }

    /// Whether the record is a statement of something else than an earlier record of its key.
    pub(super) fn states_other_than(&self, earlier: &Current) -> bool {
        let of = |current: &Current| current.statement.map(|of| of.statement);
        of(self) != of(earlier)
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
        (brand, ids): &(BrandId, IdSet),
        diff: Diff,
        row: impl Fn(ConsentStateIn) -> D,
        out: &mut Vec<(D, Diff)>,
    ) {
        let Some(Stated { ts, statement, .. }) = self.statement else {
            return;
        };
        out.extend(ids.ids().iter().map(|id| {
            let statement = ConsentStateIn::Statement(*brand, id.pseudonym, ts, statement);
            (row(statement), diff)
        }));
    }
}

/// A hash of the content of a record. Source and id are part of its key.
fn content_hash(record: &Record) -> u32 {
    let mut hash = FxHasher::default();
    record.ids.key().hash(&mut hash);
    (record.ts, record.day).hash(&mut hash);
    record.body.hash(&mut hash);
    let hash = hash.finish();
    (hash ^ (hash >> 32)) as u32
}

/// The statement of a record, if it is one.
fn statement_of(body: &Body) -> Option<Statement> {
    match body {
        Body::Consent { steps, string, .. } => Some(Statement::Consent(*steps, *string)),
        Body::Right { right, stands } => Some(Statement::Right(*right, *stands)),
        _ => None,
    }
}

/// The bits of [`Packed::since_line`] that are the line.
const LINE_BITS: u32 = 20;

/// The bit of [`Packed::set`] that says that there is a part in [`Keys::rest`].
const HAS_REST: u32 = 1 << 31;

/// The bit of [`Packed::set`] that says that the record is a statement.
const IS_STATEMENT: u32 = 1 << 30;

/// The bits of [`Packed::set`] that are the number of the set.
const SET: u32 = IS_STATEMENT - 1;

/// What most records have.
struct Packed {
    /// The message of the arrival.
    message: u64,
    /// The epoch, and in the last bits the line of the arrival.
    since_line: u64,
    /// The number of the brand and identifier set, [`HAS_REST`] and [`IS_STATEMENT`].
    set: u32,
    /// The hash of the content; of a statement, its number among [`Keys::statements`].
    content: u32,
}

/// A statement, and the hash of the content of its record.
struct PackedStatement {
    ts: i64,
    what: PackedKind,
    /// The hash of its consent string; zero if there is none.
    string: HashKey,
    /// When the consent string was last updated.
    updated: i32,
    content: u32,
    is_attached: bool,
}

/// A statement without its consent string.
#[derive(Clone, Copy)]
enum PackedKind {
    Consent(AllowedUses),
    ConsentWithString(AllowedUses),
    Right(Right, bool),
}

impl PackedStatement {
    fn pack(of: Stated, content: u32) -> PackedStatement {
        let (what, string) = match of.statement {
            Statement::Consent(uses, None) => (PackedKind::Consent(uses), None),
            Statement::Consent(uses, string) => (PackedKind::ConsentWithString(uses), string),
            Statement::Right(right, stands) => (PackedKind::Right(right, stands), None),
        };
        PackedStatement {
            ts: of.ts,
            what,
            string: string.map_or(0, |string| string.hash).into(),
            updated: string.map_or(0, |string| string.updated),
            content,
            is_attached: of.is_attached,
        }
    }

    fn unpack(&self) -> Stated {
        let string = ConsentString {
            hash: self.string.into(),
            updated: self.updated,
        };
        Stated {
            ts: self.ts,
            statement: match self.what {
                PackedKind::Consent(uses) => Statement::Consent(uses, None),
                PackedKind::ConsentWithString(uses) => Statement::Consent(uses, Some(string)),
                PackedKind::Right(right, stands) => Statement::Right(right, stands),
            },
            is_attached: self.is_attached,
        }
    }
}

/// What few records have.
struct Rest {
    version: i64,
    since: Epoch,
    line: u32,
    newest: u64,
}

/// The current record of every key.
#[derive(Default)]
pub(super) struct Keys {
    packed: Table<HashKey, Packed>,
    beside: Beside,
}

/// What is kept beside the packed records.
#[derive(Default)]
struct Beside {
    rest: Table<HashKey, Rest>,
    statements: Slab<PackedStatement>,
}

impl Keys {
    /// The number of keys.
    pub(super) fn len(&self) -> usize {
        self.packed.len()
    }

    /// The bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.packed.bytes() + self.beside.rest.bytes() + self.beside.statements.bytes()
    }

    /// The current record of a key.
    pub(super) fn get(&self, key: RecordKey) -> Option<Current> {
        let key = HashKey::from(key.0);
        Some(unpack(key, self.packed.get(&key)?, &self.beside))
    }

    /// Lets a function replace the current record of a key, unless it returns none.
    pub(super) fn update(
        &mut self,
        key: RecordKey,
        update: impl FnOnce(Option<Current>) -> Option<Current>,
    ) {
        let key = HashKey::from(key.0);
        match self.packed.entry(key) {
            Entry::Vacant(vacant) => {
                if let Some(new) = update(None) {
                    vacant.insert(pack(key, new, &mut self.beside));
                }
            }
            Entry::Occupied(mut entry) => {
                let old = unpack(key, entry.get(), &self.beside);
                if let Some(new) = update(Some(old)) {
                    release(key, entry.get(), &mut self.beside);
                    *entry.get_mut() = pack(key, new, &mut self.beside);
                }
            }
        }
    }

    /// Removes the record of a key.
    pub(super) fn remove(&mut self, key: RecordKey) -> Option<Current> {
        let key = HashKey::from(key.0);
        let packed = self.packed.remove(&key)?;
        let current = unpack(key, &packed, &self.beside);
        release(key, &packed, &mut self.beside);
        Some(current)
    }
}

/// The record of a key, from its parts.
fn unpack(key: HashKey, packed: &Packed, beside: &Beside) -> Current {
    let has_rest = packed.set & HAS_REST != 0;
    let rest = has_rest.then(|| beside.rest.get(&key)).flatten();
    let is_statement = packed.set & IS_STATEMENT != 0;
    let statement = is_statement.then(|| beside.statements.get(packed.content));
    let statement = statement.flatten();
    let line = (packed.since_line & ((1 << LINE_BITS) - 1)) as u32;
    Current {
        version: rest.map_or(0, |rest| rest.version),
        arrival: Arrival {
            message: packed.message,
            line: rest.map_or(line, |rest| rest.line),
        },
        since: rest.map_or(packed.since_line >> LINE_BITS, |rest| rest.since),
        newest: rest.map_or(packed.message, |rest| rest.newest),
        set: packed.set & SET,
        content: statement.map_or(packed.content, |of| of.content),
        statement: statement.map(PackedStatement::unpack),
    }
}

/// Removes what is kept beside the record of a key.
fn release(key: HashKey, packed: &Packed, beside: &mut Beside) {
    if packed.set & HAS_REST != 0 {
        beside.rest.remove(&key);
    }
    if packed.set & IS_STATEMENT != 0 {
        beside.statements.remove(packed.content);
    }
}

/// The parts of the record of a key. Nothing is kept beside it before.
fn pack(key: HashKey, current: Current, beside: &mut Beside) -> Packed {
    let Current {
        version,
        arrival: Arrival { message, line },
        since,
        newest,
        set,
        content,
        statement,
    } = current;
    let fits = line >> LINE_BITS == 0 && since >> (u64::BITS - LINE_BITS) == 0;
    let is_usual = version == 0 && newest == message && fits;
    if !is_usual {
        let rest = Rest {
            version,
            since,
            line,
            newest,
        };
        beside.rest.insert(key, rest);
    }
    debug_assert!(set <= SET, "a worker has fewer than 2^30 sets");
    let mut set = if is_usual { set } else { set | HAS_REST };
    let mut held = content;
    if let Some(statement) = statement {
        held = beside
            .statements
            .insert(PackedStatement::pack(statement, content));
        set |= IS_STATEMENT;
    }
    let line = u64::from(line) & ((1 << LINE_BITS) - 1);
    Packed {
        message,
        since_line: (since << LINE_BITS) | line,
        set,
        content: held,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_was_given() {
        assert_eq!(size_of::<(HashKey, Packed)>(), 40);
        assert_eq!(size_of::<Option<PackedStatement>>(), 40);
        let usual = Current {
            version: 0,
            arrival: Arrival {
                message: u64::MAX - 1,
                line: (1 << LINE_BITS) - 1,
            },
            since: (1 << 44) - 1,
            newest: u64::MAX - 1,
            set: SET,
            content: u32::MAX,
            statement: None,
        };
        let mut others = [usual; 7];
        others[1].version = i64::MIN;
        others[2].arrival.line = u32::MAX;
        others[3].newest = u64::MAX;
        others[5].since = Epoch::MAX;
        others[4].statement = Some(Stated {
            ts: -1,
            statement: Statement::Right(Right::DoNotSell, true),
            is_attached: true,
        });
        let string = ConsentString {
            hash: u128::MAX,
            updated: -7,
        };
        others[6].statement = Some(Stated {
            ts: i64::MAX,
            statement: Statement::Consent(AllowedUses::ALL, Some(string)),
            is_attached: false,
        });
        let mut keys = Keys::default();
        for (at, of) in others.iter().chain(others.iter().rev()).enumerate() {
            let key = RecordKey(u128::MAX - at as u128 % 4);
            keys.update(key, |_| Some(*of));
            assert_eq!(keys.get(key), Some(*of));
            keys.update(key, |held| {
                assert_eq!(held, Some(*of));
                None
            });
        }
        for at in 0..4 {
            let key = RecordKey(u128::MAX - at);
            let held = keys.get(key);
            assert!(held.is_some() && keys.remove(key) == held);
            assert_eq!(keys.get(key), None);
        }
        let beside = (keys.beside.rest.len(), keys.beside.statements.len());
        assert_eq!((keys.len(), beside), (0, (0, 0)));
    }
}
