//! The next publication of a month, until the months of its batch have all been looked at.

use std::collections::BTreeSet;

use crate::attribution::markov::Solved;
use crate::cells::ladder::path_cells::{Folded, PathNames};
use crate::cells::ladder::published::Published;
use crate::record::Day;
use crate::release::{ChannelName, Pattern};

/// What a batch permits a month.
#[derive(Clone, Copy)]
pub(in crate::cells) struct Permit {
    /// The last finished day.
    pub(super) through: Day,
    /// Whether what the batch publishes shows nobody: enough contributors have changed it, or nobody has.
    pub(super) may_leave: bool,
    /// Whether contributors have changed the month itself, and enough to leave.
    pub(super) is_lot: bool,
}

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
