//! The next publication of a month, while its Markov chain is solved.

use crate::attribution::markov::{MonthChain, Solved};
use crate::cells::ladder::path_cells::{Folded, PathNames};
use crate::cells::ladder::published::Published;
use crate::record::Day;
use crate::release::Pattern;

/// A publication that waits for its chain.
pub(in crate::cells) struct Plan {
    pub(super) pattern: Pattern,
    /// The cells of assists and of the Markov model.
    pub(super) paths: PathNames,
    /// The channels that the chain merges.
    pub(super) folded: Folded,
    pub(super) through: Day,
    pub(super) cells: Published,
    /// The chain, until it is handed over.
    pub(in crate::cells) chain: Option<MonthChain>,
    pub(in crate::cells) solved: Option<Solved>,
}
