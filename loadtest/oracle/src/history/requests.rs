//! Statements, rights and the end of records in a random world.
//!
//! Two thirds of these steps are new statements, often by a person that has made one before. The
//! others correct a statement, drop one, erase a person, or let the records of a category expire.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tributary_operators::record::{Body, Identifier, Record, RecordKey};

use super::statements;
use super::writer::{HistoryWriter, Put, version};

impl HistoryWriter {
    /// A person makes, corrects or withdraws a statement, or records are erased or expire.
    pub(super) fn add_request(&mut self, rng: &mut ChaCha8Rng) {
        match rng.random_range(0..40) {
            0..=26 => {
                let near = match rng.random_bool(0.4) {
                    // Somebody who has spoken changes his mind.
                    true => self.statement(rng).map(|key| self.held[&key].1.clone()),
                    false => self.earlier(rng).map(|(_, _, record)| record),
                };
                let generator = match &near {
                    Some(near) => self.generator_of(near.brand),
                    None => self.generator(rng),
                };
                let (key, record) = generator.statement(rng, near.as_ref());
                self.put(key, version(rng), record);
            }
            27..=31 => {
                // Mostly a statement is corrected, and now and then something else becomes one.
                let puts: Vec<Put> = (0..6).filter_map(|_| self.earlier(rng)).collect();
                let at = puts.iter().position(|put| is_statement(&put.2));
                if let Some((key, before, record)) = puts.get(at.unwrap_or(0)) {
                    let generator = self.generator_of(record.brand);
                    let record = generator.restate(rng, record);
                    let version = match rng.random_bool(0.7) {
                        true => *before,
                        false => version(rng),
                    };
                    self.put(*key, version, record);
                }
            }
            32..=36 => {
                if let Some(key) = self.statement(rng) {
                    self.drop_key(key);
                }
            }
            37..=38 => self.erase_person(rng),
            _ => self.expire_category(rng),
        }
    }

    /// The key of a random stored statement, if there is one.
    fn statement(&self, rng: &mut ChaCha8Rng) -> Option<RecordKey> {
        let statements = self.held.iter().filter(|held| is_statement(&held.1.1));
        let keys: Vec<RecordKey> = statements.map(|(key, _)| *key).collect();
        (!keys.is_empty()).then(|| keys[rng.random_range(0..keys.len())])
    }

    /// Drops all records with one of the identifiers of a person, or with any of them.
    fn erase_person(&mut self, rng: &mut ChaCha8Rng) {
        let Some((_, _, record)) = self.earlier(rng) else {
            return;
        };
        let named = statements::about(rng, &record.ids);
        let expired = |held: &Record| {
            let names =
                |id: &Identifier| held.ids.ids().iter().any(|i| i.pseudonym == id.pseudonym);
            named.ids().iter().any(names)
        };
        self.drop_all(expired);
    }

    /// Drops all records of one category that are older than a random time.
    fn expire_category(&mut self, rng: &mut ChaCha8Rng) {
        let generator = self.generator(rng);
        let (brand, cut) = (generator.brand, generator.pools.moment(rng));
        let category = rng.random_range(0..3);
        self.drop_all(|held| {
            let of_category = match held.body {
                Body::Contact { .. } | Body::Identify | Body::Exposure { .. } => category == 0,
                Body::Sale { .. }
                | Body::Refund { .. }
                | Body::Restatement { .. }
                | Body::Adjustment { .. } => category == 1,
                Body::Consent { .. } => category == 2,
                Body::Wallet { .. }
                | Body::Sighting { .. }
                | Body::PartnerLink
                | Body::SettledVisit { .. }
                | Body::PanelMember { .. }
                | Body::Spend { .. }
                | Body::Right { .. } => false,
            };
            held.brand == brand && held.ts < cut && of_category
        });
    }

    /// Drops all stored records that satisfy a predicate.
    fn drop_all(&mut self, expired: impl Fn(&Record) -> bool) {
        let held = self.held.iter().filter(|(_, (_, record))| expired(record));
        let keys: Vec<RecordKey> = held.map(|(key, _)| *key).collect();
        keys.into_iter().for_each(|key| self.drop_key(key));
    }
}

/// Whether a record is a statement of consent or about a right.
fn is_statement(record: &Record) -> bool {
    matches!(record.body, Body::Consent { .. } | Body::Right { .. })
}
