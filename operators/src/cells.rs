//! The cells: sums become aggregates with names, and only what the release gate admits leaves.
//!
//! Sums are added up as they come. Nothing is written, and no Markov chain is solved, until a release is
//! called for; then every cell that changed since the last one is looked at once and its new value is
//! told, or that it is closed. What was told is remembered, so that what is told is always a change.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::ask::{Answer, Asked, Question, Reply};
use crate::attribution::markov::{self, Edges};
use crate::cell::{Cell, Dim, Family};
use crate::engine::{Diff, Epoch, Stage};
use crate::label::{Channel, Dictionary, Label};
use crate::record::{BrandId, Currency, SaleKind};
use crate::settings::{BrandSettings, Settings};
use crate::stats::Stats;
use crate::sums::{CellKey, Month, MonthGroup, Sums};

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

/// The chains of one month, and what was told of them.
#[derive(Default)]
struct MonthChains {
    null: Edges,
    null_reach: FxHashMap<Channel, i64>,
    groups: BTreeMap<(SaleKind, Currency), Converting>,
}

#[derive(Default)]
struct Converting {
    edges: Edges,
    reach: FxHashMap<Channel, i64>,
    conversions: i128,
    value: i128,
    told: BTreeMap<Channel, Told>,
}

fn bump<K: std::hash::Hash + Eq + Copy>(counts: &mut FxHashMap<K, i64>, key: K, by: i64) {
    let count = counts.entry(key).or_default();
    *count += by;
    if *count == 0 {
        counts.remove(&key);
    }
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
        let first = (sums.values[0] * i128::from(diff)) as i64;
        let persons = sums.contributors * diff;
        let (brand, month) = match key {
            CellKey::ConvertingEdge { group, .. }
            | CellKey::ConvertingReach { group, .. }
            | CellKey::Converted { group } => (group.brand, group.month),
            CellKey::NullEdge { brand, month, .. } | CellKey::NullReach { brand, month, .. } => {
                (brand, month)
            }
            direct => {
                self.entries
                    .entry(direct.clone())
                    .or_default()
                    .sums
                    .add(sums, diff);
                self.dirty.insert(direct);
                return;
            }
        };
        self.dirty_months.insert((brand, month));
        let chains = self.months.entry((brand, month)).or_default();
        let MonthChains {
            null,
            null_reach,
            groups,
        } = chains;
        let mut converting = |group: MonthGroup, change: &mut dyn FnMut(&mut Converting)| {
            change(groups.entry((group.kind, group.currency)).or_default());
        };
        match key {
            CellKey::ConvertingEdge { group, from, to } => {
                converting(group, &mut |of| bump(&mut of.edges, (from, to), first));
            }
            CellKey::ConvertingReach { group, channel } => {
                converting(group, &mut |of| bump(&mut of.reach, channel, persons));
            }
            CellKey::Converted { group } => {
                converting(group, &mut |of| {
                    of.conversions += sums.values[0] * i128::from(diff);
                    of.value += sums.values[1] * i128::from(diff);
                });
            }
            CellKey::NullEdge { from, to, .. } => bump(null, (from, to), first),
            CellKey::NullReach { channel, .. } => bump(null_reach, channel, persons),
            _ => {}
        }
    }

    fn text(&self, label: Label) -> Dim {
        self.words
            .word(label)
            .map_or(Dim::Null, |word| Dim::Text(word.clone()))
    }

    fn channel(&self, channel: Channel) -> [Dim; 3] {
        [channel.source, channel.medium, channel.campaign].map(|label| self.text(label))
    }

    /// The family of a key and its dimensions by name.
    fn dims(&self, key: &CellKey, settings: &BrandSettings) -> (Family, Vec<Dim>) {
        let brand = Dim::Text(settings.name.clone());
        let word = |text: &str| Dim::Text(text.into());
        let grouped = |group: &MonthGroup, last: Vec<Dim>| {
            let mut dims = vec![
                brand.clone(),
                word(group.kind.name()),
                Dim::Month(group.month),
                word(group.currency.as_str()),
            ];
            dims.extend(last);
            dims
        };
        match key {
            CellKey::Attribution {
                model,
                channel,
                kind,
                store,
                day,
                currency,
                ..
            } => {
                let mut dims = vec![brand, word(model.name())];
                dims.extend(self.channel(*channel));
                dims.extend([
                    word(kind.name()),
                    self.text(*store),
                    Dim::Day(*day),
                    word(currency.as_str()),
                ]);
                (Family::Attribution, dims)
            }
            CellKey::StoreDay {
                store,
                day,
                currency,
                ..
            } => {
                let dims = vec![
                    brand,
                    self.text(*store),
                    Dim::Day(*day),
                    word(currency.as_str()),
                ];
                (Family::StoreDay, dims)
            }
            CellKey::OrdersDay { day, currency, .. } => (
                Family::OrdersDay,
                vec![brand, Dim::Day(*day), word(currency.as_str())],
            ),
            CellKey::CampaignDay { channel, day, .. } => {
                let mut dims = vec![brand];
                dims.extend(self.channel(*channel));
                dims.push(Dim::Day(*day));
                (Family::CampaignDay, dims)
            }
            CellKey::SpendDay {
                platform,
                channel,
                day,
                currency,
                ..
            } => {
                let mut dims = vec![brand, self.text(*platform)];
                dims.extend(self.channel(*channel));
                dims.extend([Dim::Day(*day), word(currency.as_str())]);
                (Family::SpendDay, dims)
            }
            CellKey::Visits {
                store,
                hour,
                utc_offset,
                ..
            } => (
                Family::Visits,
                vec![brand, self.text(*store), Dim::Hour(*hour, *utc_offset)],
            ),
            CellKey::Identity { .. } => (Family::Identity, vec![brand]),
            CellKey::Paths { group, path } => {
                let word = |label| self.words.word(label).cloned();
                let path = path
                    .iter()
                    .map(|c| [word(c.source), word(c.medium), word(c.campaign)]);
                (
                    Family::Paths,
                    grouped(group, vec![Dim::Path(path.collect())]),
                )
            }
            CellKey::PathLength { group, touches } => (
                Family::PathLength,
                grouped(group, vec![Dim::Count((*touches).into())]),
            ),
            CellKey::PathDays { group, days } => (
                Family::PathDays,
                grouped(group, vec![Dim::Count((*days).into())]),
            ),
            CellKey::Assists { group, channel } => (
                Family::Assists,
                grouped(group, self.channel(*channel).into()),
            ),
            CellKey::ConvertingEdge { group, .. }
            | CellKey::ConvertingReach { group, .. }
            | CellKey::Converted { group } => (Family::MarkovMonth, grouped(group, Vec::new())),
            CellKey::NullEdge { .. } | CellKey::NullReach { .. } => {
                (Family::MarkovMonth, vec![brand])
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
        for key in std::mem::take(&mut self.dirty_months) {
            let Some(mut chains) = self.months.remove(&key) else {
                continue;
            };
            self.release_month(key, &mut chains, &mut cells);
            if !chains.null.is_empty() || !chains.groups.is_empty() {
                self.months.insert(key, chains);
            }
        }
        cells.sort_unstable();
        out.extend(cells.into_iter().map(|cell| (CellsOut::Cell(cell), 1)));
        self.stats
            .release(self.released, self.hidden, self.words.collisions());
    }

    fn release_month(
        &mut self,
        (brand, month): (BrandId, Month),
        chains: &mut MonthChains,
        cells: &mut Vec<Cell>,
    ) {
        let Some(k) = self
            .settings
            .brands
            .get(usize::from(brand.0))
            .map(|brand| brand.k)
        else {
            return;
        };
        for ((kind, currency), converting) in &mut chains.groups {
            let group = MonthGroup {
                brand,
                month,
                kind: *kind,
                currency: *currency,
            };
            let mut now = BTreeMap::new();
            if converting.conversions > 0 {
                let Converting {
                    edges,
                    conversions,
                    value,
                    ..
                } = &*converting;
                let credits = markov::solve(edges, &chains.null, *conversions, *value, &self.words);
                for credit in credits {
                    let mut values = [0; 5];
                    values[0] = credit.effect_ppm.into();
                    values[1] = credit.millionths;
                    values[2] = credit.value;
                    let reach = |reach: &FxHashMap<Channel, i64>| {
                        reach.get(&credit.channel).copied().unwrap_or(0)
                    };
                    let persons = reach(&converting.reach) + reach(&chains.null_reach);
                    let told = match values == [0; 5] {
                        true => Told::Nothing,
                        false if persons < k as i64 => Told::Hidden,
                        false => Told::Values(values),
                    };
                    now.insert(credit.channel, told);
                }
            }
            let was = std::mem::take(&mut converting.told);
            for (channel, was) in &was {
                if was.is_told() && !now.get(channel).is_some_and(Told::is_told) {
                    cells.extend(self.markov_cell(&group, *channel, Told::Nothing));
                }
                self.count(*was, Told::Nothing);
            }
            for (channel, now) in &now {
                if now.is_told() && was.get(channel) != Some(now) {
                    cells.extend(self.markov_cell(&group, *channel, *now));
                }
                self.count(Told::Nothing, *now);
            }
            converting.told = now;
        }
        chains.groups.retain(|_, group| group.conversions > 0);
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
        for ((of, month), chains) in &self.months {
            for ((kind, currency), converting) in &chains.groups {
                let group = MonthGroup {
                    brand: *of,
                    month: *month,
                    kind: *kind,
                    currency: *currency,
                };
                for (channel, told) in &converting.told {
                    if told.is_told() && of == brand {
                        cells.extend(self.markov_cell(&group, *channel, *told));
                    }
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

impl Told {
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

fn brand_of(key: &CellKey) -> BrandId {
    match key {
        CellKey::Attribution { brand, .. }
        | CellKey::StoreDay { brand, .. }
        | CellKey::OrdersDay { brand, .. }
        | CellKey::CampaignDay { brand, .. }
        | CellKey::SpendDay { brand, .. }
        | CellKey::Visits { brand, .. }
        | CellKey::Identity { brand }
        | CellKey::NullEdge { brand, .. }
        | CellKey::NullReach { brand, .. } => *brand,
        CellKey::Paths { group, .. }
        | CellKey::PathLength { group, .. }
        | CellKey::PathDays { group, .. }
        | CellKey::Assists { group, .. }
        | CellKey::ConvertingEdge { group, .. }
        | CellKey::ConvertingReach { group, .. }
        | CellKey::Converted { group } => group.brand,
    }
}

/// The release gate: a cell with too few contributors stays inside. What platforms charged is nobody's.
fn gate(key: &CellKey, sums: &Sums, settings: &BrandSettings) -> Told {
    let k = match key {
        CellKey::SpendDay { .. } => 0,
        CellKey::Visits { .. } => settings.k_traffic,
        _ => settings.k,
    };
    if sums.values == [0; 5] {
        Told::Nothing
    } else if (sums.contributors.max(0) as u64) < k {
        Told::Hidden
    } else {
        Told::Values(sums.values)
    }
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
