//! Sums per cell with the contributors behind them, ready for the release gate.
//!
//! A contributor is a person, counted once per cell, or something that stands for itself: a record
//! that names nobody, or an adjustment.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::{Cell, Dim, Family};

use crate::person::Person;

/// Who stands behind a contribution: a person, or nobody known.
pub(crate) type Who = Option<Person>;

/// What one cell has gathered.
pub(crate) struct Sum<const N: usize> {
    pub(crate) values: [i128; N],
    pub(crate) persons: BTreeSet<Person>,
    pub(crate) unknown: u64,
}

impl<const N: usize> Sum<N> {
    /// The number of distinct persons, as a value.
    pub(crate) fn person_count(&self) -> i128 {
        self.persons.len() as i128
    }

    fn contributors(&self) -> u64 {
        self.persons.len() as u64 + self.unknown
    }
}

/// The cells of one family in the making.
pub(crate) struct FamilySums<K, const N: usize> {
    sums: BTreeMap<K, Sum<N>>,
}

impl<K: Ord, const N: usize> FamilySums<K, N> {
    pub(crate) fn new() -> Self {
        FamilySums {
            sums: BTreeMap::new(),
        }
    }

    /// Adds values to a cell in the name of a contributor.
    pub(crate) fn add(&mut self, key: K, values: [i128; N], who: Who) {
        let sum = self.sums.entry(key).or_insert_with(|| Sum {
            values: [0; N],
            persons: BTreeSet::new(),
            unknown: 0,
        });
        for (sum, value) in sum.values.iter_mut().zip(values) {
            *sum += value;
        }
        match who {
            Some(person) => {
                sum.persons.insert(person);
            }
            None => sum.unknown += 1,
        }
    }

    /// The cells that exist; `write` says a cell's dimensions and values.
    pub(crate) fn cells(
        &self,
        family: Family,
        write: impl Fn(&K, &Sum<N>) -> (Vec<Dim>, Vec<i128>),
    ) -> Vec<CountedCell> {
        self.sums
            .iter()
            .filter_map(|(key, sum)| {
                let (dims, values) = write(key, sum);
                existing_cell(family, dims, values, sum.contributors())
            })
            .collect()
    }

    /// The contributors behind each key.
    pub(crate) fn contributors(&self) -> impl Iterator<Item = (&K, u64)> {
        self.sums.iter().map(|(key, sum)| (key, sum.contributors()))
    }
}

/// A cell before the gate, and how many contributors stand behind it.
#[derive(Clone, Debug)]
pub(crate) struct CountedCell {
    pub(crate) cell: Cell,
    pub(crate) contributors: u64,
}

/// The cell, if it exists: some value is not zero.
pub(crate) fn existing_cell(
    family: Family,
    dims: Vec<Dim>,
    values: Vec<i128>,
    contributors: u64,
) -> Option<CountedCell> {
    let exists = values.iter().any(|value| *value != 0);
    exists.then_some(CountedCell {
        cell: Cell {
            family,
            dims,
            values,
        },
        contributors,
    })
}
