//! The identity graph of a brand: identifier sets, the hub guard, and the resulting persons.
//!
//! Two identifiers of the same set are a pair. An identifier with more distinct other values around it than its kind allows is
//! a hub: it stays in the graph but is excluded from all paths, so that a pair is a link only if neither is a hub. The size
//! guard marks a person and changes no path.
//!
//! An epoch is applied in three phases. First the bookkeeping: sets are added and removed, degrees and pairs are counted, hubs
//! change state. Then the pairs that no longer link are removed from the forest, and then the new links are inserted. The
//! result is a function of the current sets, so the order of history has no effect (invariant I1).
//!
//! The cost of a change does not grow with the size of the person: a pair costs a few steps down the forest
//! ([`super::forest`]), the facts of the smaller side move, and a hub that changes state visits its own sets. A hub with many
//! values around it does not change state because of one record.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::acts::{Acts, number_of};
use super::components::{Components, Moves, NOBODY, Person};
use super::forest::{Link, NO_LINK};
use super::nodes::{Edge, Id, Nodes};
use super::number_set::NumberSet;
use super::outcome::GraphOut;
use crate::aggregate::{Aggregate, CellKey};
use crate::allowed_uses::AllowedUses;
use crate::consent_counts::ConsentChange;
use crate::engine::{Diff, Keyed, Numbered, Table};
use crate::hash_key::HashKey;
use crate::label::Label;
use crate::record::{BrandId, Day, IdSet, Pseudonym};
use crate::settings::BrandSettings;

/// An identifier set in use: an edge of the hypergraph of identifiers. Its identifiers are pairwise linked, except hubs.
///
/// There are as many as identifiers, so that what may be absent is a value that nothing else has, without a tag beside it.
pub(super) struct Hyperedge {
    /// The key of the set.
    key: HashKey,
    /// The identifiers.
    pub(super) ids: NumberSet,
    /// The announced number of facts of the set.
    facts: u32,
    /// The day of the provenance, or [`NO_DAY`].
    day: Day,
    /// The source of the provenance.
    source: Label,
    /// The emitted person; [`NOBODY`] if the set has no facts or only hubs.
    person: Person,
}

/// The day of a set without a provenance: one that links nothing.
const NO_DAY: Day = Day::MIN;

impl Hyperedge {
    /// The emitted person, if any.
    fn person(&self) -> Option<Person> {
        (self.person != NOBODY).then_some(self.person)
    }

    /// The earliest day and source of a record with the set, if it links identifiers.
    pub(super) fn provenance(&self) -> Option<(Day, Label)> {
        (self.day != NO_DAY).then_some((self.day, self.source))
    }
}

impl Keyed for Hyperedge {
    type Key = HashKey;

    fn key(&self) -> &HashKey {
        &self.key
    }
}

/// Two identifiers that occur in a common set.
#[derive(Clone, Copy)]
struct Pair {
    /// The number of sets that contain both.
    sets: u32,
    /// Their link in the forest; [`NO_LINK`] if either is a hub.
    link: Link,
}

/// The identity graph of a brand. Empty, with all numbers zero, once all sets are out of use.
#[derive(Default)]
pub(super) struct BrandGraph {
    /// The identifiers.
    pub(super) nodes: Nodes,
    /// The sets in use.
    pub(super) hyperedges: Numbered<Hyperedge>,
    /// The smaller number first.
    pairs: Table<(Id, Id), Pair>,
    /// The persons: the connected components without hubs.
    pub(super) components: Components,
    /// The persons with more identifiers than the size guard allows.
    oversized: FxHashSet<Person>,
    /// The number of pairs that are a link.
    links: i64,
    /// The number of hubs.
    hubs: i64,
    /// The totals as they were emitted last.
    published: Aggregate,
    /// The number of sets and identifiers that were visited.
    steps: u64,
}

/// What the changes of an epoch have affected so far.
#[derive(Default)]
struct Work {
    /// The sets whose person may have changed.
    sets: FxHashSet<Edge>,
    /// The identifiers whose sets, values or facts changed.
    nodes: FxHashSet<Id>,
    /// The clear values of changed sets.
    values: Vec<Id>,
    /// The pairs that may have become a link, or ceased to be one.
    pairs: FxHashSet<(Id, Id)>,
}

/// The changes of a brand's identifier sets in an epoch.
#[derive(Default)]
pub(super) struct Changes {
    /// Sets that came into use (`+1`) or went out of use (`-1`).
    pub(super) sets: Vec<(IdSet, Diff)>,
    /// The change of the announced number of facts of a set, by its key.
    pub(super) facts: Vec<(u128, i64)>,
    /// The earliest day and source that support a set now, by its key.
    pub(super) provenance: Vec<(u128, Day, Label)>,
    /// The identifiers of records and requests whose changes are one act.
    pub(super) acts: Vec<Arc<[Pseudonym]>>,
    /// What a statement about an identifier allowed before and allows now.
    pub(super) consents: Vec<(Pseudonym, Option<AllowedUses>, Option<AllowedUses>)>,
}

/// The key of a pair: the smaller number first.
fn pair(a: Id, b: Id) -> (Id, Id) {
    (a.min(b), a.max(b))
}

impl BrandGraph {
    /// The number of identifiers (twice), sets, pairs, persons and parts of the forest.
    pub(super) fn entries(&self) -> usize {
        2 * self.nodes.len()
            + self.hyperedges.len()
            + self.pairs.len()
            + self.components.entries()
            + self.oversized.len()
    }

    /// The estimated bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.nodes.bytes()
            + self.hyperedges.bytes(|edge| edge.ids.heap_bytes())
            + self.pairs.bytes()
            + self.components.bytes()
    }

    /// The number of sets, identifiers and parts of the forest that were visited since the last call.
    pub(super) fn steps(&mut self) -> u64 {
        std::mem::take(&mut self.steps) + self.components.steps()
    }

    /// Whether paths may pass through an identifier: whether it is no hub.
    pub(super) fn is_path(&self, id: Id) -> bool {
        self.nodes.get(id).is_some_and(|node| !node.hub)
    }

    /// Adds a set without facts.
    fn add_set(&mut self, set: &IdSet, work: &mut Work) {
        let edge = self.hyperedges.insert(Hyperedge {
            key: set.key().into(),
            ids: NumberSet::default(),
            facts: 0,
            day: NO_DAY,
            source: Label::ABSENT,
            person: NOBODY,
        });
        let ids = set.ids().iter().map(|id| self.nodes.add(id, edge));
        let ids: SmallVec<[(Id, Id); 4]> = ids.collect();
        self.count(&ids, 1, work);
        if let Some(hyperedge) = self.hyperedges.get_mut(edge) {
            hyperedge.ids = ids.iter().map(|(id, _)| *id).collect();
        }
        work.sets.insert(edge);
    }

    /// Removes a set and returns its person.
    fn remove_set(&mut self, set: &IdSet, work: &mut Work) -> Option<Person> {
        let edge = self.hyperedges.find(&set.key().into())?;
        let hyperedge = self.hyperedges.remove(edge)?;
        let ids = set.ids().iter();
        let ids: SmallVec<[(Id, Id); 4]> = ids.filter_map(|id| self.nodes.take(id, edge)).collect();
        self.count(&ids, -1, work);
        self.carry(
            &hyperedge.ids,
            (hyperedge.facts as i32).wrapping_neg(),
            work,
        );
        hyperedge.person()
    }

    /// Counts a set (`by` 1 or -1) at its identifiers, each given with its clear value, and at its pairs.
    fn count(&mut self, ids: &[(Id, Id)], by: i32, work: &mut Work) {
        let mut values: SmallVec<[Id; 4]> = ids.iter().map(|(_, value)| *value).collect();
        values.sort_unstable();
        values.dedup();
        for (number, own) in ids {
            self.steps += 1;
            let Some(node) = self.nodes.get_mut(*number) else {
                continue;
            };
            for value in values.iter().filter(|value| *value != own) {
                let sets = node.values.get(value).copied().unwrap_or(0);
                match sets.wrapping_add_signed(by) {
                    0 => drop(node.values.remove(value)),
                    sets => drop(node.values.insert(*value, sets)),
                }
            }
        }
        work.nodes.extend(ids.iter().map(|(id, _)| *id));
        work.values.extend(values);
        for (at, (a, _)) in ids.iter().enumerate() {
            for (b, _) in ids.iter().skip(at + 1) {
                let key = pair(*a, *b);
                let held = self.pairs.entry(key).or_insert_with(|| Pair {
                    sets: 0,
                    link: NO_LINK,
                });
                held.sets = held.sets.wrapping_add_signed(by);
                // The state of other pairs does not change.
                if held.sets == 0 || held.sets == 1 && by > 0 {
                    work.pairs.insert(key);
                }
            }
        }
    }

    /// Adds a number of facts, which may be negative, to the identifiers of their set.
    fn carry(&mut self, ids: &NumberSet, facts: i32, work: &mut Work) {
        if facts != 0 {
            for id in ids.iter() {
                if let Some(node) = self.nodes.get_mut(id) {
                    node.facts = node.facts.wrapping_add_signed(facts);
                    work.nodes.insert(id);
                }
            }
        }
    }

    /// Changes the number of facts of a set.
    fn add_facts(&mut self, set: u128, facts: i64, work: &mut Work) {
        let edge = self.hyperedges.find(&set.into());
        let Some((edge, hyperedge)) = edge.zip(edge.and_then(|of| self.hyperedges.get_mut(of)))
        else {
            return;
        };
        let had = hyperedge.facts > 0;
        let facts = facts as i32;
        hyperedge.facts = hyperedge.facts.wrapping_add_signed(facts);
        if had != (hyperedge.facts > 0) {
            work.sets.insert(edge);
        }
        let ids = std::mem::take(&mut hyperedge.ids);
        self.carry(&ids, facts, work);
        if let Some(hyperedge) = self.hyperedges.get_mut(edge) {
            hyperedge.ids = ids;
        }
    }

    /// Updates which of the affected identifiers are hubs.
    fn flip_hubs(&mut self, settings: &BrandSettings, work: &mut Work) {
        for id in &work.nodes {
            let Some(node) = self.nodes.get_mut(*id) else {
                continue;
            };
            let is = node.values.len() > settings.max_degree(node.kind) as usize;
            if node.hub != is {
                node.hub = is;
                self.hubs += if is { 1 } else { -1 };
                let Some(node) = self.nodes.get(*id) else {
                    continue;
                };
                let mut steps = 0;
                for set in node.sets.iter() {
                    work.sets.insert(set);
                    let edge = self.hyperedges.get(set).into_iter();
                    let others = edge.flat_map(|edge| edge.ids.iter());
                    let others = others.filter(|other| other != id);
                    work.pairs.extend(others.map(|other| pair(*id, other)));
                    steps += 1;
                }
                self.steps += steps;
            }
        }
    }

    /// Removes links that no longer hold, then adds and removes identifiers, then adds new links.
    fn relink(&mut self, work: &Work) {
        let mut new = Vec::new();
        for key in &work.pairs {
            let Some(held) = self.pairs.get(key).copied() else {
                continue;
            };
            let links = held.sets > 0 && self.is_path(key.0) && self.is_path(key.1);
            match (held.link, links) {
                (NO_LINK, true) => new.push(*key),
                (NO_LINK, false) | (_, true) => {}
                (link, false) => {
                    self.components.unlink(link, key.0, key.1);
                    self.links -= 1;
                    if let Some(held) = self.pairs.get_mut(key) {
                        held.link = NO_LINK;
                    }
                }
            }
            if held.sets == 0 {
                self.pairs.remove(key);
            }
        }
        for id in &work.nodes {
            let Some(node) = self.nodes.get(*id) else {
                continue;
            };
            let (facts, is_removed) = (node.facts, node.sets.is_empty());
            match (self.components.holds(*id), node.hub || is_removed) {
                (false, false) => self.components.insert(*id),
                (true, true) => self.components.remove(*id),
                _ => {}
            }
            self.components.weigh(*id, facts);
        }
        for id in work.nodes.iter().chain(&work.values) {
            self.nodes.tidy(*id);
        }
        for key in new {
            let link = self.components.link(key.0, key.1);
            self.links += 1;
            if let Some(held) = self.pairs.get_mut(&key) {
                held.link = link;
            }
        }
    }

    /// Emits the person of each set with facts that was affected or whose identifiers moved, if it is another one.
    fn reassign(
        &mut self,
        brand: BrandId,
        mut sets: FxHashSet<Edge>,
        moved: &[Id],
        acts: &mut Acts,
        out: &mut Vec<(GraphOut, Diff)>,
    ) {
        for id in moved {
            let of_moved = self
                .nodes
                .get(*id)
                .into_iter()
                .flat_map(|node| node.sets.iter());
            sets.extend(of_moved);
        }
        self.steps += sets.len() as u64;
        for edge in sets {
            let Some(hyperedge) = self.hyperedges.get(edge) else {
                continue;
            };
            let set = hyperedge.key.into();
            let person = match hyperedge.facts {
                0 => None,
                _ => {
                    let mut ids = hyperedge.ids.iter();
                    ids.find_map(|id| self.components.person_of(id))
                }
            };
            let Some(hyperedge) = self.hyperedges.get_mut(edge) else {
                continue;
            };
            let old = hyperedge.person();
            hyperedge.person = person.unwrap_or(NOBODY);
            if old != person {
                if let (Some(old), Some(new)) = (old, person) {
                    acts.join(old, new);
                }
                let assigned = |person| GraphOut::Assigned { brand, set, person };
                out.extend(old.map(|person| (assigned(person), -1)));
                out.extend(person.map(|person| (assigned(person), 1)));
            }
        }
    }

    /// Updates which of the changed persons have more identifiers than `max`, and emits the changes.
    fn guard_sizes(
        &mut self,
        brand: BrandId,
        max: usize,
        sizes: FxHashMap<Person, usize>,
        out: &mut Vec<(GraphOut, Diff)>,
    ) {
        for (person, size) in sizes {
            let is = size > max;
            let changed = if is {
                self.oversized.insert(person)
            } else {
                self.oversized.remove(&person)
            };
            if changed {
                out.push((
                    GraphOut::Oversized { brand, person },
                    if is { 1 } else { -1 },
                ));
            }
        }
    }

    /// Emits the change of the totals of the brand. `changed` are the contributors that changed.
    fn publish(&mut self, brand: BrandId, changed: u128, out: &mut Vec<(GraphOut, Diff)>) {
        let persons = self.components.persons() as i64;
        let values = [
            persons,
            self.nodes.len() as i64,
            self.links,
            self.hubs,
            self.oversized.len() as i64,
        ];
        let sums = Aggregate {
            values: values.map(i128::from),
            contributors: persons + self.hubs,
            changed: 0,
        };
        let mut change = sums;
        change.add(&self.published, -1);
        change.changed = changed;
        if !change.is_zero() {
            out.push((GraphOut::Sum(CellKey::Identity { brand }, change), 1));
            self.published = sums;
        }
    }

    /// Joins the identifiers of each act and their present persons, and each identifier with a consent and its person.
    fn join_acts(&self, changes: &Changes, acts: &mut Acts) {
        let mut join = |id: &Pseudonym| {
            let number = number_of(*id);
            let person = self
                .nodes
                .find(id)
                .and_then(|id| self.components.person_of(id));
            if let Some(person) = person {
                acts.join(number, person);
            }
            number
        };
        for (id, ..) in &changes.consents {
            join(id);
        }
        let numbers: Vec<Vec<u64>> = changes
            .acts
            .iter()
            .map(|ids| ids.iter().map(&mut join).collect())
            .collect();
        for pair in numbers.iter().flat_map(|numbers| numbers.windows(2)) {
            acts.join(pair[0], pair[1]);
        }
    }

    /// Applies the changes of an epoch.
    pub(super) fn apply_epoch(
        &mut self,
        brand: BrandId,
        settings: &BrandSettings,
        mut changes: Changes,
        out: &mut Vec<(GraphOut, Diff)>,
    ) {
        let mut work = Work::default();
        let mut acts = Acts::default();
        self.join_acts(&changes, &mut acts);
        let (named, consents) = (
            std::mem::take(&mut changes.acts),
            std::mem::take(&mut changes.consents),
        );
        // The labels of persons follow the order of the sets, so that it must not depend on the order of arrival.
        changes
            .sets
            .sort_unstable_by_key(|(set, diff)| (set.key(), *diff));
        changes.facts.sort_unstable();
        for (set, diff) in changes.sets {
            if diff > 0 {
                self.add_set(&set, &mut work);
            } else if let Some(person) = self.remove_set(&set, &mut work) {
                let set = set.key();
                out.push((GraphOut::Assigned { brand, set, person }, -1));
            }
        }
        for (set, facts) in changes.facts {
            self.add_facts(set, facts, &mut work);
        }
        for (set, day, source) in changes.provenance {
            let edge = self.hyperedges.find(&set.into());
            if let Some(hyperedge) = edge.and_then(|edge| self.hyperedges.get_mut(edge)) {
                (hyperedge.day, hyperedge.source) = (day, source);
            }
        }
        self.flip_hubs(settings, &mut work);
        self.relink(&work);
        let Moves {
            moved,
            touched,
            labels,
        } = self.components.moves();
        self.reassign(brand, work.sets, &moved, &mut acts, out);
        let after = Changes {
            acts: named,
            consents,
            ..Changes::default()
        };
        self.join_acts(&after, &mut acts);

        let mut sizes: FxHashMap<Person, usize> = labels.into_iter().map(|of| (of, 0)).collect();
        for id in touched.into_iter().chain(work.nodes) {
            if let Some(person) = self.components.person_of(id) {
                sizes.insert(person, self.components.size(id));
            }
        }
        let who = sizes.keys();
        let changed = who.fold(Aggregate::default(), |sums, person| {
            sums.changed_by(acts.root(*person))
        });
        let persons = acts.persons().into_iter();
        out.extend(persons.map(|(person, act)| (GraphOut::Act { brand, person, act }, 1)));
        for (id, was, is) in after.consents {
            let act = acts.root(number_of(id));
            let change = ConsentChange { id, act, was, is };
            out.push((GraphOut::Consent(brand, change), 1));
        }
        self.guard_sizes(brand, settings.max_identifiers as usize, sizes, out);
        self.publish(brand, changed.changed, out);
    }
}

#[cfg(test)]
mod tests;
