//! Person: everything that follows from the actions of one person.
//!
//! The touchpoints and conversions of a person meet in its [`history`]. A change of it re-evaluates only the conversions that it
//! can affect ([`affected`]); each contributes to the cells as its [`journey`] does. A person without a conversion contributes
//! its months of touches as null paths to the Markov chains ([`null`]).
//!
//! The output is a collection of changes of cells: for each cell and epoch at most one row per worker, the sum over all persons
//! that changed. All facts of a person are on one worker. The person is known by its label in the identity graph only: no identifier reaches
//! this operator, and the label leaves it only as a hash among the contributors of a cell.

mod affected;
mod cell_membership;
mod conversions;
mod history;
mod journey;
mod lift;
mod null;
mod packed_touch;
mod touches;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, CellKey};
use crate::ask::{Question, Reply, RoutedQuestion};
use crate::attribution::path::steps;
use crate::current_settings::CurrentSettings;
use crate::delta_buffer::DeltaBuffer;
use crate::engine::{Diff, Epoch, GroupedState, KeyedOperator, QueryOperator};
use crate::facts::Fact;
use crate::identity::components::Person;
use crate::label::Channel;
use crate::label_numbers::LabelNumbers;
use crate::record::BrandId;
use crate::stats::Stats;
use history::{Changes, History};

/// A person of a brand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PersonKey {
    /// The brand.
    pub brand: BrandId,
    /// The label of the person in the graph.
    pub person: Person,
}

/// The input of [`Persons`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PersonIn {
    /// A fact of the person.
    Fact(PersonKey, Fact),
    /// The person has more identifiers than the size guard allows.
    Oversized(PersonKey),
    /// What this epoch changes of the person is part of the act of this number.
    Act(PersonKey, u64),
}

/// The operator. State: the histories of the persons that this worker owns. Output: the changes of cells.
pub struct Persons {
    settings: CurrentSettings,
    stats: Rc<Stats>,
    /// The history of each person of a brand, by its label.
    persons: GroupedState<BrandId, Person, History>,
    /// The channels of the touches, and the labels of the conversions.
    numbers: LabelNumbers,
    deltas: DeltaBuffer,
}

impl Persons {
    /// An operator without persons.
    pub fn new(settings: CurrentSettings, stats: Rc<Stats>) -> Persons {
        Persons {
            settings,
            stats,
            persons: GroupedState::default(),
            numbers: LabelNumbers::default(),
            deltas: DeltaBuffer::default(),
        }
    }
}

impl KeyedOperator for Persons {
    type In = PersonIn;
    type Out = (CellKey, Aggregate);
    const NAME: &'static str = "Person";

    /// By the person, so that its history is on one worker.
    fn route(update: &PersonIn) -> u64 {
        match update {
            // Labels count up within a brand; brands start at different workers.
            PersonIn::Fact(key, _) | PersonIn::Oversized(key) | PersonIn::Act(key, _) => {
                key.person.wrapping_add(key.brand.0)
            }
        }
    }

    fn entries(&self) -> usize {
        self.persons.len() + self.numbers.len()
    }

    fn bytes(&self) -> usize {
        self.persons.bytes(History::heap_bytes) + self.numbers.bytes()
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        updates: Vec<(PersonIn, Diff)>,
        out: &mut Vec<((CellKey, Aggregate), Diff)>,
    ) {
        self.settings.take_change();
        let mut changes: FxHashMap<PersonKey, Changes> = FxHashMap::default();
        for (update, diff) in updates {
            match update {
                PersonIn::Fact(key, fact) => {
                    changes.entry(key).or_default().facts.push((fact, diff));
                }
                PersonIn::Oversized(key) => changes.entry(key).or_default().oversized += diff,
                PersonIn::Act(key, act) => changes.entry(key).or_default().act = Some(act),
            }
        }
        for (key, changes) in changes {
            let PersonKey { brand, person } = key;
            if changes.facts.is_empty() && changes.oversized == 0 {
                continue;
            }
            let Some(settings) = self.settings.brands.get(&brand) else {
                continue;
            };
            let steps = self.persons.amend(brand, person, |history| {
                let numbers = &mut self.numbers;
                history.amend(brand, person, settings, changes, numbers, &mut self.deltas)
            });
            self.deltas.end_contributor();
            self.stats.steps(steps);
        }
        self.deltas.drain_into(|key, sums| (key, sums), out);
    }
}

impl QueryOperator for Persons {
    type Question = Question;
    type Reply = Reply;

    /// Answers [`Question::Paths`] with the paths of the conversions in question, and how many persons have them.
    fn answer(&mut self, query: RoutedQuestion, replies: &mut Vec<Reply>) {
        let Question::Paths { brand, of, channel } = query.question else {
            return;
        };
        let Some(settings) = self.settings.brands.get(&brand) else {
            return;
        };
        let mut paths: BTreeMap<Vec<Channel>, (u64, u64)> = BTreeMap::new();
        let persons = self.persons.of(&brand).map(|(_, person)| person);
        for person in persons.filter(|person| !person.oversized) {
            let mut own: FxHashMap<Vec<Channel>, u64> = FxHashMap::default();
            let sales = person.sales.iter(&self.numbers);
            let conversions = sales.chain(person.visits.iter(&self.numbers));
            for conversion in conversions.filter(|c| of.holds(c)) {
                let touches = &person.touches;
                let path = touches.path(&conversion, settings, &self.numbers, &Cell::default());
                if path.iter().any(|touch| touch.channel == channel) {
                    *own.entry(steps(&path)).or_default() += 1;
                }
            }
            for (path, conversions) in own {
                let entry = paths.entry(path).or_default();
                entry.0 += 1;
                entry.1 += conversions;
            }
        }
        replies.extend(
            paths
                .into_iter()
                .map(|(path, (persons, conversions))| Reply::Path {
                    brand,
                    path,
                    persons,
                    conversions,
                }),
        );
    }
}
