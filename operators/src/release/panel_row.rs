//! Panel rows: a member of a month's panel with its stays and the channels that it was exposed to.
//!
//! Whether a channel may be compared depends on how its stays lie among the published cells ([`crate::release::exposure`]), which
//! sums do not say. So the operators send one row per member and month, for a brand whose months are released by the ladder.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::MonthGroup;
use crate::label::Channel;

/// A member of a panel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PanelRow {
    /// The month, and that it is about visits.
    pub group: MonthGroup,
    /// The person.
    pub who: u64,
    /// Its stays of the month in the order of time, each as the [`sale`](crate::release::SaleRow::sale) of its row.
    pub stays: Arc<[u64]>,
    /// The channels of its touchpoints in the month, each with the number of stays before the first of them.
    pub exposed: Arc<[(Channel, u32)]>,
}
