//! Identity: hubs, persons, and the `identity` cell.
//!
//! First the hub guard. For each identifier it counts the distinct clear values that share a stored
//! record with it, other than its own value. The identifiers of a record carry their clear values,
//! so several hashes of one value count once, and not at all for each other. An identifier with
//! more than the `max_degree` of its kind is a hub. Hubs count like any other value, so there is no
//! recursion.
//!
//! Then the graph without hubs: all non-hubs of a record are linked with each other, a person is a
//! connected component, and the person of a record is the component of any of its non-hubs.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::Family;
use tributary_operators::record::{IdKind, IdSet, Pseudonym};
use tributary_operators::settings::BrandSettings;

use crate::brand::Brand;
use crate::consent::AllowedRecord;
use crate::family_sums::{CountedCell, existing_cell};
use crate::matching::device_alone;
use crate::person::Person;

/// The persons of one brand.
///
/// A person exists as long as a stored record has one of its identifiers; nothing depends on the
/// order in which records arrived.
pub(crate) struct Identity {
    /// The number of identifiers, hubs included.
    identifiers: usize,
    /// The number of hubs.
    hubs: usize,
    /// The number of pairs of non-hubs that share a record.
    links: usize,
    /// The person of every non-hub.
    persons: BTreeMap<Pseudonym, Person>,
    /// The number of identifiers of each person.
    sizes: BTreeMap<Person, u32>,
    /// The size guard: a person with more identifiers is oversized.
    max_identifiers: u32,
}

impl Identity {
    /// The identity of the records of one brand.
    pub(crate) fn of(settings: &BrandSettings, records: &[AllowedRecord]) -> Identity {
        // Most records repeat a set of identifiers that has been seen before.
        let mut sets: BTreeSet<&IdSet> = records.iter().map(|record| &record.ids).collect();
        // A stay belongs to its device, whatever a sighting links.
        let devices = records.iter().filter_map(AllowedRecord::device);
        let devices: Vec<IdSet> = devices.map(device_alone).collect();
        sets.extend(&devices);
        let (identifiers, hubs) = hubs(settings, &sets);
        let links = links(&sets, &hubs);

        let mut forest = Forest::default();
        for pseudonym in identifiers.keys().filter(|p| !hubs.contains(p)) {
            forest.plant(*pseudonym);
        }
        for (one, other) in &links {
            forest.join(*one, *other);
        }
        let persons = forest.persons();
        let mut sizes: BTreeMap<Person, u32> = BTreeMap::new();
        for person in persons.values() {
            *sizes.entry(*person).or_default() += 1;
        }
        Identity {
            identifiers: identifiers.len(),
            hubs: hubs.len(),
            links: links.len(),
            persons,
            sizes,
            max_identifiers: settings.max_identifiers,
        }
    }

    /// The person of a record, or `None` if it has no identifier or only hubs.
    pub(crate) fn person(&self, ids: &IdSet) -> Option<Person> {
        ids.ids()
            .iter()
            .find_map(|id| self.persons.get(&id.pseudonym))
            .copied()
    }

    /// Every person.
    pub(crate) fn persons(&self) -> impl Iterator<Item = Person> {
        self.sizes.keys().copied()
    }

    /// The identifiers of some persons.
    pub(crate) fn members(&self, persons: &BTreeSet<Person>) -> BTreeSet<Pseudonym> {
        let members = self.persons.iter();
        members
            .filter(|(_, person)| persons.contains(person))
            .map(|(pseudonym, _)| *pseudonym)
            .collect()
    }

    /// Whether a person has more identifiers than the size guard allows.
    pub(crate) fn oversized(&self, person: Person) -> bool {
        self.sizes
            .get(&person)
            .is_some_and(|size| *size > self.max_identifiers)
    }

    /// The `identity` cell of the brand, or `None` if it has no identifier.
    ///
    /// - Dimensions: brand.
    /// - Values: persons, identifiers, links, hubs, oversized persons.
    /// - Contributors: the persons and the hubs.
    pub(crate) fn cell(&self, brand: &Brand) -> Option<CountedCell> {
        let oversized = self.sizes.keys().filter(|p| self.oversized(**p)).count();
        let values = [
            self.sizes.len(),
            self.identifiers,
            self.links,
            self.hubs,
            oversized,
        ];
        existing_cell(
            Family::Identity,
            vec![brand.name()],
            values.map(|value| value as i128).to_vec(),
            (self.sizes.len() + self.hubs) as u64,
        )
    }
}

/// All identifiers with their kinds, and those of them that are hubs.
///
/// The degree of an identifier is the number of distinct clear values that share a record with it,
/// its own value excepted.
fn hubs(
    settings: &BrandSettings,
    sets: &BTreeSet<&IdSet>,
) -> (BTreeMap<Pseudonym, IdKind>, BTreeSet<Pseudonym>) {
    let mut kinds: BTreeMap<Pseudonym, IdKind> = BTreeMap::new();
    let mut others: BTreeMap<Pseudonym, BTreeSet<Pseudonym>> = BTreeMap::new();
    for set in sets {
        for id in set.ids() {
            kinds.insert(id.pseudonym, id.kind);
            for other in set.ids().iter().filter(|other| other.value != id.value) {
                others.entry(id.pseudonym).or_default().insert(other.value);
            }
        }
    }
    let hubs = others
        .iter()
        .filter(|(pseudonym, others)| {
            kinds
                .get(pseudonym)
                .is_some_and(|kind| others.len() > settings.max_degree(*kind) as usize)
        })
        .map(|(pseudonym, _)| *pseudonym)
        .collect();
    (kinds, hubs)
}

/// The distinct pairs of non-hubs that share a record, the smaller one first. A record with n
/// non-hubs contributes n (n - 1) / 2 pairs.
fn links(sets: &BTreeSet<&IdSet>, hubs: &BTreeSet<Pseudonym>) -> BTreeSet<(Pseudonym, Pseudonym)> {
    let mut links = BTreeSet::new();
    for set in sets {
        let kept: Vec<Pseudonym> = set
            .ids()
            .iter()
            .map(|id| id.pseudonym)
            .filter(|pseudonym| !hubs.contains(pseudonym))
            .collect();
        for one in &kept {
            for other in kept.iter().filter(|other| one < other) {
                links.insert((*one, *other));
            }
        }
    }
    links
}

/// Connected components by union-find: every member points to a smaller or equal member of its
/// component, and the smallest points to itself.
#[derive(Default)]
struct Forest {
    /// The member that each member points to.
    parents: BTreeMap<Pseudonym, Pseudonym>,
}

impl Forest {
    /// Inserts a member as a component of its own.
    fn plant(&mut self, member: Pseudonym) {
        self.parents.insert(member, member);
    }

    /// The smallest member of the component. Points every member on the path to its grandparent
    /// (path halving), which keeps paths short.
    fn root(&mut self, mut member: Pseudonym) -> Pseudonym {
        loop {
            let parent = self.parents.get(&member).copied().unwrap_or(member);
            if parent == member {
                return member;
            }
            let grandparent = self.parents.get(&parent).copied().unwrap_or(parent);
            self.parents.insert(member, grandparent);
            member = grandparent;
        }
    }

    /// Unites the components of two members.
    fn join(&mut self, one: Pseudonym, other: Pseudonym) {
        let (one, other) = (self.root(one), self.root(other));
        self.parents.insert(one.max(other), one.min(other));
    }

    /// The person of every member.
    fn persons(mut self) -> BTreeMap<Pseudonym, Person> {
        let members: Vec<Pseudonym> = self.parents.keys().copied().collect();
        members
            .into_iter()
            .map(|member| (member, Person(self.root(member))))
            .collect()
    }
}
