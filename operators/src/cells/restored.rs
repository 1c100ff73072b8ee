//! How the cells of a month were published before a restart, as far as their messages say.
//!
//! It is kept from the restore of the first cell until the month is reconciled, which takes all of it: what stands under lower
//! thresholds than those of then is withdrawn.

use std::collections::{BTreeMap, BTreeSet};

use crate::cell::{Dim, Family};
use crate::cells::standing::{Standing, Thresholds};
use crate::release::Members;
use crate::settings::BrandSettings;

type CellId = (Family, Vec<Dim>);

/// How the cells of a month were published before a restart.
#[derive(Default)]
pub(super) struct Restored {
    /// What may be published under any of the thresholds that the cells name; `None` if they name none.
    under: Option<Thresholds>,
    /// The cells that were withdrawn.
    withdrawn: BTreeSet<CellId>,
    /// The cells that count their members alone.
    members: BTreeMap<CellId, Members>,
}

impl Restored {
    /// Adds how a cell was published.
    pub(super) fn add(&mut self, id: &CellId, standing: Option<Standing>) {
        match standing {
            Some(Standing::Published(under, members)) => {
                self.under = Some(self.under.map_or(under, |all| all.or(under)));
                self.members.extend(members.map(|of| (id.clone(), of)));
            }
            Some(Standing::Withdrawn) => drop(self.withdrawn.insert(id.clone())),
            Some(Standing::Closed) | None => {}
        }
    }

    /// The gate is made stricter before the month is reconciled. Cells that name no thresholds were published under those of
    /// before.
    pub(super) fn is_made_stricter(&mut self, before: &BrandSettings) {
        self.under.get_or_insert(Thresholds::of(before));
    }

    /// The thresholds under which the cells were published, those of now if they name none, and whether they are lower than those
    /// of now.
    pub(super) fn take_thresholds(&mut self, now: &BrandSettings) -> (Thresholds, bool) {
        let now = Thresholds::of(now);
        let under = self.under.take().unwrap_or(now);
        (under, now.hide_more_than(&under))
    }

    /// The cells that count their members alone.
    pub(super) fn members(&self) -> &BTreeMap<CellId, Members> {
        &self.members
    }

    /// The cells that were withdrawn.
    pub(super) fn take_withdrawn(&mut self) -> BTreeSet<CellId> {
        std::mem::take(&mut self.withdrawn)
    }
}
