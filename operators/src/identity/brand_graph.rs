//! The identity graph of a brand: sets of identifiers, the hub guard, and the persons that follow.
//!
//! The graph is bipartite, identifiers and the sets they stand in: a record of sixteen identifiers is
//! one star, not 120 edges. An identifier with more distinct other values around it than its kind allows
//! is a hub: it stays in the graph's books and is passed over by every path. The size guard marks a
//! person and changes no path.
//!
//! An epoch is applied in three moves. First the books: sets come and go, degrees and pairs are
//! counted, hubs flip. Then persons that may have lost a link are walked and split where they fall
//! apart. Then new links unite. Everything is a function of the sets now present, so the order of
//! history cannot show (invariant I1).

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::ask::{Hop, Reply};
use crate::engine::Diff;
use crate::identity::components::{Components, Moved, Person};
use crate::identity::graph::GraphOut;
use crate::label::Label;
use crate::record::{BrandId, Day, IdKind, IdSet, Identifier, Pseudonym};
use crate::settings::BrandSettings;
use crate::sums::{CellKey, Sums};

struct Node {
    kind: IdKind,
    hub: bool,
    /// The sets it stands in, ascending.
    sets: Vec<u128>,
    /// Distinct other values beside it, each with the number of sets.
    values: FxHashMap<Pseudonym, u32>,
}

struct Star {
    ids: IdSet,
    person: Option<Person>,
    witness: Option<(Day, Label)>,
}

#[derive(Default)]
pub(super) struct BrandGraph {
    nodes: FxHashMap<Pseudonym, Node>,
    stars: FxHashMap<u128, Star>,
    /// In how many sets two identifiers stand together; the smaller pseudonym first.
    pairs: FxHashMap<(Pseudonym, Pseudonym), u32>,
    components: Components,
    oversized: FxHashSet<Person>,
    links: i64,
    hubs: i64,
    published: Sums,
}

/// What an epoch has touched so far.
#[derive(Default)]
struct Work {
    added: Vec<u128>,
    broken: FxHashSet<Person>,
    touched: FxHashSet<Pseudonym>,
    moved: Moved,
}

impl BrandGraph {
    fn is_path(&self, id: Pseudonym) -> bool {
        self.nodes.get(&id).is_some_and(|node| !node.hub)
    }

    fn add_set(&mut self, set: IdSet, work: &mut Work) {
        let key = set.key();
        for id in set.ids() {
            let node = self.nodes.entry(id.pseudonym).or_insert_with(|| Node {
                kind: id.kind,
                hub: false,
                sets: Vec::new(),
                values: FxHashMap::default(),
            });
            if let Err(at) = node.sets.binary_search(&key) {
                node.sets.insert(at, key);
            }
            for value in other_values(&set, id) {
                *node.values.entry(value).or_default() += 1;
            }
            work.touched.insert(id.pseudonym);
        }
        for pair in pairs(&set) {
            let count = self.pairs.entry(pair).or_default();
            *count += 1;
            if *count == 1 && self.is_path(pair.0) && self.is_path(pair.1) {
                self.links += 1;
            }
        }
        work.added.push(key);
        self.stars.insert(
            key,
            Star {
                ids: set,
                person: None,
                witness: None,
            },
        );
    }

    fn remove_set(&mut self, set: &IdSet, work: &mut Work) -> Option<Star> {
        let key = set.key();
        for id in set.ids() {
            if let Some(node) = self.nodes.get_mut(&id.pseudonym) {
                if let Ok(at) = node.sets.binary_search(&key) {
                    node.sets.remove(at);
                }
                for value in other_values(set, id) {
                    if let Some(count) = node.values.get_mut(&value) {
                        *count -= 1;
                        if *count == 0 {
                            node.values.remove(&value);
                        }
                    }
                }
            }
            work.touched.insert(id.pseudonym);
            work.broken.extend(self.components.person_of(id.pseudonym));
        }
        for pair in pairs(set) {
            if let Some(count) = self.pairs.get_mut(&pair) {
                *count -= 1;
                if *count == 0 {
                    self.pairs.remove(&pair);
                    if self.is_path(pair.0) && self.is_path(pair.1) {
                        self.links -= 1;
                    }
                }
            }
        }
        self.stars.remove(&key)
    }

    /// Settles which touched identifiers are hubs now, and forgets those that stand in no set.
    fn flip_hubs(&mut self, settings: &BrandSettings, work: &mut Work) {
        for id in std::mem::take(&mut work.touched) {
            let Some(node) = self.nodes.get(&id) else {
                continue;
            };
            let (was, gone) = (node.hub, node.sets.is_empty());
            let is = node.values.len() > settings.max_degree(node.kind) as usize;
            if was != is {
                let links = self.path_neighbours(id);
                if is {
                    work.broken.extend(self.components.person_of(id));
                } else {
                    work.added
                        .extend(self.nodes.get(&id).into_iter().flat_map(|n| &n.sets));
                }
                let sign = if is { 1 } else { -1 };
                self.hubs += sign;
                self.links -= sign * links;
                if let Some(node) = self.nodes.get_mut(&id) {
                    node.hub = is;
                }
                work.moved.push(id);
            }
            if gone {
                self.nodes.remove(&id);
            }
        }
    }

    /// How many distinct identifiers that are no hubs stand beside this one.
    fn path_neighbours(&self, id: Pseudonym) -> i64 {
        let mut seen = FxHashSet::default();
        for set in self.nodes.get(&id).into_iter().flat_map(|node| &node.sets) {
            for other in self
                .stars
                .get(set)
                .into_iter()
                .flat_map(|star| star.ids.ids())
            {
                if other.pseudonym != id && self.is_path(other.pseudonym) {
                    seen.insert(other.pseudonym);
                }
            }
        }
        seen.len() as i64
    }

    /// Walks the persons that may have lost a link, and splits those that have fallen apart.
    fn split_broken(&mut self, work: &mut Work) {
        for person in std::mem::take(&mut work.broken) {
            let mut parts = Vec::new();
            let mut seen = FxHashSet::default();
            let mut stars_seen = FxHashSet::default();
            for &start in self.components.members(person) {
                if !self.is_path(start) || !seen.insert(start) {
                    continue;
                }
                let mut part = vec![start];
                let mut next = 0;
                while let Some(&id) = part.get(next) {
                    next += 1;
                    for set in self.nodes.get(&id).into_iter().flat_map(|node| &node.sets) {
                        if !stars_seen.insert(*set) {
                            continue;
                        }
                        for other in self.stars.get(set).into_iter().flat_map(|s| s.ids.ids()) {
                            let other = other.pseudonym;
                            if self.components.person_of(other) == Some(person)
                                && self.is_path(other)
                                && seen.insert(other)
                            {
                                part.push(other);
                            }
                        }
                    }
                }
                parts.push(part);
            }
            self.components.split(person, parts, &mut work.moved);
        }
    }

    /// Unites along the sets that are new or have a new path through them.
    fn unite_added(&mut self, work: &mut Work) {
        for set in &work.added {
            let Some(star) = self.stars.get(set) else {
                continue;
            };
            let mut first = None;
            for id in star.ids.ids() {
                if self.nodes.get(&id.pseudonym).is_some_and(|node| !node.hub) {
                    match first {
                        None => {
                            self.components.found(id.pseudonym, &mut work.moved);
                            first = Some(id.pseudonym);
                        }
                        Some(first) => {
                            self.components.unite(first, id.pseudonym, &mut work.moved);
                        }
                    }
                }
            }
        }
    }

    /// Says for every set whose identifiers moved which person its records belong to.
    fn reassign(&mut self, brand: BrandId, work: Work, out: &mut Vec<(GraphOut, Diff)>) {
        let mut sets: FxHashSet<u128> = work.added.into_iter().collect();
        for id in &work.moved {
            sets.extend(self.nodes.get(id).into_iter().flat_map(|node| &node.sets));
        }
        for set in sets {
            let Some(star) = self.stars.get(&set) else {
                continue;
            };
            let person = star
                .ids
                .ids()
                .iter()
                .find_map(|id| self.components.person_of(id.pseudonym));
            let Some(star) = self.stars.get_mut(&set) else {
                continue;
            };
            let old = std::mem::replace(&mut star.person, person);
            if old != person {
                let assigned = |person| GraphOut::Assigned { brand, set, person };
                out.extend(old.map(|person| (assigned(person), -1)));
                out.extend(person.map(|person| (assigned(person), 1)));
            }
        }
    }

    fn guard_sizes(
        &mut self,
        brand: BrandId,
        max: usize,
        persons: FxHashSet<Person>,
        out: &mut Vec<(GraphOut, Diff)>,
    ) {
        for person in persons {
            let is = self.components.size(person) > max;
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
    pub(super) fn witness(&mut self, set: u128, day: Day, source: Label) {
        if let Some(star) = self.stars.get_mut(&set) {
            star.witness = Some((day, source));
        }
    }

    fn publish(&mut self, brand: BrandId, changed: u128, out: &mut Vec<(GraphOut, Diff)>) {
        let persons = self.components.persons() as i64;
        let values = [
            persons,
            self.nodes.len() as i64,
            self.links,
            self.hubs,
            self.oversized.len() as i64,
        ];
        let sums = Sums {
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

    /// Applies the sets that have come and gone in an epoch.
    pub(super) fn step(
        &mut self,
        brand: BrandId,
        settings: &BrandSettings,
        sets: Vec<(IdSet, Diff)>,
        out: &mut Vec<(GraphOut, Diff)>,
    ) {
        let mut work = Work::default();
        for (set, diff) in sets {
            if diff > 0 {
                self.add_set(set, &mut work);
            } else if let Some(Star {
                person: Some(person),
                ..
            }) = self.remove_set(&set, &mut work)
            {
                out.push((
                    GraphOut::Assigned {
                        brand,
                        set: set.key(),
                        person,
                    },
                    -1,
                ));
            }
        }
        self.flip_hubs(settings, &mut work);
        let mut persons = work.broken.clone();
        self.split_broken(&mut work);
        // A person that a union swallows is among those that its members leave.
        persons.extend(
            work.moved
                .iter()
                .filter_map(|id| self.components.person_of(*id)),
        );
        persons.extend(
            work.added
                .iter()
                .filter_map(|set| self.stars.get(set))
                .flat_map(|star| {
                    star.ids
                        .ids()
                        .iter()
                        .filter_map(|id| self.components.person_of(id.pseudonym))
                }),
        );
        self.unite_added(&mut work);
        persons.extend(
            work.moved
                .iter()
                .filter_map(|id| self.components.person_of(*id)),
        );
        self.reassign(brand, work, out);
        let who = persons.iter();
        let changed = who.fold(Sums::default(), |sums, person| sums.whose(*person));
        self.guard_sizes(brand, settings.max_identifiers as usize, persons, out);
        self.publish(brand, changed.changed, out);
    }

    /// A shortest chain of sets from any of some identifiers to any of others.
    fn chain(&self, from: &[Pseudonym], to: &[Pseudonym]) -> Option<Vec<Hop>> {
        let goal: FxHashSet<Pseudonym> = to.iter().copied().collect();
        let mut came: FxHashMap<Pseudonym, Option<(Pseudonym, u128)>> = FxHashMap::default();
        let mut queue = VecDeque::new();
        for id in from {
            if self.is_path(*id) && came.insert(*id, None).is_none() {
                queue.push_back(*id);
            }
        }
        let mut stars_seen = FxHashSet::default();
        while let Some(id) = queue.pop_front() {
            if goal.contains(&id) {
                let mut hops = Vec::new();
                let mut at = id;
                while let Some(Some((previous, set))) = came.get(&at) {
                    let witness = self.stars.get(set).and_then(|star| star.witness);
                    if let (Some((day, source)), Some(a), Some(b)) =
                        (witness, self.nodes.get(previous), self.nodes.get(&at))
                    {
                        hops.push(Hop {
                            from: a.kind,
                            to: b.kind,
                            source,
                            day,
                        });
                    }
                    at = *previous;
                }
                hops.reverse();
                return Some(hops);
            }
            for set in self.nodes.get(&id).into_iter().flat_map(|node| &node.sets) {
                if !stars_seen.insert(*set) {
                    continue;
                }
                for other in self
                    .stars
                    .get(set)
                    .into_iter()
                    .flat_map(|star| star.ids.ids())
                {
                    if self.is_path(other.pseudonym) && !came.contains_key(&other.pseudonym) {
                        came.insert(other.pseudonym, Some((id, *set)));
                        queue.push_back(other.pseudonym);
                    }
                }
            }
        }
        None
    }

    /// The identifiers of the persons named, in order.
    pub(super) fn members(
        &self,
        naming: &[Pseudonym],
        persons: &[Person],
    ) -> Vec<(Pseudonym, IdKind, Person)> {
        let of_names = naming
            .iter()
            .filter_map(|id| self.components.person_of(*id));
        let persons: FxHashSet<Person> = of_names.chain(persons.iter().copied()).collect();
        let of = |person: &Person| {
            let (person, members) = (*person, self.components.members(*person));
            members.iter().map(move |id| (*id, person))
        };
        let members = persons.iter().flat_map(of);
        let with_kind = |(id, person)| Some((id, self.nodes.get(&id)?.kind, person));
        let mut members: Vec<_> = members.filter_map(with_kind).collect();
        members.sort_unstable();
        members
    }

    /// Why identifiers are one person, or that they are not.
    pub(super) fn why(&self, from: &[Pseudonym], to: &[Pseudonym]) -> Reply {
        let known = |ids: &[Pseudonym]| ids.iter().any(|id| self.nodes.contains_key(id));
        let is_hub = |ids: &[Pseudonym]| known(ids) && !ids.iter().any(|id| self.is_path(*id));
        Reply::Link {
            known: [known(from), known(to)],
            hub: [is_hub(from), is_hub(to)],
            hops: self.chain(from, to),
        }
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

fn pairs(set: &IdSet) -> impl Iterator<Item = (Pseudonym, Pseudonym)> {
    let ids = set.ids();
    ids.iter().enumerate().flat_map(move |(at, a)| {
        ids.iter()
            .skip(at + 1)
            .map(move |b| (a.pseudonym, b.pseudonym))
    })
}
