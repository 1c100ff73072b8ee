//! The answers of the identity graph to questions about identifiers: link paths and members of persons.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::brand_graph::{BrandGraph, Id};
use super::components::Person;
use crate::ask::{Hop, Reply};
use crate::record::{IdKind, Pseudonym};

impl BrandGraph {
    /// A shortest chain of sets from any of some identifiers to any of others.
    fn chain(&self, from: &[Id], to: &[Id]) -> Option<Vec<Hop>> {
        let paths = |ids: &[Id]| -> Vec<Id> {
            let ids = ids.iter().copied();
            ids.filter(|id| self.is_path(*id)).collect()
        };
        let (from, to) = (paths(from), paths(to));
        // Those who are not one person need no search.
        let persons: FxHashSet<Option<Person>> =
            to.iter().map(|id| self.components.person_of(*id)).collect();
        let may_reach = |id: &Id| persons.contains(&self.components.person_of(*id));
        let goal: FxHashSet<Id> = to.iter().copied().collect();
        let mut came: FxHashMap<Id, Option<(Id, u128)>> = FxHashMap::default();
        let mut queue: VecDeque<Id> = from.into_iter().filter(may_reach).collect();
        came.extend(queue.iter().map(|id| (*id, None)));
        let mut stars_seen = FxHashSet::default();
        while let Some(id) = queue.pop_front() {
            if goal.contains(&id) {
                return Some(self.hops(id, &came));
            }
            for (set, ()) in self.node(id).into_iter().flat_map(|node| node.sets.iter()) {
                if !stars_seen.insert(*set) {
                    continue;
                }
                let ids = self
                    .hyperedges
                    .get(set)
                    .into_iter()
                    .flat_map(|hyperedge| &hyperedge.ids);
                for other in ids {
                    if self.is_path(*other) && !came.contains_key(other) {
                        came.insert(*other, Some((id, *set)));
                        queue.push_back(*other);
                    }
                }
            }
        }
        None
    }

    /// The way that a search came to an identifier.
    fn hops(&self, mut at: Id, came: &FxHashMap<Id, Option<(Id, u128)>>) -> Vec<Hop> {
        let mut hops = Vec::new();
        while let Some(Some((previous, set))) = came.get(&at) {
            let provenance = self
                .hyperedges
                .get(set)
                .and_then(|hyperedge| hyperedge.provenance);
            if let (Some((day, source)), Some(a), Some(b)) =
                (provenance, self.node(*previous), self.node(at))
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
        hops
    }

    /// The identifiers of the persons named, in order.
    pub(super) fn members(
        &self,
        naming: &[Pseudonym],
        persons: &[Person],
    ) -> Vec<(Pseudonym, IdKind, Person)> {
        let mut some: Vec<Id> = self.known(naming);
        if !persons.is_empty() {
            let persons: FxHashSet<Person> = persons.iter().copied().collect();
            some.extend(self.components.find(|person| persons.contains(&person)));
        }
        let mut seen = FxHashSet::default();
        let mut members = Vec::new();
        for one in some {
            let person = self.components.person_of(one);
            let Some(person) = person.filter(|person| seen.insert(*person)) else {
                continue;
            };
            let mut ids = Vec::new();
            self.components.members(one, &mut ids);
            let nodes = ids.into_iter().filter_map(|id| self.node(id));
            members.extend(nodes.map(|node| (node.pseudonym, node.kind, person)));
        }
        members.sort_unstable();
        members
    }

    fn known(&self, ids: &[Pseudonym]) -> Vec<Id> {
        let ids = ids.iter();
        ids.filter_map(|id| self.ids.get(id).copied()).collect()
    }

    /// Why identifiers are one person, or that they are not.
    pub(super) fn why(&self, from: &[Pseudonym], to: &[Pseudonym]) -> Reply {
        let (from, to) = (self.known(from), self.known(to));
        let is_hub = |ids: &[Id]| !ids.is_empty() && !ids.iter().any(|id| self.is_path(*id));
        Reply::Link {
            known: [!from.is_empty(), !to.is_empty()],
            hub: [is_hub(&from), is_hub(&to)],
            hops: self.chain(&from, &to),
        }
    }
}
