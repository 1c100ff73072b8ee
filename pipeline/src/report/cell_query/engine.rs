//! Answers a query: orders its groups, and makes the rows of a page.
//!
//! A page ends with a cursor that holds the sort key of its last row, so that
//! cells which change between two pages move no other row. Groups are put in
//! order by their dimensions and one value; everything else is computed for the
//! rows of the page.

use std::borrow::{Borrow, Cow};
use std::cmp::{Ordering, Reverse};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use tributary_operators::calendar::{first_day, month};
use tributary_operators::cell::Dim;
use tributary_operators::record::Day;

use super::collect::{Collector, Group, Side};
use super::query::{Answer, CellQuery, QueryError, Row, Sort, SortKey};
use crate::report::published_cells::{Periods, PublishedCells};

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
    let mut collector = Collector::new(cells, brand, query, today, hides);
    collector.read(Side::Current, query.from, query.to);
    let previous = query.compare.then(|| before(query, today)).flatten();
    if let Some((from, to)) = previous {
        collector.read(Side::Previous, Some(from), Some(to));
    }
    let position = |group: &'_ Group<'_>| match query.sort.map(|sort| sort.by) {
        Some(SortKey::Value(at)) => collector.value(group, at),
        _ => None,
    };
    let groups = collector.groups.iter();
    let mut page: Vec<_> = groups.map(|group| (group, position(group))).collect();
    if let Some(after) = &query.after {
        let cursor = Cursor::read(after, &digest(brand, query))?;
        page.retain(|(group, value)| {
            let row = (&group.dims[..], *value);
            compare(query.sort, row, (&cursor.dims[..], cursor.value)) == Ordering::Greater
        });
    }
    let by = |a: &(&Group<'_>, _), b: &(&Group<'_>, _)| {
        compare(query.sort, (&a.0.dims[..], a.1), (&b.0.dims[..], b.1))
    };
    let is_last = page.len() <= query.limit;
    if !is_last {
        page.select_nth_unstable_by(query.limit, by);
        page.truncate(query.limit);
    }
    page.sort_unstable_by(by);
    let rows: Vec<Row> = page
        .iter()
        .map(|(group, _)| Row {
            dims: group.dims.iter().cloned().map(Cow::into_owned).collect(),
            numbers: collector.numbers(group, Side::Current),
            previous: collector.numbers(group, Side::Previous),
        })
        .collect();
    let last = rows.last().zip(page.last()).filter(|_| !is_last);
    let next = last.map(|(row, (_, value))| {
        let cursor = Cursor {
            query: digest(brand, query),
            dims: row.dims.clone(),
            value: *value,
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

/// Compares two rows by their dimensions and the value that they are sorted by.
/// Rows without a value come last; equal rows are in the order of their
/// dimensions.
fn compare<A: Borrow<Dim>, B: Borrow<Dim>>(
    sort: Option<Sort>,
    a: (&[A], Option<i128>),
    b: (&[B], Option<i128>),
) -> Ordering {
    let dims = || {
        let (a, b) = (a.0.iter().map(A::borrow), b.0.iter().map(B::borrow));
        a.cmp(b)
    };
    let Some(Sort { by, is_descending }) = sort else {
        return dims();
    };
    let ordering = match by {
        SortKey::Column(at) => a.0.get(at).map(A::borrow).cmp(&b.0.get(at).map(B::borrow)),
        SortKey::Value(_) if a.1.is_none() || b.1.is_none() => {
            return Reverse(a.1.is_some())
                .cmp(&Reverse(b.1.is_some()))
                .then_with(dims);
        }
        SortKey::Value(_) => a.1.cmp(&b.1),
    };
    let ordering = match is_descending {
        true => ordering.reverse(),
        false => ordering,
    };
    ordering.then_with(dims)
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
