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

use rustc_hash::{FxHashMap, FxHashSet};

use super::components::{Components, Moves, Person};
use super::forest::{Link, NO_LINK};
use super::outcome::GraphOut;
use crate::aggregate::{Aggregate, CellKey};
use crate::engine::Diff;
use crate::label::Label;
use crate::record::{BrandId, Day, IdKind, IdSet, Identifier, Pseudonym};
use crate::settings::BrandSettings;
use crate::small_map::{Bag, SmallMap};

/// An identifier, by its number in the graph.
pub(super) type Id = u32;

pub(super) struct Node {
    pub(super) pseudonym: Pseudonym,
    pub(super) kind: IdKind,
    hub: bool,
    /// The sets that contain it.
    pub(super) sets: SmallMap<u128, ()>,
    /// Distinct other values beside it, each with the number of sets.
    values: Bag<Pseudonym>,
    /// The announced number of facts of its sets.
    facts: u64,
}

pub(super) struct Hyperedge {
    pub(super) ids: Box<[Id]>,
    /// The announced number of facts of the set.
    facts: i64,
    person: Option<Person>,
    pub(super) provenance: Option<(Day, Label)>,
}

/// Two identifiers that occur in a common set.
#[derive(Clone, Copy)]
struct Pair {
    /// In how many sets.
    sets: u32,
    /// Their link, while neither is a hub.
    link: Link,
}

#[derive(Default)]
pub(super) struct BrandGraph {
    pub(super) ids: FxHashMap<Pseudonym, Id>,
    pub(super) nodes: Vec<Option<Node>>,
    free: Vec<Id>,
    pub(super) hyperedges: FxHashMap<u128, Hyperedge>,
    /// The smaller number first.
    pairs: FxHashMap<(Id, Id), Pair>,
    pub(super) components: Components,
    oversized: FxHashSet<Person>,
    links: i64,
    hubs: i64,
    published: Aggregate,
    /// How many sets and identifiers were looked at.
    steps: u64,
}

/// What an epoch has touched so far.
#[derive(Default)]
struct Work {
    /// The sets whose person may be another one.
    sets: FxHashSet<u128>,
    nodes: FxHashSet<Id>,
    /// The pairs that may link now, or no longer.
    pairs: FxHashSet<(Id, Id)>,
}

/// The changes of a brand's identifier sets in an epoch.
#[derive(Default)]
pub(super) struct Changes {
    /// Sets that come and go.
    pub(super) sets: Vec<(IdSet, Diff)>,
    /// By how many facts a set has more.
    pub(super) facts: Vec<(u128, i64)>,
}

fn pair(a: Id, b: Id) -> (Id, Id) {
    (a.min(b), a.max(b))
}

impl BrandGraph {
    /// How many identifiers, sets, pairs, persons and parts of the forest are kept.
    pub(super) fn entries(&self) -> usize {
        self.ids.len()
            + (self.nodes.len() - self.free.len())
            + self.hyperedges.len()
            + self.pairs.len()
            + self.components.entries()
            + self.oversized.len()
    }

    /// How much was looked at since this was asked last.
    pub(super) fn steps(&mut self) -> u64 {
        std::mem::take(&mut self.steps) + self.components.steps()
    }

    pub(super) fn node(&self, id: Id) -> Option<&Node> {
        self.nodes.get(id as usize)?.as_ref()
    }

    fn node_mut(&mut self, id: Id) -> Option<&mut Node> {
        self.nodes.get_mut(id as usize)?.as_mut()
    }

    pub(super) fn is_path(&self, id: Id) -> bool {
        self.node(id).is_some_and(|node| !node.hub)
    }

    /// The number of an identifier, given where it is new.
    fn number(&mut self, id: &Identifier) -> Id {
        if let Some(number) = self.ids.get(&id.pseudonym) {
            return *number;
        }
        let node = Some(Node {
            pseudonym: id.pseudonym,
            kind: id.kind,
            hub: false,
            sets: SmallMap::default(),
            values: Bag::default(),
            facts: 0,
        });
        let number = match self.free.pop() {
            Some(number) => {
                self.nodes[number as usize] = node;
                number
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as Id
            }
        };
        self.ids.insert(id.pseudonym, number);
        number
    }

    fn add_set(&mut self, set: &IdSet, work: &mut Work) {
        let key = set.key();
        let ids: Box<[Id]> = set.ids().iter().map(|id| self.number(id)).collect();
        self.count(set, &ids, 1, work);
        self.hyperedges.insert(
            key,
            Hyperedge {
                ids,
                facts: 0,
                person: None,
                provenance: None,
            },
        );
        work.sets.insert(key);
    }

    /// Takes a set out and returns its person.
    fn remove_set(&mut self, set: &IdSet, work: &mut Work) -> Option<Person> {
        let hyperedge = self.hyperedges.remove(&set.key())?;
        self.count(set, &hyperedge.ids, -1, work);
        self.carry(&hyperedge.ids, -hyperedge.facts, work);
        hyperedge.person
    }

    /// Counts a set more or less with its identifiers, their values and pairs.
    fn count(&mut self, set: &IdSet, ids: &[Id], by: i64, work: &mut Work) {
        for (number, id) in ids.iter().zip(set.ids()) {
            self.steps += 1;
            let Some(node) = self.node_mut(*number) else {
                continue;
            };
            match by > 0 {
                true => drop(node.sets.insert(set.key(), ())),
                false => drop(node.sets.remove(&set.key())),
            }
            for value in other_values(set, id) {
                node.values.add(value, by);
            }
        }
        work.nodes.extend(ids);
        for (at, a) in ids.iter().enumerate() {
            for b in ids.iter().skip(at + 1) {
                let key = pair(*a, *b);
                let held = self.pairs.entry(key).or_insert(Pair {
                    sets: 0,
                    link: NO_LINK,
                });
                held.sets = held.sets.wrapping_add_signed(by as i32);
                // Others keep what they are.
                if held.sets == 0 || held.sets == 1 && by > 0 {
                    work.pairs.insert(key);
                }
            }
        }
    }

    /// Counts facts more or less with the identifiers of their set.
    fn carry(&mut self, ids: &[Id], facts: i64, work: &mut Work) {
        if facts != 0 {
            for id in ids {
                if let Some(node) = self.node_mut(*id) {
                    node.facts = node.facts.saturating_add_signed(facts);
                    work.nodes.insert(*id);
                }
            }
        }
    }

    /// Notes that more or fewer facts stand under a set.
    fn add_facts(&mut self, set: u128, facts: i64, work: &mut Work) {
        let Some(hyperedge) = self.hyperedges.get_mut(&set) else {
            return;
        };
        let had = hyperedge.facts > 0;
        hyperedge.facts += facts;
        if had != (hyperedge.facts > 0) {
            work.sets.insert(set);
        }
        let ids = std::mem::take(&mut hyperedge.ids);
        self.carry(&ids, facts, work);
        if let Some(hyperedge) = self.hyperedges.get_mut(&set) {
            hyperedge.ids = ids;
        }
    }

    /// Settles which touched identifiers are hubs now.
    fn flip_hubs(&mut self, settings: &BrandSettings, work: &mut Work) {
        for id in &work.nodes {
            let Some(node) = self.node_mut(*id) else {
                continue;
            };
            let is = node.values.len() > settings.max_degree(node.kind) as usize;
            if node.hub != is {
                node.hub = is;
                self.hubs += if is { 1 } else { -1 };
                let Some(node) = self.node(*id) else {
                    continue;
                };
                let mut steps = 0;
                for (set, ()) in node.sets.iter() {
                    work.sets.insert(*set);
                    let ids = self.hyperedges.get(set).map(|hyperedge| &hyperedge.ids);
                    let others = ids.into_iter().flatten().filter(|other| *other != id);
                    work.pairs.extend(others.map(|other| pair(*id, *other)));
                    steps += 1;
                }
                self.steps += steps;
            }
        }
    }

    /// Takes the links out that are none any more, then identifiers, and puts the new ones in.
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
            let Some(node) = self.node(*id) else {
                continue;
            };
            let (facts, is_removed) = (node.facts, node.sets.is_empty());
            match (self.components.holds(*id), node.hub || is_removed) {
                (false, false) => self.components.insert(*id),
                (true, true) => self.components.remove(*id),
                _ => {}
            }
            self.components.weigh(*id, facts);
            if is_removed {
                self.forget(*id);
            }
        }
        for key in new {
            let link = self.components.link(key.0, key.1);
            self.links += 1;
            if let Some(held) = self.pairs.get_mut(&key) {
                held.link = link;
            }
        }
    }

    /// Forgets an identifier that stands in no set.
    fn forget(&mut self, id: Id) {
        let node = self.nodes.get_mut(id as usize).and_then(Option::take);
        if let Some(node) = node {
            self.ids.remove(&node.pseudonym);
            self.free.push(id);
        }
        if self.free.len() == self.nodes.len() {
            (self.free, self.nodes) = (Vec::new(), Vec::new());
        }
    }

    /// Says for every set with facts whose identifiers moved which person its facts belong to.
    fn reassign(
        &mut self,
        brand: BrandId,
        mut sets: FxHashSet<u128>,
        moved: &[Id],
        out: &mut Vec<(GraphOut, Diff)>,
    ) {
        for id in moved {
            let of_moved = self.node(*id).into_iter().flat_map(|node| node.sets.iter());
            sets.extend(of_moved.map(|(set, ())| *set));
        }
        self.steps += sets.len() as u64;
        for set in sets {
            let Some(hyperedge) = self.hyperedges.get(&set) else {
                continue;
            };
            let mut ids = hyperedge.ids.iter().filter(|_| hyperedge.facts > 0);
            let person = ids.find_map(|id| self.components.person_of(*id));
            let Some(hyperedge) = self.hyperedges.get_mut(&set) else {
                continue;
            };
            let old = std::mem::replace(&mut hyperedge.person, person);
            if old != person {
                let assigned = |person| GraphOut::Assigned { brand, set, person };
                out.extend(old.map(|person| (assigned(person), -1)));
                out.extend(person.map(|person| (assigned(person), 1)));
            }
        }
    }

    /// Marks the persons among those that changed that are too large now.
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

    /// Notes the first record that supports a set.
    pub(super) fn provenance(&mut self, set: u128, day: Day, source: Label) {
        if let Some(hyperedge) = self.hyperedges.get_mut(&set) {
            hyperedge.provenance = Some((day, source));
        }
    }

    fn publish(&mut self, brand: BrandId, changed: u128, out: &mut Vec<(GraphOut, Diff)>) {
        let persons = self.components.persons() as i64;
        let values = [
            persons,
            self.ids.len() as i64,
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

    /// Applies what has happened to the sets in an epoch.
    pub(super) fn apply_epoch(
        &mut self,
        brand: BrandId,
        settings: &BrandSettings,
        mut changes: Changes,
        out: &mut Vec<(GraphOut, Diff)>,
    ) {
        let mut work = Work::default();
        // The labels of persons go by the order of their sets, and what may leave goes by the labels.
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
        self.flip_hubs(settings, &mut work);
        self.relink(&work);
        let Moves {
            moved,
            touched,
            labels,
        } = self.components.moves();
        self.reassign(brand, work.sets, &moved, out);

        let mut sizes: FxHashMap<Person, usize> = labels.into_iter().map(|of| (of, 0)).collect();
        for id in touched.into_iter().chain(work.nodes) {
            if let Some(person) = self.components.person_of(id) {
                sizes.insert(person, self.components.size(id));
            }
        }
        let who = sizes.keys();
        let changed = who.fold(Aggregate::default(), |sums, person| {
            sums.changed_by(*person)
        });
        self.guard_sizes(brand, settings.max_identifiers as usize, sizes, out);
        self.publish(brand, changed.changed, out);
    }
}

fn other_values(set: &IdSet, id: &Identifier) -> impl Iterator<Item = Pseudonym> {
    let mut values: Vec<_> = set
        .ids()
        .iter()
        .map(|other| other.value)
        .filter(|value| *value != id.value)
        .collect();
    values.sort_unstable();
    values.dedup();
    values.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[u128]) -> IdSet {
        let id = |id: &u128| Identifier {
            pseudonym: *id,
            value: *id,
            kind: IdKind::Cookie,
        };
        IdSet::new(ids.iter().map(id).collect())
    }

    /// Applies sets and facts, and says which facts have which person in the end.
    fn apply_epoch(
        graph: &mut BrandGraph,
        sets: &[(&[u128], Diff, i64)],
        persons: &mut FxHashMap<u128, Person>,
    ) -> usize {
        let mut changes = Changes::default();
        for (ids, diff, facts) in sets {
            let set = set(ids);
            changes.facts.push((set.key(), *facts));
            changes.sets.extend((*diff != 0).then_some((set, *diff)));
        }
        let mut out = Vec::new();
        let settings = BrandSettings::default();
        graph.apply_epoch(BrandId(0), &settings, changes, &mut out);
        out.sort_by_key(|(_, diff)| *diff);
        let mut moved = 0;
        for (update, diff) in out {
            if let GraphOut::Assigned { set, person, .. } = update {
                moved += 1;
                match diff > 0 {
                    true => drop(persons.insert(set, person)),
                    false => assert_eq!(persons.remove(&set), Some(person)),
                }
            }
        }
        moved
    }

    #[test]
    fn facts_stay_where_there_are_more() {
        let (mut graph, mut persons) = (BrandGraph::default(), FxHashMap::default());
        let few: &[(&[u128], Diff, i64)] = &[(&[2], 1, 5), (&[2, 3], 1, 0), (&[3, 4], 1, 0)];
        apply_epoch(&mut graph, &[(&[1], 1, 1_000)], &mut persons);
        apply_epoch(&mut graph, few, &mut persons);
        assert_eq!(persons.len(), 2, "only what has facts has a person");
        let much = persons[&set(&[1]).key()];
        for _ in 0..3 {
            let moved = apply_epoch(&mut graph, &[(&[1, 4], 1, 0)], &mut persons);
            assert_eq!((moved, persons[&set(&[2]).key()]), (2, much));
            let moved = apply_epoch(&mut graph, &[(&[1, 4], -1, 0)], &mut persons);
            assert_eq!((moved, persons[&set(&[1]).key()]), (2, much));
        }
        let all: Vec<_> = few
            .iter()
            .map(|(ids, _, facts)| (*ids, -1, -facts))
            .collect();
        apply_epoch(&mut graph, &all, &mut persons);
        apply_epoch(&mut graph, &[(&[1], -1, -1_000)], &mut persons);
        assert!(graph.entries() == 0 && persons.is_empty());
        assert!(graph.published.is_zero());
    }

    #[test]
    fn a_hub_comes_and_goes_and_leaves_nothing() {
        let (mut graph, mut persons) = (BrandGraph::default(), FxHashMap::default());
        // A cookie may stand beside ten others.
        for other in 2..=13 {
            apply_epoch(&mut graph, &[(&[1, other], 1, 1)], &mut persons);
            let distinct: FxHashSet<Person> = persons.values().copied().collect();
            assert_eq!(
                distinct.len(),
                if other <= 11 { 1 } else { other as usize - 1 }
            );
        }
        for other in (2..=13).rev() {
            apply_epoch(&mut graph, &[(&[1, other], -1, -1)], &mut persons);
        }
        assert!(graph.entries() == 0 && persons.is_empty());
    }
}
