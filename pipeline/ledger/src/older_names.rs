//! Labels and record keys of older formats: before format 7 they were the XXH3 of a name, or of a brand, a source and an id.
//!
//! XXH3 is not made to resist anybody: in minutes a text can be found that hashes like another, so that whoever writes to one
//! source could have replaced a record of another. Since labels and record keys come from BLAKE3, those in older segments are
//! replaced while the segments are read. A label follows from its name, and a record key from the names of brand and source and
//! the id. The names are in the ledger too, anywhere in it, so that they are collected before anything else is read.
//!
//! A label without a name, which cannot be published anyway, stays as it is. The keys of statements that came with other records,
//! of evidence, and of what requests and settling have stored are XXH3 in this format as well.

use std::collections::hash_map::Entry;
use std::sync::OnceLock;

use rustc_hash::FxHashMap;
use tributary_operators::label::{Label, OWN_WORDS};
use tributary_operators::record::{Body, Record, RecordKey};
use xxhash_rust::xxh3::xxh3_64;

/// The last format with XXH3.
pub(crate) const LAST: u32 = 6;

/// What the labels and keys of older segments stand for.
#[derive(Debug)]
pub(crate) struct OlderNames {
    /// The name of each older label.
    by_older: FxHashMap<Label, Box<str>>,
    /// The name of each label that replaces one.
    by_label: FxHashMap<Label, Box<str>>,
    /// The keys of drops, which have no content from which another key could be made: for each the key that replaces it,
    /// once a record with it was read.
    dropped: FxHashMap<RecordKey, OnceLock<RecordKey>>,
}

impl Default for OlderNames {
    fn default() -> Self {
        let mut names = OlderNames {
            by_older: FxHashMap::default(),
            by_label: FxHashMap::default(),
            dropped: FxHashMap::default(),
        };
        OWN_WORDS.into_iter().for_each(|word| names.add(word));
        names
    }
}

impl OlderNames {
    /// Adds a name. Of two with one label the smaller counts, which is the one that was published.
    pub fn add(&mut self, word: &str) {
        let older = Label(xxh3_64(word.as_bytes()).max(1));
        match self.by_older.entry(older) {
            Entry::Vacant(vacant) => drop(vacant.insert(word.into())),
            Entry::Occupied(mut held) if word < &**held.get() => drop(held.insert(word.into())),
            Entry::Occupied(_) => {}
        }
        self.by_label.insert(Label::of(word), word.into());
    }

    /// Adds the key of a drop.
    pub fn add_dropped(&mut self, key: RecordKey) {
        self.dropped.entry(key).or_default();
    }

    /// Whether there are keys of drops.
    pub fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// The label of the name that had an older label.
    pub fn label(&self, older: Label) -> Label {
        let name = self.by_older.get(&older);
        name.map_or(older, |name| Label::of(name))
    }

    /// The key of a record of a brand that had an older key. Its labels are those of this format.
    pub fn key(&self, older: RecordKey, brand: &str, record: &Record) -> RecordKey {
        let key = self.of_content(brand, record).unwrap_or(older);
        if let Some(dropped) = self.dropped.get(&older) {
            dropped.get_or_init(|| key);
        }
        key
    }

    /// The key of a drop that had an older key.
    pub fn key_of_drop(&self, older: RecordKey) -> RecordKey {
        let key = self.dropped.get(&older).and_then(OnceLock::get);
        key.copied().unwrap_or(older)
    }

    /// The key that follows from the content of a record, if it is one that a source may send again.
    fn of_content(&self, brand: &str, record: &Record) -> Option<RecordKey> {
        let name = |label: Label| match label {
            Label::ABSENT => Some(""),
            label => self.by_label.get(&label).map(|name| &**name),
        };
        match &record.body {
            Body::Spend {
                platform, channel, ..
            } => {
                let [source, medium, campaign] = channel.labels();
                let words = [
                    name(*platform)?,
                    name(source)?,
                    name(medium)?,
                    name(campaign)?,
                ];
                Some(RecordKey::of_spend(brand, words, record.day))
            }
            Body::SettledVisit { .. } | Body::PanelMember { .. } | Body::Right { .. } => None,
            _ if record.id.is_empty() => None,
            _ => Some(RecordKey::of_record(
                brand,
                name(record.source)?,
                &record.id,
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_operators::record::{BrandId, IdSet};

    /// A text that was found in seven seconds, with the XXH3 of `unattributed`.
    const FORGED: &str = "F8eHu7KvUQpvroPG06Cm2CnIfEHnBcrJLeMoTr5wJ9l8VwhgGrxclajTZTcXwQQu";

    fn older(word: &str) -> Label {
        Label(xxh3_64(word.as_bytes()).max(1))
    }

    #[test]
    fn a_label_follows_its_name() {
        let mut names = OlderNames::default();
        names.add("spring");
        assert_eq!(names.label(older("spring")), Label::of("spring"));
        assert_eq!(names.label(older("direct")), Label::of("direct"));
        assert_eq!(names.label(older("summer")), older("summer"));
        assert_eq!(names.label(Label::ABSENT), Label::ABSENT);
    }

    #[test]
    fn a_drop_follows_the_record_that_it_drops() {
        let mut names = OlderNames::default();
        names.add("till");
        names.add_dropped(RecordKey(7));
        let record = |id: &str| Record {
            brand: BrandId::of("acme"),
            source: Label::of("till"),
            id: id.into(),
            ts: 0,
            day: 0,
            ids: IdSet::empty(),
            body: Body::Identify,
        };
        let new = RecordKey::of_record("acme", "till", "t1");
        assert_eq!(names.key_of_drop(RecordKey(7)), RecordKey(7));
        assert_eq!(names.key(RecordKey(7), "acme", &record("t1")), new);
        assert_eq!(names.key_of_drop(RecordKey(7)), new);
        // A statement that came with another record has no id.
        assert_eq!(names.key(RecordKey(8), "acme", &record("")), RecordKey(8));
    }

    #[test]
    fn of_two_names_with_a_label_the_smaller_counts() {
        assert_eq!(older(FORGED), older("unattributed"));
        let mut names = OlderNames::default();
        assert_eq!(names.label(older(FORGED)), Label::of("unattributed"));
        names.add(FORGED);
        assert_eq!(names.label(older(FORGED)), Label::of(FORGED));
        names.add("unattributed");
        assert_eq!(names.label(older(FORGED)), Label::of(FORGED));
    }
}
