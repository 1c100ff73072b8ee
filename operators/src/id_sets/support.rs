//! Support: how many admitted records use an identifier set, and which of them links its identifiers first.

use smallvec::SmallVec;

use crate::engine::{Diff, emit_change};
use crate::identity::graph::GraphIn;
use crate::label::Label;
use crate::record::{BrandId, Day, IdSet};
use crate::small_map::SmallMap;

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
    pub(super) fn amend(
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
pub(super) struct Changes {
    pub(super) ids: IdSet,
    pub(super) uses: SmallVec<[(Day, Label, bool, Diff); 1]>,
}
