//! Person join: assigns every fact to the person of its identifiers.
//!
//! The identifiers of one record belong to one person by that very record, so facts are grouped by their identifier set, and
//! one update of the graph moves all facts of a set. Facts whose identifiers are all hubs belong to nobody.

use std::rc::Rc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, CellKey, DeltaBuffer};
use crate::engine::{Diff, Epoch, KeyedOperator};
use crate::facts::{Fact, FactChanges, in_cheap_order, net};
use crate::identity::components::Person;
use crate::person::{PersonIn, PersonKey};
use crate::record::{BrandId, IdSet};
use crate::routing::anonymous;
use crate::runs::Runs;
use crate::settings::Settings;
use crate::stats::Stats;

/// The input of [`PersonJoin`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PersonJoinIn {
    /// A fact of the person of an identifier set, or of nobody if the set is empty.
    Fact(BrandId, IdSet, Fact),
    /// The person of an identifier set.
    Assigned(BrandId, u128, Person),
}

/// The output of [`PersonJoin`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PersonJoinOut {
    /// A fact of a person.
    Person(PersonIn),
    /// The aggregate of a fact without a person.
    Sum(CellKey, Aggregate),
}

#[derive(Default)]
struct SetFacts {
    person: Option<Person>,
    facts: Runs<Fact>,
}

#[derive(Default)]
struct Changes {
    facts: FactChanges,
    leave: Option<Person>,
    join: Option<Person>,
}

/// The operator. State: the facts of every identifier set.
pub struct PersonJoin {
    stats: Rc<Stats>,
    sets: FxHashMap<(BrandId, u128), SetFacts>,
    deltas: DeltaBuffer,
}

impl PersonJoin {
    /// An operator without facts.
    pub fn new(settings: &Settings, stats: Rc<Stats>) -> PersonJoin {
        PersonJoin {
            stats,
            sets: FxHashMap::default(),
            deltas: DeltaBuffer::new(settings),
        }
    }
}

/// Emits a fact for its person, or its aggregates if it has none.
fn tell(
    (brand, set): (BrandId, u128),
    person: Option<Person>,
    fact: Fact,
    diff: Diff,
    nobodys: &mut Vec<(BrandId, u128, Fact, Diff)>,
    out: &mut Vec<(PersonJoinOut, Diff)>,
) {
    match person {
        None => nobodys.push((brand, set, fact, diff)),
        Some(person) => {
            let message = PersonIn::Fact(PersonKey { brand, person }, fact);
            out.push((PersonJoinOut::Person(message), diff));
        }
    }
}

impl KeyedOperator for PersonJoin {
    type In = PersonJoinIn;
    type Out = PersonJoinOut;
    const NAME: &'static str = "PersonJoin";

    fn route(update: &PersonJoinIn) -> u64 {
        match update {
            // Facts that name nobody have no home and may stay anywhere; their own hash spreads them.
            PersonJoinIn::Fact(_, set, Fact::Conversion(conversion)) if set.is_empty() => {
                conversion.name.0 as u64
            }
            PersonJoinIn::Fact(_, set, _) => set.key() as u64,
            PersonJoinIn::Assigned(_, set, _) => *set as u64,
        }
    }

    fn entries(&self) -> usize {
        self.sets.len()
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        updates: Vec<(PersonJoinIn, Diff)>,
        out: &mut Vec<(PersonJoinOut, Diff)>,
    ) {
        let mut changes: FxHashMap<(BrandId, u128), Changes> = FxHashMap::default();
        // What nobody stands behind counts record by record.
        let mut nobodys: Vec<(BrandId, u128, Fact, Diff)> = Vec::new();
        for (update, diff) in updates {
            match update {
                PersonJoinIn::Fact(brand, set, fact) if set.is_empty() => {
                    nobodys.push((brand, 0, fact, diff));
                }
                PersonJoinIn::Fact(brand, set, fact) => {
                    changes
                        .entry((brand, set.key()))
                        .or_default()
                        .facts
                        .push((fact, diff));
                }
                PersonJoinIn::Assigned(brand, set, person) => {
                    let changes = changes.entry((brand, set)).or_default();
                    let side = if diff > 0 {
                        &mut changes.join
                    } else {
                        &mut changes.leave
                    };
                    *side = Some(person);
                }
            }
        }
        for (key, mut change) in changes {
            let waiting = self.sets.entry(key).or_default();
            let old = waiting.person;
            let new = match (change.leave, change.join) {
                (_, Some(joined)) => Some(joined),
                (Some(_), None) => None,
                (None, None) => old,
            };
            let mut steps = change.facts.len() as u64;
            if old != new {
                for fact in waiting.facts.iter() {
                    steps += 1;
                    tell(key, old, fact.clone(), -1, &mut nobodys, out);
                    tell(key, new, fact.clone(), 1, &mut nobodys, out);
                }
                waiting.person = new;
            }
            net(&mut change.facts);
            for (fact, diff) in in_cheap_order(change.facts) {
                steps += waiting.facts.amend(&fact, diff);
                tell(key, new, fact, diff, &mut nobodys, out);
            }
            self.stats.steps(steps);
            if waiting.facts.is_empty() && waiting.person.is_none() {
                self.sets.remove(&key);
            }
        }
        nobodys.sort_unstable_by_key(|(brand, set, fact, _)| (*brand, *set, fact.contributor()));
        let is_one = |one: &(BrandId, u128, Fact, Diff), other: &(BrandId, u128, Fact, Diff)| {
            (one.0, one.1, one.2.contributor()) == (other.0, other.1, other.2.contributor())
        };
        for records in nobodys.chunk_by(is_one) {
            for (brand, _, fact, diff) in records {
                anonymous(*brand, fact, *diff, &mut self.deltas);
            }
            self.deltas.end_contributor();
        }
        out.extend(
            self.deltas
                .drain()
                .map(|(key, sums)| (PersonJoinOut::Sum(key, sums), 1)),
        );
    }
}
