//! Forest: which vertices hang together, while links come and go in any order.
//!
//! Each link has a level. The links of level `i` and above contain a forest that spans what they join, as tours
//! ([`super::tours`]), and a tree of level `i` has at most `n / 2^i` vertices. Where a link of the forest is cut, another
//! one that joins the two parts is looked for among the loose links of the smaller part, level by level; whatever is looked at
//! in vain rises by a level, so that it is looked at at most log `n` times in its life. So a change costs log² `n` steps,
//! counted over all changes, whatever the history (Holm, de Lichtenberg and Thorup 2001). The links of the forest rise
//! only when the first loose one does, so that trees, which most persons are, stay on their level.

use rustc_hash::FxHashMap;

use super::tours::{LEVEL, LOOSE, NOWHERE, Place, Tours};

/// A link between two vertices.
pub(super) type Link = u32;

/// No link at all.
pub(super) const NO_LINK: Link = u32::MAX;

struct Ends {
    ends: [u32; 2],
    /// Of a link of the forest its two places on level 0; of a loose one its neighbours in the lists of both
    /// ends, each before and behind.
    threads: [u32; 4],
    level: u8,
    in_forest: bool,
}

impl Ends {
    fn side(&self, vertex: u32) -> usize {
        usize::from(self.ends[0] != vertex)
    }
}

/// A vertex on one level.
#[derive(Clone, Copy)]
struct Stop {
    place: Place,
    /// The first of its loose links.
    loose: Link,
}

const NO_STOP: Stop = Stop {
    place: NOWHERE,
    loose: NO_LINK,
};

/// The links, and what hangs together. Vertices are numbered by the caller, densely.
#[derive(Default)]
pub(super) struct Forest {
    tours: Tours,
    links: Vec<Ends>,
    free: Vec<Link>,
    /// The vertices on level 0.
    stops: Vec<Stop>,
    /// The vertices on the levels above, as far as there are links.
    above: FxHashMap<(u32, u8), Stop>,
    /// The places of links of the forest on the levels above.
    arcs: FxHashMap<(Link, u8), [Place; 2]>,
}

impl Forest {
    /// How many places were looked at since this was asked last.
    pub(super) fn steps(&self) -> u64 {
        self.tours.steps()
    }

    /// How many places, links, stops and arcs are kept.
    pub(super) fn entries(&self) -> usize {
        self.tours.entries()
            + (self.links.len() - self.free.len())
            + self.above.len()
            + self.arcs.len()
    }

    /// The tours of the lowest level, by which vertices hang together.
    pub(super) fn tours(&mut self) -> &mut Tours {
        &mut self.tours
    }

    /// Whether a vertex is in the forest.
    pub(super) fn holds(&self, vertex: u32) -> bool {
        self.stop(vertex, 0).place != NOWHERE
    }

    /// The place of a vertex in the forest.
    pub(super) fn place(&self, vertex: u32) -> Place {
        self.stop(vertex, 0).place
    }

    /// The root of the tree of a vertex in the forest.
    pub(super) fn root(&self, vertex: u32) -> Place {
        self.tours.root(self.place(vertex))
    }

    /// The vertices in the tree of one in the forest; or only those that weigh something.
    pub(super) fn tree(&self, vertex: u32, weighty: bool, out: &mut Vec<u32>) {
        self.tours.list(self.root(vertex), weighty, out);
    }

    /// How many vertices and what weights are in the tree of a root.
    pub(super) fn size(&self, root: Place) -> (u32, u32) {
        (self.tours.weight(root), self.tours.vertices(root))
    }

    /// Whose the tree of a root is.
    pub(super) fn tag(&self, root: Place) -> u32 {
        self.tours.tag(root)
    }

    /// Puts in a vertex without links.
    pub(super) fn insert(&mut self, vertex: u32) {
        let at = vertex as usize;
        if self.stops.len() <= at {
            self.stops.resize(at + 1, NO_STOP);
        }
        self.stops[at].place = self.tours.vertex(vertex);
    }

    /// Takes out a vertex that has no links.
    pub(super) fn remove(&mut self, vertex: u32) {
        let stop = std::mem::replace(&mut self.stops[vertex as usize], NO_STOP);
        debug_assert_eq!(stop.loose, NO_LINK, "it has no links");
        self.tours.remove(stop.place);
    }

    /// Links two vertices of the forest.
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
                self.links[link as usize] = ends;
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

    /// Takes a link out, and says whether its ends no longer hang together.
    pub(super) fn unlink(&mut self, link: Link) -> bool {
        let Ends {
            ends: [a, b],
            level,
            in_forest,
            ..
        } = self.links[link as usize];
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
                self.links[other as usize].in_forest = true;
                for on in 0..=on {
                    self.join(other, on);
                }
                return false;
            }
        }
        true
    }

    fn give_back(&mut self, link: Link) {
        self.free.push(link);
        if self.free.len() == self.links.len() {
            (self.free, self.links) = (Vec::new(), Vec::new());
        }
    }

    /// A loose link of the level between the trees of two vertices, no longer loose.
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
            let ends = &self.links[link as usize];
            let other = ends.ends[1 - ends.side(vertex)];
            if self.tours.root(self.stop(other, level).place) != root {
                self.unthread(link);
                return Some(link);
            }
            if !std::mem::replace(&mut risen, true) {
                self.raise(root, level);
            }
            self.unthread(link);
            self.links[link as usize].level = level + 1;
            self.thread(link);
        }
        None
    }

    /// Raises the forest's links of a level in the tree of a root.
    fn raise(&mut self, root: Place, level: u8) {
        while let Some(place) = self.tours.find(root, LEVEL) {
            let link = self.tours.item(place);
            self.tours.mark(place, LEVEL, false);
            self.links[link as usize].level = level + 1;
            self.join(link, level + 1);
        }
    }

    fn stop(&self, vertex: u32, level: u8) -> Stop {
        let stop = match level {
            0 => self.stops.get(vertex as usize),
            _ => self.above.get(&(vertex, level)),
        };
        stop.copied().unwrap_or(NO_STOP)
    }

    /// The place of a vertex on a level, made where there is none yet.
    fn stop_mut(&mut self, vertex: u32, level: u8) -> &mut Stop {
        match level {
            0 => &mut self.stops[vertex as usize],
            _ => {
                let tours = &mut self.tours;
                self.above.entry((vertex, level)).or_insert_with(|| Stop {
                    place: tours.vertex(vertex),
                    loose: NO_LINK,
                })
            }
        }
    }

    /// Forgets a vertex on a level where no link ends in it.
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

    /// Puts a link into the forest of a level.
    fn join(&mut self, link: Link, level: u8) {
        let Ends {
            ends: [a, b],
            level: own,
            ..
        } = self.links[link as usize];
        let (a, b) = (self.stop_mut(a, level).place, self.stop_mut(b, level).place);
        let arcs = self.tours.link(a, b, link);
        if own == level {
            self.tours.mark(arcs[0], LEVEL, true);
        }
        if level == 0 {
            self.links[link as usize].threads = [arcs[0], arcs[1], NO_LINK, NO_LINK];
        } else {
            self.arcs.insert((link, level), arcs);
        }
    }

    /// Takes a link out of the forest of a level.
    fn cut(&mut self, link: Link, level: u8) {
        let ends = &self.links[link as usize];
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

    /// Puts a loose link into the lists of its ends.
    fn thread(&mut self, link: Link) {
        let Ends { ends, level, .. } = self.links[link as usize];
        for (side, vertex) in ends.into_iter().enumerate() {
            let stop = self.stop_mut(vertex, level);
            let (place, first) = (stop.place, std::mem::replace(&mut stop.loose, link));
            self.links[link as usize].threads[2 * side..][..2].copy_from_slice(&[NO_LINK, first]);
            if first == NO_LINK {
                self.tours.mark(place, LOOSE, true);
            } else {
                let first = &mut self.links[first as usize];
                first.threads[2 * first.side(vertex)] = link;
            }
        }
    }

    /// Takes a loose link out of the lists of its ends.
    fn unthread(&mut self, link: Link) {
        let Ends {
            ends,
            threads,
            level,
            ..
        } = self.links[link as usize];
        for (side, vertex) in ends.into_iter().enumerate() {
            let (before, behind) = (threads[2 * side], threads[2 * side + 1]);
            if behind != NO_LINK {
                let behind = &mut self.links[behind as usize];
                behind.threads[2 * behind.side(vertex)] = before;
            }
            if before != NO_LINK {
                let before = &mut self.links[before as usize];
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

    /// Which vertex stands for each by the links alone.
    fn by_links(vertices: u32, links: &BTreeMap<(u32, u32), Link>) -> Vec<u32> {
        let mut of: Vec<u32> = (0..vertices).collect();
        for (a, b) in links.keys() {
            let (a, b) = (of[*a as usize], of[*b as usize]);
            of.iter_mut().filter(|of| **of == a).for_each(|of| *of = b);
        }
        of
    }

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
