//! Nodes: the identifiers of a brand's graph, by number.
//!
//! The graph refers to an identifier by a small number instead of its pseudonym, which saves memory in the pairs and in the
//! forest and makes lookups a plain index. A number is reused after its identifier was removed, so it is meaningful only as
//! long as some set contains the identifier.

use crate::engine::{Table, extrapolate, vec_bytes};
use crate::record::{IdKind, Identifier, Pseudonym};
use crate::small_map::{Bag, SmallMap};

/// The number of an identifier in the graph of its brand.
pub(super) type Id = u32;

/// An identifier and its neighborhood.
pub(super) struct Node {
    /// The pseudonym.
    pub(super) pseudonym: Pseudonym,
    /// The kind, which determines the limit of the hub guard.
    pub(super) kind: IdKind,
    /// Whether the identifier is a hub and excluded from all paths.
    pub(super) hub: bool,
    /// The keys of the sets that contain it.
    pub(super) sets: SmallMap<u128, ()>,
    /// The distinct other values in these sets, each with the number of sets. Their number is the degree of the hub guard.
    pub(super) values: Bag<Pseudonym>,
    /// The announced number of facts of its sets.
    pub(super) facts: u64,
}

/// The identifiers of a graph.
#[derive(Default)]
pub(super) struct Nodes {
    /// The number of each identifier.
    numbers: Table<Pseudonym, Id>,
    /// By number; `None` for a free number.
    nodes: Vec<Option<Node>>,
    /// The free numbers below the length of `nodes`.
    free: Vec<Id>,
}

impl Nodes {
    /// The number of identifiers.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The estimated bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let nodes = self.nodes.iter().flatten();
        let own = nodes.map(|node| node.sets.heap_bytes(|_| 0) + node.values.heap_bytes(|_| 0));
        self.numbers.bytes() + vec_bytes(&self.nodes) + extrapolate(self.len(), own)
    }

    /// The node of a number.
    pub(super) fn get(&self, id: Id) -> Option<&Node> {
        self.nodes.get(id as usize)?.as_ref()
    }

    /// The node of a number, to be changed.
    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Node> {
        self.nodes.get_mut(id as usize)?.as_mut()
    }

    /// The number of an identifier that some set contains.
    pub(super) fn find(&self, pseudonym: &Pseudonym) -> Option<Id> {
        self.numbers.get(pseudonym).copied()
    }

    /// The number of an identifier, which is added if it is new.
    pub(super) fn insert(&mut self, id: &Identifier) -> Id {
        if let Some(number) = self.find(&id.pseudonym) {
            return number;
        }
        let node = Some(Node {
            pseudonym: id.pseudonym,
            kind: id.kind,
            hub: false,
            sets: SmallMap::default(),
            values: Bag::default(),
            facts: 0,
        });
        let number = self.free.pop().unwrap_or(self.nodes.len() as Id);
        match self.nodes.get_mut(number as usize) {
            Some(free) => *free = node,
            None => self.nodes.push(node),
        }
        self.numbers.insert(id.pseudonym, number);
        number
    }

    /// Removes an identifier that no set contains any more, and frees its number.
    pub(super) fn remove(&mut self, id: Id) {
        let node = self.nodes.get_mut(id as usize).and_then(Option::take);
        if let Some(node) = node {
            self.numbers.remove(&node.pseudonym);
            self.free.push(id);
        }
        if self.free.len() == self.nodes.len() {
            (self.free, self.nodes) = (Vec::new(), Vec::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identifier(pseudonym: Pseudonym) -> Identifier {
        Identifier {
            pseudonym,
            value: pseudonym,
            kind: IdKind::Cookie,
        }
    }

    #[test]
    fn numbers_are_reused_and_lead_to_one_identifier() {
        let mut nodes = Nodes::default();
        let [a, b] = [7, 8].map(|pseudonym| nodes.insert(&identifier(pseudonym)));
        assert_eq!((nodes.insert(&identifier(7)), nodes.len()), (a, 2));
        nodes.remove(a);
        assert_eq!(nodes.find(&7), None);
        assert_eq!(nodes.insert(&identifier(9)), a);
        assert_eq!(nodes.get(a).map(|node| node.pseudonym), Some(9));
        nodes.remove(a);
        nodes.remove(b);
        assert_eq!((nodes.len(), nodes.nodes.capacity()), (0, 0));
    }
}
