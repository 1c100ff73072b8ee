//! Euler tour trees: sequences of places that are split and joined in logarithmic time.
//!
//! A tree is stored as a tour around it (Henzinger and King 1999, *Randomized fully dynamic graph
//! algorithms with polylogarithmic time per operation*, Journal of the ACM 46): each vertex has one
//! place in the tour, and each link has two, one for each direction. Cutting a link removes what is
//! between its two places from the tour.
//!
//! A tour is a treap (Seidel and Aragon 1996, *Randomized search trees*) ordered by position, and
//! all treaps share one arena. Each node aggregates its subtree, so that the root knows the whole
//! tour. The priority of a node is a hash of its index instead of a random number: equal histories
//! produce equal treaps, and the expected depth is that of random priorities, because indices do
//! not depend on the content of a tour.

use std::cell::Cell;

use crate::engine::Chunks;

/// The index of a place in the arena.
pub(super) type Place = u32;

/// The absence of a place.
pub(super) const NOWHERE: Place = u32::MAX;

/// The mark of a place that belongs to a vertex.
const VERTEX: u8 = 1;
/// The mark of a vertex in which loose links end: links that are not part of the forest.
pub(super) const LOOSE: u8 = 2;
/// The mark of a place that represents a link whose level is that of its tour.
pub(super) const LEVEL: u8 = 4;

/// A place, as a node of its treap.
struct Slot {
    parent: Place,
    left: Place,
    right: Place,
    /// The vertex or the link.
    item: u32,
    /// The weight of the vertex; 0 for links.
    weight: u32,
    /// The sum of the weights of the subtree, saturating.
    weights: u32,
    /// The number of vertices in the subtree.
    vertices: u32,
    /// The tag of the tour; valid at the root only.
    tag: u32,
    /// The marks of the place itself.
    own: u8,
    /// The marks of any place in the subtree.
    any: u8,
}

/// All tours.
#[derive(Default)]
pub(super) struct Tours {
    /// The arena.
    slots: Chunks<Slot>,
    /// The unused indices of the arena.
    free: Vec<Place>,
    /// The number of places visited, for tests and metrics of the cost.
    steps: Cell<u64>,
}

/// The priority of a place: its index, mixed by the finalizer of SplitMix64 (Steele, Lea and Flood
/// 2014, *Fast splittable pseudorandom number generators*).
fn priority(place: Place) -> u64 {
    let mixed = (u64::from(place) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

impl Tours {
    /// The number of places visited since the last call.
    pub(super) fn steps(&self) -> u64 {
        self.steps.take()
    }

    /// The number of places.
    pub(super) fn entries(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.slots.bytes()
    }

    fn step(&self) {
        self.steps.set(self.steps.get() + 1);
    }

    fn at(&self, place: Place) -> &Slot {
        self.step();
        &self.slots[place]
    }

    fn at_mut(&mut self, place: Place) -> &mut Slot {
        self.step();
        &mut self.slots[place]
    }

    /// Allocates a place that is a tour of its own.
    fn new_place(&mut self, item: u32, own: u8) -> Place {
        let slot = Slot {
            parent: NOWHERE,
            left: NOWHERE,
            right: NOWHERE,
            item,
            weight: 0,
            weights: 0,
            vertices: u32::from(own & VERTEX),
            tag: NOWHERE,
            own,
            any: own,
        };
        match self.free.pop() {
            Some(place) => {
                self.slots[place] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as Place
            }
        }
    }

    /// Creates a tour that consists of one vertex.
    pub(super) fn vertex(&mut self, vertex: u32) -> Place {
        self.new_place(vertex, VERTEX)
    }

    /// Removes a place that is a tour of its own, and frees all memory once no place is left.
    pub(super) fn remove(&mut self, place: Place) {
        debug_assert!(self.is_alone(place), "what is given back stands alone");
        self.free.push(place);
        if self.entries() == 0 {
            *self = Tours {
                steps: self.steps.clone(),
                ..Tours::default()
            };
        }
    }

    /// Whether a place is a tour of its own.
    pub(super) fn is_alone(&self, place: Place) -> bool {
        let slot = self.at(place);
        [slot.parent, slot.left, slot.right] == [NOWHERE; 3]
    }

    /// The root of the tour of a place. It identifies the tour until the next change.
    pub(super) fn root(&self, mut place: Place) -> Place {
        loop {
            match self.at(place).parent {
                NOWHERE => return place,
                parent => place = parent,
            }
        }
    }

    /// The number of vertices in the tour of a root.
    pub(super) fn vertices(&self, root: Place) -> u32 {
        self.at(root).vertices
    }

    /// The sum of the weights in the tour of a root, saturating.
    pub(super) fn weight(&self, root: Place) -> u32 {
        self.at(root).weights
    }

    /// The tag of the tour of a root.
    pub(super) fn tag(&self, root: Place) -> u32 {
        self.at(root).tag
    }

    /// Sets the tag of the tour of a root. A change of the tour may lose it.
    pub(super) fn set_tag(&mut self, root: Place, tag: u32) {
        self.at_mut(root).tag = tag;
    }

    /// The vertex or the link of a place.
    pub(super) fn item(&self, place: Place) -> u32 {
        self.at(place).item
    }

    /// Sets the weight of the vertex of a place.
    pub(super) fn set_weight(&mut self, place: Place, weight: u32) {
        if self.at(place).weight != weight {
            self.at_mut(place).weight = weight;
            self.sum_up(place);
        }
    }

    /// Sets or clears a mark of a place.
    pub(super) fn mark(&mut self, place: Place, mark: u8, is: bool) {
        let slot = self.at_mut(place);
        slot.own = if is {
            slot.own | mark
        } else {
            slot.own & !mark
        };
        self.sum_up(place);
    }

    /// Some place with a mark in the tour of a root, if any.
    pub(super) fn find(&self, root: Place, mark: u8) -> Option<Place> {
        let mut place = root;
        if self.at(place).any & mark == 0 {
            return None;
        }
        loop {
            let slot = self.at(place);
            if slot.own & mark != 0 {
                return Some(place);
            }
            let left = slot.left != NOWHERE && self.at(slot.left).any & mark != 0;
            place = if left { slot.left } else { slot.right };
        }
    }

    /// Appends the vertices of the tour of a root to `out`; with `weighty`, only those with a
    /// weight above
    /// 0. Takes O(log `n`) steps for each vertex that is appended.
    pub(super) fn list(&self, root: Place, weighty: bool, out: &mut Vec<u32>) {
        let mut waiting = vec![root];
        while let Some(place) = waiting.pop() {
            if place == NOWHERE {
                continue;
            }
            let slot = self.at(place);
            if weighty && slot.weights == 0 || slot.vertices == 0 {
                continue;
            }
            if slot.own & VERTEX != 0 && (!weighty || slot.weight > 0) {
                out.push(slot.item);
            }
            waiting.extend([slot.right, slot.left]);
        }
    }

    /// Joins the tours of two vertices by a link, and returns the two places of the link.
    pub(super) fn link(&mut self, a: Place, b: Place, link: u32) -> [Place; 2] {
        let arcs = [self.new_place(link, 0), self.new_place(link, 0)];
        let (a, b) = (self.begin_at(a), self.begin_at(b));
        let there = self.join(a, arcs[0]);
        let back = self.join(b, arcs[1]);
        self.join(there, back);
        arcs
    }

    /// Cuts the link with these two places, in either order, and removes the places.
    pub(super) fn cut(&mut self, [first, second]: [Place; 2]) {
        let (before, from) = self.split(first, false);
        // The part between the two places is one tree, what stands around them is the other.
        let (before, after) = if self.root(second) == from {
            let (_, after) = self.split(first, true);
            let (_, from) = self.split(second, false);
            debug_assert_eq!(from, self.root(second), "it begins there");
            let (_, rest) = self.split(second, true);
            debug_assert!(after != NOWHERE, "the other end is between them");
            (before, rest)
        } else {
            let (_, after) = self.split(first, true);
            let (before, _) = self.split(second, false);
            self.split(second, true);
            (before, after)
        };
        self.join(before, after);
        self.remove(first);
        self.remove(second);
    }

    /// Rotates a tour so that it begins at a place, and returns its root.
    fn begin_at(&mut self, place: Place) -> Place {
        let (before, from) = self.split(place, false);
        self.join(from, before)
    }

    /// Computes the aggregates of a place from its children.
    fn sum(&mut self, place: Place) {
        let slot = self.at(place);
        let (mut weights, mut vertices) = (slot.weight, u32::from(slot.own & VERTEX));
        let mut any = slot.own;
        for child in [slot.left, slot.right] {
            if child != NOWHERE {
                let child = self.at(child);
                weights = weights.saturating_add(child.weights);
                vertices += child.vertices;
                any |= child.any;
            }
        }
        let slot = self.at_mut(place);
        (slot.weights, slot.vertices, slot.any) = (weights, vertices, any);
    }

    /// Computes the aggregates of a place and of all its ancestors.
    fn sum_up(&mut self, mut place: Place) {
        while place != NOWHERE {
            self.sum(place);
            place = self.at(place).parent;
        }
    }

    /// Splits a tour before a place, or after it if `behind`, and returns the roots of both parts.
    fn split(&mut self, place: Place, behind: bool) -> (Place, Place) {
        let slot = self.at_mut(place);
        let mut above = std::mem::replace(&mut slot.parent, NOWHERE);
        let torn = match behind {
            true => std::mem::replace(&mut slot.right, NOWHERE),
            false => std::mem::replace(&mut slot.left, NOWHERE),
        };
        self.sum(place);
        if torn != NOWHERE {
            self.at_mut(torn).parent = NOWHERE;
        }
        let (mut before, mut after) = if behind { (place, torn) } else { (torn, place) };
        let mut below = place;
        while above != NOWHERE {
            let slot = self.at_mut(above);
            let next = std::mem::replace(&mut slot.parent, NOWHERE);
            let (side, part) = if slot.left == below {
                (&mut slot.left, &mut after)
            } else {
                (&mut slot.right, &mut before)
            };
            *side = *part;
            let child = std::mem::replace(part, above);
            if child != NOWHERE {
                self.at_mut(child).parent = above;
            }
            self.sum(above);
            below = above;
            above = next;
        }
        (before, after)
    }

    /// Concatenates two tours, either of which may be empty, and returns the root.
    fn join(&mut self, a: Place, b: Place) -> Place {
        if a == NOWHERE || b == NOWHERE {
            return a.min(b);
        }
        if priority(a) > priority(b) {
            let right = self.at(a).right;
            let right = self.join(right, b);
            self.at_mut(a).right = right;
            self.at_mut(right).parent = a;
            self.sum(a);
            a
        } else {
            let left = self.at(b).left;
            let left = self.join(a, left);
            self.at_mut(b).left = left;
            self.at_mut(left).parent = b;
            self.sum(b);
            b
        }
    }
}
