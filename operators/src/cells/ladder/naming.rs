//! The cells of a publication, and patterns read back from them.
//!
//! A dimension that a cell gives up is [`REST`] in its name, and a month stands in `day`. The path families are published in
//! multiples of `k`, as everywhere; assists among them have cells of their own ([`super::path_cells`]), as the Markov
//! model has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::aggregate::{Aggregate, CellKey, MonthGroup};
use crate::attribution::Model;
use crate::attribution::credit::CONVERSION;
use crate::attribution::markov::{MonthChain, Solved};
use crate::attribution::path::collapse;
use crate::cell::{Dim, Family, NO_VALUE, Names};
use crate::cells::ladder::progress::{RevenueSums, label_dim, revenue_id};
use crate::cells::ladder::published::{CellId, Published};
use crate::cells::ladder::rows::{channel_name, place_of};
use crate::cells::months::NullParts;
use crate::cells::threshold::{Entries, apply_to_paths};
use crate::label::{Channel, Label, LabelNames};
use crate::record::{Currency, Day, SaleKind};
use crate::release::by_channel::{Names as ChannelNames, cell_among};
use crate::release::pattern::cell_of;
use crate::release::table::Word;
use crate::release::weight::Rule;
use crate::release::{
    CellName, ChannelName, Members, Pattern, Place, REST, RevenueKind, RevenueName, SaleRow,
};
use crate::settings::BrandSettings;

/// The release rule of a brand.
pub(super) fn rule_of(settings: &BrandSettings) -> Rule {
    Rule::new(settings.k, settings.dominance)
}

/// What all cells of a month have in common.
pub(super) struct Naming<'a> {
    pub(super) group: MonthGroup,
    pub(super) settings: &'a BrandSettings,
    pub(super) words: &'a Arc<LabelNames>,
}

impl Naming<'_> {
    pub(super) fn brand(&self) -> Dim {
        Dim::Text(self.settings.name.clone())
    }

    fn currency(&self) -> Dim {
        match self.group.currency {
            Currency::NONE => Dim::Null,
            currency => Dim::Text(currency.as_str().into()),
        }
    }

    /// The name of the revenue of a store and day in progress.
    pub(super) fn store_day(&self, day: Day, store: Label) -> CellId {
        let store = label_dim(store, self.words);
        self.revenue_of(RevenueKind::Sale, Dim::Day(day), store)
    }

    /// The name of the revenue of the store and day of a row.
    pub(super) fn revenue_of_row(&self, row: &SaleRow) -> CellId {
        let store = label_dim(row.store, self.words);
        self.revenue_of(row.revenue_kind(), Dim::Day(row.day), store)
    }

    fn revenue_of(&self, kind: RevenueKind, day: Dim, store: Dim) -> CellId {
        let of = (self.group.kind, kind);
        revenue_id(&self.brand(), of, &self.currency(), day, store)
    }

    fn revenue(&self, name: &RevenueName) -> CellId {
        let rest = || Dim::Text(REST.into());
        let (day, store) = match name {
            RevenueName::StoreDay(day, place) => (Dim::Day(*day), dim(&place.store)),
            RevenueName::Day(day, _) => (Dim::Day(*day), rest()),
            RevenueName::Month(_) => (Dim::Month(self.group.month), rest()),
        };
        self.revenue_of(name.kind(), day, store)
    }

    fn credit(&self, model: Model, name: &CellName) -> CellId {
        let mut dims = vec![self.brand(), Dim::Text(model.name().into())];
        dims.extend(name_dims(name));
        dims.extend([
            Dim::Text(self.group.kind.name().into()),
            match self.group.kind {
                SaleKind::Transaction | SaleKind::Visit => Dim::Text(REST.into()),
                SaleKind::Order => Dim::Null,
            },
            Dim::Month(self.group.month),
            self.currency(),
        ]);
        (Family::Attribution, dims)
    }

    fn month_dims(&self, name: &CellName) -> Vec<Dim> {
        let mut dims = vec![
            self.brand(),
            Dim::Text(self.group.kind.name().into()),
            Dim::Month(self.group.month),
            self.currency(),
        ];
        dims.extend(name_dims(name));
        dims
    }

    fn markov(&self, name: &CellName) -> CellId {
        (Family::MarkovMonth, self.month_dims(name))
    }

    pub(super) fn assists(&self, name: &CellName) -> CellId {
        (Family::Assists, self.month_dims(name))
    }

    /// The cells of revenue, of credits and of paths of some rows in a pattern.
    pub(super) fn cells(
        &self,
        rule: &Rule,
        pattern: &Pattern,
        rows: &[(SaleRow, i64)],
    ) -> Published {
        let mut revenue: BTreeMap<CellId, (RevenueSums, BTreeSet<u64>)> = BTreeMap::new();
        let mut names: FxHashMap<(bool, Channel), Option<CellName>> = FxHashMap::default();
        let mut credits: BTreeMap<(Model, CellName), [i128; 2]> = BTreeMap::new();
        for (row, count) in rows {
            let count = i128::from(*count);
            let place = place_of(row, self.words);
            let Some(name) = pattern.revenue_of(row.day, &place) else {
                continue;
            };
            let (sums, persons) = revenue.entry(self.revenue(&name)).or_default();
            sums.conversions += i128::from(row.conversions) * count;
            sums.value += i128::from(row.value) * count;
            sums.scans += i128::from(row.scans) * count;
            sums.weight += i128::from(row.millionths()) * count;
            persons.extend(row.is_person.then_some(row.who));
            for credit in row.credits.iter() {
                let is_shared = rule.shared.contains(&credit.model);
                let of = names.entry((is_shared, credit.channel)).or_insert_with(|| {
                    let channel = channel_name(credit.channel, self.words);
                    let names = if is_shared {
                        &pattern.shared
                    } else {
                        &pattern.single
                    };
                    cell_of(names, &channel)
                });
                if let Some(of) = of {
                    let sums = credits.entry((credit.model, of.clone())).or_default();
                    sums[0] += i128::from(credit.millionths) * count;
                    sums[1] += i128::from(credit.value) * count;
                }
            }
        }
        let mut cells = Published::new();
        for (id, (mut sums, persons)) in revenue {
            sums.persons = persons.len() as i128;
            if sums != RevenueSums::default() {
                let values = sums.values(id.0);
                cells.insert(id, values);
            }
        }
        for ((model, name), sums) in credits {
            cells.insert(self.credit(model, &name), sums.into());
        }
        cells.extend(self.paths(pattern, rows));
        cells.retain(|_, values| values.iter().any(|value| *value != 0));
        cells
    }

    /// The path families.
    fn paths(&self, pattern: &Pattern, rows: &[(SaleRow, i64)]) -> Published {
        let mut entries = Entries::default();
        let mut behind: FxHashMap<CellKey, BTreeSet<u64>> = FxHashMap::default();
        let mut all: BTreeSet<u64> = BTreeSet::new();
        for (row, count) in self.counted(pattern, rows) {
            let who = row.is_vouched.then_some(row.who);
            all.extend(who);
            let mut add = |key: CellKey, sums: Aggregate| {
                behind.entry(key.clone()).or_default().extend(who);
                entries.entry(key).or_default().sums.add(&sums, count);
            };
            let group = self.group;
            let one = Aggregate::of(&[1, row.value.into()]);
            let path = collapse(&row.path);
            add(
                CellKey::Paths {
                    group,
                    path: path.into(),
                },
                one,
            );
            let touches = row.path.len() as u32;
            add(CellKey::PathLength { group, touches }, Aggregate::of(&[1]));
            add(
                CellKey::PathDays {
                    group,
                    days: row.days,
                },
                Aggregate::of(&[1]),
            );
        }
        for (key, persons) in behind {
            let entry = entries.entry(key).or_default();
            entry.sums.contributors = persons.len() as i64;
        }
        let names = Names {
            brand: &self.settings.name,
            words: self.words,
        };
        let k = i64::try_from(self.settings.k).unwrap_or(i64::MAX);
        apply_to_paths(&mut entries, all.len() as i64, k, names);
        let released = entries.iter().filter_map(|(key, entry)| {
            let (family, dims) = (key.family()?, key.dims(names)?);
            let values = entry.current().values()?;
            let values = values.into_iter().take(family.values().len());
            Some(((family, dims), values.collect()))
        });
        released.collect()
    }

    /// The rows with a touchpoint that a pattern counts.
    pub(super) fn counted<'a>(
        &self,
        pattern: &Pattern,
        rows: &'a [(SaleRow, i64)],
    ) -> impl Iterator<Item = (&'a SaleRow, i64)> {
        let rows = rows.iter().map(|(row, count)| (row, *count));
        rows.filter(move |(row, _)| {
            let place = place_of(row, self.words);
            !row.path.is_empty() && pattern.revenue_of(row.day, &place).is_some()
        })
    }

    /// The Markov chain of the rows that a pattern counts.
    pub(super) fn chain(
        &self,
        pattern: &Pattern,
        rows: &[(SaleRow, i64)],
        null: &NullParts,
    ) -> MonthChain {
        let mut edges: FxHashMap<(Channel, Channel), i64> = FxHashMap::default();
        let mut behind: FxHashMap<Channel, BTreeSet<u64>> = FxHashMap::default();
        let (mut millionths, mut value) = (0, 0);
        let end = Channel::default();
        // Visits count in millionths, because a stay may weigh less than one.
        let null_weight = match self.group.kind {
            SaleKind::Visit => CONVERSION as i64,
            SaleKind::Order | SaleKind::Transaction => 1,
        };
        for (row, count) in self.counted(pattern, rows) {
            let (weight, much) = match self.group.kind {
                SaleKind::Visit => (row.millionths() * count, row.millionths()),
                SaleKind::Order | SaleKind::Transaction => (count, CONVERSION as i64),
            };
            millionths += i128::from(much) * i128::from(count);
            value += i128::from(row.value) * i128::from(count);
            let mut from = end;
            for to in row.path.iter().copied().chain([end]) {
                if from != to {
                    *edges.entry((from, to)).or_default() += weight;
                }
                from = to;
            }
            for channel in row.path.iter() {
                behind.entry(*channel).or_default().insert(row.who);
            }
        }
        let behind = behind.into_iter();
        let reach = behind.map(|(channel, persons)| (channel, persons.len() as i64));
        MonthChain {
            converting: edges.into(),
            null: null.clone(),
            converting_reach: Arc::new(reach.collect()),
            null_weight,
            millionths,
            value,
            max_channels: self.settings.max_channels,
            words: self.words.clone(),
        }
    }

    /// The cells of a solved chain.
    pub(super) fn markov_cells(&self, names: &ChannelNames, solved: &Solved) -> Published {
        let mut sums: BTreeMap<CellName, [i128; 3]> = BTreeMap::new();
        for credit in &solved.credits {
            let name = cell_among(names, &channel_name(credit.channel, self.words));
            let sum = sums.entry(name).or_default();
            let values = [credit.effect_ppm.into(), credit.millionths, credit.value];
            for (slot, value) in sum.iter_mut().zip(values) {
                *slot += value;
            }
        }
        let cell = |(name, mut values): (CellName, [i128; 3])| {
            // Of several channels together there is no effect, and a cell without values does not exist.
            if let ([effect, rest @ ..], false) = (&mut values, name.grain() == CHANNEL_GRAIN) {
                *effect = match rest {
                    [0, 0] => 0,
                    _ => NO_VALUE,
                };
            }
            let is_any = values.iter().any(|value| *value != 0);
            is_any.then(|| (self.markov(&name), values.into()))
        };
        sums.into_iter().filter_map(cell).collect()
    }
}

/// The grain of a channel, see [`CellName::grain`].
const CHANNEL_GRAIN: u8 = 3;

fn dim(word: &Word) -> Dim {
    word.clone().map_or(Dim::Null, Dim::Text)
}

/// The dimensions `source`, `medium` and `campaign` of a cell.
pub(super) fn name_dims(name: &CellName) -> [Dim; 3] {
    let rest = || Dim::Text(REST.into());
    match name {
        CellName::Month => [rest(), rest(), rest()],
        CellName::Source(source) => [dim(source), rest(), rest()],
        CellName::SourceMedium(source, medium) => [dim(source), dim(medium), rest()],
        CellName::Channel(of) => [dim(&of.source), dim(&of.medium), dim(&of.campaign)],
    }
}

/// The cell that the dimensions `source`, `medium` and `campaign` name.
pub(super) fn cell_name([source, medium, campaign]: [&Dim; 3]) -> CellName {
    match (is_rest(source), is_rest(medium), is_rest(campaign)) {
        (true, ..) => CellName::Month,
        (_, true, _) => CellName::Source(word(source)),
        (.., true) => CellName::SourceMedium(word(source), word(medium)),
        _ => CellName::Channel(ChannelName {
            source: word(source),
            medium: word(medium),
            campaign: word(campaign),
        }),
    }
}

fn is_rest(dim: &Dim) -> bool {
    matches!(dim, Dim::Text(word) if **word == *REST)
}

fn word(dim: &Dim) -> Word {
    match dim {
        Dim::Text(word) => Some(word.clone()),
        _ => None,
    }
}

/// The name of a cell of revenue; `None` for a cell of another family.
pub(super) fn revenue_name(family: Family, dims: &[Dim]) -> Option<RevenueName> {
    match (family, dims) {
        (Family::StoreDay, [_, store, day, _])
        | (Family::ScanDay | Family::VisitMatch, [_, store, day]) => {
            let kind = match family {
                Family::VisitMatch => RevenueKind::Stay,
                _ => RevenueKind::Sale,
            };
            let place = || Place {
                kind,
                store: word(store),
            };
            match day {
                Dim::Day(day) if is_rest(store) => Some(RevenueName::Day(*day, kind)),
                Dim::Day(day) => Some(RevenueName::StoreDay(*day, place())),
                Dim::Month(_) => Some(RevenueName::Month(kind)),
                _ => None,
            }
        }
        (Family::OrdersDay, [_, day, _]) => match day {
            Dim::Day(day) => Some(RevenueName::StoreDay(*day, Place::default())),
            Dim::Month(_) => Some(RevenueName::Month(RevenueKind::Sale)),
            _ => None,
        },
        _ => None,
    }
}

/// The pattern that published cells follow, of which some count their members alone.
pub(super) fn pattern_of<'a>(
    rule: &Rule,
    published: impl Iterator<Item = &'a CellId>,
    members: &BTreeMap<CellId, Members>,
) -> Pattern {
    let mut pattern = Pattern::default();
    for id in published {
        let (family, dims) = id;
        if let Some(name) = revenue_name(*family, dims) {
            match members.get(id) {
                Some(members) => pattern.revenue.insert_members(name, members.clone()),
                None => pattern.revenue.insert(name),
            }
            continue;
        }
        if let (Family::Attribution, [_, model, source, medium, campaign, ..]) = (family, &dims[..])
        {
            let name = cell_name([source, medium, campaign]);
            let is_shared =
                word(model).is_some_and(|word| rule.shared.iter().any(|of| of.name() == &*word));
            match is_shared {
                true => pattern.shared.insert(name),
                false => pattern.single.insert(name),
            };
        }
    }
    pattern
}
