//! Dimensions as numbers, so that a query over many cells compares and hashes
//! integers.
//!
//! Within one [`PublishedCells`] equal texts share their memory
//! ([`PublishedCells::word`]), so that the address of a text stands for it. Days
//! and months are numbers; what is left (hours, counts, paths) is numbered as a
//! query meets it. Atoms mean nothing outside their query, and their order means
//! nothing at all.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use tributary_operators::cell::Dim;
use tributary_operators::record::Day;

use crate::report::published_cells::{Month, PublishedCells};

/// A dimension as a number: equal for equal dimensions, and for no others.
pub(super) type Atom = u64;

/// The atom of [`Dim::Null`].
pub(super) const NULL: Atom = 0;

/// The atom of a text that no cell has.
pub(super) const NONE: Atom = u64::MAX;

/// Position of the tag of an atom that is no text. Addresses are below it.
const TAG: u32 = 56;
const DAY: Atom = 1 << TAG;
const MONTH: Atom = 2 << TAG;
const NUMBERED: Atom = 3 << TAG;

/// The atoms of a query.
pub(super) struct Atoms<'a> {
    cells: &'a PublishedCells,
    /// Dimensions that are neither texts nor days nor months.
    numbered: FxHashMap<Dim, Atom>,
}

impl<'a> Atoms<'a> {
    /// Atoms of the dimensions of some cells.
    pub(super) fn new(cells: &'a PublishedCells) -> Atoms<'a> {
        Atoms {
            cells,
            numbered: FxHashMap::default(),
        }
    }

    /// The atom of a dimension of a cell.
    pub(super) fn of(&mut self, dim: &Dim) -> Atom {
        match dim {
            Dim::Null => NULL,
            Dim::Text(text) => address(text),
            Dim::Day(day) => of_day(*day),
            Dim::Month(month) => of_month(*month),
            Dim::Hour(..) | Dim::Count(_) | Dim::Path(_) => {
                if let Some(known) = self.numbered.get(dim) {
                    return *known;
                }
                let next = NUMBERED | self.numbered.len() as u64;
                self.numbered.insert(dim.clone(), next);
                next
            }
        }
    }

    /// The atom of a dimension of a query, whose texts are its own.
    pub(super) fn find(&mut self, dim: &Dim) -> Atom {
        match dim {
            Dim::Text(text) => self.word(text),
            dim => self.of(dim),
        }
    }

    /// The atom of a text.
    pub(super) fn word(&self, text: &str) -> Atom {
        self.cells.word(text).map_or(NONE, address)
    }
}

/// The address of a text of a cell.
fn address(text: &Arc<str>) -> Atom {
    Arc::as_ptr(text).cast::<u8>().addr() as u64
}

/// The atom of a day.
pub(super) fn of_day(day: Day) -> Atom {
    DAY | u64::from(day.cast_unsigned())
}

/// The atom of a month.
pub(super) fn of_month(month: Month) -> Atom {
    MONTH | u64::from(month.cast_unsigned())
}

/// The day of an atom.
pub(super) fn day(atom: Atom) -> Option<Day> {
    tagged(atom, DAY)
}

/// The month of an atom.
pub(super) fn month(atom: Atom) -> Option<Month> {
    tagged(atom, MONTH)
}

/// The number of an atom with a tag.
fn tagged(atom: Atom, tag: Atom) -> Option<i32> {
    let number = u32::try_from(atom ^ tag).ok()?;
    Some(number.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_are_read_back_and_are_apart() {
        for number in [i32::MIN, -1, 0, 20_387, i32::MAX] {
            assert_eq!(day(of_day(number)), Some(number));
            assert_eq!(month(of_month(number)), Some(number));
            assert_eq!((day(of_month(number)), month(of_day(number))), (None, None));
        }
        for other in [NULL, NONE, NUMBERED] {
            assert_eq!((day(other), month(other)), (None, None));
        }
    }
}
