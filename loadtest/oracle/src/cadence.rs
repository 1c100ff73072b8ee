//! Cadence: when published values may change, computed from the names of the contributors.
//!
//! After each release a [`CadenceModel`] knows, for every group of cells, whether the product must
//! have published the current values, must have kept the earlier ones, or may have done either. The
//! rules are those of the release gate:
//!
//! - Groups (`group`) are published as a whole.
//! - A new group is published at once; a new month, with a batch.
//! - Published values stay until `k_delta` contributors have changed each cell that would change, or
//!   until a batch. A group older than `freeze_after` changes in batches only.
//! - A batch takes place when the time since the previous release crosses a multiple of `max_hold`,
//!   or of `freeze_batch` for a frozen group. It publishes the changes of one kind and direction if
//!   at least `k_delta` contributors made them together, and a month only beside all revenue.
//! - After a restart the contributors of restored cells are unknown, so these cells first stay as
//!   they are.
//!
//! The product counts contributors by hash, which leaves a range in which both answers are correct;
//! see `changes`.

mod changes;
mod consent_counts;
mod contributors;
mod group;

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::{Dim, Family};
use tributary_operators::record::BrandId;
use tributary_operators::settings::{BrandSettings, Settings};

use crate::cells;
use crate::stored::StoredState;
use changes::{Changes, Obligation};
pub use consent_counts::ConsentCountsModel;
pub use contributors::{CellName, PublishedCells};
use contributors::{Contribution, Contributor, Contributors, month_of_revenue};
use group::{Group, GroupKind, GroupName, Signs, by_group, group_of, groups_of, is_frozen};

/// The changes of one kind and direction that are due in a batch and replace published values.
#[derive(Default)]
struct BatchClass {
    /// The contributors of the changes.
    changes: Changes,
    /// Whether at least one of its groups waits for certain, so that an empty class is not required
    /// to hold the batch back.
    is_certain: bool,
}

/// The obligations of one release, and the groups that a batch may publish.
#[derive(Default)]
struct Release {
    /// What the gate must do with each group.
    obligations: BTreeMap<GroupName, Obligation>,
    /// The groups that are due in a batch, with their kind and direction.
    due: BTreeMap<GroupName, (GroupKind, Signs)>,
    /// The changes of published values among them.
    classes: BTreeMap<(GroupKind, Signs), BatchClass>,
}

/// The release cadence of one brand: what a reader may know after each release.
///
/// Call [`Self::restore`] once after a restart, then [`Self::release`] after each release of the
/// product, with the stored state of that time and all cells that a reader knows.
pub struct CadenceModel<'a> {
    /// The settings of all brands.
    settings: &'a Settings,
    /// The brand.
    id: BrandId,
    /// The settings of the brand.
    brand: &'a BrandSettings,
    /// The contributors, as of the last release.
    contributors: Contributors,
    /// The groups that exist, are published, or wait.
    groups: BTreeMap<GroupName, Group>,
    /// How often each person has left: all its identifiers were retracted from the identity graph.
    departures: BTreeMap<Contributor, u32>,
    /// The time of the last release, Unix milliseconds.
    last_release: Option<i64>,
    /// Whether published cells were restored, so that the first release is not a batch.
    has_restored_cells: bool,
}

impl<'a> CadenceModel<'a> {
    /// A model of a brand that has published nothing, or `None` if the settings lack the brand.
    pub fn new(settings: &'a Settings, brand: BrandId) -> Option<CadenceModel<'a>> {
        Some(CadenceModel {
            settings,
            id: brand,
            brand: settings.brands.get(&brand)?,
            contributors: Contributors::default(),
            groups: BTreeMap::new(),
            departures: BTreeMap::new(),
            last_release: None,
            has_restored_cells: false,
        })
    }

    /// Restores the cells that were published before a restart.
    pub fn restore(&mut self, published: &PublishedCells) {
        for (name, values) in published {
            if let Some(of) = group_of(name) {
                let group = self.groups.entry(of).or_default();
                (group.is_restored, group.was_published) = (true, true);
                group.published_cells.insert(name.clone(), values.clone());
            }
            self.has_restored_cells = true;
        }
    }

    /// Checks the cells that a reader knows after a release at `now` (Unix milliseconds, ascending).
    /// Returns the number of groups that were published before and whose changes wait.
    ///
    /// # Errors
    ///
    /// A description of the first group that should have been published, should have waited, or is
    /// published in part.
    pub fn release(
        &mut self,
        now: i64,
        stored: &StoredState,
        published: &PublishedCells,
    ) -> Result<usize, String> {
        let before = match self.has_restored_cells {
            true => Some(self.last_release.unwrap_or(now)),
            false => self.last_release,
        };
        self.last_release = Some(now);
        self.note_changes(stored);
        let cells = cells(self.settings, stored).into_iter();
        let current: PublishedCells = cells
            .map(|cell| ((cell.family, cell.dims), cell.values))
            .collect();
        let (mut current, published) = (by_group(&current), by_group(published));
        for of in current.keys().chain(published.keys()) {
            self.groups.entry(of.clone()).or_default();
        }
        let mut release = self.immediate_obligations(before, now, &mut current);
        self.add_batch_obligations(&mut release);
        self.compare(&release.obligations, current, published)
    }

    /// The obligations that do not depend on a batch. Collects the groups that are due in one.
    fn immediate_obligations(
        &mut self,
        before: Option<i64>,
        now: i64,
        current: &mut BTreeMap<GroupName, PublishedCells>,
    ) -> Release {
        let crossed = |period: i64| {
            before.is_none_or(|before| before.div_euclid(period) < now.div_euclid(period))
        };
        let k_delta = self.brand.k_delta();
        let mut release = Release::default();
        for (of, group) in &mut self.groups {
            let cells = current.entry(of.clone()).or_default();
            let is_frozen = is_frozen(of, now, self.brand);
            if std::mem::take(&mut group.is_restored) {
                group.changes.clear();
                group.pending =
                    (group.published_cells != *cells).then_some(Obligation::MustRelease);
                release.obligations.insert(of.clone(), Obligation::MustWait);
            } else if of.0 != GroupKind::Month {
                let names: BTreeSet<&CellName> =
                    group.published_cells.keys().chain(cells.keys()).collect();
                let differ = names
                    .iter()
                    .filter(|name| group.published_cells.get(**name) != cells.get(**name));
                let enough = differ.map(|name| group.changes_of(name, cells).obligation(k_delta));
                let obligation = match group.was_published {
                    false => Obligation::MustRelease,
                    true if is_frozen => Obligation::MustWait,
                    true => enough.min().unwrap_or(Obligation::MustWait),
                };
                group.pending = (group.published_cells != *cells).then_some(match obligation {
                    Obligation::MustWait => Obligation::MustRelease,
                    other => other,
                });
                release.obligations.insert(of.clone(), obligation);
                if obligation == Obligation::MustRelease {
                    continue;
                }
            }
            let Some(pending) = group.pending else {
                continue;
            };
            if crossed(self.brand.freeze_batch) || crossed(self.brand.max_hold) && !is_frozen {
                let class = (of.0, group.signs(of.0, cells));
                release.due.insert(of.clone(), class.clone());
                if group.was_published {
                    let is_certain = pending == Obligation::MustRelease;
                    let mut changes = group.all_changes();
                    if !is_certain {
                        changes.certain.clear();
                    }
                    let class = release.classes.entry(class).or_default();
                    class.changes.extend(&changes);
                    class.is_certain |= is_certain;
                }
            }
        }
        release
    }

    /// Raises the obligations of the groups that a batch publishes.
    fn add_batch_obligations(&self, release: &mut Release) {
        let k_delta = self.brand.k_delta();
        let obligation_of = |class: &BatchClass| match class.changes.obligation(k_delta) {
            Obligation::MustWait if !class.is_certain => Obligation::Either,
            obligation => obligation,
        };
        for (of, class) in &release.due {
            let needed = release.classes.iter().filter(|(other, _)| {
                *other == class || of.0 == GroupKind::Month && other.0 == GroupKind::Revenue
            });
            let batch = needed.map(|(_, class)| obligation_of(class)).min();
            let batch = batch.unwrap_or(Obligation::MustRelease);
            let obligations = &mut release.obligations;
            let obligation = obligations
                .entry(of.clone())
                .or_insert(Obligation::MustWait);
            *obligation = batch.max(*obligation);
        }
    }

    /// Compares the published cells of each group with its obligation, takes them over, and drops
    /// the groups that no longer exist. Returns the number of groups whose changes wait.
    ///
    /// After an [`Obligation::Either`] the model cannot always tell whether the product has
    /// published. Then the certain contributors become possible ones, so that later obligations
    /// stay correct.
    fn compare(
        &mut self,
        obligations: &BTreeMap<GroupName, Obligation>,
        mut current: BTreeMap<GroupName, PublishedCells>,
        mut published: BTreeMap<GroupName, PublishedCells>,
    ) -> Result<usize, String> {
        let existing: BTreeSet<GroupName> = self.contributors.cells().flat_map(groups_of).collect();
        let mut waiting = 0;
        for (of, group) in &mut self.groups {
            let cells = current.remove(of).unwrap_or_default();
            let published = published.remove(of).unwrap_or_default();
            let obligation = obligations.get(of).copied().unwrap_or(Obligation::MustWait);
            let is_right = match obligation {
                Obligation::MustRelease => published == cells,
                Obligation::MustWait => published == group.published_cells,
                Obligation::Either => published == cells || published == group.published_cells,
            };
            if !is_right {
                let (before, by) = (&group.published_cells, group.all_changes().certain.len());
                return Err(format!(
                    "{of:?}, changed by {by}, {obligation:?}: {before:?} became {published:?} and is {cells:?}"
                ));
            }
            waiting += usize::from(group.was_published && published != cells);
            let is_unchanged = group.published_cells == cells;
            if obligation == Obligation::MustRelease
                || obligation == Obligation::Either && !is_unchanged && published == cells
            {
                group.was_published |= !published.is_empty();
                group.changes.clear();
                group.pending = None;
            } else if obligation == Obligation::Either && is_unchanged {
                // The product may or may not have counted this as a release.
                let changes = group.changes.values_mut();
                changes.for_each(|changes| changes.certain.clear());
                group.pending = group.pending.map(|_| Obligation::Either);
            }
            group.published_cells = published;
        }
        self.groups.retain(|of, group| {
            let is_pending_month = of.0 == GroupKind::Month && group.pending.is_some();
            existing.contains(of) || !group.published_cells.is_empty() || is_pending_month
        });
        Ok(waiting)
    }

    /// Notes for each group the contributors that changed its cells since the last release.
    ///
    /// A month also changes with the null paths of its persons, which belong to no cell of theirs,
    /// and with the number of contributors of its days, which decides whether it may be published.
    fn note_changes(&mut self, stored: &StoredState) {
        let changes = self.contributors.change(self.settings, self.id, stored);
        let persons_cancel_out = identity_cancels_out(&changes);
        for (contributor, was, is) in changes {
            let departures = self.departures.get(&contributor).copied().unwrap_or(0);
            let names: BTreeSet<&CellName> = was.cells.keys().chain(is.cells.keys()).collect();
            for name in names {
                let is_change_of_contributor = was.vouched.get(name) != is.vouched.get(name);
                let (was, is) = (was.cells.get(name), is.cells.get(name));
                if was == is {
                    continue;
                }
                if let Some(of) = group_of(name) {
                    let group = self.groups.entry(of).or_default();
                    let changes = group.changes.entry(Some(name.clone())).or_default();
                    match name.0 == Family::Identity && persons_cancel_out {
                        _ if !is_change_of_contributor => {}
                        true => drop(changes.possible.insert((contributor, departures))),
                        false => changes.add(contributor, departures),
                    }
                    group.pending = Some(Obligation::MustRelease);
                }
                // The number of contributors of its days decides whether a month may be published.
                let number = |values: Option<&Vec<i128>>| values.map(|values| values[0]);
                if let Some(month) = month_of_revenue(name).filter(|_| number(was) != number(is)) {
                    let group = self.groups.entry((GroupKind::Month, month)).or_default();
                    group.pending = Some(Obligation::MustRelease);
                }
            }
            for (of, group) in &mut self.groups {
                if let (GroupKind::Month, [_, _, Dim::Month(month), _]) = (of.0, &of.1[..])
                    && was.null_steps.get(month) != is.null_steps.get(month)
                {
                    let changes = group.changes.entry(None).or_default();
                    if self.brand.open_sources.is_empty() {
                        changes.add(contributor, departures);
                    }
                    group.pending = Some(Obligation::MustRelease);
                }
            }
            let is_known =
                |of: &Contribution| of.cells.keys().any(|(of, _)| *of == Family::Identity);
            if is_known(&was) && !is_known(is) {
                self.departures.insert(contributor, departures + 1);
            }
        }
    }
}

/// Whether the changes of the identity cell add up to zero: as many persons joined as left. The
/// product does not count the contributors of such an epoch, so more may wait than must.
fn identity_cancels_out(changes: &[(Contributor, Contribution, &Contribution)]) -> bool {
    let mut sum = [0; 5];
    for (_, was, is) in changes {
        for (of, sign) in [(was, -1), (*is, 1)] {
            let cells = of.cells.iter();
            for (_, values) in cells.filter(|(name, _)| name.0 == Family::Identity) {
                for (sum, value) in sum.iter_mut().zip(values) {
                    *sum += sign * value;
                }
            }
        }
    }
    sum == [0; 5]
}
