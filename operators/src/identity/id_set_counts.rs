//! Identifier set counts: which identifier sets occur in current records.
//!
//! A set enters the graph with its first record and leaves with its last. For sets that link identifiers, the earliest
//! supporting `(day, source)` is the provenance of the links, so that they can be explained.
//!
//! The graph also receives the approximate number of facts of each set, so that it can move the smaller side. An update is
//! sent when the number has grown fourfold or fallen by half, which happens a few times per set.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::engine::{Diff, Epoch, KeyedOperator};
use crate::facts::IdSetUse;
use crate::identity::graph::GraphIn;
use crate::label::Label;
use crate::record::{BrandId, Day};

#[derive(Default)]
struct Support {
    records: Diff,
    /// The records that are facts.
    facts: Diff,
    /// About how many facts there are, as the graph knows it.
    announced: u32,
    by_day: BTreeMap<(Day, Label), Diff>,
}

impl Support {
    fn provenance(&self) -> Option<(Day, Label)> {
        self.by_day.keys().next().copied()
    }

    /// About how many facts there are: what the graph knows as long as that is not too far off.
    fn about(&self) -> u32 {
        let facts = u32::try_from(self.facts.max(0)).unwrap_or(u32::MAX);
        let (announced, all) = (u64::from(self.announced), u64::from(facts));
        // Small fluctuations are not announced.
        let near = announced <= 2 * all && all < 4 * announced;
        if near { self.announced } else { facts }
    }
}

/// The operator. State: a counter for each set, and for linking sets one for each day and source.
#[derive(Default)]
pub struct IdSetCounts {
    sets: FxHashMap<(BrandId, u128), Support>,
}

impl KeyedOperator for IdSetCounts {
    type In = IdSetUse;
    type Out = GraphIn;
    const NAME: &'static str = "IdSetCounts";

    fn route(mention: &IdSetUse) -> u64 {
        mention.set.key() as u64
    }

    fn entries(&self) -> usize {
        self.sets.len()
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        mentions: Vec<(IdSetUse, Diff)>,
        out: &mut Vec<(GraphIn, Diff)>,
    ) {
        // What each touched set was before the epoch, so that only the net change leaves.
        let mut before = FxHashMap::default();
        for (mention, diff) in mentions {
            let IdSetUse {
                brand,
                set,
                source,
                day,
                is_fact,
            } = mention;
            let key = (brand, set.key());
            let support = self.sets.entry(key).or_default();
            let links = set.ids().len() > 1;
            before
                .entry(key)
                .or_insert_with(|| (set, support.records > 0, support.provenance()));
            support.records += diff;
            support.facts += if is_fact { diff } else { 0 };
            if links {
                let days = support.by_day.entry((day, source)).or_default();
                *days += diff;
                if *days == 0 {
                    support.by_day.remove(&(day, source));
                }
            }
        }
        for ((brand, key), (set, was_there, old_provenance)) in before {
            let Some(support) = self.sets.get_mut(&(brand, key)) else {
                continue;
            };
            let (announced, about) = (support.announced, support.about());
            support.announced = about;
            let is_there = support.records > 0;
            let new_provenance = support.provenance();
            if was_there != is_there {
                let diff = if is_there { 1 } else { -1 };
                out.push((GraphIn::Set { brand, set }, diff));
            }
            if announced != about {
                for (facts, diff) in [(announced, -1), (about, 1)] {
                    if facts > 0 {
                        let set = key;
                        out.push((GraphIn::Facts { brand, set, facts }, diff));
                    }
                }
            }
            if old_provenance != new_provenance {
                for (provenance, diff) in [(old_provenance, -1), (new_provenance, 1)] {
                    if let Some((day, source)) = provenance {
                        out.push((
                            GraphIn::Provenance {
                                brand,
                                set: key,
                                day,
                                source,
                            },
                            diff,
                        ));
                    }
                }
            }
            if support.records == 0 {
                self.sets.remove(&(brand, key));
            }
        }
    }
}
