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

use super::store::SharedIdSets;
use super::support::Changes;
use crate::engine::{Diff, Epoch, KeyedOperator};
use crate::facts::IdSetUse;
use crate::hash_key::HashKey;
use crate::identity::graph::GraphIn;
use crate::record::BrandId;

/// The input of [`IdSetCounts`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IdSetCountsIn {
    /// The use of a set by a record whose own identifiers are others.
    Use(IdSetUse),
    /// To a worker: there are uses among its [`OwnChanges`](super::changes::OwnChanges).
    Own(u64),
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
