//! Link paths: why two identifiers belong to one person, and who else does.
//!
//! These are the answers of the identity graph to questions. A chain is found by breadth-first search over sets, so it is a
//! shortest one. It shows the kinds of its identifiers and the provenance of each link, and never an identifier. A hub is no part
//! of a chain, and identifiers of different persons need no search.
//!
//! The cost of a search grows with the sets of the person, so it serves explanations and never the path of a record.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::brand_graph::BrandGraph;
use super::components::Person;
use super::nodes::{Edge, Id};
use crate::ask::{Hop, Reply};
use crate::record::{IdKind, Pseudonym};

impl BrandGraph {
    /// A shortest chain of sets from any identifier in `from` to any in `to`, or `None` if they are not one person.
    fn chain(&self, from: &[Id], to: &[Id]) -> Option<Vec<Hop>> {
        let paths = |ids: &[Id]| -> Vec<Id> {
            let ids = ids.iter().copied();
            ids.filter(|id| self.is_path(*id)).collect()
        };
        let (from, to) = (paths(from), paths(to));
        // Identifiers of different persons need no search.
        let persons: FxHashSet<Option<Person>> =
            to.iter().map(|id| self.components.person_of(*id)).collect();
        let may_reach = |id: &Id| persons.contains(&self.components.person_of(*id));
        let goal: FxHashSet<Id> = to.iter().copied().collect();
        let mut came: FxHashMap<Id, Option<(Id, Edge)>> = FxHashMap::default();
        let mut queue: VecDeque<Id> = from.into_iter().filter(may_reach).collect();
        came.extend(queue.iter().map(|id| (*id, None)));
        let mut seen = FxHashSet::default();
        while let Some(id) = queue.pop_front() {
            if goal.contains(&id) {
                return Some(self.hops(id, &came));
            }
            for set in self
                .nodes
                .get(id)
                .into_iter()
                .flat_map(|node| node.sets.iter())
            {
                if !seen.insert(set) {
                    continue;
                }
                let ids = self
                    .hyperedges
                    .get(set)
                    .into_iter()
                    .flat_map(|hyperedge| hyperedge.ids.iter());
                for other in ids {
                    if self.is_path(other) && !came.contains_key(&other) {
                        came.insert(other, Some((id, set)));
                        queue.push_back(other);
                    }
                }
            }
        }
        None
    }

    /// The links by which a search reached an identifier, first to last.
    fn hops(&self, mut at: Id, came: &FxHashMap<Id, Option<(Id, Edge)>>) -> Vec<Hop> {
        let mut hops = Vec::new();
        while let Some(Some((previous, set))) = came.get(&at) {
            let provenance = self
                .hyperedges
                .get(*set)
                .and_then(|hyperedge| hyperedge.provenance());
            if let (Some((day, source)), Some(a), Some(b)) =
                (provenance, self.nodes.get(*previous), self.nodes.get(at))
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

    /// All identifiers of the persons that are given by any of their identifiers or by their labels, sorted.
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
            let nodes = ids.into_iter().filter_map(|id| self.nodes.get(id));
            members.extend(nodes.map(|node| (node.pseudonym(), node.kind, person)));
        }
        members.sort_unstable();
        members
    }

    /// The numbers of those identifiers that any record contains.
    fn known(&self, ids: &[Pseudonym]) -> Vec<Id> {
        let ids = ids.iter();
        ids.filter_map(|id| self.nodes.find(id)).collect()
    }

    /// The answer to [`crate::ask::Question::Link`].
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
