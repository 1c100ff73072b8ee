//! Components: the trees of the forest as persons with labels.
//!
//! A label is a number that means nothing and leaves nothing of itself in any output; which label a person has may
//! depend on history, who belongs together may not. Where two persons become one or one becomes two, the side with more
//! facts keeps the label, so that a change moves the facts of the smaller side only, however many identifiers the
//! other has.

use super::forest::{Forest, Link};

/// A person's label within its brand.
pub type Person = u64;

/// The label of nobody.
const NOBODY: Person = Person::MAX;

struct Entry {
    label: Person,
    /// Some identifier of the person.
    vertex: u32,
}

/// What has changed since this was asked last.
#[derive(Default)]
pub(super) struct Moves {
    /// The identifiers with facts that have another label.
    pub moved: Vec<u32>,
    /// Some identifier of each person that has changed, as far as it is still there.
    pub touched: Vec<u32>,
    /// The labels that changed, some of which no longer exist.
    pub labels: Vec<Person>,
}

/// The persons of one brand. Identifiers are numbered by the caller.
#[derive(Default)]
pub(super) struct Components {
    forest: Forest,
    persons: Vec<Entry>,
    free: Vec<u32>,
    next: Person,
    moves: Moves,
}

impl Components {
    /// How many persons there are.
    pub(super) fn persons(&self) -> usize {
        self.persons.len() - self.free.len()
    }

    /// How many persons and parts of the forest are kept.
    pub(super) fn entries(&self) -> usize {
        self.persons() + self.forest.entries()
    }

    /// How many places of tours were looked at since this was asked last.
    pub(super) fn steps(&self) -> u64 {
        self.forest.steps()
    }

    /// Whether an identifier belongs to a person: whether it is no hub.
    pub(super) fn holds(&self, id: u32) -> bool {
        self.forest.holds(id)
    }

    /// The person of an identifier; none for hubs.
    pub(super) fn person_of(&self, id: u32) -> Option<Person> {
        if !self.holds(id) {
            return None;
        }
        let tag = self.forest.tag(self.forest.root(id));
        self.persons.get(tag as usize).map(|entry| entry.label)
    }

    /// How many identifiers the person of one has.
    pub(super) fn size(&self, id: u32) -> usize {
        match self.holds(id) {
            true => self.forest.size(self.forest.root(id)).1 as usize,
            false => 0,
        }
    }

    /// Appends the identifiers of one's person.
    pub(super) fn members(&self, id: u32, out: &mut Vec<u32>) {
        if self.holds(id) {
            self.forest.tree(id, false, out);
        }
    }

    /// The persons with labels among some, each by one of its identifiers. Looks at all persons.
    pub(super) fn find(&self, is: impl Fn(Person) -> bool) -> impl Iterator<Item = u32> {
        let found = self.persons.iter();
        let found = found.filter(move |entry| entry.label != NOBODY && is(entry.label));
        found.map(|entry| entry.vertex)
    }

    /// Hands over what has changed.
    pub(super) fn moves(&mut self) -> Moves {
        std::mem::take(&mut self.moves)
    }

    /// Makes an identifier a person of its own.
    pub(super) fn insert(&mut self, id: u32) {
        self.forest.insert(id);
        let root = self.forest.root(id);
        self.found(root, id);
        self.moves.moved.push(id);
    }

    /// Takes out an identifier that has no links.
    pub(super) fn remove(&mut self, id: u32) {
        let root = self.forest.root(id);
        self.vanish(self.forest.tag(root));
        self.forest.remove(id);
        self.moves.moved.push(id);
    }

    /// Says how many facts stand under an identifier.
    pub(super) fn weigh(&mut self, id: u32, facts: u64) {
        if self.holds(id) {
            let (place, facts) = (self.forest.place(id), u32::try_from(facts));
            self.forest
                .tours()
                .set_weight(place, facts.unwrap_or(u32::MAX));
        }
    }

    /// Links two identifiers.
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

    /// Takes a link out.
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

    /// A person stays, with an identifier that it has now.
    fn keep(&mut self, tag: u32, vertex: u32) {
        let root = self.forest.root(vertex);
        self.forest.tours().set_tag(root, tag);
        if let Some(entry) = self.persons.get_mut(tag as usize) {
            entry.vertex = vertex;
            self.moves.labels.push(entry.label);
            self.moves.touched.push(vertex);
        }
    }

    /// A tree becomes a new person.
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

    /// There is no such person any more.
    fn vanish(&mut self, tag: u32) {
        if let Some(entry) = self.persons.get_mut(tag as usize) {
            self.moves.labels.push(entry.label);
            entry.label = NOBODY;
            self.free.push(tag);
        }
    }
}
