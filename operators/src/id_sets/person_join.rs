//! Person join: assigns every fact to the person of its identifiers.
//!
//! The identifiers of one record belong to one person by definition, so facts are grouped by their identifier set, and one update
//! of the graph moves all facts of a set. A fact without identifiers, or whose identifiers are all hubs, has no person. It is
//! counted here, with the record itself as the contributor.
//!
//! The facts and the assignments of an epoch are applied together, so a fact is emitted only for the person that it has at the end
//! of the epoch. The facts that follow from the records of a set are read from them when the set moves; only the others are kept
//! as facts.

use std::rc::Rc;

use differential_dataflow::consolidation::consolidate;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::changes::IdSetKey;
use super::store::{IdSets, SharedIdSets};
use crate::aggregate::{Aggregate, CellKey};
use crate::current_settings::CurrentSettings;
use crate::delta_buffer::DeltaBuffer;
use crate::engine::{Diff, Epoch, KeyedOperator};
use crate::facts::{Fact, FactChanges, net};
use crate::hash_key::HashKey;
use crate::identity::components::{NOBODY, Person};
use crate::person::{PersonIn, PersonKey};
use crate::record::BrandId;
use crate::routing::count_anonymous;
use crate::stats::Stats;

/// The input of [`PersonJoin`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PersonJoinIn {
    /// A fact of the person of an identifier set (its key), or of nobody if that is 0. It does not follow from a record that has the set.
    Fact(BrandId, u128, Fact),
    /// To a worker: there are facts among its [`OwnChanges`](super::changes::OwnChanges).
    Own(u64),
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

/// The updates of one identifier set in one epoch.
#[derive(Default)]
struct Changes {
    /// The facts that follow from the records of the set.
    own: FactChanges,
    /// The other facts.
    others: FactChanges,
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
type Anonymous = Vec<(BrandId, HashKey, Fact, Diff)>;

/// The operator. State: the person of every identifier set, and the facts that do not follow from its records.
pub struct PersonJoin {
    settings: CurrentSettings,
    stats: Rc<Stats>,
    sets: SharedIdSets,
    deltas: DeltaBuffer,
}

impl PersonJoin {
    /// An operator over the sets of its worker.
    pub fn new(settings: CurrentSettings, stats: Rc<Stats>, sets: SharedIdSets) -> PersonJoin {
        PersonJoin {
            deltas: DeltaBuffer::new(&settings),
            settings,
            stats,
            sets,
        }
    }

    /// Applies the changes of one epoch to a set; `later` is what later epochs changed of the facts that follow from its records.
    fn amend(
        &self,
        all: &mut IdSets,
        key: IdSetKey,
        mut changes: Changes,
        later: &[(Fact, Diff)],
        anonymous: &mut Anonymous,
        out: &mut Vec<(PersonJoinOut, Diff)>,
    ) {
        let at = all.link_time(key.0);
        let IdSets {
            sets,
            numbers,
            table,
            ..
        } = all;
        let table = &*table.borrow();
        let settings = self.settings.brands.get(&key.0);
        let steps = sets.amend(key.0, key.1, |set| {
            let old = (set.person != NOBODY).then_some(set.person);
            let new = changes.person(old);
            let mut steps = (changes.own.len() + changes.others.len()) as u64;
            net(&mut changes.own);
            if old != new {
                let own = settings
                    .map(|of| set.own_facts(key.0, (of, at), (table, &*numbers), &self.deltas));
                let (mut held, records) = own.unwrap_or_default();
                steps += records + later.len() as u64;
                let since = changes.own.iter().chain(later);
                held.extend(since.map(|(fact, diff)| (fact.clone(), -diff)));
                consolidate(&mut held);
                for (fact, times) in held.into_iter().chain(set.others.iter(numbers)) {
                    debug_assert!(times > 0, "the facts of a set follow from its records");
                    steps += 1;
                    emit_fact(key, old, fact.clone(), -times, anonymous, out);
                    emit_fact(key, new, fact, times, anonymous, out);
                }
                set.person = new.unwrap_or(NOBODY);
            }
            for (fact, diff) in changes.own {
                emit_fact(key, new, fact, diff, anonymous, out);
            }
            net(&mut changes.others);
            for (fact, diff) in changes.others {
                set.others.amend(&fact, diff, numbers);
                emit_fact(key, new, fact, diff, anonymous, out);
            }
            steps
        });
        self.stats.steps(steps);
    }
}

/// Emits a fact for its person, or adds it to the anonymous ones if it has none.
fn emit_fact(
    (brand, set): IdSetKey,
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
            PersonJoinIn::Fact(_, 0, Fact::Conversion(conversion)) => conversion.name.0 as u64,
            PersonJoinIn::Fact(_, set, _) => *set as u64,
            PersonJoinIn::Assigned(_, set, _) => *set as u64,
            PersonJoinIn::Own(worker) => *worker,
        }
    }

    /// The persons and facts are part of the state of the policy filter.
    fn entries(&self) -> usize {
        0
    }

    fn apply_epoch(
        &mut self,
        epoch: Epoch,
        updates: Vec<(PersonJoinIn, Diff)>,
        out: &mut Vec<(PersonJoinOut, Diff)>,
    ) {
        if self.settings.take_change().is_some() {
            self.deltas.change_settings(&self.settings);
        }
        let sets = self.sets.clone();
        let all = &mut *sets.borrow_mut();
        let mut changes: FxHashMap<IdSetKey, Changes> = FxHashMap::default();
        let mut moved: FxHashSet<IdSetKey> = FxHashSet::default();
        let mut anonymous = Anonymous::new();
        for (key, fact, diff) in all.take_facts(epoch) {
            changes.entry(key).or_default().own.push((fact, diff));
        }
        for (update, diff) in updates {
            match update {
                PersonJoinIn::Own(_) => {}
                PersonJoinIn::Fact(brand, 0, fact) => {
                    anonymous.push((brand, 0.into(), fact, diff));
                }
                PersonJoinIn::Fact(brand, set, fact) => {
                    let changes = changes.entry((brand, set.into())).or_default();
                    changes.others.push((fact, diff));
                }
                PersonJoinIn::Assigned(brand, set, person) => {
                    let key = (brand, set.into());
                    let changes = changes.entry(key).or_default();
                    let side = if diff > 0 {
                        &mut changes.join
                    } else {
                        &mut changes.leave
                    };
                    *side = Some(person);
                    moved.insert(key);
                }
            }
        }
        let later = all.later_facts(&moved);
        for (key, changes) in changes {
            let later = later.get(&key).map_or(&[][..], Vec::as_slice);
            self.amend(all, key, changes, later, &mut anonymous, out);
        }
        let contributor = |(brand, set, fact, _): &(BrandId, HashKey, Fact, Diff)| {
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
