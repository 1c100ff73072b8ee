//! Cells: the aggregates that leave, with their dimensions and values by name.
//!
//! [`family`] is the table of all families, [`dim`] lists the dimensions, [`field`] turns keys into dimensions and back,
//! and [`group`] says what is released together.

mod dim;
mod family;
mod field;
mod group;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::record::Day;

pub use dim::{Dim, Dimension, Form};
pub use family::{CellKey, ContributorId, Family, Row, Threshold, Unit};
pub use field::Hour;
pub(crate) use field::Names;
pub use group::{
    BatchKind, BrandMonth, Credited, Lacks, Month, MonthGroup, ReleaseGroup, Takings, Traffic,
    TrafficMonth,
};

/// A value that a cell does not have, `null` in the output.
pub const NO_VALUE: i128 = i128::MIN;

/// One aggregate: a family, its dimensions and its values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// Which kind of aggregate.
    pub family: Family,
    /// The dimensions, in the order of [`Family::dims`].
    pub dims: Vec<Dim>,
    /// The values, in the order of [`Family::values`]; empty when the cell is closed.
    pub values: Vec<i128>,
}

impl Cell {
    /// The dimension of a name; none where the family has no such dimension.
    pub fn dim(&self, name: &str) -> Option<&Dim> {
        let at = self.family.dims().iter().position(|dim| *dim == name)?;
        self.dims.get(at)
    }

    /// The text of a dimension; empty where it is null, no text, or not there.
    pub fn text(&self, name: &str) -> &str {
        match self.dim(name) {
            Some(Dim::Text(text)) => text,
            _ => "",
        }
    }

    /// The day of a dimension named `day`.
    pub fn day(&self) -> Option<Day> {
        match self.dim("day") {
            Some(Dim::Day(day)) => Some(*day),
            _ => None,
        }
    }

    /// The value of a name; 0 where the cell is closed or the family has no such value.
    pub fn value(&self, name: &str) -> i128 {
        let at = self.family.values().iter().position(|value| *value == name);
        at.and_then(|at| self.values.get(at)).copied().unwrap_or(0)
    }

    /// The names of its labels.
    pub(crate) fn names(&self) -> Vec<&Arc<str>> {
        let mut names = Vec::new();
        for (dimension, dim) in self.family.row().dimensions.iter().zip(&self.dims) {
            match dim {
                Dim::Text(name) if dimension.form() == Form::Name => names.push(name),
                Dim::Path(path) => names.extend(path.iter().flatten().flatten()),
                _ => {}
            }
        }
        names
    }
}
