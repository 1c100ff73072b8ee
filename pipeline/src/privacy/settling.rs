//! Settling: nothing of the sightings of partners is kept after reconciliation.
//!
//! `partners.settle_after` after a salt day has ended, no sighting of it is
//! accepted any more, and the stays of that day become what is left of them:
//! matched stays become settled visits, records of their devices with the weight
//! that they have at that moment; the others become numbers per store and day; and
//! each device leaves a record that it belonged to the panel of the month. No cell
//! changes by that.
//!
//! The dataflow is asked what is left, exact as of one epoch. The answer enters a
//! later epoch as a whole, together with the mark up to which days are settled, and
//! one write batch carries all of it, so that a single commit settles the days. The
//! mark retracts the sightings on every worker, whichever ledger holds them and in
//! whatever order ledgers are read: a crash before that commit leaves everything as
//! it was, and a crash after it leaves sightings that no longer count. Only when
//! the commit is durable does a ledger drop them, and the visits of these days.
//!
//! The same pass makes counts of the exposures of devices that nothing else names, once their window and
//! `partners.settle_after` are over: their keys take the place of the mark, and are kept for as long as an exposure
//! would be accepted, so that one that is sent again does not count twice. Two questions find them: which devices may
//! have any, and what remains of each, which is exact as of the epoch of the second one.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::ask::{Question, Reply};
use tributary_operators::event::Event;
use tributary_operators::label::Channel;
use tributary_operators::record::{
    Arrival, BrandId, Day, Pseudonym, Record, RecordKey, TouchKind, UnmatchedStays,
};
use tributary_operators::settled_exposures::SettledExposures;

use crate::epochs::queries::{Queries, WorkerStopped};

/// The number of keys in one event.
const KEYS_PER_EVENT: usize = 256;

/// Persons of a month whose touchpoints led through the same channels: the month, these channels, those that reached them
/// otherwise, and whether they belonged to the panel.
type Alike = (i32, Vec<Channel>, Vec<Channel>, bool);

/// What is left of exposures that become counts.
#[derive(Clone, Debug, Default)]
struct Exposures {
    contacts: BTreeMap<(Channel, Day, TouchKind), i64>,
    persons: BTreeMap<Alike, i64>,
    keys: BTreeMap<Day, Vec<RecordKey>>,
}

impl Exposures {
    /// Adds what is left of those of a device, so that nothing says which numbers come from one device.
    fn add(&mut self, part: SettledExposures) {
        match part {
            SettledExposures::Contacts {
                channel,
                day,
                kind,
                contacts,
            } => {
                let sum = self.contacts.entry((channel, day, kind)).or_default();
                *sum = sum.saturating_add(contacts);
            }
            SettledExposures::Persons {
                month,
                path,
                reached,
                in_panel,
                persons,
            } => {
                let alike = (month, path, reached, in_panel);
                let sum = self.persons.entry(alike).or_default();
                *sum = sum.saturating_add(persons);
            }
            SettledExposures::Keys { day, keys } => {
                self.keys.entry(day).or_default().extend(keys);
            }
        }
    }

    /// The parts, in an order that does not depend on the devices.
    fn parts(&self) -> Vec<SettledExposures> {
        let contacts = self.contacts.iter();
        let contacts =
            contacts.map(
                |((channel, day, kind), contacts)| SettledExposures::Contacts {
                    channel: *channel,
                    day: *day,
                    kind: *kind,
                    contacts: *contacts,
                },
            );
        let persons = self.persons.iter();
        let persons =
            persons.map(
                |((month, path, reached, in_panel), persons)| SettledExposures::Persons {
                    month: *month,
                    path: path.clone(),
                    reached: reached.clone(),
                    in_panel: *in_panel,
                    persons: *persons,
                },
            );
        let keys = self.keys.iter().flat_map(|(day, keys)| {
            let mut keys = keys.clone();
            keys.sort_unstable();
            let chunks = keys.chunks(KEYS_PER_EVENT).map(<[RecordKey]>::to_vec);
            let chunks: Vec<_> = chunks.collect();
            chunks
                .into_iter()
                .map(|keys| SettledExposures::Keys { day: *day, keys })
        });
        contacts.chain(persons).chain(keys).collect()
    }
}

/// What is left of the sightings of a brand, and of its exposures.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The brand.
    pub brand: BrandId,
    /// The first salt day that is not settled.
    pub before: Day,
    /// Settled visits and members of the panel.
    records: BTreeMap<RecordKey, Record>,
    /// Stays that were not matched.
    unmatched: Vec<UnmatchedStays>,
    /// Exposures that become counts.
    exposures: Exposures,
}

impl Settlement {
    /// What is left of the sightings of a brand on the salt days before `before`, and of its exposures at `now`, Unix
    /// milliseconds.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`] if the dataflow ends before it has answered.
    pub async fn find(
        queries: &Queries,
        brand: BrandId,
        before: Day,
        now: i64,
    ) -> Result<Settlement, WorkerStopped> {
        let question = Question::Settle { brand, before };
        let mut settlement = Settlement {
            brand,
            before,
            records: BTreeMap::new(),
            unmatched: Vec::new(),
            exposures: Exposures::default(),
        };
        for reply in queries.submit(question).await.ok_or(WorkerStopped)? {
            settlement.add(reply);
        }
        settlement.unmatched.sort_unstable();
        let due = Question::DueExposures { brand, now };
        let due = queries.submit(due).await.ok_or(WorkerStopped)?;
        let devices = due.into_iter().filter_map(|reply| match reply {
            Reply::DueDevice(device) => Some(device),
            _ => None,
        });
        let devices: BTreeSet<Pseudonym> = devices.collect();
        if !devices.is_empty() {
            let naming = devices.into_iter().collect();
            let question = Question::SettleExposures { brand, naming, now };
            for reply in queries.submit(question).await.ok_or(WorkerStopped)? {
                settlement.add(reply);
            }
        }
        Ok(settlement)
    }

    /// Adds a part of the answer.
    fn add(&mut self, reply: Reply) {
        match reply {
            // Stores tell of one device and day apart; of equal members of the panel the newest stays.
            Reply::Settled(key, record) => {
                let held = self.records.entry(key).or_insert_with(|| (*record).clone());
                if record.ts > held.ts {
                    *held = *record;
                }
            }
            Reply::Unmatched(unmatched) => self.unmatched.push(unmatched),
            Reply::SettledExposures(part) => self.exposures.add(part),
            _ => {}
        }
    }

    /// Whether there is anything to settle.
    pub fn is_needed(&self) -> bool {
        !self.records.is_empty() || !self.unmatched.is_empty() || self.exposures() > 0
    }

    /// The number of exposures that become counts.
    pub fn exposures(&self) -> usize {
        self.exposures.keys.values().map(Vec::len).sum()
    }

    /// The keys of the exposures that become counts.
    pub fn keys(&self) -> impl Iterator<Item = RecordKey> {
        self.exposures.keys.values().flatten().copied()
    }

    /// The number of records that it leaves.
    pub fn records(&self) -> usize {
        self.records.len()
    }

    /// The events that settle the days, for one epoch and one commit.
    pub fn events(&self) -> Vec<Event> {
        let records = self.records.iter().map(|(key, record)| Event::Put {
            key: *key,
            version: 0,
            // No message brought it.
            arrival: Arrival::default(),
            record: record.clone(),
        });
        let stays = self.unmatched.iter().filter(|of| of.stays > 0);
        let stays = stays.map(|of| Event::UnmatchedStays { unmatched: *of });
        let mark = Event::SightingsSettled {
            brand: self.brand,
            before: self.before,
        };
        let brand = self.brand;
        let exposures = self.exposures.parts().into_iter();
        let exposures = exposures.map(|of| Event::SettledExposures { brand, of });
        let sightings = records.chain(stays).chain([mark]);
        sightings.chain(exposures).collect()
    }
}
