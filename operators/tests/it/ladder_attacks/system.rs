//! What a reader knows: the published numbers as a linear system over the fields of the table.
//!
//! A *field* is what one channel gets of the sales of one store and day under one model. The reader knows how the models
//! credit a path, but not which fields are empty. How much he knows about paths differs:
//!
//! | reader | unknowns | because |
//! |---|---|---|
//! | [`Reader::AnyPath`] | the fields | every model shares out the same sales, and credits those without a contact alike |
//! | [`Reader::ShortPaths`] | the sales of each store and day by path | he knows the longest path that counts |
//!
//! From the second follows all that models have in common: that `linear` is the mean of `first` and `last` if no path has
//! more than two touchpoints, for example. `time_decay` depends on times that are not published, so that its fields are
//! unknown in any case.

use std::collections::{BTreeMap, BTreeSet};

use num_integer::Integer as _;
use tributary_operators::attribution::Model;
use tributary_operators::attribution::credit::CONVERSION;
use tributary_operators::record::Day;
use tributary_operators::release::pattern::{CellName, Pattern, cell_of};
use tributary_operators::release::revenue_names::{RevenueName, RevenueNames};
use tributary_operators::release::table::ChannelName;
use tributary_operators::release::weight::Rule;

use crate::ladder_attacks::linear::{Space, element};
use crate::ladder_attacks::program::People;
use crate::ladder_attacks::worlds::{Path, Purchase, World};

/// The names of the published cells, by model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    pub revenue: RevenueNames,
    pub credits: BTreeMap<Model, BTreeSet<CellName>>,
}

impl Names {
    /// Those of a pattern, under the models of a rule.
    pub fn of(rule: &Rule, pattern: &Pattern) -> Names {
        let shared = rule.shared.iter().map(|model| (*model, &pattern.shared));
        let single = rule.single.iter().map(|model| (*model, &pattern.single));
        Names {
            revenue: pattern.revenue.clone(),
            credits: shared
                .chain(single)
                .map(|(model, names)| (model, names.clone()))
                .collect(),
        }
    }
}

/// What a reader knows about paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Nothing.
    AnyPath,
    /// How many touchpoints the longest has.
    ShortPaths,
}

/// A store on a day.
pub type Row = (Day, usize);

/// A linear combination of unknowns.
pub type Sum = BTreeMap<usize, i64>;

/// A field of the table.
#[derive(Clone, Debug)]
pub struct Field {
    pub row: Row,
    pub channel: usize,
    pub model: Model,
    /// The unknowns that it is made of, times [`System::denominator`].
    sum: Sum,
    /// The vouched contributors behind it.
    pub people: People,
}

/// The unknowns of a world, and the fields by them.
pub struct System<'a> {
    world: &'a World,
    reader: Reader,
    pub fields: Vec<Field>,
    /// What the unknowns of a field are multiplied with.
    pub denominator: i64,
    /// The value of each unknown, in millionths of a conversion.
    pub truth: Vec<i128>,
    unknowns: BTreeMap<Unknown, usize>,
    channels: Vec<ChannelName>,
}

/// What a reader does not know of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unknown {
    Field(Row, Model, usize),
    Nobody(Row, usize),
    Path(Row, Vec<usize>),
}

impl<'a> System<'a> {
    /// The fields of some rows of a world.
    pub fn new(world: &'a World, reader: Reader, rows: impl IntoIterator<Item = Row>) -> Self {
        let denominator = match (reader, world.position) {
            (Reader::AnyPath, _) => 1,
            // Halves and thirds, and what `position` gives to two and to three touchpoints.
            (Reader::ShortPaths, [first, middle, last]) => {
                let (ends, all) = (i64::from(first + last), i64::from(first + middle + last));
                6 * ends * all
            }
        };
        let mut system = System {
            world,
            reader,
            fields: Vec::new(),
            denominator,
            truth: Vec::new(),
            unknowns: BTreeMap::new(),
            channels: world.table().channels,
        };
        let people = people_of_fields(world);
        for row in rows {
            for model in &world.models {
                for channel in 0..world.credited().len() {
                    let people = people.get(&(row, channel, *model)).copied();
                    let sum = system.field(row, channel, *model);
                    system.fields.push(Field {
                        row,
                        channel,
                        model: *model,
                        sum,
                        people: people.unwrap_or(0),
                    });
                }
            }
        }
        let mut truth = vec![0; system.unknowns.len()];
        for purchase in &world.purchases {
            system.add_truth(purchase, &mut truth);
        }
        system.truth = truth;
        system
    }

    fn unknown(&mut self, of: Unknown) -> usize {
        let next = self.unknowns.len();
        *self.unknowns.entry(of).or_insert(next)
    }

    /// A field by its unknowns, times the denominator.
    fn field(&mut self, row: Row, channel: usize, model: Model) -> Sum {
        if channel >= self.world.channels.len() {
            return Sum::from([(
                self.unknown(Unknown::Nobody(row, channel)),
                self.denominator,
            )]);
        }
        if self.reader == Reader::AnyPath || model == Model::TimeDecay {
            let model = if self.is_last(model) {
                Model::Last
            } else {
                model
            };
            let field = Unknown::Field(row, model, channel);
            return Sum::from([(self.unknown(field), self.denominator)]);
        }
        let mut sum = Sum::new();
        for path in paths(self.world.channels.len(), self.world.max_path) {
            let times = self.share(&path, channel, model);
            if times != 0 {
                sum.insert(self.unknown(Unknown::Path(row, path)), times);
            }
        }
        sum
    }

    /// Whether a model is the same as `last`, though by another name.
    fn is_last(&self, model: Model) -> bool {
        model == Model::LastNonDirect && self.world.direct().is_none()
    }

    /// What a channel gets of a conversion by its path, times the denominator.
    fn share(&self, path: &[usize], channel: usize, model: Model) -> i64 {
        let of = |times: usize, all: usize| self.denominator * times as i64 / all as i64;
        let one = |at: usize| of(usize::from(path[at] == channel), 1);
        let [first, middle, last] = self.world.position.map(i64::from);
        match model {
            Model::First => one(0),
            Model::Last => one(path.len() - 1),
            Model::LastNonDirect => {
                let direct = self.world.direct();
                let at = path.iter().rposition(|of| Some(*of) != direct);
                one(at.unwrap_or(path.len() - 1))
            }
            Model::Linear => {
                let times = path.iter().filter(|of| **of == channel).count();
                of(times, path.len())
            }
            Model::Shapley => {
                let distinct: BTreeSet<usize> = path.iter().copied().collect();
                of(usize::from(distinct.contains(&channel)), distinct.len())
            }
            Model::Position => {
                let weights = match path.len() {
                    1 => vec![1],
                    2 => vec![first, last],
                    _ => vec![first, middle, last],
                };
                let all: i64 = weights.iter().sum();
                let own = path.iter().zip(weights).filter(|(of, _)| **of == channel);
                self.denominator * own.map(|(_, weight)| weight).sum::<i64>() / all
            }
            Model::TimeDecay => unreachable!("its fields are unknowns"),
        }
    }

    fn add_truth(&self, purchase: &Purchase, truth: &mut [i128]) {
        let row = (purchase.day, purchase.store);
        let mut add = |unknown: Unknown, millionths: i128| {
            if let Some(at) = self.unknowns.get(&unknown) {
                truth[*at] += millionths;
            }
        };
        let path = match &purchase.path {
            Path::Touches(path) if !path.is_empty() => path,
            path => return add(Unknown::Nobody(row, self.world.nobody(path)), CONVERSION),
        };
        add(Unknown::Path(row, path.clone()), CONVERSION);
        for (model, channel, millionths, _) in self.world.credits(purchase) {
            match self.is_last(model) {
                true if self.world.models.contains(&Model::Last) => {}
                true => add(Unknown::Field(row, Model::Last, channel), millionths),
                false => add(Unknown::Field(row, model, channel), millionths),
            }
        }
    }

    /// The combinations of unknowns, times the denominator, whose value the reader knows from published cells and from
    /// what all models have in common. Rows outside of the system have no part in them.
    pub fn known(&self, names: &Names) -> Vec<Sum> {
        let mut revenue: BTreeMap<(RevenueName, Model), Sum> = BTreeMap::new();
        let mut credits: BTreeMap<(Model, CellName), Sum> = BTreeMap::new();
        let mut rows: BTreeMap<Row, BTreeMap<Model, Sum>> = BTreeMap::new();
        for field in &self.fields {
            let (day, store) = field.row;
            add(
                rows.entry(field.row).or_default().entry(field.model),
                &field.sum,
                1,
            );
            let cell = names.revenue.cell_of(day, &self.world.place(store));
            let Some(cell) = cell else {
                continue;
            };
            add(revenue.entry((cell, field.model)), &field.sum, 1);
            if let Some(cell) = self.cell(names, field) {
                add(credits.entry((field.model, cell)), &field.sum, 1);
            }
        }
        // Every model shares out the same sales.
        let mut known: Vec<Sum> = Vec::new();
        for models in rows.into_values() {
            let mut models = models.into_values();
            let first = models.next().unwrap_or_default();
            for mut other in models {
                for (unknown, times) in &first {
                    *other.entry(*unknown).or_insert(0) -= times;
                }
                other.retain(|_, times| *times != 0);
                known.push(other);
            }
        }
        known.extend(revenue.into_values());
        known.extend(credits.into_values());
        known.retain(|sum| !sum.is_empty());
        known.sort_unstable();
        known.dedup();
        known
    }

    /// The published cell of credits that a field is a part of.
    pub fn cell(&self, names: &Names, field: &Field) -> Option<CellName> {
        let names = names.credits.get(&field.model)?;
        cell_of(names, &self.channels[field.channel])
    }

    /// A combination as a vector.
    fn vector(&self, sum: &Sum) -> Vec<u64> {
        let mut vector = vec![0; self.unknowns.len()];
        for (unknown, times) in sum {
            vector[*unknown] = element(*times);
        }
        vector
    }

    /// The unknowns that are zero, as known combinations.
    pub fn zeros(&self) -> impl Iterator<Item = Sum> {
        let zeros = self.truth.iter().enumerate().filter(|(_, of)| **of == 0);
        zeros.map(|(at, _)| Sum::from([(at, 1)]))
    }

    /// The space of the combinations of unknowns that follow from what is known.
    pub fn determined(&self, known: &[Sum]) -> Space {
        Space::spanned_by(known.iter().map(|sum| self.vector(sum)))
    }

    /// The determined sums of some fields of one model, as a space over these fields.
    pub fn determined_sums(&self, determined: &Space, fields: &[&Field]) -> Space {
        let vectors = fields.iter().map(|field| self.vector(&field.sum));
        let rest: Vec<Vec<u64>> = vectors.map(|vector| determined.reduce(vector)).collect();
        Space::relations(&rest)
    }

    /// The known combinations as equations over the unknowns, each with its right side last.
    pub fn equations(&self, known: &[Sum]) -> Vec<Vec<i128>> {
        let equation = |sum: &Sum| {
            let divisor = sum
                .values()
                .fold(0, |divisor: i64, times| divisor.gcd(times));
            let mut row = vec![0; self.unknowns.len() + 1];
            for (unknown, times) in sum {
                let times = i128::from(*times / divisor);
                row[*unknown] = times;
                row[self.unknowns.len()] += times * self.truth[*unknown];
            }
            row
        };
        known.iter().map(equation).collect()
    }

    /// A field as a function of the unknowns, times the denominator.
    pub fn function(&self, field: &Field) -> Vec<(usize, i128)> {
        let sum = field.sum.iter();
        sum.map(|(at, times)| (*at, i128::from(*times))).collect()
    }
}

fn add<K: Ord>(to: std::collections::btree_map::Entry<'_, K, Sum>, sum: &Sum, factor: i64) {
    let to = to.or_default();
    for (unknown, times) in sum {
        *to.entry(*unknown).or_insert(0) += factor * times;
    }
    to.retain(|_, times| *times != 0);
}

/// The paths of one up to a number of touches over some channels.
fn paths(channels: usize, longest: usize) -> Vec<Vec<usize>> {
    let mut paths: Vec<Vec<usize>> = Vec::new();
    let mut ends = vec![Vec::new()];
    for _ in 0..longest {
        let longer = ends.iter().flat_map(|path: &Vec<usize>| {
            (0..channels).map(move |next| [path.as_slice(), &[next]].concat())
        });
        ends = longer.collect();
        paths.extend(ends.iter().cloned());
    }
    paths
}

/// The vouched contributors with a part in each field.
fn people_of_fields(world: &World) -> BTreeMap<(Row, usize, Model), People> {
    let mut people: BTreeMap<_, People> = BTreeMap::new();
    for purchase in world.purchases.iter().filter(|of| of.is_vouched) {
        for (model, channel, ..) in world.credits(purchase) {
            let field = ((purchase.day, purchase.store), channel, model);
            *people.entry(field).or_default() |= 1 << purchase.who;
        }
    }
    people
}
