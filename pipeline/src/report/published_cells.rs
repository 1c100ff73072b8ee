//! The published cells of this process, for metrics, page and summaries.
//!
//! They contain only what the release gate has released, and a closed cell is
//! removed at once, so that a reader may show all of them. Cells are stored in
//! partitions, one for each family, brand and day (or month): a window of days
//! is read without the rest, in order. A clone shares its partitions with the
//! original until they change: a long reader takes a clone and releases the
//! lock.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::record::Day;

/// Dimensions and values of the cells of one family, brand and period.
type Partition = BTreeMap<Box<[Dim]>, Box<[i128]>>;

/// Partitions of one family and brand by period.
type Partitions = BTreeMap<i32, Arc<Partition>>;

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
        let period = period(&cell.dims);
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

    /// Brands that have ever had a cell.
    pub fn brands(&self) -> BTreeSet<Arc<str>> {
        self.partitions
            .values()
            .flat_map(BTreeMap::keys)
            .cloned()
            .collect()
    }

    /// The last day of a brand with a cell of a daily or hourly family; `None`
    /// without such a cell.
    pub fn last_day(&self, brand: &str) -> Option<Day> {
        let last = |family: Family| {
            self.partitions
                .get(&family)?
                .get(brand)?
                .keys()
                .next_back()
                .copied()
        };
        let daily = Family::ALL.into_iter().filter(|family| family.is_daily());
        daily.filter_map(last).max()
    }

    /// Dimensions and values of the cells of a brand in a range of periods,
    /// ascending. The period of a cell is its `day`, its `month` (as `year * 12 +
    /// month - 1`), the local day of its `hour`, or else 0.
    pub fn cells(
        &self,
        family: Family,
        brand: &str,
        periods: RangeInclusive<i32>,
    ) -> impl Iterator<Item = (&[Dim], &[i128])> {
        let of_brand = self
            .partitions
            .get(&family)
            .and_then(|brands| brands.get(brand));
        // A range that ends before it begins is empty; the map would not take it.
        let of_brand = of_brand.filter(|_| periods.start() <= periods.end());
        let partitions = of_brand
            .into_iter()
            .flat_map(move |partitions| partitions.range(periods.clone()));
        partitions
            .flat_map(|(_, partition)| partition.iter())
            .map(|(dims, values)| (&**dims, &**values))
    }

    /// Sums of the cells of a brand in a range of periods, by some of their
    /// dimensions: from the named dimensions, in the order of `by`, to the sums of
    /// the family's values. A name that the family does not have reads as
    /// [`Dim::Null`].
    ///
    /// Counts of persons and of devices are distinct within a cell and not across
    /// cells: their sum counts a person once per cell.
    pub fn sums(
        &self,
        family: Family,
        brand: &str,
        periods: RangeInclusive<i32>,
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
                *sum = sum.saturating_add(*value);
            }
        }
        sums
    }
}

/// The shared copy of a text.
fn intern(words: &mut Arc<BTreeSet<Arc<str>>>, word: &Arc<str>) -> Arc<str> {
    if let Some(known) = words.get(word) {
        return known.clone();
    }
    Arc::make_mut(words).insert(word.clone());
    word.clone()
}

/// Period of a cell; 0 for a family without one.
fn period(dims: &[Dim]) -> i32 {
    let found = dims.iter().find_map(|dim| match dim {
        Dim::Day(day) => Some(*day),
        Dim::Month(month) => Some(*month),
        Dim::Hour(second, offset) => {
            i32::try_from((second + i64::from(*offset)).div_euclid(86_400)).ok()
        }
        _ => None,
    });
    found.unwrap_or(0)
}

/// A rolling window of days that ends with the current day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// The current day.
    Today,
    /// Seven days.
    Week,
    /// Thirty days.
    Month,
}

impl Window {
    /// Every window, each within the next.
    pub const ALL: [Window; 3] = [Window::Today, Window::Week, Window::Month];

    /// Name of the window in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Window::Today => "today",
            Window::Week => "7d",
            Window::Month => "30d",
        }
    }

    /// Days of the window.
    pub fn days(self, today: Day) -> RangeInclusive<Day> {
        let before = match self {
            Window::Today => 0,
            Window::Week => 6,
            Window::Month => 29,
        };
        today.saturating_sub(before)..=today
    }
}

#[cfg(test)]
mod tests;
