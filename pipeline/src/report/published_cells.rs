//! The published cells of this process, for metrics, page and summaries.
//!
//! They contain only what the release gate has released, and a closed cell is
//! removed at once, so that a reader may show all of them. A cell that is not
//! here is hidden or empty, and never 0. Cells are stored in partitions, one for
//! each family, brand and [`Period`]: a window is read without the rest, in
//! order. A clone shares its partitions with the original until they change: a
//! long reader takes a clone and releases the lock.

mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tributary_operators::cell::{Cell, Dim, Family, NO_VALUE};
use tributary_operators::record::Day;
use tributary_operators::release::REST;

pub use window::{Month, Period, Periods, Window};

/// Dimensions and values of the cells of one family, brand and period.
type Partition = BTreeMap<Box<[Dim]>, Box<[i128]>>;

/// Partitions of one family and brand by period.
type Partitions = BTreeMap<Period, Arc<Partition>>;

/// The released cells of this process.
#[derive(Clone, Debug, Default)]
pub struct PublishedCells {
    /// Partitions by family and brand.
    partitions: BTreeMap<Family, BTreeMap<Arc<str>, Partitions>>,
    /// Every text of a dimension once, because most cells share a few.
    words: Arc<BTreeSet<Arc<str>>>,
    /// Identifies the content.
    stamp: u64,
}

/// The released cells, shared by the worker threads and all readers; clones
/// share them.
#[derive(Clone, Debug, Default)]
pub struct SharedCells(Arc<Mutex<PublishedCells>>);

impl SharedCells {
    /// Locks the cells. Worker threads wait for the lock: a long reader takes a
    /// clone of the cells, which is cheap.
    pub fn lock(&self) -> MutexGuard<'_, PublishedCells> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The next stamp. A stamp is never used twice in a process, so that cells with
/// the same stamp are equal.
static STAMPS: AtomicU64 = AtomicU64::new(1);

impl PublishedCells {
    /// Stores a released cell, or removes a closed one, which has no values. A cell
    /// without a brand is ignored.
    pub fn apply(&mut self, cell: &Cell) {
        let Some(Dim::Text(brand)) = cell.dims.first() else {
            return;
        };
        let period = Period::of(&cell.dims);
        let partitions = self.partitions.entry(cell.family).or_default();
        if cell.values.is_empty() {
            let Some(of_brand) = partitions.get_mut(&**brand) else {
                return;
            };
            let Some(partition) = of_brand.get_mut(&period) else {
                return;
            };
            if Arc::make_mut(partition).remove(&*cell.dims).is_none() {
                return;
            }
            if partition.is_empty() {
                of_brand.remove(&period);
            }
        } else {
            let brand = intern(&mut self.words, brand);
            let partition = partitions
                .entry(brand)
                .or_default()
                .entry(period)
                .or_default();
            match Arc::make_mut(partition).get_mut(&*cell.dims) {
                Some(values) if **values == *cell.values => return,
                Some(values) => *values = cell.values.as_slice().into(),
                None => {
                    let words = &mut self.words;
                    let dims = cell.dims.iter().map(|dim| match dim {
                        Dim::Text(word) => Dim::Text(intern(words, word)),
                        other => other.clone(),
                    });
                    let dims = dims.collect();
                    Arc::make_mut(partition).insert(dims, cell.values.as_slice().into());
                }
            }
        }
        self.stamp = STAMPS.fetch_add(1, Ordering::Relaxed);
    }

    /// Identifies the content: cells with the same stamp are equal.
    pub fn stamp(&self) -> u64 {
        self.stamp
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.partitions
            .values()
            .flat_map(BTreeMap::values)
            .flat_map(BTreeMap::values)
            .map(|partition| partition.len())
            .sum()
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a cell of a brand with these dimensions is published.
    pub fn contains(&self, family: Family, brand: &str, dims: &[Dim]) -> bool {
        let of_brand = (self.partitions.get(&family)).and_then(|brands| brands.get(brand));
        let partition = of_brand.and_then(|periods| periods.get(&Period::of(dims)));
        partition.is_some_and(|partition| partition.contains_key(dims))
    }

    /// Brands that have ever had a cell.
    pub fn brands(&self) -> BTreeSet<Arc<str>> {
        self.partitions
            .values()
            .flat_map(BTreeMap::keys)
            .cloned()
            .collect()
    }

    /// The last day of a brand with a day's or an hour's cell; `None` without such a
    /// cell. Month cells do not count.
    pub fn last_day(&self, brand: &str) -> Option<Day> {
        let last = |family: Family| match self
            .partitions
            .get(&family)?
            .get(brand)?
            .keys()
            .next_back()?
        {
            Period::Day(day) => Some(*day),
            Period::Month(_) | Period::Always => None,
        };
        Family::ALL.into_iter().filter_map(last).max()
    }

    /// The first day of a brand with a day's or an hour's cell; `None` without such a
    /// cell. Month cells do not count.
    pub fn first_day(&self, brand: &str) -> Option<Day> {
        let first = |family: Family| {
            let mut periods = self.partitions.get(&family)?.get(brand)?.keys();
            periods.find_map(|period| match period {
                Period::Day(day) => Some(*day),
                Period::Month(_) | Period::Always => None,
            })
        };
        Family::ALL.into_iter().filter_map(first).min()
    }

    /// Dimensions and values of the cells of a brand in some periods, ascending.
    /// A value may be [`NO_VALUE`].
    pub fn cells(
        &self,
        family: Family,
        brand: &str,
        periods: Periods,
    ) -> impl Iterator<Item = (&[Dim], &[i128])> {
        self.partitions(family, brand, periods)
            .flat_map(|partition| partition.iter())
            .map(|(dims, values)| (&**dims, &**values))
    }

    /// Those of these cells whose dimensions begin with one of `beginnings`, in the
    /// order of the periods and beginnings. No beginning may begin with another.
    pub fn beginning_with<'a, 'b>(
        &'a self,
        family: Family,
        brand: &str,
        periods: Periods,
        beginnings: &'b [Vec<Dim>],
    ) -> impl Iterator<Item = (&'a [Dim], &'a [i128])> + use<'a, 'b> {
        self.partitions(family, brand, periods)
            .flat_map(move |partition| {
                beginnings.iter().flat_map(move |beginning| {
                    let from = (Bound::Included(&beginning[..]), Bound::Unbounded);
                    let cells = partition.range::<[Dim], _>(from);
                    // Every cell of a partition begins with its brand.
                    let is_whole = beginning.len() <= 1;
                    cells.take_while(move |(dims, _)| is_whole || dims.starts_with(beginning))
                })
            })
            .map(|(dims, values)| (&**dims, &**values))
    }

    /// The partitions of a brand in some periods, ascending.
    fn partitions<'a>(
        &'a self,
        family: Family,
        brand: &str,
        periods: Periods,
    ) -> impl Iterator<Item = &'a Partition> + use<'a> {
        let of_brand = self
            .partitions
            .get(&family)
            .and_then(|brands| brands.get(brand));
        of_brand.into_iter().flat_map(move |partitions| {
            periods
                .ranges()
                .flat_map(move |range| partitions.range(range))
                .map(|(_, partition)| &**partition)
        })
    }

    /// A text of a dimension, as all cells with it share it.
    pub fn word(&self, text: &str) -> Option<&Arc<str>> {
        self.words.get(text)
    }

    /// Sums of the cells of a brand in some periods, by some of their
    /// dimensions: from the named dimensions, in the order of `by`, to the sums of
    /// the family's values. A name that the family does not have reads as
    /// [`Dim::Null`].
    ///
    /// Counts of persons and of devices are distinct within a cell and not across
    /// cells: their sum counts a person once per cell. A sum that lacks a value is
    /// [`NO_VALUE`].
    pub fn sums(
        &self,
        family: Family,
        brand: &str,
        periods: Periods,
        by: &[&str],
    ) -> BTreeMap<Vec<&Dim>, Vec<i128>> {
        let names = family.dims();
        let places: Vec<_> = by
            .iter()
            .map(|by| names.iter().position(|name| name == by))
            .collect();
        let mut sums: BTreeMap<Vec<&Dim>, Vec<i128>> = BTreeMap::new();
        for (dims, values) in self.cells(family, brand, periods) {
            let dim =
                |place: &Option<usize>| place.and_then(|at| dims.get(at)).unwrap_or(&Dim::Null);
            let sum = sums.entry(places.iter().map(dim).collect()).or_default();
            sum.resize(values.len().max(sum.len()), 0);
            for (sum, value) in sum.iter_mut().zip(values) {
                *sum = add_known(*sum, *value);
            }
        }
        sums
    }
}

/// Whether a cell gave up this dimension: the cell is the rest of what its other
/// dimensions name, or of its period.
pub fn is_rest(dim: &Dim) -> bool {
    matches!(dim, Dim::Text(word) if **word == *REST)
}

/// The shared copy of a text.
fn intern(words: &mut Arc<BTreeSet<Arc<str>>>, word: &Arc<str>) -> Arc<str> {
    if let Some(known) = words.get(word) {
        return known.clone();
    }
    Arc::make_mut(words).insert(word.clone());
    word.clone()
}

/// The sum of two values; [`NO_VALUE`] if either is missing.
fn add_known(a: i128, b: i128) -> i128 {
    match a == NO_VALUE || b == NO_VALUE {
        true => NO_VALUE,
        // A sum must not reach the value that means none.
        false => a.saturating_add(b).max(NO_VALUE + 1),
    }
}

#[cfg(test)]
mod tests;
