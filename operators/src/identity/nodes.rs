//! Nodes: the identifiers of a brand's graph, by number.
//!
//! The graph refers to an identifier by a small number instead of its pseudonym, which saves memory in the pairs and in the
//! forest and makes lookups a plain index. A number is reused after its identifier was removed, so it is meaningful only as
//! long as some set contains the identifier.

use super::number_set::NumberSet;
use crate::engine::{Keyed, Numbered};
use crate::hash_key::HashKey;
use crate::record::{IdKind, Identifier, Pseudonym};
use crate::small_map::SmallMap;

/// The number of an identifier in the graph of its brand.
pub(super) type Id = u32;

/// The number of an identifier set in the graph of its brand.
pub(super) type Edge = u32;

/// An identifier and its neighborhood.
pub(super) struct Node {
    /// The pseudonym.
    pseudonym: HashKey,
    /// The number of identifiers of sets whose clear value this is, itself excluded.
    aliases: u32,
    /// The announced number of facts of its sets, modulo 2^32: a worker has numbers for fewer records.
    pub(super) facts: u32,
    /// The sets that contain it; none for a clear value that no set contains.
    pub(super) sets: NumberSet,
    /// The distinct other values in these sets, each with the number of sets. Their number is the degree of the hub guard.
    pub(super) values: SmallMap<Id, u32>,
    /// The kind, which determines the limit of the hub guard.
    pub(super) kind: IdKind,
    /// Whether the identifier is a hub and excluded from all paths.
    pub(super) hub: bool,
    /// Whether it was added and not removed. Otherwise it is known as a clear value only.
    is_member: bool,
}

impl Node {
    /// The pseudonym.
    pub(super) fn pseudonym(&self) -> Pseudonym {
        self.pseudonym.into()
    }
}

impl Keyed for Node {
    type Key = HashKey;

    fn key(&self) -> &HashKey {
        &self.pseudonym
    }
}

/// The identifiers of a graph. A clear value has a number too, for as long as an identifier has it.
#[derive(Default)]
pub(super) struct Nodes {
    nodes: Numbered<Node>,
    /// The number of identifiers that some set contains.
    len: usize,
}

impl Nodes {
    /// The number of identifiers that some set contains.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The estimated bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let own = |node: &Node| node.sets.heap_bytes() + node.values.heap_bytes(|_| 0);
        self.nodes.bytes(own)
    }

    /// The node of a number.
    pub(super) fn get(&self, id: Id) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// The node of a number, to be changed.
    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Node> {
        self.nodes.get_mut(id)
    }

    /// The number of an identifier that some set contains.
    pub(super) fn find(&self, pseudonym: &Pseudonym) -> Option<Id> {
        let id = self.nodes.find(&HashKey::from(*pseudonym))?;
        let node = self.nodes.get(id)?;
        (!node.sets.is_empty()).then_some(id)
    }

    /// The number of a pseudonym, which gets one if it has none.
    fn number(&mut self, pseudonym: Pseudonym, kind: IdKind) -> Id {
        let pseudonym = HashKey::from(pseudonym);
        self.nodes.find(&pseudonym).unwrap_or_else(|| {
            self.nodes.insert(Node {
                pseudonym,
                aliases: 0,
                facts: 0,
                sets: NumberSet::default(),
                values: SmallMap::default(),
                kind,
                hub: false,
                is_member: false,
            })
        })
    }

    /// Adds a set to an identifier, which is added if it is new. Returns its number and that of its clear value.
    pub(super) fn add(&mut self, id: &Identifier, set: Edge) -> (Id, Id) {
        let number = self.number(id.pseudonym, id.kind);
        if let Some(node) = self.nodes.get_mut(number) {
            node.sets.insert(set);
            if !std::mem::replace(&mut node.is_member, true) {
                node.kind = id.kind;
                self.len += 1;
            }
        }
        if id.value == id.pseudonym {
            return (number, number);
        }
        let value = self.number(id.value, id.kind);
        if let Some(of_value) = self.get_mut(value) {
            of_value.aliases += 1;
        }
        (number, value)
    }

    /// Takes a set from an identifier. Returns its number and that of its clear value, both of which are to be passed to
    /// [`Nodes::tidy`].
    pub(super) fn take(&mut self, id: &Identifier, set: Edge) -> Option<(Id, Id)> {
        let number = self.nodes.find(&id.pseudonym.into())?;
        self.get_mut(number)?.sets.remove(set);
        if id.value == id.pseudonym {
            return Some((number, number));
        }
        let value = self.nodes.find(&id.value.into())?;
        self.get_mut(value)?.aliases -= 1;
        Some((number, value))
    }

    /// Removes an identifier that no set contains any more, and frees its number unless it is the clear value of another.
    pub(super) fn tidy(&mut self, id: Id) {
        let Some(node) = self.nodes.get_mut(id).filter(|node| node.sets.is_empty()) else {
            return;
        };
        node.hub = false;
        if std::mem::replace(&mut node.is_member, false) {
            self.len -= 1;
        }
        if node.aliases == 0 {
            self.nodes.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identifier(pseudonym: Pseudonym, value: Pseudonym) -> Identifier {
        Identifier {
            pseudonym,
            value,
            kind: IdKind::Cookie,
        }
    }

    /// Takes a set from an identifier, and tidies up.
    fn take(nodes: &mut Nodes, id: &Identifier, set: Edge) {
        let (id, value) = nodes.take(id, set).unwrap();
        nodes.tidy(id);
        nodes.tidy(value);
    }

    #[test]
    fn a_value_has_a_number_for_as_long_as_an_identifier_has_it() {
        let mut nodes = Nodes::default();
        let (hashed, clear) = (identifier(7, 9), identifier(9, 9));
        let (of_hashed, value) = nodes.add(&hashed, 1);
        assert_eq!((nodes.len(), nodes.find(&9)), (1, None));
        assert_eq!(nodes.add(&clear, 1), (value, value));
        assert_eq!((nodes.len(), nodes.find(&9)), (2, Some(value)));
        take(&mut nodes, &clear, 1);
        assert_eq!((nodes.len(), nodes.find(&9)), (1, None));
        assert_eq!(nodes.add(&clear, 1), (value, value));
        // One pseudonym may arrive as a hash and with its clear value.
        assert_eq!(nodes.add(&identifier(7, 7), 2), (of_hashed, of_hashed));
        take(&mut nodes, &clear, 1);
        take(&mut nodes, &hashed, 1);
        assert_eq!((nodes.len(), nodes.find(&7)), (1, Some(of_hashed)));
        take(&mut nodes, &identifier(7, 7), 2);
        assert_eq!((nodes.len(), nodes.bytes()), (0, Nodes::default().bytes()));
    }

    #[test]
    fn numbers_are_used_again() {
        let mut nodes = Nodes::default();
        let ids = [7, 8, 9].map(|of| identifier(of, of));
        let (a, _) = nodes.add(&ids[0], 1);
        let (b, _) = nodes.add(&ids[1], 1);
        assert!(a != b && nodes.add(&ids[0], 2) == (a, a) && nodes.len() == 2);
        take(&mut nodes, &ids[0], 1);
        take(&mut nodes, &ids[0], 2);
        assert_eq!(nodes.find(&7), None);
        assert_eq!(nodes.add(&ids[2], 1), (a, a));
        assert_eq!(nodes.get(a).map(Node::pseudonym), Some(9));
        take(&mut nodes, &ids[2], 1);
        take(&mut nodes, &ids[1], 1);
        assert_eq!((nodes.len(), nodes.bytes()), (0, Nodes::default().bytes()));
    }
}
