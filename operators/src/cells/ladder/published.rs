//! What stands outside: published cells by name, with their values.

use std::collections::BTreeMap;

use crate::cell::{Dim, Family};

/// The name of a published cell: its family and its dimensions.
pub(super) type CellId = (Family, Vec<Dim>);

/// Published cells with their values, in the order of [`Family::values`](crate::cell::Family::values).
pub(super) type Published = BTreeMap<CellId, Vec<i128>>;

/// Changes of published cells: the new values, or none if the cell is closed.
pub(super) type Changes = Vec<(CellId, Option<Vec<i128>>)>;
