//! Published: what stands outside already, so that a restart tells only what differs.
//!
//! After a restart every cell is computed anew and told once. What the output stream held before is put in
//! beside it, and meets the cell here: an equal value is no news, a cell that stands outside but does not
//! exist any more is told as closed. The comparison is over when every worker has said that all it knew of has
//! gone in; until then a cell that stands outside is given the time to come back.
//!
//! A restart in the middle of a comparison begins it again, with what stands outside by then: telling an
//! absolute value twice is harmless (invariant I4).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;

use serde::{Deserialize, Serialize};

use crate::cell::{Cell, Dim, Family};
use crate::engine::{Diff, Epoch, Stage};

/// What the stage is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PublishedIn {
    /// A cell as it is now; closed where it has no values.
    Told(Cell),
    /// A cell as it stood outside at the start.
    Stood(Cell),
    /// A worker says to another that everything that stood outside, and everything that was known of before,
    /// has gone in.
    Complete {
        /// The worker that says so.
        from: u64,
        /// The worker that is told.
        target: u64,
    },
}

/// The stage. What stood outside and has not been told again.
pub struct Published {
    peers: u64,
    stood: BTreeMap<(Family, Vec<Dim>), Vec<i128>>,
    /// The workers that have said `Complete`; none once all have.
    complete: Option<BTreeSet<u64>>,
}

impl Published {
    /// Nothing is known to stand outside. `peers` is the number of workers.
    pub fn new(peers: u64) -> Published {
        Published {
            peers,
            stood: BTreeMap::new(),
            complete: Some(BTreeSet::new()),
        }
    }
}

impl Stage for Published {
    type In = PublishedIn;
    /// A cell, and whether it is news to the outside.
    type Out = (Cell, bool);
    const NAME: &'static str = "Published";

    fn route(update: &PublishedIn) -> u64 {
        match update {
            PublishedIn::Told(cell) | PublishedIn::Stood(cell) => {
                rustc_hash::FxBuildHasher.hash_one((cell.family, &cell.dims))
            }
            PublishedIn::Complete { target, .. } => *target,
        }
    }

    fn step(
        &mut self,
        _: Epoch,
        updates: Vec<(PublishedIn, Diff)>,
        out: &mut Vec<((Cell, bool), Diff)>,
    ) {
        let mut told = Vec::new();
        for (update, _) in updates {
            match update {
                PublishedIn::Told(cell) => told.push(cell),
                PublishedIn::Stood(cell) => {
                    self.stood.insert((cell.family, cell.dims), cell.values);
                }
                PublishedIn::Complete { from, .. } => {
                    if let Some(complete) = &mut self.complete {
                        complete.insert(from);
                    }
                }
            }
        }
        told.sort_unstable();
        for cell in told {
            if self.complete.is_none() {
                out.push(((cell, true), 1));
                continue;
            }
            let Cell {
                family,
                dims,
                values,
            } = cell;
            let name = (family, dims);
            let news = self.stood.remove(&name).as_ref() != Some(&values);
            let (family, dims) = name;
            let cell = Cell {
                family,
                dims,
                values,
            };
            out.push(((cell, news), 1));
        }
        if self.complete.as_ref().map(BTreeSet::len) == Some(self.peers as usize) {
            self.complete = None;
            let closed = std::mem::take(&mut self.stood).into_keys();
            out.extend(closed.map(|(family, dims)| {
                let values = Vec::new();
                let cell = Cell {
                    family,
                    dims,
                    values,
                };
                ((cell, true), 1)
            }));
        }
    }
}
