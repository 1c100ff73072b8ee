//! Mentions: which sets of identifiers are named by any held record.
//!
//! A set enters the graph with its first record and leaves with its last. For sets that link, the
//! earliest `(day, source)` that supports them goes along as a witness, so that a link can be explained.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::engine::{Diff, Epoch, Stage};
use crate::facts::Mention;
use crate::identity::graph::GraphIn;
use crate::label::Label;
use crate::record::{BrandId, Day};

#[derive(Default)]
struct Support {
    records: Diff,
    by_day: BTreeMap<(Day, Label), Diff>,
}

impl Support {
    fn witness(&self) -> Option<(Day, Label)> {
        self.by_day.keys().next().copied()
    }
}

/// The stage. A counter for each set, and for linking sets one for each day and source.
#[derive(Default)]
pub struct Mentions {
    sets: FxHashMap<(BrandId, u128), Support>,
}

impl Stage for Mentions {
    type In = Mention;
    type Out = GraphIn;
    const NAME: &'static str = "Mentions";

    fn route(mention: &Mention) -> u64 {
        mention.set.key() as u64
    }

    fn step(&mut self, _: Epoch, mentions: Vec<(Mention, Diff)>, out: &mut Vec<(GraphIn, Diff)>) {
        // What each touched set was before the epoch, so that only the net change leaves.
        let mut before = FxHashMap::default();
        for (mention, diff) in mentions {
            let Mention {
                brand,
                set,
                source,
                day,
            } = mention;
            let key = (brand, set.key());
            let support = self.sets.entry(key).or_default();
            let links = set.ids().len() > 1;
            before
                .entry(key)
                .or_insert_with(|| (set, support.records > 0, support.witness()));
            support.records += diff;
            if links {
                let days = support.by_day.entry((day, source)).or_default();
                *days += diff;
                if *days == 0 {
                    support.by_day.remove(&(day, source));
                }
            }
        }
        for ((brand, key), (set, was_there, old_witness)) in before {
            let Some(support) = self.sets.get(&(brand, key)) else {
                continue;
            };
            let is_there = support.records > 0;
            let new_witness = support.witness();
            if was_there != is_there {
                let diff = if is_there { 1 } else { -1 };
                out.push((GraphIn::Set { brand, set }, diff));
            }
            if old_witness != new_witness {
                for (witness, diff) in [(old_witness, -1), (new_witness, 1)] {
                    if let Some((day, source)) = witness {
                        out.push((
                            GraphIn::Witness {
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
