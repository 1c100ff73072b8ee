//! Person join: assigns every fact to the person of its identifiers.
//!
//! The identifiers of one record belong to one person by definition, so facts are grouped by their identifier set, and one update
//! of the graph moves all facts of a set. A fact without identifiers, or whose identifiers are all hubs, has no person. It is
//! counted here, with the record itself as the contributor.
//!
//! The facts and the assignments of an epoch are applied together, so a fact is emitted only for the person that it has at the end
//! of the epoch.

use std::rc::Rc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, CellKey};
use crate::current_settings::CurrentSettings;
use crate::delta_buffer::DeltaBuffer;
use crate::engine::{Diff, Epoch, GroupedState, KeyedOperator, State};
use crate::facts::{Fact, FactChanges, net};
use crate::hash_key::HashKey;
use crate::identity::components::{NOBODY, Person};
use crate::identity::packed_facts::PackedFacts;
use crate::label_numbers::LabelNumbers;
use crate::person::{PersonIn, PersonKey};
use crate::record::{BrandId, IdSet};
use crate::routing::count_anonymous;
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

/// The facts of an identifier set and their person.
struct SetFacts {
    /// [`NOBODY`] as long as the graph has not assigned one, and if all identifiers are hubs.
    person: Person,
    /// The facts, packed, as a multiset.
    facts: PackedFacts,
}

impl Default for SetFacts {
    fn default() -> Self {
        SetFacts {
            person: NOBODY,
            facts: PackedFacts::default(),
        }
    }
}

impl State for SetFacts {
    fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.person == NOBODY
    }
}

/// The updates of one identifier set in one epoch.
#[derive(Default)]
struct Changes {
    facts: FactChanges,
    /// The person whose assignment is retracted.
    leave: Option<Person>,
    /// The person that is assigned.
    join: Option<Person>,
}

impl Changes {
    /// The person after the changes.
    fn person(&self, before: Option<Person>) -> Option<Person> {
        match (self.leave, self.join) {
            (_, Some(joined)) => Some(joined),
            (Some(_), None) => None,
            (None, None) => before,
        }
    }
}

/// The facts without a person in one epoch, each with its brand and identifier set. They count record by record.
type Anonymous = Vec<(BrandId, u128, Fact, Diff)>;

impl SetFacts {
    /// Applies the changes of one epoch. Returns the number of facts that were visited.
    fn amend(
        &mut self,
        key: (BrandId, u128),
        mut changes: Changes,
        numbers: &mut LabelNumbers,
        anonymous: &mut Anonymous,
        out: &mut Vec<(PersonJoinOut, Diff)>,
    ) -> u64 {
        let old = (self.person != NOBODY).then_some(self.person);
        let new = changes.person(old);
        let mut steps = changes.facts.len() as u64;
        if old != new {
            for (fact, times) in self.facts.iter(numbers) {
                steps += 1;
                emit_fact(key, old, fact.clone(), -times, anonymous, out);
                emit_fact(key, new, fact, times, anonymous, out);
            }
            self.person = new.unwrap_or(NOBODY);
        }
        net(&mut changes.facts);
        for (fact, diff) in changes.facts {
            self.facts.amend(&fact, diff, numbers);
            emit_fact(key, new, fact, diff, anonymous, out);
        }
        steps
    }
}

/// The operator. State: the facts of every identifier set.
pub struct PersonJoin {
    settings: CurrentSettings,
    stats: Rc<Stats>,
    /// The facts of each identifier set.
    sets: GroupedState<BrandId, HashKey, SetFacts>,
    /// The labels and channels of the facts.
    numbers: LabelNumbers,
    deltas: DeltaBuffer,
}

impl PersonJoin {
    /// An operator without facts.
    pub fn new(settings: CurrentSettings, stats: Rc<Stats>) -> PersonJoin {
        PersonJoin {
            stats,
            sets: GroupedState::default(),
            numbers: LabelNumbers::default(),
            deltas: DeltaBuffer::new(&settings),
            settings,
        }
    }
}

/// Emits a fact for its person, or adds it to the anonymous ones if it has none.
fn emit_fact(
    (brand, set): (BrandId, u128),
    person: Option<Person>,
    fact: Fact,
    diff: Diff,
    anonymous: &mut Anonymous,
    out: &mut Vec<(PersonJoinOut, Diff)>,
) {
    match person {
        None => anonymous.push((brand, set, fact, diff)),
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

    /// By the identifier set, whose facts move together.
    fn route(update: &PersonJoinIn) -> u64 {
        match update {
            // Facts without identifiers may be counted on any worker; their own hash spreads them.
            PersonJoinIn::Fact(_, set, Fact::Conversion(conversion)) if set.is_empty() => {
                conversion.name.0 as u64
            }
            PersonJoinIn::Fact(_, set, _) => set.key() as u64,
            PersonJoinIn::Assigned(_, set, _) => *set as u64,
        }
    }

    fn entries(&self) -> usize {
        self.sets.len() + self.numbers.len()
    }

    fn bytes(&self) -> usize {
        self.sets.bytes(|of| of.facts.heap_bytes()) + self.numbers.bytes()
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        updates: Vec<(PersonJoinIn, Diff)>,
        out: &mut Vec<(PersonJoinOut, Diff)>,
    ) {
        if self.settings.take_change().is_some() {
            self.deltas.change_settings(&self.settings);
        }
        let mut changes: FxHashMap<(BrandId, u128), Changes> = FxHashMap::default();
        let mut anonymous = Anonymous::new();
        for (update, diff) in updates {
            match update {
                PersonJoinIn::Fact(brand, set, fact) if set.is_empty() => {
                    anonymous.push((brand, 0, fact, diff));
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
        for (key, changes) in changes {
            let numbers = &mut self.numbers;
            let steps = self.sets.amend(key.0, key.1.into(), |facts| {
                facts.amend(key, changes, numbers, &mut anonymous, out)
            });
            self.stats.steps(steps);
        }
        let contributor = |(brand, set, fact, _): &(BrandId, u128, Fact, Diff)| {
            (*brand, *set, fact.contributor())
        };
        anonymous.sort_unstable_by_key(contributor);
        for of_one in anonymous.chunk_by(|a, b| contributor(a) == contributor(b)) {
            for (brand, _, fact, diff) in of_one {
                count_anonymous(*brand, fact, *diff, &mut self.deltas);
            }
            self.deltas.end_contributor();
        }
        self.deltas.drain_into(PersonJoinOut::Sum, out);
    }
}
