//! Components: the trees of the forest as persons with labels.
//!
//! A person is a connected component of identifiers. Its label is a number that no output contains:
//! which label a person has may depend on history, but which identifiers belong together may not.
//!
//! When two persons become one, or one becomes two, the side with more facts keeps the label, ties
//! by the number of identifiers. So a change moves the facts of the smaller side only, and each
//! fact moves at most log `n` times as persons merge. The changes since the last call of
//! [`Components::moves`] are what other operators need to follow.

use super::forest::{Forest, Link};
use crate::engine::Chunks;

/// The label of a person within its brand.
pub type Person = u64;

/// The label of nobody: of an entry that is not in use, and of a set without a person.
pub const NOBODY: Person = Person::MAX;

/// A person. The tag of its tree is the index of this entry.
struct Entry {
    /// Its label, which no other person of the brand ever has.
    label: Person,
    /// One of its identifiers.
    vertex: u32,
}

/// The changes since the last call of [`Components::moves`]. Entries may repeat.
#[derive(Default)]
pub(super) struct Moves {
    /// The identifiers with facts that changed their label, and those that were inserted or
    /// removed.
    pub moved: Vec<u32>,
    /// One identifier of each person that changed, some of which may have been removed since.
    pub touched: Vec<u32>,
    /// The labels of the persons that changed, some of which no longer exist.
    pub labels: Vec<Person>,
}

/// The persons of one brand. The caller numbers the identifiers densely.
#[derive(Default)]
pub(super) struct Components {
    forest: Forest,
    /// The persons, by the tag of their tree.
    persons: Chunks<Entry>,
    /// The unused entries.
    free: Vec<u32>,
    /// The next label.
    next: Person,
    moves: Moves,
}

impl Components {
    /// The number of persons.
    pub(super) fn persons(&self) -> usize {
        self.persons.len() - self.free.len()
    }

    /// The number of persons and of parts of the forest that are stored.
    pub(super) fn entries(&self) -> usize {
        self.persons() + self.forest.entries()
    }

    /// The bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.persons.bytes() + self.forest.bytes()
    }

    /// The number of places of tours visited since the last call.
    pub(super) fn steps(&self) -> u64 {
        self.forest.steps()
    }

    /// Whether an identifier belongs to a person. Hubs do not.
    pub(super) fn holds(&self, id: u32) -> bool {
        self.forest.holds(id)
    }

    /// The label of the person of an identifier, or `None` for a hub.
    pub(super) fn person_of(&self, id: u32) -> Option<Person> {
        if !self.holds(id) {
            return None;
        }
        let tag = self.forest.tag(self.forest.root(id));
        self.persons.get(tag).map(|entry| entry.label)
    }

    /// The number of identifiers of the person of an identifier; 0 for a hub.
    pub(super) fn size(&self, id: u32) -> usize {
        match self.holds(id) {
            true => self.forest.size(self.forest.root(id)).1 as usize,
            false => 0,
        }
    }

    /// Appends the identifiers of the person of an identifier to `out`.
    pub(super) fn members(&self, id: u32, out: &mut Vec<u32>) {
        if self.holds(id) {
            self.forest.tree(id, false, out);
        }
    }

    /// One identifier of each person whose label satisfies a predicate. Visits all persons.
    pub(super) fn find(&self, is: impl Fn(Person) -> bool) -> impl Iterator<Item = u32> {
        let found = self.persons.iter();
        let found = found.filter(move |entry| entry.label != NOBODY && is(entry.label));
        found.map(|entry| entry.vertex)
    }

    /// Takes the changes since the last call.
    pub(super) fn moves(&mut self) -> Moves {
        std::mem::take(&mut self.moves)
    }

    /// Inserts an identifier as a person of its own.
    pub(super) fn insert(&mut self, id: u32) {
        self.forest.insert(id);
        let root = self.forest.root(id);
        self.found(root, id);
        self.moves.moved.push(id);
    }

    /// Removes an identifier that has no links.
    pub(super) fn remove(&mut self, id: u32) {
        let root = self.forest.root(id);
        self.vanish(self.forest.tag(root));
        self.forest.remove(id);
        self.moves.moved.push(id);
    }

    /// Sets the number of facts of an identifier. Does nothing for a hub.
    pub(super) fn weigh(&mut self, id: u32, facts: u32) {
        if self.holds(id) {
            let place = self.forest.place(id);
            self.forest.tours().set_weight(place, facts);
        }
    }

    /// Links two identifiers, and returns the link. If they belonged to two persons, the facts of
    /// the smaller one move.
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

    /// Removes a link between `a` and `b`. If it was the last connection between them, the facts of
    /// the smaller part move to a new person.
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

    /// Assigns an existing person to the tree of a vertex, after the tree changed.
    fn keep(&mut self, tag: u32, vertex: u32) {
        let root = self.forest.root(vertex);
        self.forest.tours().set_tag(root, tag);
        if let Some(entry) = self.persons.get_mut(tag) {
            entry.vertex = vertex;
            self.moves.labels.push(entry.label);
            self.moves.touched.push(vertex);
        }
    }

    /// Creates a person for a tree.
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
                self.persons[tag] = entry;
                tag
            }
            None => {
                self.persons.push(entry);
                (self.persons.len() - 1) as u32
            }
        };
        self.forest.tours().set_tag(root, tag);
    }

    /// Removes a person.
    fn vanish(&mut self, tag: u32) {
        if let Some(entry) = self.persons.get_mut(tag) {
            self.moves.labels.push(entry.label);
            entry.label = NOBODY;
            self.free.push(tag);
        }
    }
}
