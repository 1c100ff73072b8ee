//! Components: the trees of the forest as persons with labels.
//!
//! A label is a number without meaning that never appears in an output. The label of a person may depend on history; which
//! identifiers belong to one person may not. When two persons become one, or one becomes two, the side with more facts keeps
//! the label, so that a change moves the facts of the smaller side only, however many identifiers the larger side has. Over
//! any sequence of insertions a fact moves at most a logarithmic number of times (union by size).

use super::forest::{Forest, Link};

/// The label of a person within its brand.
pub type Person = u64;

/// The label of a free entry.
const NOBODY: Person = Person::MAX;

/// A person.
struct Entry {
    /// The label, or [`NOBODY`] if the entry is free.
    label: Person,
    /// An identifier of the person.
    vertex: u32,
}

/// The changes since the last call of [`Components::moves`].
#[derive(Default)]
pub(super) struct Moves {
    /// The identifiers with facts whose person has another label than before.
    pub moved: Vec<u32>,
    /// An identifier of each person that changed, if it is still in the graph.
    pub touched: Vec<u32>,
    /// The labels of persons that changed, some of which no longer exist.
    pub labels: Vec<Person>,
}

/// The persons of one brand. Identifiers are numbered by the caller.
#[derive(Default)]
pub(super) struct Components {
    forest: Forest,
    /// The persons, by the tag that the forest stores at the root of each tree.
    persons: Vec<Entry>,
    /// The tags of free entries.
    free: Vec<u32>,
    /// The next label. Labels are never reused.
    next: Person,
    moves: Moves,
}

impl Components {
    /// The number of persons.
    pub(super) fn persons(&self) -> usize {
        self.persons.len() - self.free.len()
    }

    /// The number of persons and of parts of the forest.
    pub(super) fn entries(&self) -> usize {
        self.persons() + self.forest.entries()
    }

    /// The number of parts of tours that were visited since the last call.
    pub(super) fn steps(&self) -> u64 {
        self.forest.steps()
    }

    /// Whether an identifier belongs to a person: it was inserted, so it is no hub.
    pub(super) fn holds(&self, id: u32) -> bool {
        self.forest.holds(id)
    }

    /// The person of an identifier; `None` for hubs.
    pub(super) fn person_of(&self, id: u32) -> Option<Person> {
        if !self.holds(id) {
            return None;
        }
        let tag = self.forest.tag(self.forest.root(id));
        self.persons.get(tag as usize).map(|entry| entry.label)
    }

    /// The number of identifiers of the person of an identifier; 0 for hubs.
    pub(super) fn size(&self, id: u32) -> usize {
        match self.holds(id) {
            true => self.forest.size(self.forest.root(id)).1 as usize,
            false => 0,
        }
    }

    /// Appends all identifiers of the person of an identifier.
    pub(super) fn members(&self, id: u32, out: &mut Vec<u32>) {
        if self.holds(id) {
            self.forest.tree(id, false, out);
        }
    }

    /// An identifier of each person whose label satisfies a condition. Visits all persons.
    pub(super) fn find(&self, is: impl Fn(Person) -> bool) -> impl Iterator<Item = u32> {
        let found = self.persons.iter();
        let found = found.filter(move |entry| entry.label != NOBODY && is(entry.label));
        found.map(|entry| entry.vertex)
    }

    /// Takes the changes since the last call.
    pub(super) fn moves(&mut self) -> Moves {
        std::mem::take(&mut self.moves)
    }

    /// Adds an identifier as a person of its own.
    pub(super) fn insert(&mut self, id: u32) {
        self.forest.insert(id);
        let root = self.forest.root(id);
        self.found(root, id);
        self.moves.moved.push(id);
    }

    /// Removes an identifier, which must have no links.
    pub(super) fn remove(&mut self, id: u32) {
        let root = self.forest.root(id);
        self.vanish(self.forest.tag(root));
        self.forest.remove(id);
        self.moves.moved.push(id);
    }

    /// Sets the number of facts of an identifier, by which the larger side is determined.
    pub(super) fn weigh(&mut self, id: u32, facts: u64) {
        if self.holds(id) {
            let (place, facts) = (self.forest.place(id), u32::try_from(facts));
            self.forest
                .tours()
                .set_weight(place, facts.unwrap_or(u32::MAX));
        }
    }

    /// Adds a link between two identifiers, which may join two persons.
    pub(super) fn link(&mut self, a: u32, b: u32) -> Link {
        let (at_a, at_b) = (self.forest.root(a), self.forest.root(b));
        if at_a == at_b {
            return self.forest.link(a, b);
        }
        let ((larger, kept), (smaller, moves)) =
            match self.forest.size(at_a) >= self.forest.size(at_b) {
                true => ((at_a, a), (at_b, b)),
                false => ((at_b, b), (at_a, a)),
            };
        let (tag, absorbed) = (self.forest.tag(larger), self.forest.tag(smaller));
        self.forest.tree(moves, true, &mut self.moves.moved);
        self.vanish(absorbed);
        let link = self.forest.link(a, b);
        self.keep(tag, kept);
        link
    }

    /// Removes a link between two identifiers, which may split their person.
    pub(super) fn unlink(&mut self, link: Link, a: u32, b: u32) {
        let tag = self.forest.tag(self.forest.root(a));
        if !self.forest.unlink(link) {
            let root = self.forest.root(a);
            self.forest.tours().set_tag(root, tag);
            return;
        }
        let (at_a, at_b) = (self.forest.root(a), self.forest.root(b));
        let (kept, (leaves, root)) = match self.forest.size(at_a) >= self.forest.size(at_b) {
            true => (a, (b, at_b)),
            false => (b, (a, at_a)),
        };
        self.keep(tag, kept);
        self.forest.tree(leaves, true, &mut self.moves.moved);
        self.found(root, leaves);
    }

    /// Records that a person has changed but keeps its label; `vertex` is one of its identifiers now.
    fn keep(&mut self, tag: u32, vertex: u32) {
        let root = self.forest.root(vertex);
        self.forest.tours().set_tag(root, tag);
        if let Some(entry) = self.persons.get_mut(tag as usize) {
            entry.vertex = vertex;
            self.moves.labels.push(entry.label);
            self.moves.touched.push(vertex);
        }
    }

    /// Gives a tree, by its root and one of its identifiers, a new label.
    fn found(&mut self, root: u32, vertex: u32) {
        let entry = Entry {
            label: self.next,
            vertex,
        };
        self.moves.labels.push(self.next);
        self.moves.touched.push(vertex);
        self.next += 1;
        let tag = match self.free.pop() {
            Some(tag) => {
                self.persons[tag as usize] = entry;
                tag
            }
            None => {
                self.persons.push(entry);
                (self.persons.len() - 1) as u32
            }
        };
        self.forest.tours().set_tag(root, tag);
    }

    /// Frees the entry of a person that no longer exists.
    fn vanish(&mut self, tag: u32) {
        if let Some(entry) = self.persons.get_mut(tag as usize) {
            self.moves.labels.push(entry.label);
            entry.label = NOBODY;
            self.free.push(tag);
        }
    }
}
