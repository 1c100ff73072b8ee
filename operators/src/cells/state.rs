//! The state of the cells of one worker, and the messages that change it.
//!
//! The state holds the cells of every group, exact and as published, the groups that changed since the last release, and
//! those that wait. [`EpochWork`] tracks the progress of an epoch; [`super::epoch`] and [`super::release`] carry it out.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, BrandMonth, CellKey, Month, MonthGroup, TrafficMonth};
use crate::ask::{Reply, labels};
use crate::cell::{Cell, Family, Names, ReleaseGroup};
use crate::cells::gate::{BatchClass, ReleaseTimes};
use crate::cells::group::{GateCounts, Group, Published};
use crate::cells::group_key::{GroupKey, is_other};
use crate::cells::ladder::{Candidate, LadderGroup, Permit, Place, place};
use crate::cells::lift::LiftMonth;
use crate::cells::months::{NullPaths, null_month};
use crate::cells::noise::NoiseTimeline;
use crate::cells::passes::PassDays;
use crate::cells::solver::Solver;
use crate::cells::standing::{Standing, Thresholds};
use crate::cells::traffic::{TrafficCandidate, TrafficGroup};
use crate::current_settings::CurrentSettings;
use crate::engine::Diff;
use crate::label::{Channel, Label};
use crate::label_registry::LabelRegistry;
use crate::record::{BrandId, Day};
use crate::settings::{BrandSettings, Settings};
use crate::stats::Stats;

/// The input of [`Cells`]. The first field of a broadcast message is the receiving worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CellsIn {
    /// A change of an aggregate.
    Sum(CellKey, Aggregate),
    /// To a worker: a worker announces the name of a label.
    LabelName(u64, BrandId, Label, Arc<str>),
    /// To a worker: a worker withdraws the name of a label.
    LabelWithdrawn(u64, BrandId, Label),
    /// To a worker: records on a worker use a label.
    LabelUse(u64, BrandId, Label),
    /// To a worker: check again whether a label is used.
    RecheckLabel(u64, BrandId, Label),
    /// To a worker: release changed cells at the end of this epoch. The second field is the release time, Unix
    /// milliseconds.
    Release(u64, i64),
    /// To a worker: publish all published cells again at the end of this epoch.
    Republish(u64),
    /// A restored cell, with the routing hash of its owner, its release time, Unix milliseconds, and how it was published, if
    /// that is known.
    Restored(u64, Cell, i64, Option<Standing>),
    /// A worker has restored all published cells and all records from before a restart.
    AllRestored {
        /// The sending worker.
        from: u64,
        /// The receiving worker.
        target: u64,
        /// Whether it restored any cell.
        has_cells: bool,
    },
    /// A batch vote of a worker.
    BatchVote(BatchVote),
}

/// A question to [`Cells`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CellsQuestion {
    /// The released cells of a brand, of one family or of all.
    Released(BrandId, Option<Family>),
    /// The names of the labels in a reply of another operator.
    Name(Reply),
}

/// The changes of one class that wait for a batch on one worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BatchVote {
    /// The receiving worker.
    pub target: u64,
    /// The brand.
    pub brand: BrandId,
    /// The class of the changes.
    pub class: BatchClass,
    /// The contributors that changed, as in [`Aggregate::changed`], or `None` if no waiting cell has ever been
    /// published.
    pub changed: Option<u128>,
}

/// The output of [`Cells`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CellsOut {
    /// A cell with its new values, or without values if it is closed; whether it differs from the published state;
    /// its release time, Unix milliseconds; and how it was published.
    Cell(Cell, bool, i64, Standing),
    /// A vote to a worker, delivered in the next epoch.
    BatchVote(BatchVote),
    /// No record uses a label whose name is still announced.
    Unused(BrandId, Label),
}

/// The contributors that changed by brand and class, over all workers, as in [`BatchVote::changed`].
pub(super) type BatchVotes = BTreeMap<(BrandId, BatchClass), Option<u128>>;

/// Cells to emit, and whether each differs from the published state.
pub(super) type CellUpdates = Vec<(Cell, bool)>;

/// The progress of an epoch: its input, and what it has emitted so far.
#[derive(Default)]
pub(super) struct EpochWork {
    /// The batch votes of all workers, sent at the last release.
    pub(super) votes: BatchVotes,
    /// The changes of aggregates.
    pub(super) sums: Vec<(CellKey, Aggregate, Diff)>,
    /// The time of the release at the end of the epoch, if any, Unix milliseconds.
    pub(super) release: Option<i64>,
    /// Whether all published cells are emitted again.
    pub(super) republish: bool,
    /// The cells that the epoch emits.
    pub(super) updates: CellUpdates,
    /// The next phase.
    pub(super) phase: Phase,
}

/// The next phase of an epoch.
#[derive(Clone, Copy, Default)]
pub(super) enum Phase {
    /// The batch is published, and aggregates are added.
    #[default]
    Batch,
    /// Changes are published.
    Release(ReleaseTimes),
    /// Changes are emitted.
    Emit,
}

/// The operator. State: the cells that this worker owns.
///
/// Its size is that of the existing and the published cells. A group is dropped once none of its
/// cells exists or is published.
pub struct Cells {
    /// The settings of all brands.
    pub(super) settings: CurrentSettings,
    /// The counters that the worker exports as metrics.
    pub(super) stats: Rc<Stats>,
    /// The number of workers.
    pub(super) peers: u64,
    /// The names of labels, and their uses.
    pub(super) labels: LabelRegistry,
    /// The groups with their cells. Iteration order never reaches the output, which is sorted.
    pub(super) groups: FxHashMap<GroupKey, Group>,
    /// The null paths by month, which all groups of the month share.
    pub(super) null: FxHashMap<(BrandId, Month), NullPaths>,
    /// The groups that changed since the last release.
    pub(super) dirty: FxHashSet<GroupKey>,
    /// The months whose null paths changed since the last release.
    pub(super) dirty_null: FxHashSet<(BrandId, Month)>,
    /// The groups whose changes wait.
    pub(super) waiting: FxHashSet<GroupKey>,
    /// The groups that the batch of the last release may publish.
    pub(super) batch_candidates: Vec<(GroupKey, BatchClass)>,
    /// The time of the last release, Unix milliseconds.
    pub(super) released: Option<i64>,
    /// Restored cells that the current settings do not define.
    pub(super) orphans: BTreeSet<Cell>,
    /// The groups with restored cells.
    pub(super) restored_groups: FxHashSet<GroupKey>,
    /// Whether any worker has restored cells.
    pub(super) has_restored_cells: bool,
    /// The workers that have sent [`CellsIn::AllRestored`]; `None` once all have.
    pub(super) restoring: Option<BTreeSet<u64>>,
    /// Whether a release has reconciled the restored cells.
    pub(super) has_reconciled: bool,
    /// Whether all published cells are still to be emitted again.
    pub(super) must_republish: bool,
    /// The numbers of cells over all groups, for the metrics.
    pub(super) counts: GateCounts,
    /// The months that are released by the ladder.
    pub(super) ladders: FxHashMap<MonthGroup, LadderGroup>,
    /// The months that the batch of the last release looks at.
    pub(super) ladder_candidates: Vec<Candidate>,
    /// The contacts and visits that are released by the ladder.
    pub(super) traffic: FxHashMap<TrafficMonth, TrafficGroup>,
    /// The wallet passes of each brand.
    pub(super) passes: BTreeMap<BrandId, PassDays>,
    /// The panels of each month.
    pub(super) lifts: BTreeMap<BrandMonth, LiftMonth>,
    /// The contacts and visits that the batch of the last release looks at.
    pub(super) traffic_candidates: Vec<TrafficCandidate>,
    /// The months that it looks at in this epoch.
    pub(super) planned: BTreeSet<MonthGroup>,
    /// Those of them for which the solver has not answered yet.
    pub(super) looks: BTreeMap<MonthGroup, Permit>,
    /// The thread that looks at months and solves Markov chains.
    pub(super) solver: Solver,
    /// The cells that this epoch closes because a stricter gate withdraws them.
    pub(super) withdrawn: BTreeSet<Cell>,
    /// The epoch in progress.
    pub(super) work: Option<EpochWork>,
}

impl Cells {
    /// An operator without cells. `peers` is the number of workers.
    pub fn new(settings: CurrentSettings, stats: Rc<Stats>, peers: u64) -> Cells {
        Cells {
            settings,
            stats,
            peers,
            labels: LabelRegistry::default(),
            groups: FxHashMap::default(),
            null: FxHashMap::default(),
            dirty: FxHashSet::default(),
            dirty_null: FxHashSet::default(),
            waiting: FxHashSet::default(),
            batch_candidates: Vec::new(),
            released: None,
            orphans: BTreeSet::new(),
            restored_groups: FxHashSet::default(),
            has_restored_cells: false,
            restoring: Some(BTreeSet::new()),
            has_reconciled: false,
            must_republish: false,
            counts: GateCounts::default(),
            ladders: FxHashMap::default(),
            ladder_candidates: Vec::new(),
            traffic: FxHashMap::default(),
            passes: BTreeMap::new(),
            lifts: BTreeMap::new(),
            traffic_candidates: Vec::new(),
            planned: BTreeSet::new(),
            looks: BTreeMap::new(),
            solver: Solver::default(),
            withdrawn: BTreeSet::new(),
            work: None,
        }
    }

    /// The message that restores a published cell on its owner.
    pub fn restored_cell(
        cell: Cell,
        at: i64,
        standing: Option<Standing>,
        settings: &Settings,
    ) -> CellsIn {
        let home = match place(&cell, settings) {
            Place::Month(of) => of.home(),
            Place::Traffic(of) => of.home(),
            _ => CellKey::of(cell.family, &cell.dims, settings).map_or(0, |key| key.home()),
        };
        CellsIn::Restored(home, cell, at, standing)
    }

    /// The group of a key, created if it does not exist. A new month is entered in the null paths
    /// of its month, so that their changes reach it.
    pub(super) fn group(&mut self, key: &GroupKey) -> &mut Group {
        if let GroupKey::Month(of) = key {
            let null = self.null.entry((of.brand, of.month)).or_default();
            null.groups.insert(*of);
        }
        let groups = &mut self.groups;
        groups.entry(key.clone()).or_insert_with_key(Group::new)
    }

    /// Adds a change of an aggregate, `diff` times, and marks its group as changed.
    ///
    /// Parts of null paths and of chains are added to the state of their month. Everything else is
    /// a cell of its group.
    pub(super) fn add(&mut self, key: CellKey, sums: &Aggregate, diff: Diff) {
        if let Some(month) = null_month(&key) {
            let null = self.null.entry(month).or_default();
            let settings = self.settings.brands.get(&month.0);
            if !settings.is_some_and(BrandSettings::has_ladder) {
                null.count_through(Day::MAX);
            }
            null.add(&key, sums, diff);
            self.dirty_null.insert(month);
            return;
        }
        if let CellKey::Sale { row, .. } = &key {
            let count = i64::try_from(sums.values[0]).unwrap_or_default();
            return self.add_row(row, sums.changed, count * diff);
        }
        if let CellKey::PanelBy { row, .. } = &key {
            let count = i64::try_from(sums.values[0]).unwrap_or_default();
            return self.add_panel_row(row, sums.changed, count * diff);
        }
        if let CellKey::Reached { group, channel } = key {
            return self.add_reached(group, channel, sums.contributors * diff);
        }
        match key.release_group() {
            ReleaseGroup::Traffic(of) => return self.add_traffic(of, &key, sums, diff),
            ReleaseGroup::Wallets(_) => return self.add_passes(&key, sums, diff),
            ReleaseGroup::Lift(_) => return self.add_lift(&key, sums, diff),
            _ => {}
        }
        let Some(of) = GroupKey::of(&key) else {
            return;
        };
        let settings = self.settings.brands.get(&of.brand());
        // A gate that hides nothing needs to know nothing.
        if matches!(key, CellKey::Taken { .. }) && settings.is_none_or(|of| of.k <= 1) {
            return;
        }
        let group = self.group(&of);
        let chain = group.chain.as_mut();
        if !chain.is_some_and(|chain| chain.add(&key, sums, diff)) {
            group.entry(key).sums.add(sums, diff);
        }
        self.dirty.insert(of);
    }

    /// Restores a cell that was published at `at`, Unix milliseconds, or closed, if it has no values. Of a closed cell the months
    /// of a ladder need to know, and of one that was withdrawn its group.
    ///
    /// The values are stored without their noise. A cell that the current settings do not define is
    /// kept as an orphan until all workers have completed their restore; then it is closed.
    pub(super) fn restore(&mut self, cell: Cell, at: i64, standing: Option<Standing>) {
        let settings = self.settings.now();
        match place(&cell, &settings) {
            Place::Month(of) => return self.restore_month(of, cell, at, standing),
            Place::Traffic(of) => return self.restore_traffic(of, cell, at, standing),
            _ if cell.values.is_empty() => {
                if standing == Some(Standing::Withdrawn) {
                    self.restore_withdrawn(&cell);
                }
                return;
            }
            Place::Nowhere => {
                self.orphans.insert(cell);
                return;
            }
            Place::Elsewhere => {}
        }
        let key = CellKey::of(cell.family, &cell.dims, &settings);
        if key
            .as_ref()
            .is_some_and(|key| self.restore_passes(key, &cell) || self.restore_lift(key, &cell))
        {
            return;
        }
        // The cell may be the only source of its label names: if the ledger is lost, it must still be closed by its
        // name.
        if let Some(key) = &key {
            for word in cell.names() {
                self.labels
                    .restore((key.brand(), Label::of(word)), word.clone());
            }
        }
        let Some((key, of)) = key.and_then(|key| Some((key.clone(), GroupKey::of(&key)?))) else {
            self.orphans.insert(cell);
            return;
        };
        let mut values = [0; 5];
        for (slot, value) in values.iter_mut().zip(&cell.values) {
            *slot = *value;
        }
        let settings = settings.brands.get(&key.brand());
        let adds_up = is_other(&key) && settings.is_some_and(|settings| settings.k > 1);
        let timeline = settings.and_then(|settings| NoiseTimeline::of(&of, settings));
        let offset = timeline.and_then(|timeline| timeline.offset(cell.family, &cell.dims, at));
        let thresholds = settings.map(Thresholds::of);
        let is_too_much = match (standing, thresholds) {
            (Some(Standing::Published(before, _)), Some(now)) => now.hide_more_than(&before),
            _ => false,
        };
        let group = self.group(&of);
        (group.has_restored, group.was_published) = (true, true);
        group.withdraws |= is_too_much;
        let entry = match adds_up {
            true => group.other.entry(key).or_default(),
            false => group.entry(key),
        };
        // A count that was clamped at zero is resolved on reconciliation.
        entry.published = Published::Values(match &offset {
            Some(offset) => offset.remove(values, values),
            None => values,
        });
        entry.offset = offset;
        self.restored_groups.insert(of);
    }

    /// Restores that a cell was withdrawn: its group is a published one, whose changes are not known.
    fn restore_withdrawn(&mut self, cell: &Cell) {
        let key = CellKey::of(cell.family, &cell.dims, &self.settings);
        if let Some(of) = key.and_then(|key| GroupKey::of(&key)) {
            let group = self.group(&of);
            (group.has_restored, group.was_published) = (true, true);
            self.restored_groups.insert(of);
        }
    }

    /// The cell of a key with its named dimensions, and with `values` or none. Returns `None` for
    /// an unknown brand.
    pub(super) fn cell(&self, key: &CellKey, values: Option<[i128; 5]>) -> Option<Cell> {
        let settings = self.settings.brands.get(&key.brand())?;
        let names = Names {
            brand: &settings.name,
            words: self.labels.of(key.brand()),
        };
        let (family, dims) = (key.family()?, key.dims(names)?);
        let count = family.values().len();
        let values =
            values.map_or_else(Vec::new, |values| values.into_iter().take(count).collect());
        Some(Cell {
            family,
            dims,
            values,
        })
    }

    /// Adds the names of labels to a reply: to the channels of a path, and to the labels of a record.
    pub(super) fn name(&self, reply: Reply) -> Reply {
        let word = |brand, label| self.labels.of(brand).word(label).cloned();
        match reply {
            Reply::Path {
                brand,
                path,
                persons,
                conversions,
            } => {
                let named = |step: &Channel| step.labels().map(|label| word(brand, label));
                Reply::NamedPath {
                    path: path.iter().map(named).collect(),
                    persons,
                    conversions,
                }
            }
            Reply::Record(key, record) => {
                let words = labels(&record)
                    .map(|label| word(record.brand, label))
                    .collect();
                Reply::NamedRecord(key, record, words)
            }
            other => other,
        }
    }

    /// All published cells with their published values, in no particular order.
    pub(super) fn published_cells(&self) -> impl Iterator<Item = Cell> + '_ {
        let groups = self.groups.iter();
        let cells = groups.flat_map(|(key, group)| group.cells(key));
        let cells =
            cells.filter_map(|(key, entry)| self.cell(key, Some(entry.published_values()?)));
        let traffic = self.published_traffic();
        let cells = cells.chain(self.published_months()).chain(traffic);
        cells
            .chain(self.published_passes())
            .chain(self.published_lifts())
    }

    /// Reports the labels without uses, and drops the names that were withdrawn. Does nothing before the restore is
    /// complete, when the uses are not known.
    pub(super) fn report_unused_labels(&mut self, out: &mut Vec<(CellsOut, Diff)>) {
        if self.restoring.is_some() {
            return;
        }
        let unused = self.labels.unused().into_iter();
        out.extend(unused.map(|(brand, label)| (CellsOut::Unused(brand, label), 1)));
        if self
            .labels
            .is_due(self.counts.released + self.counts.hidden)
        {
            let (groups, ladders, traffic) = (&self.groups, &self.ladders, &self.traffic);
            let lifts = &self.lifts;
            self.labels.sweep(|needed| {
                for (of, month) in lifts {
                    month.each_label(|label| needed((of.brand, label)));
                }
                // Their published cells have names, and what they last counted is named by labels.
                for (of, group) in ladders {
                    group.each_label(|label| needed((of.brand, label)));
                }
                for (of, group) in traffic {
                    group.each_label(|label| needed((of.brand, label)));
                }
                for (of, group) in groups {
                    let brand = of.brand();
                    for (key, _) in group.cells(of) {
                        key.each_label(|label| needed((brand, label)));
                    }
                }
            });
        }
        self.stats.labels(self.labels.len() as u64);
    }

    /// The released cells of a brand, of one family or of all, in order.
    pub(super) fn released_cells(&self, brand: BrandId, family: Option<Family>) -> Vec<Cell> {
        let groups = self.groups.iter().filter(|(key, _)| key.brand() == brand);
        let cells = groups.flat_map(|(key, group)| group.cells(key));
        let cells =
            cells.filter_map(|(key, entry)| self.cell(key, Some(entry.published_values()?)));
        let name = self.settings.brands.get(&brand).map(|of| &of.name);
        let of_brand = |cell: &Cell| name.is_some_and(|name| **name == *cell.text("brand"));
        let months = self.published_months().chain(self.published_traffic());
        let months = months.chain(self.published_passes());
        let months = months.chain(self.published_lifts());
        let cells = cells.chain(months.filter(of_brand));
        let mut cells: Vec<Cell> = cells
            .filter(|cell| family.is_none_or(|family| family == cell.family))
            .collect();
        cells.sort_unstable();
        cells
    }
}
