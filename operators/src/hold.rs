//! Hold: which content of each record counts.
//!
//! Of everything that arrives under one key the highest `(version, arrival)` is held, whole record for
//! whole record. That is a maximum, so it does not matter in which epoch or on which worker the
//! arrivals come in. The same content again changes nothing. What leaves this stage is the
//! collection of records now held, already taken apart for the stages behind it.

use std::collections::hash_map::Entry;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::engine::{Diff, Epoch, Stage};
use crate::facts::{Routed, route};
use crate::record::{Arrival, Record, RecordKey};
use crate::stats::Stats;
use crate::sums::Tally;

/// What happens to a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// The place in the order of arrival.
    pub arrival: Arrival,
    /// The key.
    pub key: RecordKey,
    /// The version and content that arrive; none retracts. Boxed once, so that a record is not moved about
    /// on its way and the table of slots stays small.
    pub put: Option<(i64, Box<Record>)>,
}

struct Slot {
    version: i64,
    arrival: Arrival,
    record: Option<Box<Record>>,
}

/// The stage. One record of state for each key.
pub struct Hold {
    slots: FxHashMap<RecordKey, Slot>,
    tally: Tally,
    stats: Rc<Stats>,
}

impl Hold {
    /// Holds nothing yet.
    pub fn new(stats: Rc<Stats>) -> Hold {
        Hold {
            slots: FxHashMap::default(),
            tally: Tally::default(),
            stats,
        }
    }

    fn apply(&mut self, change: Change, out: &mut Vec<(Routed, Diff)>) {
        let Change { arrival, key, put } = change;
        match (self.slots.entry(key), put) {
            (Entry::Vacant(slot), Some((version, record))) => {
                route(Record::clone(&record), 1, &mut self.tally, out);
                slot.insert(Slot {
                    version,
                    arrival,
                    record: Some(record),
                });
                self.stats.held(1);
            }
            (Entry::Vacant(slot), None) => {
                slot.insert(Slot {
                    version: 0,
                    arrival,
                    record: None,
                });
            }
            (Entry::Occupied(mut slot), Some((version, record))) => {
                let slot = slot.get_mut();
                match slot.record.take() {
                    // Retracted: only what arrives later may come back.
                    None => {
                        if arrival > slot.arrival {
                            route(Record::clone(&record), 1, &mut self.tally, out);
                            *slot = Slot {
                                version,
                                arrival,
                                record: Some(record),
                            };
                            self.stats.held(1);
                        }
                    }
                    Some(old) => {
                        if (version, arrival) <= (slot.version, slot.arrival) {
                            slot.record = Some(old);
                            self.stats.superseded();
                        } else if old == record {
                            let again = version == slot.version;
                            *slot = Slot {
                                version,
                                arrival,
                                record: Some(old),
                            };
                            if again {
                                self.stats.duplicate()
                            } else {
                                self.stats.correction()
                            }
                        } else {
                            route(*old, -1, &mut self.tally, out);
                            route(Record::clone(&record), 1, &mut self.tally, out);
                            *slot = Slot {
                                version,
                                arrival,
                                record: Some(record),
                            };
                            self.stats.correction();
                        }
                    }
                }
            }
            (Entry::Occupied(mut slot), None) => {
                let slot = slot.get_mut();
                if arrival > slot.arrival {
                    if let Some(old) = slot.record.take() {
                        route(*old, -1, &mut self.tally, out);
                        self.stats.held(-1);
                    }
                    slot.arrival = arrival;
                }
            }
        }
    }
}

impl Stage for Hold {
    type In = Change;
    type Out = Routed;
    const NAME: &'static str = "Hold";

    fn route(change: &Change) -> u64 {
        change.key.0 as u64
    }

    fn step(&mut self, _: Epoch, mut changes: Vec<(Change, Diff)>, out: &mut Vec<(Routed, Diff)>) {
        changes.sort_unstable_by_key(|(change, _)| change.arrival);
        for (change, _) in changes {
            self.apply(change, out);
        }
        out.extend(
            self.tally
                .drain()
                .map(|sum| (Routed::Sum(Box::new(sum)), 1)),
        );
    }
}
