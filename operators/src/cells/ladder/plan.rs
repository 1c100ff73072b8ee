//! The next publication of a month, until the months of its batch have all been looked at.

use std::collections::BTreeSet;

use crate::attribution::markov::Solved;
use crate::cells::ladder::path_cells::{Folded, PathNames};
use crate::cells::ladder::published::Published;
use crate::record::Day;
use crate::release::{ChannelName, Pattern};

/// A publication that waits for the others of its batch.
pub(in crate::cells) struct Plan {
    pub(super) pattern: Pattern,
    /// The cells of assists and of the Markov model.
    pub(super) paths: PathNames,
    /// The channels that the chain merges.
    pub(super) folded: Folded,
    /// The channels whose exposed persons are or were compared with others.
    pub(super) compared: BTreeSet<ChannelName>,
    pub(super) through: Day,
    pub(super) cells: Published,
    /// The solution of the chain, if there is anything to solve.
    pub(super) solved: Option<Solved>,
}
