//! The cells: sums become aggregates with names, and only what the release gate admits leaves.
//!
//! Sums are added up as they come. Nothing is written, and no Markov chain is solved, until a release is
//! called for; then every cell that changed since the last one is looked at once and its new value is
//! told, or that it is closed. What was told is remembered, so that what is told is always a change.

mod months;
mod naming;

use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::ask::{Answer, Asked, Question, Reply, labels};
use crate::cell::{Cell, Family};
use crate::engine::{Diff, Epoch, Stage};
use crate::label::{Channel, Dictionary, Label};
use crate::record::BrandId;
use crate::settings::{BrandSettings, Settings};
use crate::stats::Stats;
use crate::sums::{CellKey, Month, MonthGroup, Sums};
use months::{MonthChains, Outcome, month_of};
use naming::brand_of;

/// What the stage is told. What every worker must hear names the worker it is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CellsIn {
    /// A change of a cell.
    Sum(CellKey, Sums),
    /// The word of a label.
    Word(u64, Label, Arc<str>),
    /// Changed cells may leave at the end of this epoch.
    Release(u64),
    /// Somebody asks for cells.
    Ask(Asked),
    /// An answer on its way back is missing its words.
    Name(Answer),
}

/// What the stage says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CellsOut {
    /// The new value of a cell, or that it is closed.
    Cell(Cell),
    /// An answer.
    Answer(Answer),
}

/// What became of a cell at the last release.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Told {
    /// It does not exist.
    #[default]
    Nothing,
    /// It exists, and the gate holds it back.
    Hidden,
    /// It has these values.
    Values([i128; 5]),
}

#[derive(Default)]
struct Entry {
    sums: Sums,
    told: Told,
}

/// The stage. The cells that this worker owns.
pub struct Cells {
    settings: Arc<Settings>,
    stats: Rc<Stats>,
    words: Dictionary,
    entries: FxHashMap<CellKey, Entry>,
    months: FxHashMap<(BrandId, Month), MonthChains>,
    dirty: FxHashSet<CellKey>,
    dirty_months: FxHashSet<(BrandId, Month)>,
    released: u64,
    hidden: u64,
}

impl Cells {
    /// No cells yet.
    pub fn new(settings: Arc<Settings>, stats: Rc<Stats>) -> Cells {
        Cells {
            settings,
            stats,
            words: Dictionary::default(),
            entries: FxHashMap::default(),
            months: FxHashMap::default(),
            dirty: FxHashSet::default(),
            dirty_months: FxHashSet::default(),
            released: 0,
            hidden: 0,
        }
    }

    fn add(&mut self, key: CellKey, sums: &Sums, diff: Diff) {
        match month_of(&key) {
            Some(month) => {
                self.months.entry(month).or_default().add(&key, sums, diff);
                self.dirty_months.insert(month);
            }
            None => {
                let entry = self.entries.entry(key.clone()).or_default();
                entry.sums.add(sums, diff);
                self.dirty.insert(key);
            }
        }
    }

    fn cell(&self, key: &CellKey, told: Told) -> Option<Cell> {
        let settings = self.settings.brands.get(usize::from(brand_of(key).0))?;
        let (family, dims) = self.dims(key, settings);
        Some(Cell {
            family,
            dims,
            values: told.values(family),
        })
    }

    fn markov_cell(&self, group: &MonthGroup, channel: Channel, told: Told) -> Option<Cell> {
        let mut cell = self.cell(&CellKey::Converted { group: *group }, told)?;
        cell.dims.extend(self.channel(channel));
        Some(cell)
    }

    /// Tells what changed since the last release.
    fn release(&mut self, out: &mut Vec<(CellsOut, Diff)>) {
        let mut cells = Vec::new();
        for key in std::mem::take(&mut self.dirty) {
            let Some(settings) = self.settings.brands.get(usize::from(brand_of(&key).0)) else {
                continue;
            };
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            let now = gate(&key, &entry.sums, settings);
            let was = std::mem::replace(&mut entry.told, now);
            if entry.sums.is_zero() {
                self.entries.remove(&key);
            }
            self.count(was, now);
            if was != now && (was.is_told() || now.is_told()) {
                cells.extend(self.cell(&key, now));
            }
        }
        for (brand, month) in std::mem::take(&mut self.dirty_months) {
            let Some(settings) = self.settings.brands.get(usize::from(brand.0)) else {
                continue;
            };
            let Some(mut chains) = self.months.remove(&(brand, month)) else {
                continue;
            };
            for outcome in chains.release(settings.k, &self.words) {
                let Outcome {
                    kind,
                    currency,
                    channel,
                    was,
                    now,
                } = outcome;
                self.count(was, now);
                if was != now && (was.is_told() || now.is_told()) {
                    let group = MonthGroup {
                        brand,
                        month,
                        kind,
                        currency,
                    };
                    cells.extend(self.markov_cell(&group, channel, now));
                }
            }
            if !chains.is_empty() {
                self.months.insert((brand, month), chains);
            }
        }
        cells.sort_unstable();
        out.extend(cells.into_iter().map(|cell| (CellsOut::Cell(cell), 1)));
        self.stats
            .release(self.released, self.hidden, self.words.collisions());
    }

    fn count(&mut self, was: Told, now: Told) {
        let (was_told, now_told) = (was.is_told(), now.is_told());
        self.released = self.released + u64::from(now_told) - u64::from(was_told);
        self.hidden = self.hidden + u64::from(now == Told::Hidden) - u64::from(was == Told::Hidden);
    }

    /// Puts words for labels into an answer.
    fn name(&self, answer: Answer) -> Answer {
        let Answer {
            asker,
            number,
            reply,
        } = answer;
        let word = |label| self.words.word(label).cloned();
        let reply = match reply {
            Reply::Path {
                path,
                persons,
                conversions,
            } => Reply::NamedPath {
                path: path
                    .iter()
                    .map(|step| [word(step.source), word(step.medium), word(step.campaign)])
                    .collect(),
                persons,
                conversions,
            },
            Reply::Record(key, record) => {
                let words = labels(&record).into_iter().map(word).collect();
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

    /// The cells as they were last told.
    fn answer(&self, asked: &Asked, out: &mut Vec<(CellsOut, Diff)>) {
        let Question::Cells { brand, family } = &asked.question else {
            return;
        };
        let mut cells = Vec::new();
        for (key, entry) in &self.entries {
            if entry.told.is_told() && brand_of(key) == *brand {
                cells.extend(self.cell(key, entry.told));
            }
        }
        for ((of, month), chains) in self.months.iter().filter(|((of, _), _)| of == brand) {
            for (kind, currency, channel, told) in chains.told().filter(|told| told.3.is_told()) {
                let group = MonthGroup {
                    brand: *of,
                    month: *month,
                    kind,
                    currency,
                };
                cells.extend(self.markov_cell(&group, channel, told));
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

impl Told {
    /// What the gate makes of values with so many contributors.
    fn of(values: [i128; 5], contributors: i64, k: u64) -> Told {
        if values == [0; 5] {
            Told::Nothing
        } else if (contributors.max(0) as u64) < k {
            Told::Hidden
        } else {
            Told::Values(values)
        }
    }

    fn is_told(&self) -> bool {
        matches!(self, Told::Values(_))
    }

    fn values(self, family: Family) -> Vec<i128> {
        match self {
            Told::Values(values) => values[..family.values().len()].to_vec(),
            Told::Hidden | Told::Nothing => Vec::new(),
        }
    }
}

/// The release gate: a cell with too few contributors stays inside. What platforms charged is nobody's.
fn gate(key: &CellKey, sums: &Sums, settings: &BrandSettings) -> Told {
    let k = match key {
        CellKey::SpendDay { .. } => 0,
        CellKey::Visits { .. } => settings.k_traffic,
        _ => settings.k,
    };
    Told::of(sums.values, sums.contributors, k)
}

impl Stage for Cells {
    type In = CellsIn;
    type Out = CellsOut;
    const NAME: &'static str = "Cells";

    fn route(update: &CellsIn) -> u64 {
        match update {
            CellsIn::Sum(key, _) => key.home(),
            CellsIn::Word(target, ..) | CellsIn::Release(target) => *target,
            CellsIn::Ask(asked) => asked.target,
            CellsIn::Name(answer) => answer.asker,
        }
    }

    fn step(&mut self, _: Epoch, updates: Vec<(CellsIn, Diff)>, out: &mut Vec<(CellsOut, Diff)>) {
        let mut release = false;
        let mut questions = Vec::new();
        let mut answers = Vec::new();
        for (update, diff) in updates {
            match update {
                CellsIn::Sum(key, sums) => self.add(key, &sums, diff),
                CellsIn::Word(_, label, word) => self.words.learn(label, word),
                CellsIn::Release(_) => release = true,
                CellsIn::Ask(asked) => questions.push(asked),
                CellsIn::Name(answer) => answers.push(answer),
            }
        }
        if release {
            self.release(out);
        }
        for asked in questions {
            self.answer(&asked, out);
        }
        out.extend(
            answers
                .into_iter()
                .map(|answer| (CellsOut::Answer(self.name(answer)), 1)),
        );
    }
}
