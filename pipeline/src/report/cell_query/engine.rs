//! Answers a query: selects, groups, adds, compares, sorts and pages.
//!
//! [`PublishedCells`] is indexed by family, brand and period, so that a query
//! reads the periods that it names and no others. Rows are collected in a sorted
//! map; a page ends with a cursor that holds the sort key of its last row, so
//! that cells which change between two pages move no other row.

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use tributary_operators::calendar::{first_day, month};
use tributary_operators::cell::{Dim, Dimension, NO_VALUE, Unit};
use tributary_operators::record::Day;

use super::coverage::{Known, finer, is_open, is_rest, known, measure, rests_above, tenths};
use super::format::dim_text;
use super::query::{Answer, CellQuery, Numbers, QueryError, Row, Sort, SortKey, Wanted};
use crate::report::published_cells::{Period, Periods, PublishedCells};

/// Answers a query about a brand. `today` is its current day, and `hides` whether
/// `release.k` is above 1.
///
/// # Errors
///
/// A position in `after` that is not one of this query.
pub fn run(
    cells: &PublishedCells,
    brand: &str,
    query: &CellQuery,
    today: Day,
    hides: bool,
) -> Result<Answer, QueryError> {
    let collector = Collector::new(cells, brand, query, today, hides);
    let mut rows: Vec<Row> = Vec::new();
    let current = collector.numbers(query.from, query.to);
    let previous = query.compare.then(|| before(query, today)).flatten();
    let mut earlier = match previous {
        Some((from, to)) => collector.numbers(Some(from), Some(to)),
        None => BTreeMap::new(),
    };
    for (dims, numbers) in current {
        let previous = earlier.remove(&dims);
        let numbers = Some(numbers);
        rows.push(Row {
            dims,
            numbers,
            previous,
        });
    }
    rows.extend(earlier.into_iter().map(|(dims, numbers)| Row {
        dims,
        numbers: None,
        previous: Some(numbers),
    }));
    match query.sort {
        // The rows of the map are in order; those of the past alone are behind them.
        None if !query.compare => {}
        sort => rows.sort_by(|a, b| compare(sort, position(sort, a), position(sort, b))),
    }
    let digest = digest(brand, query);
    let mut begin = 0;
    if let Some(after) = &query.after {
        let cursor = Cursor::read(after, &digest)?;
        let of_cursor = (cursor.dims.as_slice(), cursor.value);
        begin = rows.partition_point(|row| {
            compare(query.sort, position(query.sort, row), of_cursor) != Ordering::Greater
        });
    }
    rows.drain(..begin);
    let is_last = rows.len() <= query.limit;
    rows.truncate(query.limit);
    let next = rows.last().filter(|_| !is_last).map(|row| {
        let (dims, value) = position(query.sort, row);
        let cursor = Cursor {
            query: digest,
            dims: dims.to_vec(),
            value,
        };
        cursor.write()
    });
    Ok(Answer {
        rows,
        next,
        previous,
    })
}

/// The period of the same length before: whole months before whole months, else
/// as many days.
fn before(query: &CellQuery, today: Day) -> Option<(Day, Day)> {
    let (from, to) = (query.from?, query.to?);
    let (first, last) = Periods::whole_months(Some(from), Some(to), today);
    if first <= last && first_day(first) == from && last == month(to) {
        let months = last - first + 1;
        return Some((
            first_day(first - months),
            first_day(first).saturating_sub(1),
        ));
    }
    let days = to.saturating_sub(from).saturating_add(1);
    Some((from.saturating_sub(days), from.saturating_sub(1)))
}

/// Where a row stands in an order: its dimensions, and the value it is sorted by.
type Position<'a> = (&'a [Dim], Option<i128>);

/// The position of a row.
fn position(sort: Option<Sort>, row: &Row) -> Position<'_> {
    let value = match sort.map(|sort| sort.by) {
        Some(SortKey::Value(at)) => row
            .numbers
            .as_ref()
            .and_then(|numbers| *numbers.values.get(at)?),
        _ => None,
    };
    (&row.dims, value)
}

/// Compares two positions. Rows without a value come last; equal rows are in the
/// order of their dimensions.
fn compare(sort: Option<Sort>, a: Position<'_>, b: Position<'_>) -> Ordering {
    let by = match sort {
        None => Ordering::Equal,
        Some(Sort { by, is_descending }) => {
            let ordering = match by {
                SortKey::Column(at) => a.0.get(at).cmp(&b.0.get(at)),
                SortKey::Value(_) if a.1.is_none() || b.1.is_none() => {
                    return Reverse(a.1.is_some())
                        .cmp(&Reverse(b.1.is_some()))
                        .then_with(|| a.0.cmp(b.0));
                }
                SortKey::Value(_) => a.1.cmp(&b.1),
            };
            match is_descending {
                true => ordering.reverse(),
                false => ordering,
            }
        }
    };
    by.then_with(|| a.0.cmp(b.0))
}

/// Identifies a query, so that a position of another one is refused.
fn digest(brand: &str, query: &CellQuery) -> String {
    let same = CellQuery {
        after: None,
        limit: 0,
        ..query.clone()
    };
    let text = format!("{brand} {same:?}");
    blake3::hash(text.as_bytes())
        .to_hex()
        .chars()
        .take(16)
        .collect()
}

/// The position of the last row of a page.
#[derive(Serialize, Deserialize)]
struct Cursor {
    /// Identifies the query.
    query: String,
    /// Dimensions of the row.
    dims: Vec<Dim>,
    /// The value that it is sorted by.
    value: Option<i128>,
}

impl Cursor {
    /// The cursor as a text for a URL.
    fn write(&self) -> String {
        // Texts and numbers: nothing in it can fail.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a cursor of a query.
    fn read(text: &str, digest: &str) -> Result<Cursor, QueryError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let cursor: Option<Cursor> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        cursor
            .filter(|cursor| cursor.query == digest)
            .ok_or_else(|| {
                QueryError::new(
                    "after",
                    "is no position of this query",
                    "take `next` of the previous page, and change no other parameter",
                )
            })
    }
}

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

/// A sum of cells.
struct Group {
    /// Their values.
    values: Vec<Option<i128>>,
    /// Their number.
    cells: u64,
    /// The absolute amount by which shares are measured.
    size: i128,
}

/// A cell of which a part may belong to a row.
struct Rest<'a> {
    /// Its dimensions.
    dims: &'a [Dim],
    /// The absolute amount by which shares are measured.
    size: i128,
    /// Whether the row that it would belong to counts none of it.
    is_in_part: bool,
}

/// Collects the rows of a period.
struct Collector<'a> {
    cells: &'a PublishedCells,
    brand: &'a str,
    query: &'a CellQuery,
    today: Day,
    /// What is known of the family's share.
    known: Known,
    /// The dimensions of a row, and their origins.
    columns: Vec<Dimension>,
    origins: Vec<Origin>,
    /// The filters, and the origins of their dimensions.
    filters: Vec<(Dimension, Origin, &'a [Wanted])>,
    /// Values that stay when several cells are added.
    adds_up: Vec<bool>,
}

impl<'a> Collector<'a> {
    fn new(
        cells: &'a PublishedCells,
        brand: &'a str,
        query: &'a CellQuery,
        today: Day,
        hides: bool,
    ) -> Collector<'a> {
        let columns = query.columns();
        let origins = columns.iter().filter_map(|of| Origin::of(query, *of));
        let filters = query
            .filters
            .iter()
            .filter_map(|(of, wanted)| Some((*of, Origin::of(query, *of)?, wanted.as_slice())));
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
            known: known(query.family, hides),
            origins: origins.collect(),
            filters: filters.collect(),
            adds_up: adds_up.collect(),
            columns,
        }
    }

    /// The rows of a period by their dimensions.
    fn numbers(&self, from: Option<Day>, to: Option<Day>) -> BTreeMap<Vec<Dim>, Numbers> {
        let family = self.query.family;
        let measure = measure(family);
        let size = |values: &[i128]| match values.get(measure) {
            Some(value) if *value != NO_VALUE => value.saturating_abs(),
            _ => 0,
        };
        let mut groups: FxHashMap<Vec<Cow<'_, Dim>>, Group> = FxHashMap::default();
        let mut key: Vec<Cow<'_, Dim>> = Vec::new();
        let owned = |key: &[Cow<'_, Dim>]| key.iter().map(|dim| dim.clone().into_owned()).collect();
        let mut rests: BTreeMap<Vec<Dim>, Vec<Rest<'_>>> = BTreeMap::new();
        let periods = Periods::between(from, to, self.today);
        for (dims, values) in self.cells.cells(family, self.brand, periods) {
            let selected = self.select(dims);
            if selected == Selected::No {
                continue;
            }
            key.clear();
            key.extend(self.origins.iter().map(|of| of.read(dims)));
            let is_in_part = selected == Selected::InPart;
            if self.known == Known::Total && (is_in_part || is_rest(family, dims)) {
                let size = size(values);
                let rest = Rest {
                    dims,
                    size,
                    is_in_part,
                };
                rests.entry(owned(&key)).or_default().push(rest);
            }
            if is_in_part {
                continue;
            }
            match groups.get_mut(&*key) {
                Some(group) => group.add(values, size(values)),
                None => {
                    groups.insert(key.clone(), Group::of(values, size(values)));
                }
            }
        }
        if self.known == Known::Total {
            for month in Periods::cut(from, to, self.today) {
                let cut = Periods::months(month..=month);
                for (dims, values) in self.cells.cells(family, self.brand, cut) {
                    if self.select(dims) != Selected::No {
                        key.clear();
                        key.extend(self.origins.iter().map(|of| of.read(dims)));
                        let rest = Rest {
                            dims,
                            size: size(values),
                            is_in_part: true,
                        };
                        rests.entry(owned(&key)).or_default().push(rest);
                    }
                }
            }
        }
        // The rows are in the order of their dimensions.
        let groups: BTreeMap<Vec<Dim>, Group> = groups
            .into_iter()
            .map(|(key, group)| (owned(&key), group))
            .collect();
        let shares: Vec<Option<u8>> = groups
            .iter()
            .map(|(key, group)| self.share(key, group, &rests))
            .collect();
        let rows = groups.into_iter().zip(shares);
        rows.map(|((key, group), coverage)| {
            let is_one = group.cells == 1;
            let values = group.values.into_iter().zip(&self.adds_up);
            let values = values.map(|(value, adds_up)| value.filter(|_| is_one || *adds_up));
            let values = values.collect();
            (key, Numbers { values, coverage })
        })
        .collect()
    }

    /// Whether a cell is selected.
    fn select(&self, dims: &[Dim]) -> Selected {
        let mut selected = Selected::Yes;
        for (of, origin, wanted) in &self.filters {
            let dim = origin.read(dims);
            let is = wanted.iter().any(|wanted| match wanted {
                Wanted::Is(value) => *value == *dim,
                Wanted::Path(text) => dim_text(&dim) == *text,
            });
            if is {
                continue;
            }
            let may_be = is_open(self.query.family, *of, &dim)
                && wanted.iter().any(|wanted| match (wanted, &*dim) {
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

    /// Tenths of what may belong to a row that it counts.
    fn share(
        &self,
        key: &[Dim],
        group: &Group,
        rests: &BTreeMap<Vec<Dim>, Vec<Rest<'_>>>,
    ) -> Option<u8> {
        let family = self.query.family;
        let mut named = self.columns.iter().zip(key);
        match self.known {
            Known::All => return Some(10),
            Known::Nothing => return None,
            Known::Total if named.any(|(of, dim)| is_open(family, *of, dim)) => return None,
            Known::Total => {}
        }
        if rests.is_empty() {
            return tenths(group.size, 0);
        }
        let names = self.names(key);
        let own = rests.get(key).into_iter().flatten();
        let own = own.filter(|rest| rest.is_in_part);
        let above = rests_above(family, &self.columns, key);
        let above = above.iter().filter_map(|key| rests.get(key)).flatten();
        let mut others = 0;
        for rest in own.chain(above) {
            let is_published = |dims: &Vec<Dim>| self.cells.contains(family, self.brand, dims);
            if !finer(family, &names, rest.dims).iter().any(is_published) {
                add_size(&mut others, rest.size);
            }
        }
        tenths(group.size, others)
    }

    /// The names that all of a row has: those of its columns, and those that filters
    /// leave no choice of.
    fn names(&self, key: &[Dim]) -> Vec<(Dimension, Dim)> {
        let columns = self.columns.iter().copied().zip(key.iter().cloned());
        let filters = self
            .filters
            .iter()
            .filter_map(|(of, _, wanted)| match wanted {
                [Wanted::Is(dim)] => Some((*of, dim.clone())),
                _ => None,
            });
        columns.chain(filters).collect()
    }
}

impl Group {
    /// A group of one cell.
    fn of(values: &[i128], size: i128) -> Group {
        let known = |value: &i128| Some(*value).filter(|value| *value != NO_VALUE);
        Group {
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

/// Adds an absolute amount.
fn add_size(sum: &mut i128, size: i128) {
    *sum = sum.saturating_add(size);
}
