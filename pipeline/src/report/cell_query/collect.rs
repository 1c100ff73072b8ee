//! Reads the cells of a query once, and adds them up by the columns of its rows.
//!
//! A query touches as few cells as it can: the partitions of its periods, and of
//! each only what begins with the values that its filters leave
//! ([`beginnings`]). Groups are found by their [`atoms`](super::atoms). What is
//! needed of a row that is shown, its share above all, is computed for the rows
//! of the page alone.

use std::borrow::Cow;

use rustc_hash::FxHashMap;
use tributary_operators::calendar::month;
use tributary_operators::cell::{Dim, Dimension, Form, NO_VALUE, Unit};
use tributary_operators::record::Day;
use tributary_operators::release::REST;

use super::atoms::{Atom, Atoms};
use super::coverage::{
    Known, Names, Rest, Rests, add_size, is_open, is_rest, known, measure, tenths,
};
use super::format::dim_text;
use super::query::{CellQuery, Numbers, Wanted};
use crate::report::published_cells::{Period, Periods, PublishedCells};

/// Most beginnings of cells that a query looks up in a partition.
const BEGINNINGS: usize = 32;

/// Where a column of a row comes from.
#[derive(Clone, Copy)]
enum Origin {
    /// The dimension at a position.
    At(usize),
    /// The day of the hour at a position.
    DayOf(usize),
    /// The month of the day or hour at a position.
    MonthOf(usize),
}

impl Origin {
    /// The origin of a dimension; `None` if cells of the family have nothing of it.
    fn of(query: &CellQuery, of: Dimension) -> Option<Origin> {
        let own = query.family.row().dimensions;
        let at = |of: Dimension| own.iter().position(|own| *own == of);
        at(of).map(Origin::At).or_else(|| match of {
            Dimension::Day => at(Dimension::Hour).map(Origin::DayOf),
            Dimension::Month => at(Dimension::Day)
                .or_else(|| at(Dimension::Hour))
                .map(Origin::MonthOf),
            _ => None,
        })
    }

    /// The value of a cell. Texts are borrowed: queries that run at the same time
    /// would otherwise contend for the counts of their references.
    fn read(self, dims: &[Dim]) -> Cow<'_, Dim> {
        let (Origin::At(at) | Origin::DayOf(at) | Origin::MonthOf(at)) = self;
        let Some(dim) = dims.get(at) else {
            return Cow::Owned(Dim::Null);
        };
        let period = || Period::of(std::slice::from_ref(dim));
        match (self, dim) {
            (Origin::DayOf(_), Dim::Hour(..)) => Cow::Owned(match period() {
                Period::Day(day) => Dim::Day(day),
                _ => Dim::Null,
            }),
            (Origin::MonthOf(_), Dim::Day(_) | Dim::Hour(..)) => Cow::Owned(match period() {
                Period::Day(day) => Dim::Month(month(day)),
                _ => Dim::Null,
            }),
            _ => Cow::Borrowed(dim),
        }
    }
}

/// Whether a cell is selected.
#[derive(PartialEq)]
enum Selected {
    Yes,
    /// It gave up a name that is asked for, so that a part of it may be meant.
    InPart,
    No,
}

/// A filter of a query.
struct Filter<'a> {
    of: Dimension,
    origin: Origin,
    wanted: &'a [Wanted],
    /// The atoms of the values among `wanted`.
    atoms: Vec<Atom>,
    /// Whether a path is among them, which is compared as a text.
    has_paths: bool,
}

/// A sum of cells.
struct Sums {
    /// Their values.
    values: Vec<Option<i128>>,
    /// Their number.
    cells: u64,
    /// The absolute amount by which shares are measured.
    size: i128,
}

/// The two periods of a query.
#[derive(Clone, Copy)]
pub(super) enum Side {
    /// The period that is asked for.
    Current,
    /// The one that it is compared with.
    Previous,
}

/// The cells of a row.
pub(super) struct Group<'a> {
    /// The dimensions of the row.
    pub(super) dims: Vec<Cow<'a, Dim>>,
    /// The same as atoms.
    key: Box<[Atom]>,
    /// The sums of each side.
    sides: [Option<Sums>; 2],
}

/// Collects the groups of a query.
pub(super) struct Collector<'a> {
    cells: &'a PublishedCells,
    brand: &'a str,
    query: &'a CellQuery,
    today: Day,
    atoms: Atoms<'a>,
    /// What is known of the family's share.
    known: Known,
    /// The dimensions of a row, and their origins.
    columns: Vec<Dimension>,
    origins: Vec<Origin>,
    filters: Vec<Filter<'a>>,
    /// What the dimensions of a selected cell may begin with.
    beginnings: Vec<Vec<Dim>>,
    /// Values that stay when several cells are added.
    adds_up: Vec<bool>,
    /// The groups in the order in which they were met, and their positions.
    pub(super) groups: Vec<Group<'a>>,
    positions: FxHashMap<Box<[Atom]>, usize>,
    /// What may hold a part of a row, for each side.
    rests: [Option<Rests>; 2],
}

impl<'a> Collector<'a> {
    /// Collects nothing yet.
    pub(super) fn new(
        cells: &'a PublishedCells,
        brand: &'a str,
        query: &'a CellQuery,
        today: Day,
        hides: bool,
    ) -> Collector<'a> {
        let columns = query.columns();
        let origins = columns.iter().filter_map(|of| Origin::of(query, *of));
        let mut atoms = Atoms::new(cells);
        let filters = query.filters.iter().filter_map(|(of, wanted)| {
            let values = wanted.iter().filter_map(|wanted| match wanted {
                Wanted::Is(dim) => Some(atoms.find(dim)),
                Wanted::Path(_) => None,
            });
            let values: Vec<Atom> = values.collect();
            Some(Filter {
                of: *of,
                origin: Origin::of(query, *of)?,
                wanted,
                has_paths: values.len() < wanted.len(),
                atoms: values,
            })
        });
        let filters = filters.collect();
        let row = query.family.row();
        let channel = [Dimension::Source, Dimension::Medium, Dimension::Campaign];
        let is_apart = !row.overlaps || channel.iter().all(|of| columns.contains(of));
        let adds_up = row
            .units
            .iter()
            .map(|unit| is_apart && !matches!(unit, Unit::Distinct | Unit::Ppm));
        Collector {
            cells,
            brand,
            query,
            today,
            atoms,
            known: known(query.family, hides),
            origins: origins.collect(),
            filters,
            beginnings: beginnings(brand, query),
            adds_up: adds_up.collect(),
            columns,
            groups: Vec::new(),
            positions: FxHashMap::default(),
            rests: [None, None],
        }
    }

    /// Reads the cells of a side.
    pub(super) fn read(&mut self, side: Side, from: Option<Day>, to: Option<Day>) {
        let family = self.query.family;
        let size = |dims: &[Dim], values: &[i128]| match values.get(measure(family, dims)) {
            Some(value) if *value != NO_VALUE => value.saturating_abs(),
            _ => 0,
        };
        let has_total = self.known == Known::Total;
        let mut rests = Rests::new(self.query, from, to, self.today, &self.atoms);
        let mut key: Vec<Atom> = Vec::new();
        let cells = self.cells;
        let beginnings = std::mem::take(&mut self.beginnings);
        let brand = self.brand;
        let read = |periods| cells.beginning_with(family, brand, periods, &beginnings);
        let whole = Periods::between(from, to, self.today);
        read(whole).for_each(|(dims, values)| {
            if has_total {
                rests.publish(&mut self.atoms, dims);
            }
            let selected = self.select(dims);
            if selected == Selected::No {
                return;
            }
            self.key(dims, &mut key);
            let is_in_part = selected == Selected::InPart;
            if has_total && (is_in_part || is_rest(family, dims)) {
                rests.add(
                    &key,
                    Rest::new(&mut self.atoms, dims, size(dims, values), is_in_part),
                );
            }
            if !is_in_part {
                let group = self.group(&key, dims);
                match &mut group.sides[side as usize] {
                    Some(sums) => sums.add(values, size(dims, values)),
                    none => *none = Some(Sums::of(values, size(dims, values))),
                }
            }
        });
        if has_total {
            let cut = Periods::cut(from, to, self.today);
            let of_month = |month| read(Periods::months(month..=month));
            for (dims, values) in cut.iter().copied().flat_map(of_month) {
                rests.publish(&mut self.atoms, dims);
                if self.select(dims) != Selected::No {
                    self.key(dims, &mut key);
                    let rest = Rest::new(&mut self.atoms, dims, size(dims, values), true);
                    rests.add(&key, rest);
                }
            }
        }
        self.beginnings = beginnings;
        self.rests[side as usize] = Some(rests);
    }

    /// The group of a key, whose dimensions are read from a cell of it.
    fn group(&mut self, key: &[Atom], dims: &'a [Dim]) -> &mut Group<'a> {
        let at = match self.positions.get(key) {
            Some(at) => *at,
            None => {
                let dims = self.origins.iter().map(|of| of.read(dims)).collect();
                let key: Box<[Atom]> = key.into();
                self.positions.insert(key.clone(), self.groups.len());
                self.groups.push(Group {
                    dims,
                    key,
                    sides: [None, None],
                });
                self.groups.len() - 1
            }
        };
        &mut self.groups[at]
    }

    /// The key of a cell.
    fn key(&mut self, dims: &[Dim], key: &mut Vec<Atom>) {
        key.clear();
        let atoms = &mut self.atoms;
        key.extend(self.origins.iter().map(|of| atoms.of(&of.read(dims))));
    }

    /// Whether a cell is selected.
    fn select(&mut self, dims: &[Dim]) -> Selected {
        let mut selected = Selected::Yes;
        for filter in &self.filters {
            let dim = filter.origin.read(dims);
            let is_path = |wanted: &Wanted| match wanted {
                Wanted::Is(_) => false,
                Wanted::Path(text) => dim_text(&dim) == *text,
            };
            if filter.atoms.contains(&self.atoms.of(&dim))
                || filter.has_paths && filter.wanted.iter().any(is_path)
            {
                continue;
            }
            let may_be = is_open(self.query.family, filter.of, &dim)
                && filter.wanted.iter().any(|wanted| match (wanted, &*dim) {
                    (Wanted::Is(Dim::Day(day)), Dim::Month(rest)) => month(*day) == *rest,
                    (_, Dim::Month(_)) => false,
                    _ => true,
                });
            match may_be {
                true => selected = Selected::InPart,
                false => return Selected::No,
            }
        }
        selected
    }

    /// The numbers of a group on a side; `None` if it has none there.
    pub(super) fn numbers(&self, group: &Group<'_>, side: Side) -> Option<Numbers> {
        let sums = group.sides[side as usize].as_ref()?;
        let values = (0..sums.values.len()).map(|at| self.shown(sums, at));
        Some(Numbers {
            values: values.collect(),
            coverage: self.share(group, sums, side),
        })
    }

    /// The value of a group by which it may be sorted.
    pub(super) fn value(&self, group: &Group<'_>, at: usize) -> Option<i128> {
        let sums = group.sides[Side::Current as usize].as_ref()?;
        self.shown(sums, at)
    }

    /// A value of a sum; `None` where adding would be wrong.
    fn shown(&self, sums: &Sums, at: usize) -> Option<i128> {
        let adds_up = sums.cells == 1 || self.adds_up.get(at) == Some(&true);
        (*sums.values.get(at)?).filter(|_| adds_up)
    }

    /// Tenths of what may belong to a row that it counts.
    fn share(&self, group: &Group<'_>, sums: &Sums, side: Side) -> Option<u8> {
        let family = self.query.family;
        let mut named = self.columns.iter().zip(&group.dims);
        match self.known {
            Known::All => return Some(10),
            Known::Nothing => return None,
            Known::Total if named.any(|(of, dim)| is_open(family, *of, dim)) => return None,
            Known::Total => {}
        }
        let rests = self.rests[side as usize].as_ref()?;
        let filters = self
            .filters
            .iter()
            .filter_map(|filter| match &filter.atoms[..] {
                [only] if filter.wanted.len() == 1 => Some((filter.of, *only)),
                _ => None,
            });
        let columns = self.columns.iter().copied().zip(group.key.iter().copied());
        let names = Names::new(columns.chain(filters), rests.star());
        tenths(sums.size, rests.others(&self.columns, &group.key, &names))
    }
}

/// What the dimensions of a cell of interest begin with: the brand, and the values
/// that filters leave of the next dimensions, with what gave them up.
fn beginnings(brand: &str, query: &CellQuery) -> Vec<Vec<Dim>> {
    let mut beginnings = vec![vec![Dim::Text(brand.into())]];
    let own = query.family.row().dimensions.iter();
    for of in own.skip_while(|of| **of == Dimension::Brand) {
        let filter = query.filters.iter().find(|(filtered, _)| filtered == of);
        let Some((_, wanted)) = filter.filter(|_| matches!(of.form(), Form::Word | Form::Name))
        else {
            break;
        };
        let given_up = Wanted::Is(Dim::Text(REST.into()));
        let mut values: Vec<&Dim> = wanted
            .iter()
            .chain([&given_up])
            .filter_map(|wanted| match wanted {
                Wanted::Is(dim) => Some(dim),
                Wanted::Path(_) => None,
            })
            .collect();
        values.sort_unstable();
        values.dedup();
        if beginnings.len() * values.len() > BEGINNINGS {
            break;
        }
        beginnings = beginnings
            .iter()
            .flat_map(|beginning| {
                let with = |value: &&Dim| [&beginning[..], &[(*value).clone()]].concat();
                values.iter().map(with).collect::<Vec<_>>()
            })
            .collect();
    }
    beginnings
}

impl Sums {
    /// One cell.
    fn of(values: &[i128], size: i128) -> Sums {
        let known = |value: &i128| Some(*value).filter(|value| *value != NO_VALUE);
        Sums {
            values: values.iter().map(known).collect(),
            cells: 1,
            size,
        }
    }

    /// Adds a cell. A sum that lacks a value is none.
    fn add(&mut self, values: &[i128], size: i128) {
        for (sum, value) in self.values.iter_mut().zip(values) {
            *sum = match (*sum, *value) {
                (_, NO_VALUE) => None,
                (sum, value) => sum.and_then(|sum| sum.checked_add(value)),
            };
        }
        self.cells += 1;
        add_size(&mut self.size, size);
    }
}
