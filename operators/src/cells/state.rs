//! The state of the cells of one worker, and the messages that change it.
//!
//! The cells of every group stand here as they are and as they were last told, with what has changed since the last
//! release and what waits. What an epoch does with them, one step after the other, is kept in a [`EpochWork`]; the steps
//! themselves stand in [`super::epoch`] and [`super::release`].

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, CellKey, Month};
use crate::ask::{Answer, Question, Reply, RoutedQuestion, labels};
use crate::cell::Cell;
use crate::cells::gate::{BatchClass, ReleaseTimes};
use crate::cells::group::{GateCounts, Group, Published};
use crate::cells::group_key::{GroupKey, is_other};
use crate::cells::months::{NullPaths, null_month};
use crate::cells::naming::{dims, key_of, words};
use crate::cells::noise::NoiseTimeline;
use crate::cells::solver::Solver;
use crate::engine::Diff;
use crate::label::{Channel, Label};
use crate::label_registry::LabelRegistry;
use crate::record::BrandId;
use crate::settings::Settings;
use crate::stats::Stats;

/// What the stage is told. What every worker must hear names the worker it is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CellsIn {
    /// A change of a cell.
    Sum(CellKey, Aggregate),
    /// To a worker: somebody announces the word of a label of a brand.
    LabelName(u64, BrandId, Label, Arc<str>),
    /// To a worker: somebody who has announced a label's word withdraws it.
    LabelWithdrawn(u64, BrandId, Label),
    /// To a worker: a worker holds something that names a label.
    LabelUse(u64, BrandId, Label),
    /// To a worker: it is to say again whether a label is used.
    RecheckLabel(u64, BrandId, Label),
    /// Changed cells may leave at the end of this epoch, whose time in Unix milliseconds comes second.
    Release(u64, i64),
    /// To a worker: what it has told stands outside no longer, and is told again at the end of this epoch.
    Republish(u64),
    /// A cell as it stood outside at the start, with the hash of its owner, and the time at which it was told.
    Restored(u64, Cell, i64),
    /// A worker says to another that everything that stood outside, and everything that was known of before,
    /// has gone in.
    AllRestored {
        /// The worker that says so.
        from: u64,
        /// The worker that is told.
        target: u64,
        /// Whether anything stood outside.
        has_cells: bool,
    },
    /// A worker says to another what of a brand waits for the batch.
    BatchVote(BatchVote),
    /// Somebody asks for cells.
    Ask(RoutedQuestion),
    /// An answer on its way back is missing its words.
    Name(Answer),
}

/// What of a brand waits for a batch on one worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BatchVote {
    /// The worker that is told.
    pub target: u64,
    /// The brand.
    pub brand: BrandId,
    /// What kind of cells, and which way their values go.
    pub class: BatchClass,
    /// Whose contributions changed, as in [`Aggregate::changed`]; none where only cells wait that were never told.
    pub changed: Option<u128>,
}

/// What the stage says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CellsOut {
    /// A cell has a new value, or is closed where it has none; and whether the outside does not know it yet. The
    /// time of the release that tells it, Unix milliseconds.
    Cell(Cell, bool, i64),
    /// To every worker, for the next epoch.
    BatchVote(BatchVote),
    /// Nobody holds anything that names a label, which somebody has announced.
    Unused(BrandId, Label),
    /// An answer.
    Answer(Answer),
}

/// What waits for a batch, on all workers: whose contributions changed, as in [`BatchVote::changed`].
pub(super) type BatchVotes = BTreeMap<(BrandId, BatchClass), Option<u128>>;

/// What is to be told: cells, and whether each is news.
pub(super) type CellUpdates = Vec<(Cell, bool)>;

/// An epoch under way.
#[derive(Default)]
pub(super) struct EpochWork {
    /// What waits for a batch, on all workers.
    pub(super) votes: BatchVotes,
    pub(super) sums: Vec<(CellKey, Aggregate, Diff)>,
    /// The time of the release at its end.
    pub(super) release: Option<i64>,
    /// Whether all that stands outside is told again.
    pub(super) republish: bool,
    pub(super) questions: Vec<RoutedQuestion>,
    pub(super) answers: Vec<Answer>,
    pub(super) updates: CellUpdates,
    pub(super) phase: Phase,
}

/// What is next.
#[derive(Clone, Copy, Default)]
pub(super) enum Phase {
    /// The batch leaves, and the sums are added.
    #[default]
    Batch,
    /// What has changed is told.
    Release(ReleaseTimes),
    /// Questions are answered.
    Answer,
}

/// The stage. The cells that this worker owns.
pub struct Cells {
    pub(super) settings: Arc<Settings>,
    pub(super) stats: Rc<Stats>,
    pub(super) peers: u64,
    pub(super) labels: LabelRegistry,
    pub(super) groups: FxHashMap<GroupKey, Group>,
    pub(super) null: FxHashMap<(BrandId, Month), NullPaths>,
    /// What changed since the last release.
    pub(super) dirty: FxHashSet<GroupKey>,
    pub(super) dirty_null: FxHashSet<(BrandId, Month)>,
    /// What would change outside and may not yet.
    pub(super) waiting: FxHashSet<GroupKey>,
    /// What leaves when the batch of the last release does.
    pub(super) batch_candidates: Vec<(GroupKey, BatchClass)>,
    /// The time of the last release.
    pub(super) released: Option<i64>,
    /// What stood outside and belongs to no cell that these settings know.
    pub(super) orphans: BTreeSet<Cell>,
    /// The groups of which something stood outside.
    pub(super) restored_groups: FxHashSet<GroupKey>,
    /// Whether anything stood outside, on any worker that has said so.
    pub(super) has_restored_cells: bool,
    /// The workers that have said `Complete`; none once all have.
    pub(super) restoring: Option<BTreeSet<u64>>,
    pub(super) counts: GateCounts,
    pub(super) solver: Solver,
    /// What the epoch that was stepped last has still to do.
    pub(super) work: Option<EpochWork>,
}

impl Cells {
    /// No cells yet, and nothing is known to stand outside. `peers` is the number of workers.
    pub fn new(settings: Arc<Settings>, stats: Rc<Stats>, peers: u64) -> Cells {
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
            counts: GateCounts::default(),
            solver: Solver::default(),
            work: None,
        }
    }

    /// The message that brings a cell that stood outside, told at some time, to its owner.
    pub fn restored_cell(cell: Cell, at: i64, settings: &Settings) -> CellsIn {
        let home = key_of(&cell, settings).map_or(0, |key| key.home());
        CellsIn::Restored(home, cell, at)
    }

    pub(super) fn group(&mut self, key: &GroupKey) -> &mut Group {
        if let GroupKey::Month(of) = key {
            let null = self.null.entry((of.brand, of.month)).or_default();
            null.groups.insert(*of);
        }
        let groups = &mut self.groups;
        groups.entry(key.clone()).or_insert_with_key(Group::new)
    }

    pub(super) fn add(&mut self, key: CellKey, sums: &Aggregate, diff: Diff) {
        if let Some(month) = null_month(&key) {
            self.null.entry(month).or_default().add(&key, sums, diff);
            self.dirty_null.insert(month);
            return;
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

    /// Takes in a cell that stood outside.
    pub(super) fn restore(&mut self, cell: Cell, at: i64) {
        let settings = self.settings.clone();
        let key = key_of(&cell, &settings);
        // Nobody else may know its words: the ledger that did can be lost, and the cell is to be closed by its name.
        if let Some(key) = &key {
            for word in words(&cell) {
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
        let group = self.group(&of);
        (group.has_restored, group.was_published) = (true, true);
        let entry = match adds_up {
            true => group.other.entry(key).or_default(),
            false => group.entry(key),
        };
        // A count that was cut off is found when it meets the sums.
        entry.published = Published::Values(match &offset {
            Some(offset) => offset.remove(values, values),
            None => values,
        });
        entry.offset = offset;
        self.restored_groups.insert(of);
    }

    pub(super) fn cell(&self, key: &CellKey, values: Option<[i128; 5]>) -> Option<Cell> {
        let settings = self.settings.brands.get(&key.brand())?;
        let (family, dims) = dims(key, settings, self.labels.of(key.brand()));
        let count = family.values().len();
        let values =
            values.map_or_else(Vec::new, |values| values.into_iter().take(count).collect());
        Some(Cell {
            family,
            dims,
            values,
        })
    }

    /// Puts words for labels into an answer.
    pub(super) fn name(&self, answer: Answer) -> Answer {
        let Answer {
            asker,
            number,
            reply,
        } = answer;
        let word = |brand, label| self.labels.of(brand).word(label).cloned();
        let reply = match reply {
            Reply::Path {
                brand,
                path,
                persons,
                conversions,
            } => {
                let named = |step: &Channel| {
                    [step.source, step.medium, step.campaign].map(|label| word(brand, label))
                };
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
        };
        Answer {
            asker,
            number,
            reply,
        }
    }

    /// Every cell that stands outside, as it was last told.
    pub(super) fn published_cells(&self) -> impl Iterator<Item = Cell> + '_ {
        let groups = self.groups.iter();
        let cells = groups.flat_map(|(key, group)| group.cells(key));
        cells.filter_map(|(key, entry)| self.cell(key, Some(entry.published_values()?)))
    }

    /// Asks for the words that nobody uses to be withdrawn, and drops those that were. Before everything from before a
    /// restart has gone in nobody knows which these are.
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
            let groups = &self.groups;
            self.labels.sweep(|needed| {
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

    /// The cells as they were last told.
    pub(super) fn answer(&self, asked: &RoutedQuestion, out: &mut Vec<(CellsOut, Diff)>) {
        let Question::Cells { brand, family } = &asked.question else {
            return;
        };
        let mut cells = Vec::new();
        let groups = self.groups.iter();
        for (key, group) in groups.filter(|(key, _)| key.brand() == *brand) {
            for (key, entry) in group.cells(key) {
                if let Some(values) = entry.published_values() {
                    cells.extend(self.cell(key, Some(values)));
                }
            }
        }
        cells.retain(|cell| family.is_none_or(|family| family == cell.family));
        cells.sort_unstable();
        out.extend(
            cells
                .into_iter()
                .map(|cell| (CellsOut::Answer(asked.answer(Reply::Cell(cell))), 1)),
        );
    }
}
