//! Sums per cell with their contributors, as input of the release gate.
//!
//! A contributor is a person, counted once per cell, or a record that stands for itself: one
//! without an identifier, or an adjustment.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::{Cell, Dim, Family};

use crate::person::Person;

/// The person behind a contribution, or `None` if it is unknown, and whether the contribution is vouched for: a conversion
/// of a verified source, or no conversion at all. Only then it has a contributor.
pub(crate) type Who = (Option<Person>, bool);

/// The sums of one cell.
pub(crate) struct Sum<const N: usize> {
    /// The values.
    pub(crate) values: [i128; N],
    /// The distinct persons.
    pub(crate) persons: BTreeSet<Person>,
    /// The distinct persons that are contributors.
    vouched: BTreeSet<Person>,
    /// The number of contributors without a person.
    unknown: u64,
}

impl<const N: usize> Sum<N> {
    /// The number of distinct persons, as a value.
    pub(crate) fn person_count(&self) -> i128 {
        self.persons.len() as i128
    }

    /// The number of contributors.
    fn contributors(&self) -> u64 {
        self.vouched.len() as u64 + self.unknown
    }
}

/// The sums of all cells of one family, by key.
pub(crate) struct FamilySums<K, const N: usize> {
    sums: BTreeMap<K, Sum<N>>,
}

impl<K: Ord, const N: usize> FamilySums<K, N> {
    /// No cells.
    pub(crate) fn new() -> Self {
        FamilySums {
            sums: BTreeMap::new(),
        }
    }

    /// Adds values to a cell in the name of a contributor. A contributor without a person counts
    /// anew with each call.
    pub(crate) fn add(&mut self, key: K, values: [i128; N], (person, is_vouched): Who) {
        let sum = self.sums.entry(key).or_insert_with(|| Sum {
            values: [0; N],
            persons: BTreeSet::new(),
            vouched: BTreeSet::new(),
            unknown: 0,
        });
        for (sum, value) in sum.values.iter_mut().zip(values) {
            *sum += value;
        }
        sum.persons.extend(person);
        match person {
            _ if !is_vouched => {}
            Some(person) => drop(sum.vouched.insert(person)),
            None => sum.unknown += 1,
        }
    }

    /// The existing cells, in the order of their keys. `write` returns the dimensions and values of
    /// a cell.
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

    /// The number of contributors of each key.
    pub(crate) fn contributors(&self) -> impl Iterator<Item = (&K, u64)> {
        self.sums.iter().map(|(key, sum)| (key, sum.contributors()))
    }
}

/// A cell before the gate.
#[derive(Clone, Debug)]
pub(crate) struct CountedCell {
    /// The cell, with exact values.
    pub(crate) cell: Cell,
    /// The number of its contributors.
    pub(crate) contributors: u64,
}

/// The cell, or `None` if all of its values are zero.
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
