//! What is published: published cells by name, with their values.

use std::collections::BTreeMap;

use crate::cell::{Dim, Family};
use crate::engine::{tree_bytes, vec_bytes};

/// The name of a published cell: its family and its dimensions.
pub(super) type CellId = (Family, Vec<Dim>);

/// Published cells with their values, in the order of [`Family::values`](crate::cell::Family::values).
pub(super) type Published = BTreeMap<CellId, Vec<i128>>;

/// The estimated bytes of published cells on the heap. Cells of one month are alike.
pub(in crate::cells) fn published_bytes(cells: &Published) -> usize {
    let one = cells.first_key_value();
    let one = one.map_or(0, |((_, dims), values)| vec_bytes(dims) + vec_bytes(values));
    tree_bytes::<CellId, Vec<i128>>(cells.len()) + one * cells.len()
}

/// Changes of published cells: the new values, or none if the cell is closed.
pub(super) type Changes = Vec<(CellId, Option<Vec<i128>>)>;
