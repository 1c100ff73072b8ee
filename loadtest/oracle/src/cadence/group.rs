//! Groups: the cells that are published together, and the state of each between two releases.
//!
//! Cells that add up to a common total form one group, because publishing only some of them would
//! reveal the rest by subtraction: revenue with all of its attribution, and all families of a month.
//! Every other cell is a group of its own. Spend belongs to no group: it never waits.

use std::collections::BTreeMap;

use tributary_operators::cell::{Dim, Family};
use tributary_operators::settings::BrandSettings;

use super::changes::{Changes, Obligation};
use super::contributors::{CellName, PublishedCells, month_of_revenue};
use crate::calendar;

/// One day in milliseconds.
const DAY: i64 = 86_400_000;

/// The kinds of groups. Changes of one kind do not hide changes of another in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum GroupKind {
    /// The revenue of a store's day, or of a day's orders, and its attribution.
    Revenue,
    /// The contacts of a channel and day.
    Contacts,
    /// The visits of a store and hour.
    Visits,
    /// The identity graph of a brand.
    Identity,
    /// All families of a month.
    Month,
}

/// The name of a group: its kind, and the dimensions that its cells share.
pub(super) type GroupName = (GroupKind, Vec<Dim>);

/// The signs of the changes of the values of a group's main cell, five of them; zeros for a month.
/// A batch hides changes only among changes in the same direction.
pub(super) type Signs = Vec<i128>;

/// The group of a cell, or `None` for spend, which is published at once.
pub(super) fn group_of((family, dims): &CellName) -> Option<GroupName> {
    let word = |word: &str| Dim::Text(word.into());
    Some(match family {
        Family::StoreDay => {
            let transaction = [word("transaction")];
            (
                GroupKind::Revenue,
                [&dims[..1], &transaction, &dims[1..]].concat(),
            )
        }
        Family::OrdersDay => {
            let order = [word("order"), Dim::Null];
            (
                GroupKind::Revenue,
                [&dims[..1], &order, &dims[1..]].concat(),
            )
        }
        Family::ScanDay => {
            let visit = [word("visit")];
            let dims = [&dims[..1], &visit, &dims[1..], &[Dim::Null]].concat();
            (GroupKind::Revenue, dims)
        }
        Family::Attribution => (GroupKind::Revenue, [&dims[..1], &dims[5..]].concat()),
        Family::CampaignDay | Family::RedemptionDay => (GroupKind::Contacts, dims.clone()),
        Family::Visits => (GroupKind::Visits, dims.clone()),
        Family::Identity => (GroupKind::Identity, dims.clone()),
        Family::SpendDay | Family::WalletDay | Family::VisitMatch | Family::VisitLift => {
            return None;
        }
        Family::MarkovMonth
        | Family::Paths
        | Family::PathLength
        | Family::PathDays
        | Family::Assists => (GroupKind::Month, dims[..4].to_vec()),
    })
}

/// The groups that depend on a cell: its own, and for revenue the month that it adds up to.
pub(super) fn groups_of(name: &CellName) -> impl Iterator<Item = GroupName> {
    let month = month_of_revenue(name).map(|month| (GroupKind::Month, month));
    group_of(name).into_iter().chain(month)
}

/// Divides cells by group; spend is left out.
pub(super) fn by_group(cells: &PublishedCells) -> BTreeMap<GroupName, PublishedCells> {
    let mut groups: BTreeMap<GroupName, PublishedCells> = BTreeMap::new();
    for (name, values) in cells {
        if let Some(of) = group_of(name) {
            let group = groups.entry(of).or_default();
            group.insert(name.clone(), values.clone());
        }
    }
    groups
}

/// Whether a group belongs to a day that ended more than `freeze_after` before `now` (Unix
/// milliseconds), or to a month that began before such a day ended. A frozen group changes in
/// batches only.
pub(super) fn is_frozen((_, dims): &GroupName, now: i64, brand: &BrandSettings) -> bool {
    let is_old = |day: i64| day * DAY + brand.freeze_after < now;
    dims.iter().any(|dim| match dim {
        Dim::Day(day) => is_old((*day).into()),
        Dim::Hour(second, _) => is_old(second.div_euclid(DAY / 1000)),
        Dim::Month(month) => {
            let newest = (now - brand.freeze_after - 1).div_euclid(DAY);
            *month <= calendar::month(newest as i32)
        }
        _ => false,
    })
}

/// The state of a group between two releases.
///
/// It exists as long as one of its cells exists or is published, or, for a month, as long as a
/// change is pending.
#[derive(Default)]
pub(super) struct Group {
    /// The cells of the group as a reader knows them.
    pub(super) published_cells: PublishedCells,
    /// Whether any of its cells was published since the group was last empty.
    pub(super) was_published: bool,
    /// Whether the group was restored after a restart and has not been evaluated since.
    pub(super) is_restored: bool,
    /// The contributors that changed each cell since the group was published. The key `None` stands
    /// for null paths, which change a month without changing a cell of their contributor.
    pub(super) changes: BTreeMap<Option<CellName>, Changes>,
    /// How certainly the group waits for a batch, or `None` if it has no change.
    pub(super) pending: Option<Obligation>,
}

impl Group {
    /// The contributors that changed a cell. A cell `other` is changed by every contributor that
    /// changed a cell which `other` sums now, or summed when the group was last published.
    pub(super) fn changes_of(&self, name: &CellName, now: &PublishedCells) -> Changes {
        let mut all = self
            .changes
            .get(&Some(name.clone()))
            .cloned()
            .unwrap_or_default();
        if let (Family::Attribution, dims) = name
            && dims[2..5] == [Dim::Text("other".into()), Dim::Null, Dim::Null]
        {
            let adds_up = |of: &&CellName| {
                let is_of_model = of.1[..2] == dims[..2] && of.1[5..] == dims[5..];
                let is_hidden = !now.contains_key(*of) || !self.published_cells.contains_key(*of);
                of.0 == Family::Attribution && is_of_model && is_hidden
            };
            let parts = self
                .changes
                .iter()
                .filter_map(|(name, by)| Some((name.as_ref()?, by)));
            for (_, changes) in parts.filter(|(name, _)| adds_up(name)) {
                all.extend(changes);
            }
        }
        all
    }

    /// The contributors that changed any cell of the group.
    pub(super) fn all_changes(&self) -> Changes {
        let mut all = Changes::default();
        self.changes
            .values()
            .for_each(|changes| all.extend(changes));
        all
    }

    /// The direction of the change from the published cells to `now`. The main cell of revenue is
    /// its total, and any other group except a month consists of its main cell.
    pub(super) fn signs(&self, kind: GroupKind, now: &PublishedCells) -> Signs {
        let is_main = |name: &&CellName| match kind {
            GroupKind::Revenue => {
                matches!(
                    name.0,
                    Family::StoreDay | Family::OrdersDay | Family::ScanDay
                )
            }
            GroupKind::Month => false,
            _ => true,
        };
        let Some(main) = self.published_cells.keys().chain(now.keys()).find(is_main) else {
            return vec![0; 5];
        };
        let value = |cells: &PublishedCells, at: usize| {
            let values = cells.get(main);
            values
                .and_then(|values| values.get(at))
                .copied()
                .unwrap_or(0)
        };
        let signs = (0..5).map(|at| (value(now, at) - value(&self.published_cells, at)).signum());
        signs.collect()
    }
}
