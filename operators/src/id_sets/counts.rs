//! Identifier set counts: which identifier sets occur in current records.
//!
//! Most records repeat a known identifier set. This operator keeps them away from the graph, which is on one worker per brand,
//! while the sets here are spread over all workers. A set enters the graph with its first record and leaves with its last. For
//! sets that link identifiers, the earliest
//! supporting `(day, source)` is the provenance of the links, so that they can be explained.
//!
//! The graph also receives the approximate number of facts of each set, so that it can move the smaller side. An update is
//! sent when the number has grown fourfold or fallen by half, which happens a few times per set.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::SharedIdSets;
use crate::engine::{Diff, Epoch, KeyedOperator, emit_change};
use crate::facts::IdSetUse;
use crate::hash_key::HashKey;
use crate::identity::graph::GraphIn;
use crate::label::Label;
use crate::record::{BrandId, Day, IdSet};
use crate::small_map::SmallMap;

/// The input of [`IdSetCounts`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IdSetCountsIn {
    /// The use of a set by a record whose own identifiers are others.
    Use(IdSetUse),
    /// To a worker: there are uses among its [`OwnChanges`](super::OwnChanges).
    Own(u64),
}

/// The records that contain an identifier set. A worker has numbers for fewer than 2^32 records; within an epoch, in which a
/// retraction may precede its insertion, the counts are modulo that number.
#[derive(Default)]
pub(super) struct Support {
    /// The number of records.
    records: u32,
    /// The records that are facts.
    facts: u32,
    /// The approximate number of facts that the graph knows.
    announced: u32,
    /// For a set that links identifiers, the number of records by day and source.
    by_day: SmallMap<(Day, SourceHalves), u32>,
}

/// A source, without the alignment of a 64-bit number and in its order.
type SourceHalves = [u32; 2];

/// The halves of a source.
fn halves(source: Label) -> SourceHalves {
    [(source.0 >> 32) as u32, source.0 as u32]
}

/// The source of its halves.
fn source([high, low]: SourceHalves) -> Label {
    Label(u64::from(high) << 32 | u64::from(low))
}

/// A count of records after a change.
fn changed(count: u32, diff: Diff) -> u32 {
    count.wrapping_add_signed(diff as i32)
}

impl Support {
    /// Whether no record uses the set.
    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The estimated bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.by_day.heap_bytes(|_| 0)
    }

    /// The earliest day and source of a record with the set.
    fn provenance(&self) -> Option<(Day, Label)> {
        let first = self.by_day.first();
        first.map(|((day, of), _)| (*day, source(*of)))
    }

    /// The number of facts to announce: the announced one as long as it is not too far off.
    fn approximate_facts(&self) -> u32 {
        let (announced, all) = (u64::from(self.announced), u64::from(self.facts));
        let is_near = announced <= 2 * all && all < 4 * announced;
        if is_near { self.announced } else { self.facts }
    }

    /// Applies the changes of one epoch and emits what the graph needs to know.
    fn amend(
        &mut self,
        brand: BrandId,
        Changes { ids, uses }: Changes,
        out: &mut Vec<(GraphIn, Diff)>,
    ) {
        let before = (self.records > 0, self.announced, self.provenance());
        for (day, source, is_fact, diff) in uses {
            self.records = changed(self.records, diff);
            self.facts = changed(self.facts, if is_fact { diff } else { 0 });
            if ids.ids().len() > 1 {
                let of = (day, halves(source));
                let records = self.by_day.get(&of).copied().unwrap_or(0);
                match changed(records, diff) {
                    0 => drop(self.by_day.remove(&of)),
                    records => drop(self.by_day.insert(of, records)),
                }
            }
        }
        self.announced = self.approximate_facts();
        let set = ids.key();
        let present = |is_present: bool| is_present.then_some(&ids);
        let of_set = |ids: &IdSet| GraphIn::Set {
            brand,
            set: ids.clone(),
        };
        emit_change(present(before.0), present(self.records > 0), of_set, out);
        let some = |facts: u32| (facts > 0).then_some(facts);
        let of_facts = |facts| GraphIn::Facts { brand, set, facts };
        emit_change(some(before.1), some(self.announced), of_facts, out);
        let of_provenance = |(day, source)| GraphIn::Provenance {
            brand,
            set,
            day,
            source,
        };
        emit_change(before.2, self.provenance(), of_provenance, out);
    }
}

/// The updates of one identifier set in one epoch: day, source, and whether the record is a fact. Mostly one.
struct Changes {
    ids: IdSet,
    uses: SmallVec<[(Day, Label, bool, Diff); 1]>,
}

/// The operator. State: a counter for each set, and for linking sets one for each day and source.
#[derive(Default)]
pub struct IdSetCounts {
    sets: SharedIdSets,
}

impl IdSetCounts {
    /// An operator over the sets of its worker.
    pub fn new(sets: SharedIdSets) -> IdSetCounts {
        IdSetCounts { sets }
    }
}

impl KeyedOperator for IdSetCounts {
    type In = IdSetCountsIn;
    type Out = GraphIn;
    const NAME: &'static str = "IdSetCounts";

    /// By the identifier set.
    fn route(update: &IdSetCountsIn) -> u64 {
        match update {
            IdSetCountsIn::Use(of) => of.set.key() as u64,
            IdSetCountsIn::Own(worker) => *worker,
        }
    }

    /// The counts are part of the state of the policy filter.
    fn entries(&self) -> usize {
        0
    }

    fn apply_epoch(
        &mut self,
        epoch: Epoch,
        updates: Vec<(IdSetCountsIn, Diff)>,
        out: &mut Vec<(GraphIn, Diff)>,
    ) {
        let mut all = self.sets.borrow_mut();
        let own = all.take_uses(epoch);
        let others = updates
            .into_iter()
            .filter_map(|(update, diff)| match update {
                IdSetCountsIn::Use(of) => Some((of, diff)),
                IdSetCountsIn::Own(_) => None,
            });
        let mut changes: FxHashMap<(BrandId, HashKey), Changes> = FxHashMap::default();
        for (of, diff) in own.into_iter().chain(others) {
            let IdSetUse {
                brand,
                set: ids,
                source,
                day,
                is_fact,
            } = of;
            let changes = changes.entry((brand, ids.key().into()));
            let uses = SmallVec::new();
            let changes = changes.or_insert(Changes { ids, uses });
            changes.uses.push((day, source, is_fact, diff));
        }
        for ((brand, set), changes) in changes {
            all.sets
                .amend(brand, set, |of| of.support.amend(brand, changes, out));
        }
    }
}
