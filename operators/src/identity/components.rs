//! Components: persons as labelled lists of members, merged small into large.
//!
//! A label is a number that means nothing and leaves nothing of itself in any output; which label a
//! person has may depend on history, who belongs together may not.

use rustc_hash::FxHashMap;

use crate::record::Pseudonym;

/// A person's label within its brand.
pub type Person = u64;

/// The persons of one brand and their members.
#[derive(Default)]
pub struct Components {
    members: FxHashMap<Person, Vec<Pseudonym>>,
    person_of: FxHashMap<Pseudonym, Person>,
    next: Person,
}

/// An identifier whose person is no longer the one given.
pub type Moved = Vec<Pseudonym>;

impl Components {
    /// How many persons there are.
    pub fn persons(&self) -> usize {
        self.members.len()
    }

    /// The person of an identifier; none for hubs and strangers.
    pub fn person_of(&self, id: Pseudonym) -> Option<Person> {
        self.person_of.get(&id).copied()
    }

    /// How many identifiers a person has; zero where there is none of that label.
    pub fn size(&self, person: Person) -> usize {
        self.members.get(&person).map_or(0, Vec::len)
    }

    /// Makes an identifier a person of its own unless it already belongs to one.
    pub fn found(&mut self, id: Pseudonym, moved: &mut Moved) -> Person {
        if let Some(person) = self.person_of(id) {
            return person;
        }
        let person = self.install(vec![id]);
        moved.push(id);
        person
    }

    /// Makes two identifiers' persons one; the larger keeps its label. Returns it.
    pub fn unite(&mut self, a: Pseudonym, b: Pseudonym, moved: &mut Moved) -> Person {
        let (a, b) = (self.found(a, moved), self.found(b, moved));
        if a == b {
            return a;
        }
        let (large, small) = if self.size(a) >= self.size(b) {
            (a, b)
        } else {
            (b, a)
        };
        let leaving = self.members.remove(&small).unwrap_or_default();
        for id in &leaving {
            self.person_of.insert(*id, large);
        }
        moved.extend_from_slice(&leaving);
        self.members.entry(large).or_default().extend(leaving);
        large
    }

    /// Takes a person apart. The parts are given by the caller, who knows the links; whoever is in none
    /// of them belongs to nobody any more. The largest part keeps the label.
    pub fn split(&mut self, person: Person, mut parts: Vec<Vec<Pseudonym>>, moved: &mut Moved) {
        let old = self.members.remove(&person).unwrap_or_default();
        let keeper = (0..parts.len()).max_by_key(|part| parts[*part].len());
        for id in &old {
            self.person_of.remove(id);
        }
        if let Some(keeper) = keeper {
            let kept = parts.swap_remove(keeper);
            for id in &kept {
                self.person_of.insert(*id, person);
            }
            self.members.insert(person, kept);
        }
        for part in parts {
            self.install(part);
        }
        moved.extend(
            old.into_iter()
                .filter(|id| self.person_of(*id) != Some(person)),
        );
    }

    /// The members of a person.
    pub fn members(&self, person: Person) -> &[Pseudonym] {
        self.members.get(&person).map_or(&[], Vec::as_slice)
    }

    fn install(&mut self, members: Vec<Pseudonym>) -> Person {
        let person = self.next;
        self.next += 1;
        for id in &members {
            self.person_of.insert(*id, person);
        }
        self.members.insert(person, members);
        person
    }
}
