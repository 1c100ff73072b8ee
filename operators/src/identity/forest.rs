//! Fully dynamic connectivity: which vertices are connected, while links come and go in any order.
//!
//! This is the algorithm of Holm, de Lichtenberg and Thorup (2001, *Poly-logarithmic deterministic
//! fully-dynamic algorithms for connectivity, minimum spanning tree, 2-edge, and biconnectivity*,
//! Journal of the ACM 48) over Euler tour trees ([`super::tours`]). Each link has a level, and is
//! either part of a spanning forest or *loose*. The forest links of level `i` and above span what
//! all links of level `i` and above connect, and a tree of level `i` has at most `n / 2^i`
//! vertices.
//!
//! When a forest link is removed, another link that connects the two parts is searched among the
//! loose links of the smaller part, from the level of the removed link down to 0. A loose link that
//! does not connect the parts rises by one level, so it is examined at most log `n` times in total.
//! A change takes O(log² `n`) steps, amortized over any history. Unlike in the paper, the forest
//! links of the smaller part rise only when its first loose link does, so that trees, which most
//! persons are, stay on level 0 and need no entries above.

use super::tours::{LEVEL, LOOSE, NOWHERE, Place, Tours};
use crate::engine::{Chunks, Table};

/// The index of a link between two vertices. Indices of removed links are used again.
pub(super) type Link = u32;

/// The absence of a link.
pub(super) const NO_LINK: Link = u32::MAX;

/// A link: its ends, its level, and its place in the forest or in the lists of loose links.
struct Ends {
    /// The two vertices.
    ends: [u32; 2],
    /// For a forest link, its two places in the tours of level 0. For a loose link, its neighbors
    /// in the lists of both ends: the previous and the next one for each.
    threads: [u32; 4],
    /// The highest level on which the link exists.
    level: u8,
    /// Whether the link is part of the spanning forest.
    in_forest: bool,
}

impl Ends {
    /// The index of a vertex in `ends`.
    fn side(&self, vertex: u32) -> usize {
        usize::from(self.ends[0] != vertex)
    }
}

/// A vertex on one level.
#[derive(Clone, Copy)]
struct Stop {
    /// Its place in the tour of its tree on this level.
    place: Place,
    /// The first of its loose links of this level.
    loose: Link,
}

/// A vertex that is not on a level.
const NO_STOP: Stop = Stop {
    place: NOWHERE,
    loose: NO_LINK,
};

/// The links and the spanning forests of all levels. The caller numbers the vertices densely.
#[derive(Default)]
pub(super) struct Forest {
    /// The tours of the trees of all levels.
    tours: Tours,
    /// The links, by index.
    links: Chunks<Ends>,
    /// The indices of removed links.
    free: Vec<Link>,
    /// The vertices on level 0, by number.
    stops: Chunks<Stop>,
    /// The vertices on higher levels, as far as links of these levels end in them.
    above: Table<(u32, u8), Stop>,
    /// The places of forest links on the levels above 0.
    arcs: Table<(Link, u8), [Place; 2]>,
}

impl Forest {
    /// The number of places visited since the last call.
    pub(super) fn steps(&self) -> u64 {
        self.tours.steps()
    }

    /// The number of places, links, vertices and arcs that are stored.
    pub(super) fn entries(&self) -> usize {
        self.tours.entries()
            + (self.links.len() - self.free.len())
            + self.above.len()
            + self.arcs.len()
    }

    /// The bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.tours.bytes()
            + self.links.bytes()
            + self.stops.bytes()
            + self.above.bytes()
            + self.arcs.bytes()
    }

    /// The tours, for the weights and tags of the trees of level 0.
    pub(super) fn tours(&mut self) -> &mut Tours {
        &mut self.tours
    }

    /// Whether a vertex is in the forest.
    pub(super) fn holds(&self, vertex: u32) -> bool {
        self.stop(vertex, 0).place != NOWHERE
    }

    /// The place of a vertex on level 0.
    pub(super) fn place(&self, vertex: u32) -> Place {
        self.stop(vertex, 0).place
    }

    /// The root of the tree of a vertex. It identifies the tree until the next change. Takes O(log
    /// `n`) steps.
    pub(super) fn root(&self, vertex: u32) -> Place {
        self.tours.root(self.place(vertex))
    }

    /// Appends the vertices of the tree of a vertex to `out`; with `weighty`, only those with a
    /// weight above 0. Subtrees without such a vertex are skipped.
    pub(super) fn tree(&self, vertex: u32, weighty: bool, out: &mut Vec<u32>) {
        self.tours.list(self.root(vertex), weighty, out);
    }

    /// The weight and the number of vertices of the tree of a root, to be compared in this order.
    pub(super) fn size(&self, root: Place) -> (u32, u32) {
        (self.tours.weight(root), self.tours.vertices(root))
    }

    /// The tag of the tree of a root.
    pub(super) fn tag(&self, root: Place) -> u32 {
        self.tours.tag(root)
    }

    /// Inserts a vertex without links.
    pub(super) fn insert(&mut self, vertex: u32) {
        while self.stops.len() <= vertex as usize {
            self.stops.push(NO_STOP);
        }
        self.stops[vertex].place = self.tours.vertex(vertex);
    }

    /// Removes a vertex that has no links.
    pub(super) fn remove(&mut self, vertex: u32) {
        let stop = std::mem::replace(&mut self.stops[vertex], NO_STOP);
        debug_assert_eq!(stop.loose, NO_LINK, "it has no links");
        self.tours.remove(stop.place);
    }

    /// Links two vertices of the forest, and returns the link. It becomes a forest link if the
    /// vertices were not connected.
    pub(super) fn link(&mut self, a: u32, b: u32) -> Link {
        let in_forest = self.root(a) != self.root(b);
        let ends = Ends {
            ends: [a, b],
            threads: [NO_LINK; 4],
            level: 0,
            in_forest,
        };
        let link = match self.free.pop() {
            Some(link) => {
                self.links[link] = ends;
                link
            }
            None => {
                self.links.push(ends);
                (self.links.len() - 1) as Link
            }
        };
        match in_forest {
            true => self.join(link, 0),
            false => self.thread(link),
        }
        link
    }

    /// Removes a link. Returns whether its ends are no longer connected.
    pub(super) fn unlink(&mut self, link: Link) -> bool {
        let Ends {
            ends: [a, b],
            level,
            in_forest,
            ..
        } = self.links[link];
        if !in_forest {
            self.unthread(link);
            self.give_back(link);
            return false;
        }
        for on in 0..=level {
            self.cut(link, on);
        }
        self.give_back(link);
        for on in (0..=level).rev() {
            if let Some(other) = self.replacement(a, b, on) {
                self.links[other].in_forest = true;
                for on in 0..=on {
                    self.join(other, on);
                }
                return false;
            }
        }
        true
    }

    /// Frees the index of a link, and all memory once no link is left.
    fn give_back(&mut self, link: Link) {
        self.free.push(link);
        if self.free.len() == self.links.len() {
            (self.free, self.links) = (Vec::new(), Chunks::default());
        }
    }

    /// Finds a loose link of a level that connects the trees of two vertices, and removes it from
    /// the lists of loose links. Links that it examines in vain rise by one level.
    fn replacement(&mut self, a: u32, b: u32, level: u8) -> Option<Link> {
        let places = [self.stop(a, level).place, self.stop(b, level).place];
        if places.contains(&NOWHERE) {
            return None;
        }
        let [a, b] = places.map(|place| self.tours.root(place));
        let smaller = self.tours.vertices(a) <= self.tours.vertices(b);
        let root = if smaller { a } else { b };
        let mut risen = false;
        while let Some(place) = self.tours.find(root, LOOSE) {
            let vertex = self.tours.item(place);
            let link = self.stop(vertex, level).loose;
            let ends = &self.links[link];
            let other = ends.ends[1 - ends.side(vertex)];
            if self.tours.root(self.stop(other, level).place) != root {
                self.unthread(link);
                return Some(link);
            }
            if !std::mem::replace(&mut risen, true) {
                self.raise(root, level);
            }
            self.unthread(link);
            self.links[link].level = level + 1;
            self.thread(link);
        }
        None
    }

    /// Raises the forest links of a level in the tree of a root by one level.
    fn raise(&mut self, root: Place, level: u8) {
        while let Some(place) = self.tours.find(root, LEVEL) {
            let link = self.tours.item(place);
            self.tours.mark(place, LEVEL, false);
            self.links[link].level = level + 1;
            self.join(link, level + 1);
        }
    }

    /// A vertex on a level, or [`NO_STOP`].
    fn stop(&self, vertex: u32, level: u8) -> Stop {
        let stop = match level {
            0 => self.stops.get(vertex),
            _ => self.above.get(&(vertex, level)),
        };
        stop.copied().unwrap_or(NO_STOP)
    }

    /// A vertex on a level, inserted if it is not there yet.
    fn stop_mut(&mut self, vertex: u32, level: u8) -> &mut Stop {
        match level {
            0 => &mut self.stops[vertex],
            _ => {
                let tours = &mut self.tours;
                self.above.entry((vertex, level)).or_insert_with(|| Stop {
                    place: tours.vertex(vertex),
                    loose: NO_LINK,
                })
            }
        }
    }

    /// Removes a vertex from a level above 0 if no link of the level ends in it.
    fn tidy(&mut self, vertex: u32, level: u8) {
        let stop = self.stop(vertex, level);
        if level > 0
            && stop.place != NOWHERE
            && stop.loose == NO_LINK
            && self.tours.is_alone(stop.place)
        {
            self.above.remove(&(vertex, level));
            self.tours.remove(stop.place);
        }
    }

    /// Inserts a link into the forest of a level.
    fn join(&mut self, link: Link, level: u8) {
        let Ends {
            ends: [a, b],
            level: own,
            ..
        } = self.links[link];
        let (a, b) = (self.stop_mut(a, level).place, self.stop_mut(b, level).place);
        let arcs = self.tours.link(a, b, link);
        if own == level {
            self.tours.mark(arcs[0], LEVEL, true);
        }
        if level == 0 {
            self.links[link].threads = [arcs[0], arcs[1], NO_LINK, NO_LINK];
        } else {
            self.arcs.insert((link, level), arcs);
        }
    }

    /// Removes a link from the forest of a level.
    fn cut(&mut self, link: Link, level: u8) {
        let ends = &self.links[link];
        let [a, b] = ends.ends;
        let arcs = match level {
            0 => Some([ends.threads[0], ends.threads[1]]),
            _ => self.arcs.remove(&(link, level)),
        };
        if let Some(arcs) = arcs {
            self.tours.cut(arcs);
        }
        self.tidy(a, level);
        self.tidy(b, level);
    }

    /// Inserts a loose link into the lists of its ends.
    fn thread(&mut self, link: Link) {
        let Ends { ends, level, .. } = self.links[link];
        for (side, vertex) in ends.into_iter().enumerate() {
            let stop = self.stop_mut(vertex, level);
            let (place, first) = (stop.place, std::mem::replace(&mut stop.loose, link));
            self.links[link].threads[2 * side..][..2].copy_from_slice(&[NO_LINK, first]);
            if first == NO_LINK {
                self.tours.mark(place, LOOSE, true);
            } else {
                let first = &mut self.links[first];
                first.threads[2 * first.side(vertex)] = link;
            }
        }
    }

    /// Removes a loose link from the lists of its ends.
    fn unthread(&mut self, link: Link) {
        let Ends {
            ends,
            threads,
            level,
            ..
        } = self.links[link];
        for (side, vertex) in ends.into_iter().enumerate() {
            let (before, behind) = (threads[2 * side], threads[2 * side + 1]);
            if behind != NO_LINK {
                let behind = &mut self.links[behind];
                behind.threads[2 * behind.side(vertex)] = before;
            }
            if before != NO_LINK {
                let before = &mut self.links[before];
                before.threads[2 * before.side(vertex) + 1] = behind;
                continue;
            }
            let stop = self.stop_mut(vertex, level);
            stop.loose = behind;
            let place = stop.place;
            if behind == NO_LINK {
                self.tours.mark(place, LOOSE, false);
                self.tidy(vertex, level);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// A representative of the component of each vertex, computed from the links alone.
    fn by_links(vertices: u32, links: &BTreeMap<(u32, u32), Link>) -> Vec<u32> {
        let mut of: Vec<u32> = (0..vertices).collect();
        for (a, b) in links.keys() {
            let (a, b) = (of[*a as usize], of[*b as usize]);
            of.iter_mut().filter(|of| **of == a).for_each(|of| *of = b);
        }
        of
    }

    /// Random insertions and removals of links against components computed from scratch. Nothing is
    /// left once everything is removed.
    #[test]
    fn hangs_together_as_the_links_say() {
        for seed in 0..12 {
            let mut rng = StdRng::seed_from_u64(seed);
            let vertices = [4, 12, 40][seed as usize % 3];
            let mut forest = Forest::default();
            (0..vertices).for_each(|vertex| forest.insert(vertex));
            let mut links: BTreeMap<(u32, u32), Link> = BTreeMap::new();
            for _ in 0..1_500 {
                let (a, b) = (rng.random_range(0..vertices), rng.random_range(0..vertices));
                // Chains, and some links across.
                let b = if rng.random_bool(0.7) {
                    (a + 1) % vertices
                } else {
                    b
                };
                if a == b {
                    continue;
                }
                let key = (a.min(b), a.max(b));
                let before = by_links(vertices, &links);
                match links.remove(&key) {
                    Some(link) => {
                        let parted = forest.unlink(link);
                        let now = by_links(vertices, &links);
                        assert_eq!(parted, now[a as usize] != now[b as usize], "seed {seed}");
                    }
                    None => drop(links.insert(key, forest.link(key.0, key.1))),
                }
                let now = by_links(vertices, &links);
                assert!(before.len() == now.len());
                for vertex in 0..vertices {
                    let together = forest.root(vertex) == forest.root(a);
                    assert_eq!(
                        together,
                        now[vertex as usize] == now[a as usize],
                        "seed {seed}"
                    );
                }
                let size = now.iter().filter(|of| **of == now[a as usize]).count();
                assert_eq!(forest.size(forest.root(a)).1 as usize, size);
                let mut tree = Vec::new();
                forest.tree(a, false, &mut tree);
                assert_eq!(tree.len(), size);
            }
            for link in links.into_values() {
                forest.unlink(link);
            }
            (0..vertices).for_each(|vertex| forest.remove(vertex));
            assert!(forest.entries() == 0, "nothing is left of seed {seed}");
        }
    }
}
